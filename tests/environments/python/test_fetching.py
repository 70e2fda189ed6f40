"""Files that are fetched from where a lock says they are, and looks at addresses, by servers that behave badly."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mltrack.environments import silent
from mltrack.environments.python import fetching as room
from mltrack.environments.python.addresses import look_at_url
from mltrack.environments.python.distributions import File
from mltrack.environments.python.fetching import Fetched, fetch_all, logins_of, request_for
from mltrack.environments.python.indexes import Settings

DATA = b"a wheel"
SHA256 = hashlib.sha256(DATA).hexdigest()


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The URL of a server that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_GET

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def give(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(DATA)))
    handler.end_headers()
    if handler.command == "GET":
        handler.wfile.write(DATA)


def fetched(tmp_path: Path, url: str, size: int | None = None, **variables: str) -> Fetched:
    file = File("alpha.whl", SHA256, url, size)
    return fetch_all([file], tmp_path / "fetched", Settings({"HOME": str(tmp_path), **variables}, ()), silent)


def test_a_file_comes_by_http_and_from_a_path(tmp_path: Path) -> None:
    with served(give) as url:
        assert fetched(tmp_path, f"{url}/alpha.whl", len(DATA)).files["alpha.whl"].read_bytes() == DATA
    (tmp_path / "alpha.whl").write_bytes(DATA)
    assert fetched(tmp_path, f"file://{tmp_path}/alpha.whl").problems == {}


def test_a_login_is_for_its_own_host_and_does_not_follow_a_redirection(tmp_path: Path) -> None:
    """Asked by its name, `localhost` sends on to the same server by its number: another host."""
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        if handler.headers["Host"].startswith("localhost"):
            handler.send_response(302)
            handler.send_header("Location", f"http://127.0.0.1:{handler.headers['Host'].partition(':')[2]}/alpha.whl")
            handler.end_headers()
        else:
            give(handler)

    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password secret\ndefault login me password secret\n")
    with served(answer) as url:
        named = url.replace("127.0.0.1", "localhost")
        assert look_at_url(f"{named}/alpha.whl", {"NETRC": str(netrc)}) is None
        assert fetched(tmp_path, f"{named}/alpha.whl", NETRC=str(netrc)).problems == {}
    assert [bool(one) for one in seen] == [True, False, True, False]


def test_a_password_of_an_https_index_is_not_said_in_the_clear() -> None:
    logins = logins_of({"UV_DEFAULT_INDEX": "https://me:secret@index.example/simple", "HOME": "/nonexistent"})
    assert request_for("https://index.example/a.whl", logins).has_header("Authorization")
    for url in ("http://index.example/a.whl", "https://other.example/a.whl", "https://index.example:8443/a.whl"):
        assert not request_for(url, logins).has_header("Authorization")


@pytest.mark.parametrize("answer", [b"gibberish\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"])
def test_an_answer_that_is_no_http_is_a_problem_and_no_traceback(tmp_path: Path, answer: bytes) -> None:
    with served(lambda handler: handler.wfile.write(answer) and None) as url:
        assert set(fetched(tmp_path, f"{url}/alpha.whl").problems) == {"alpha.whl"}
        if answer.startswith(b"gibberish"):
            assert "cannot be reached: gibberish" in (look_at_url(f"{url}/alpha.whl", {}) or "")
    assert list((tmp_path / "fetched").iterdir()) == []


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        assert "not a regular file" in fetched(tmp_path, f"file://{path}").problems["alpha.whl"]
    assert "unknown url type" in (look_at_url(f"file://{tmp_path}/fifo", {}) or "")


def test_more_than_the_lock_says_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            pass

    with served(endless) as url:
        assert "larger than 1000 bytes" in fetched(tmp_path, f"{url}/alpha.whl", 1000).problems["alpha.whl"]
        monkeypatch.setattr(room, "MOST_BYTES", 5000)
        assert "larger than 5000 bytes" in fetched(tmp_path, f"{url}/alpha.whl").problems["alpha.whl"]
    assert len(asked) == 2, "what is too large is not asked for again"
    assert list((tmp_path / "fetched").iterdir()) == []
