"""A conda channel served on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012
    trouble: dict[str, int] = {}  # noqa: RUF012
    """The end of a path -> how often it is answered by 503 still."""

    def log_message(self, *words: object) -> None:
        pass

    def send_head(self):  # type: ignore[no-untyped-def]
        self.asked.append(f"{self.command} {self.path}")
        for end, left in self.trouble.items():
            if self.path.endswith(end) and left:
                self.trouble[end] = left - 1
                self.send_error(503)
                return None
        return super().send_head()


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The URL of a directory."""
    Quiet.asked.clear()
    Quiet.trouble.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
