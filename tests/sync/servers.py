"""The real servers that the tests of remotes talk to, each started once for a whole test session.

A keeper process (`python -m tests.sync.servers NAME FOLDER`) starts a server, writes what a client must know into
FOLDER/state.json, and stops it when nobody uses it any more: every user holds a shared lock on FOLDER/users, which ends
with its process, however that ends. So the workers of pytest-xdist share one server, and none is left behind.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

State = dict[str, Any]

ROOT = Path(__file__).parents[2]
READY_S = 120
CACHE = Path(
    os.environ.get("MLTRACK_TESTS_CACHE")  # a keeper's HOME is that of a test
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mltrack-tests"
)
AZURITE = CACHE / "azurite" / "node_modules" / ".bin" / "azurite-blob"
SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def find(program: str) -> str:
    """Where a program lies; servers are in sbin, which not every PATH has."""
    return shutil.which(program, path=SBIN) or program


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(command: Sequence[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs in the foreground, as long as the block; and no longer than its keeper."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [find(command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **environment},
            # The parent that it dies with is a thread: one that ends before would take it along.
            preexec_fn=die_with_parent if threading.current_thread() is threading.main_thread() else None,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def die_with_parent() -> None:
    """Linux only: elsewhere a keeper that is killed leaves its server."""
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(1, signal.SIGKILL)


def wait_for(ready: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    raise TimeoutError(f"{what} did not start in {READY_S} s.")


def answers(port: int) -> bool:
    """Does something accept connections?"""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def speaks_http(port: int, path: str = "/") -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False
    return True


# -- the servers


@contextmanager
def sshd(folder: Path, port: int | None = None) -> Iterator[State]:
    """OpenSSH's, with a key of its own, that lets this user in by a key."""
    port = port or free_port()
    for name in ("host", "id", "stranger"):
        if not (folder / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_bytes((folder / "id.pub").read_bytes())
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile {folder}/pid\n"
        f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "PermitRootLogin prohibit-password\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    with running([find("sshd"), "-D", "-e", "-f", str(folder / "config")], folder) as process:
        wait_for(lambda: answers(port), "sshd")
        key = (folder / "host.pub").read_text().split()
        known = f"[127.0.0.1]:{port} {key[0]} {key[1]}\n"
        (folder / "files").mkdir(exist_ok=True)
        yield {
            "port": port, "pid": process.pid, "user": getpass.getuser(), "known": known, "id": f"{folder}/id",
            "stranger": f"{folder}/stranger", "files": f"{folder}/files",
        }  # fmt: skip


CEPH = """
[global]
fsid = {id}
mon host = [v1:127.0.0.1:{mon}]
mon initial members = a
public network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
mon data avail warn = 2
ms bind msgr2 = false
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
log file = {folder}/log.$name
mon data = {folder}/mon
osd data = {folder}/osd
osd objectstore = memstore
osd class update on start = false
osd crush update on start = false
memstore device bytes = 4294967296
keyring = {folder}/keyring
[client.one]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw data = {folder}/one
[client.two]
rgw frontends = beast endpoint=127.0.0.1:{second}
rgw data = {folder}/two
"""
S3_KEY, S3_SECRET = "AKIATEST", "a-secret-of-the-tests"


@contextmanager
def radosgw(folder: Path) -> Iterator[State]:
    """Ceph's S3 server over a small cluster that keeps all in memory; `second` is a port for another one over it."""
    ports = {"mon": free_port(), "port": free_port(), "second": free_port()}
    for name in ("mon", "osd", "run", "one", "two"):
        (folder / name).mkdir()
    identity = str(uuid.uuid4())
    (folder / "ceph.conf").write_text(CEPH.format(id=identity, folder=folder, **ports))
    os.environ["CEPH_CONF"] = str(folder / "ceph.conf")

    def ceph(*command: str) -> None:
        with (folder / "log").open("ab") as log:
            subprocess.run(command, cwd=folder, stdout=log, stderr=log, check=True, timeout=READY_S)

    keyring, monmap, osd = str(folder / "keyring"), str(folder / "monmap"), str(uuid.uuid4())
    ceph("monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{ports['mon']}]", "--fsid", identity, monmap)
    ceph("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    ceph("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *",
         "--cap", "osd", "allow *", "--cap", "mgr", "allow *")  # fmt: skip
    ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
    with ExitStack() as daemons:
        daemons.enter_context(running(["ceph-mon", "-f", "-i", "a"], folder))
        ceph("ceph", "osd", "new", osd)
        ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        daemons.enter_context(running(["ceph-osd", "-f", "-i", "0"], folder))
        ceph("ceph", "osd", "crush", "add", "osd.0", "1.0", "host=h0", "root=default")
        ceph("radosgw-admin", "user", "create", "--uid=t", "--display-name=t", f"--access-key={S3_KEY}",
             f"--secret-key={S3_SECRET}", "-n", "client.admin")  # fmt: skip
        gateway = daemons.enter_context(running(["radosgw", "-f", "-n", "client.one"], folder))
        wait_for(lambda: speaks_http(ports["port"]), "radosgw")
        yield {**ports, "conf": f"{folder}/ceph.conf", "pid": gateway.pid}


@contextmanager
def moto(folder: Path) -> Iterator[State]:
    port = free_port()
    program = "import sys; from moto.server import main; main(sys.argv[1:])"
    with running([sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(port)], folder):
        wait_for(lambda: speaks_http(port, "/moto-api/"), "moto")
        yield {"port": port}


AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The well-known one of the emulator."""


@contextmanager
def azurite(folder: Path) -> Iterator[State]:
    """Microsoft's own emulator of Azure's blobs."""
    port = free_port()
    options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", str(folder / "data")]
    with running([str(AZURITE), *options, "--blobHost", "127.0.0.1", "--blobPort", str(port)], folder):
        wait_for(lambda: answers(port), "azurite")
        yield {"port": port}


def azure_login(port: int, key: str = AZURE_KEY) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )


@contextmanager
def gcs(folder: Path) -> Iterator[State]:
    port = free_port()
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running([*command, "--in-memory", "--quiet", "--default-bucket", "tests"], folder):
        wait_for(lambda: answers(port), "gcp-storage-emulator")
        yield {"port": port}


@contextmanager
def webdav(folder: Path, port: int | None = None) -> Iterator[State]:
    """WsgiDAV: all may write below /open, `me` below /closed, nobody below /fixed."""
    port = port or free_port()
    shares = {}
    for name in ("open", "closed", "fixed"):
        (folder / "files" / name).mkdir(parents=True, exist_ok=True)
        shares[f"/{name}"] = {"root": str(folder / "files" / name), "readonly": name == "fixed"}
    settings = {
        "host": "127.0.0.1", "port": port, "server": "cheroot", "provider_mapping": shares, "verbose": 1,
        "http_authenticator": {"domain_controller": None, "accept_digest": False, "default_to_digest": False},
        "simple_dc": {"user_mapping": {"/closed": {"me": {"password": "pa55word"}}, "*": True}},
        "server_args": {"numthreads": 20},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings))
    program = "from wsgidav.server.server_cli import run; run()"
    with running([sys.executable, "-c", program, "-c", str(folder / "config.json"), "-q"], folder) as process:
        wait_for(lambda: speaks_http(port), "wsgidav")
        yield {"port": port, "pid": process.pid, "files": str(folder / "files")}


@contextmanager
def simple_http(folder: Path) -> Iterator[State]:
    """Python's own, which lists directories, and ignores that a part was asked for."""
    port = free_port()
    (folder / "files").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", str(folder / "files"), str(port)]
    with running(command, folder):
        wait_for(lambda: speaks_http(port), "http.server")
        yield {"port": port, "files": str(folder / "files")}


NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access;
    client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
    uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
    server {{
        listen 127.0.0.1:{port}; root {folder}/files; {user}
        location / {{ autoindex on; }}
        location /unlisted/ {{ autoindex off; }}
        location /closed/ {{ autoindex on; auth_basic "closed"; auth_basic_user_file {folder}/passwords; }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[State]:
    """A web server that lists directories and gives parts of files."""
    port = free_port()
    for name in ("unlisted", "closed"):
        (folder / "files" / name).mkdir(parents=True, exist_ok=True)
    (folder / "passwords").write_text("me:{PLAIN}pa55word\n")
    own = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(own + NGINX.format(folder=folder, port=port, user=""))
    with running(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "log")], folder):
        wait_for(lambda: speaks_http(port), "nginx")
        yield {"port": port, "files": str(folder / "files")}


SERVERS: dict[str, Callable[[Path], Any]] = {
    "sshd": sshd,
    "radosgw": radosgw,
    "moto": moto,
    "azurite": azurite,
    "gcs": gcs,
    "webdav": webdav,
    "http.server": simple_http,
    "nginx": nginx,
}


# -- one for all workers


@contextmanager
def shared(name: str, base: Path, module: str = "tests.sync.servers") -> Iterator[State]:
    """The server of that name, which the first user starts, below a directory that all users have in common.

    `module`, run as a program, is its keeper.
    """
    folder = base / f"server-{name}"
    folder.mkdir(exist_ok=True)
    with (folder / "users").open("ab") as users, (folder / "start").open("ab") as start:
        fcntl.flock(start, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is just stopping
        if not (folder / "state.json").exists():
            spawn_keeper(name, folder, module)
        fcntl.flock(start, fcntl.LOCK_UN)
        yield json.loads((folder / "state.json").read_text())


def spawn_keeper(name: str, folder: Path, module: str) -> None:
    """Start a keeper that belongs to no worker, and wait until its server is ready."""
    spawn = (
        "import os, subprocess, sys\n"
        "log = open(sys.argv[1], 'ab')\n"
        "made = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)\n"
        "print(made.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    command = [sys.executable, "-m", module, name, str(folder)]
    started = [sys.executable, "-c", spawn, str(folder / "keeper.log"), *command]
    environment = {**os.environ, "MLTRACK_TESTS_CACHE": str(CACHE)}
    done = subprocess.run(started, cwd=ROOT, env=environment, check=True, capture_output=True)
    pid = int(done.stdout)

    def ready() -> bool:
        if not Path(f"/proc/{pid}").exists() and Path("/proc").exists():
            raise RuntimeError(f"{name} did not start:\n{(folder / 'keeper.log').read_text()[-3000:]}")
        return (folder / "state.json").exists()

    wait_for(ready, name)


def keep(name: str, folder: Path) -> None:
    """Run a server as long as anybody uses it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work = Path(tempfile.mkdtemp(prefix=f"mltrack-{name}-"))
    try:
        with SERVERS[name](work) as state, (folder / "users").open("ab") as users:
            partial = folder / "state.json.new"
            partial.write_text(json.dumps(state))
            partial.replace(folder / "state.json")
            fcntl.flock(users, fcntl.LOCK_EX)
            (folder / "state.json").unlink()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    keep(sys.argv[1], Path(sys.argv[2]))
