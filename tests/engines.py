"""The real container engine and the registry that the tests of containers talk to.

Each is started once for a whole test session, by the machinery of `tests/sync/servers.py`; an engine with a data-root of
its own, an empty or a small one, by the test that needs it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.sync.servers import CACHE, SERVERS, State, find, free_port, keep, running, shared, speaks_http, wait_for

BASE = CACHE / "base.tar"
"""A small Debian with Python; `make real-parts` makes it."""

IMAGE = "base:1"


@contextmanager
def dockerd(folder: Path, has_image: bool = True) -> Iterator[State]:
    """An engine whose data lies below the folder, without networks of its own; with an image, IMAGE."""
    data, host = folder / "data", f"unix://{folder}/s"
    folder.chmod(0o711)  # the socket itself says who may speak
    words = [
        "dockerd",
        "--data-root",
        str(data),
        "--exec-root",
        f"{folder}/exec",
        "--pidfile",
        f"{folder}/pid",
        "-H",
        host,
    ]
    words += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    try:
        with running(words, folder, PATH=path) as process:
            wait_for(lambda: process.poll() is None and answers(host), "dockerd")
            if has_image:
                docker(host, "import", str(BASE), IMAGE)
            yield {"host": host, "pid": process.pid, "folder": str(folder)}
    finally:
        sweep(folder)


def sweep(folder: Path) -> None:
    """End what an engine that was killed leaves behind, and unmount all below its folder."""
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid() and belongs_to(process, folder):
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in reversed([place for place in mounts if place.startswith(f"{folder}/")]):
        subprocess.run([find("umount"), "-l", place], capture_output=True)


def belongs_to(process: Path, folder: Path) -> bool:
    """Was it started with a path below the folder, or does it live in a container whose root lies there?"""
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        roots = [line for line in (process / "mountinfo").read_text().splitlines() if line.split()[4] == "/"]
    except OSError:
        return False
    is_engines = words[0].rpartition(b"/")[2].startswith((b"containerd", b"dockerd"))
    return (is_engines and any(os.fsencode(f"{folder}/") in word for word in words)) or any(
        f"{folder}/" in line for line in roots
    )


def docker(host: str, *words: str, check: bool = True) -> str:
    """What a command of the engine's own client prints."""
    done = subprocess.run(["docker", "-H", host, *words], capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"docker {words}: {done.stderr}")
    return done.stdout.strip()


def answers(host: str) -> bool:
    return subprocess.run(["docker", "-H", host, "version"], capture_output=True).returncode == 0


@contextmanager
def registry(folder: Path) -> Iterator[State]:
    """A registry of images on the loopback, which engines trust without TLS."""
    port = free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\n  delete:\n    enabled: true\n"
        f"http:\n  addr: 127.0.0.1:{port}\n"
    )
    with running(["docker-registry", "serve", str(folder / "config.yml")], folder):
        wait_for(lambda: speaks_http(port, "/v2/"), "docker-registry")
        yield {"address": f"localhost:{port}"}


@contextmanager
def own_engine(has_image: bool = False, size: str | None = None) -> Iterator[State]:
    """An engine for one test, with an empty data-root; `size` makes it a small disk of its own (root only)."""
    folder = Path(tempfile.mkdtemp(prefix="mltrack-engine-"))  # short: a socket's path has 107 bytes at most
    (folder / "data").mkdir()
    try:
        if size is not None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder / "data")], check=True)
        with dockerd(folder, has_image) as state:
            yield state
    finally:
        sweep(folder)
        shutil.rmtree(folder)


SERVERS |= {"dockerd": dockerd, "registry": registry}


@contextmanager
def shared_engine(base: Path) -> Iterator[State]:
    """The engine that all workers of a test session use."""
    with shared("dockerd", base, "tests.engines") as state:
        yield state


@contextmanager
def shared_registry(base: Path) -> Iterator[State]:
    with shared("registry", base, "tests.engines") as state:
        yield state


if __name__ == "__main__":
    keep(sys.argv[1], Path(sys.argv[2]))
