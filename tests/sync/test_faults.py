"""Remotes in trouble: servers that drop connections, answer with errors, stall, cut, die and come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from mltrack.errors import RemoteError
from mltrack.sync import patience, places_buckets, places_sftp, places_web, sending
from mltrack.sync import remote as remote_room
from mltrack.sync.check import check_remote
from mltrack.sync.patience import Patience
from mltrack.sync.remote import Remote
from mltrack.sync.troubles import is_transient
from tests.sync.kinds import Site, params
from tests.sync.proxy import Proxy
from tests.sync.servers import running, speaks_http, sshd, stop, wait_for, webdav
from tests.sync.towns import Town, objects_of

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")

ROUNDS = int(os.environ.get("MLTRACK_SOAK", "1"))
QUICK = Patience(first_s=0.01, longest_s=0.05)
DATA = os.urandom(1 << 20)

http_servers = pytest.mark.parametrize("site", params("radosgw", "azure", "gcs", "webdav"), indirect=True)
all_servers = pytest.mark.parametrize("site", params("sftp", "radosgw", "azure", "gcs", "webdav"), indirect=True)


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    """Between the site and its server, from now on."""
    with Proxy(site.port) as proxy:
        site.at(proxy.port)
        yield proxy


@pytest.fixture
def remote(site: Site, proxy: Proxy, tmp_path: Path) -> Remote:
    """A remote with a file, `x`, and a connection that has been used."""
    remote = Remote(site.url(), tmp_path / "cache")
    remote.patience = QUICK
    remote.write("packs/x", DATA)
    return remote


def requests_of(remote: Remote) -> dict[str, Callable[[], object]]:
    """One request of each sort, and each checks its answer."""

    def read() -> None:
        assert remote.read("packs/x") == DATA

    def part() -> None:
        assert remote.read_range("packs/x", 1000, 600_000) == DATA[1000:601_000]

    def write() -> None:
        remote.write("packs/y", DATA[::-1])
        assert remote.read("packs/y") == DATA[::-1]

    def listing() -> None:
        assert remote.list("packs")["x"].size == len(DATA)

    return {"read": read, "part": part, "write": write, "list": listing, "remove": lambda: remote.remove("packs/z")}


# -- errors that pass


@http_servers
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_error_that_may_pass_is_tried_again_and_told(remote: Remote, proxy: Proxy, status: int) -> None:
    told: list[str] = []
    remote.tell = told.append
    for number, request in enumerate(requests_of(remote).values(), 1):
        proxy.errors = [status]
        request()
        assert not proxy.errors and remote.repeated == number
    assert told and told[0].startswith("retrying (2 of 5): ") and "\n" not in told[0]
    assert str(status) in told[0] or told[0].split(": ")[1].isalpha()


@http_servers
def test_an_error_that_stays_is_told_after_five_tries(remote: Remote, proxy: Proxy) -> None:
    proxy.errors = [503] * 50
    with pytest.raises(RemoteError) as caught:
        remote.read("packs/x")
    assert len(proxy.errors) == 45 and remote.repeated == 4
    assert "\n" not in caught.value.message and caught.value.exit_code == 5


@http_servers
@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_is_not_tried_again(remote: Remote, proxy: Proxy, status: int) -> None:
    for request in (lambda: remote.write("packs/y", b"1"), lambda: remote.list("packs")):
        proxy.errors = [status] * 9
        with pytest.raises(RemoteError):
            request()
        assert 7 <= len(proxy.errors) <= 8, "WebDAV removes what it began to write, too"
    assert remote.repeated == 0


@all_servers
def test_connections_that_are_dropped_are_made_again(remote: Remote, proxy: Proxy) -> None:
    for request in requests_of(remote).values():
        proxy.drop()
        request()


@all_servers
def test_connections_that_break_in_the_middle_are_made_again(remote: Remote, proxy: Proxy) -> None:
    requests = requests_of(remote)
    for name, rule in (("write", "cut_up"), ("read", "cut_down"), ("part", "cut_down")):
        setattr(proxy, rule, 300_000)
        proxy.cuts, proxy.cut_times = 0, 1
        requests[name]()
        assert proxy.cuts == 1
        setattr(proxy, rule, None)


@all_servers
def test_connections_that_are_refused_end_in_one_line(remote: Remote, proxy: Proxy) -> None:
    proxy.refuse = True
    proxy.drop()
    with pytest.raises(RemoteError) as caught:
        remote.write("packs/y", DATA)
    assert "\n" not in caught.value.message and remote.repeated == 4
    proxy.refuse = False
    requests_of(remote)["write"]()


@all_servers
def test_a_slow_server_is_waited_for(remote: Remote, proxy: Proxy) -> None:
    proxy.slow_s = 0.02
    for request in requests_of(remote).values():
        request()
    assert remote.repeated == 0


QUIET = """
import sys
from pathlib import Path
from mltrack.errors import MltrackError
from mltrack.sync.patience import Patience
from mltrack.sync.remote import Remote
remote = Remote(sys.argv[1], Path("cache"))
remote.patience = Patience(tries=2, first_s=0.01)
for request in (lambda: remote.write("packs/y", bytes(1 << 20)), lambda: remote.read("packs/y")):
    try:
        request()
    except MltrackError as error:
        print(error.message)
"""


@all_servers
@pytest.mark.parametrize("trouble", ["refused", "cut", "denied"])
def test_nothing_but_the_one_line_is_said(
    remote: Remote, site: Site, proxy: Proxy, trouble: str, tmp_path: Path
) -> None:
    """No library's log, traceback or unclosed connection."""
    if trouble == "refused":
        proxy.refuse = True
    elif trouble == "cut":
        proxy.cut_up = 300_000
    else:
        proxy.errors = [403] * 100
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", QUIET, site.url()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=100)
    assert done.stderr == "" and done.returncode == 0
    assert len(done.stdout.splitlines()) == (0 if (trouble, site.kind.name) == ("denied", "sftp") else 2)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (patience, places_buckets, places_web, places_sftp):
        for name in ("CONNECT", "STALL"):
            monkeypatch.setattr(module, name, 0.5, raising=False)
    monkeypatch.setattr(patience, "SLOWEST", 1 << 30)


@all_servers
def test_a_server_that_stalls_does_not_hang_a_request(impatient: None, remote: Remote, proxy: Proxy) -> None:
    for name, request in requests_of(remote).items():
        proxy.stalled.set()
        remote.patience = Patience(tries=1)
        with pytest.raises(RemoteError):
            if name == "write":
                # More than the buffers on the way hold; what they held may arrive later, so under a name of its own.
                remote.write("packs/stalled", os.urandom(6 << 20))
            else:
                request()
        proxy.stalled.clear()
        remote.patience = QUICK
        request()


@all_servers
def test_an_interrupt_does_not_wait_for_a_server_that_stalls(remote: Remote, proxy: Proxy) -> None:
    def interrupted() -> Iterator[int]:
        yield from range(3)
        proxy.stalled.set()
        yield 3
        time.sleep(0.3)
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(remote.map(lambda number: remote.read("packs/x"), interrupted(), at_once=8))
    assert time.monotonic() - began < patience.STALL / 2
    proxy.stalled.clear()
    requests_of(remote)["read"]()


def test_what_waits_to_try_again_ends_with_an_interrupt(tmp_path: Path) -> None:
    remote = Remote(str(tmp_path / "remote"), tmp_path / "cache")
    remote.patience = Patience(first_s=1000, longest_s=1000, total_s=1e6)
    asked = threading.Event()

    def fail(path: str) -> bytes:
        asked.set()
        raise ConnectionResetError

    remote.place.read = fail  # type: ignore[method-assign]

    def interrupted() -> Iterator[int]:
        yield 1
        asked.wait(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(remote.map(lambda number: remote.read("x"), interrupted()))


def test_waits_grow_have_jitter_and_an_end() -> None:
    waits = [[Patience().wait_s(tried) for _ in range(50)] for tried in range(1, 5)]
    assert all(min(later) > max(sooner) for sooner, later in ((waits[at], waits[at + 1]) for at in range(3)))
    assert all(len(set(some)) > 40 for some in waits)
    assert min(waits[0]) >= 0.1 and max(waits[3]) <= 10
    asked: list[int] = []

    def fail() -> None:
        asked.append(1)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        Patience(first_s=0.01, total_s=0).ask(fail, threading.Event(), lambda text: None)
    assert len(asked) == 1


class Odd(Exception):
    status_code = 503


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (Odd(), True),
        (OSError(28, "No space left on device"), False),
        (OSError(30, "Read-only file system"), False),
        (PermissionError(), False),
        (FileNotFoundError(), False),
        (ValueError("x"), False),
        (RemoteError("told already."), False),
    ],
)
def test_which_errors_may_pass(error: Exception, passes: bool) -> None:
    assert is_transient(error) is passes


class Careless(BaseHTTPRequestHandler):
    """Tells no length, ends an answer by closing the connection, and the first one too early."""

    cut = 0

    def do_GET(self) -> None:
        self.send_response(206)
        self.send_header("Content-Range", "bytes 3-6/10")
        self.end_headers()
        self.wfile.write(b"34" if Careless.cut > 0 else b"3456")
        Careless.cut -= 1

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_an_answer_that_was_cut_without_a_length_is_asked_for_again(tmp_path: Path) -> None:
    Careless.cut = 1
    with HTTPServer(("127.0.0.1", 0), Careless) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            remote = Remote(f"http://127.0.0.1:{server.server_port}/x", tmp_path / "cache")
            remote.patience = QUICK
            assert remote.read_range("x", 3, 4) == b"3456" and remote.repeated == 1
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("site", params("sftp"), indirect=True)
def test_channels_that_end_while_the_connection_stays_are_opened_again(remote: Remote) -> None:
    connection = remote.place._open.connection  # type: ignore[attr-defined]
    for session in remote.place._open.sessions:  # type: ignore[attr-defined]
        remote.place.loop.call_soon_threadsafe(session.exit)  # type: ignore[attr-defined]
    time.sleep(0.2)
    assert not connection.is_closed()
    for request in requests_of(remote).values():
        request()


# -- whole transfers


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PACK_SIZE", 1 << 20)


@all_servers
def test_a_push_on_a_bad_line_goes_on_where_it_was(
    small_packs: None, site: Site, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_room, "Patience", lambda: Patience(tries=2, first_s=0.01))
    with Town(tmp_path / "a") as a, Town(tmp_path / "b") as b:
        run = a.record(*(os.urandom(1 << 20) for _ in range(12)))
        failed, passed = 0, 0
        while True:
            # Every connection ends after some MiB; each push gets some packs through.
            proxy.cut_up = 5 << 20
            before = proxy.up
            try:
                a.push(site.url())
                break
            except RemoteError as error:
                assert "\n" not in error.message and error.exit_code == 5
                failed += 1
                proxy.drop()
            passed = max(passed, proxy.up - before)
            assert failed < 30
        proxy.cut_up = None
        assert failed and passed < 12 << 20
        again = a.push(site.url())
        assert (again.objects, again.bytes, again.records) == (0, 0, 0)
        b.pull(site.url(), data=True)
        assert b.whole(run.id)
        assert list(check_remote(b.remote(site.url()), objects_of)) == []


@contextmanager
def own_sshd(site: Site, tmp: Path) -> Iterator[tuple[int, Path, Callable[[], None], Callable[[], None]]]:
    """A server for one test, which may kill it and start it again."""
    folder = tmp / "sshd"
    folder.mkdir()
    with ExitStack() as stack:
        state = stack.enter_context(sshd(folder))
        site.state.update(state)

        def kill() -> None:
            """The server, and those of its children that serve a connection."""
            server = psutil.Process(state["pid"])
            for process in (server, *server.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):  # a child may end by itself just now
                    process.kill()

        def start() -> None:
            state.update(stack.enter_context(sshd(folder, state["port"])))

        yield state["port"], Path(state["files"]), kill, start


@contextmanager
def own_webdav(site: Site, tmp: Path) -> Iterator[tuple[int, Path, Callable[[], None], Callable[[], None]]]:
    folder = tmp / "webdav"
    folder.mkdir()
    with ExitStack() as stack:
        state = stack.enter_context(webdav(folder))

        def start() -> None:
            state.update(stack.enter_context(webdav(folder, state["port"])))

        yield state["port"], Path(state["files"]) / "open", lambda: os.kill(state["pid"], signal.SIGKILL), start


@contextmanager
def own_radosgw(site: Site, tmp: Path) -> Iterator[tuple[int, None, Callable[[], None], Callable[[], None]]]:
    """A second gateway to the cluster that all tests share."""
    folder = tmp / "radosgw"
    folder.mkdir()
    with ExitStack() as stack:
        processes = []

        def start() -> None:
            command = ["radosgw", "-f", "-n", "client.two"]
            processes.append(stack.enter_context(running(command, folder, CEPH_CONF=site.state["conf"])))
            wait_for(lambda: speaks_http(site.state["second"]), "radosgw")

        start()
        yield site.state["second"], None, lambda: stop(processes[-1], signal.SIGKILL), start


OWN = {"sftp": own_sshd, "webdav": own_webdav, "radosgw": own_radosgw}


class Blow:
    """Kills a server when the first pack went to it, and starts it again half a second later."""

    def __init__(self, kill: Callable[[], None], start: Callable[[], None]) -> None:
        self.begun, self.dead = threading.Event(), threading.Event()
        self.kill, self.start = kill, start
        self.thread = threading.Thread(target=self.strike)
        self.thread.start()

    def strike(self) -> None:
        self.begun.wait(60)
        self.kill()
        self.dead.set()
        time.sleep(0.5)
        self.start()

    def progress(self, moved: int) -> None:
        self.begun.set()
        self.dead.wait(10)  # so that the push is not over before the server is

    def end(self) -> None:
        self.begun.set()
        self.thread.join()


@pytest.mark.parametrize("site", params(*OWN), indirect=True)
def test_a_server_that_is_killed_and_comes_back_loses_nothing(
    small_packs: None, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The push goes on, or fails in one line and the next one completes it; what others pushed before stays."""
    monkeypatch.setattr(remote_room, "Patience", Patience)
    site.state = dict(site.state)
    with ExitStack() as stack:
        a, b, c = (stack.enter_context(Town(tmp_path / name)) for name in "abc")
        own = OWN[site.kind.name](site, tmp_path)  # type: ignore[operator]
        port, files, kill, start = stack.enter_context(own)
        if files is not None:
            (files / site.folder).mkdir()
        site.at(port)
        runs = [b.record(b"early").id]
        b.push(site.url())
        for _ in range(ROUNDS):
            runs.append(a.record(*(os.urandom(1 << 20) for _ in range(24)), tree={"x": b"1", "y/z": b"2"}).id)
            blow = Blow(kill, start)
            try:
                assert a.push(site.url(), progress=blow.progress).records == 1
            except RemoteError as error:
                assert "\n" not in error.message and error.exit_code == 5
            finally:
                blow.end()
            a.push(site.url())
            assert a.push(site.url()).objects == 0
            c.pull(site.url(), data=True)
            assert all(c.whole(run) for run in runs)
        assert list(check_remote(c.remote(site.url()), objects_of)) == []


@pytest.mark.parametrize("site", params("radosgw", "webdav"), indirect=True)
def test_a_remote_that_turns_read_only_in_the_middle_harms_nothing_here(
    small_packs: None, site: Site, proxy: Proxy, tmp_path: Path
) -> None:
    with Town(tmp_path / "a") as a, Town(tmp_path / "b") as b:
        a.record(b"before")
        a.push(site.url())
        run = a.record(*(os.urandom(1 << 20) for _ in range(6)))
        before = a.state_of_all(), set(a.ledger.unsent(site.url()).records)

        def progress(moved: int) -> None:
            proxy.errors = [403] * 100

        with pytest.raises(RemoteError, match="refused to write to it"):
            a.push(site.url(), progress=progress)
        assert (a.state_of_all(), set(a.ledger.unsent(site.url()).records)) == before and a.whole(run.id)
        proxy.errors = []
        b.pull(site.url(), data=True)
        assert run.id not in b.ledger.ids()
        rest = a.push(site.url())
        assert rest.records == 1 and rest.bytes < 6 << 20, "what went before is not sent again"
        b.pull(site.url(), data=True)
        assert b.whole(run.id)
