"""A package index on the loopback interface, over a directory of wheels and sdists, that can be made to misbehave.

It speaks both forms of the simple repository interface (PEP 503 and 691), gives hashes, wants a password if it has
users, and remembers what it was asked for.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote, urlsplit

NUMBERS = count()


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass
class Index:
    """What is served, and how badly. Everything may be changed while it serves."""

    files: Path
    """The wheels and sdists; what is put in or taken out is served or gone at once."""
    token: str = field(default_factory=lambda: f"index-{os.getpid()}-{next(NUMBERS)}")
    """In every URL: uv remembers pages by their URLs, and a port may be another index's the next moment."""
    url: str = ""
    """Of the simple interface, without credentials."""
    users: dict[str, str] = field(default_factory=dict)
    """User -> password; nobody is asked for one if there are none."""
    removed: set[str] = field(default_factory=set)
    """Names of distributions that it no longer knows, and of files that it no longer lists."""
    replaced: dict[str, bytes] = field(default_factory=dict)
    """File name -> the bytes that are served in its stead, with their own hash."""
    corrupted: set[str] = field(default_factory=set)
    """Files whose bytes are not those that the listed hash is of."""
    yanked: dict[str, str] = field(default_factory=dict)
    """File name -> the reason."""
    delay_s: float = 0.0
    """Before every answer."""
    failures: int = 0
    """So many answers are 500s, from now on."""
    asked: list[str] = field(default_factory=list)
    """Paths, in order."""

    def with_credentials(self, user: str, password: str) -> str:
        return self.url.replace("//", f"//{user}:{quote(password, safe='')}@", 1)

    def projects(self) -> dict[str, list[str]]:
        """Name -> its files."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.files.iterdir()):
            name = normalise(re.split(r"-\d", path.name)[0])
            if path.suffix in (".whl", ".gz") and name not in self.removed and path.name not in self.removed:
                found.setdefault(name, []).append(path.name)
        return found

    def read(self, name: str) -> bytes:
        return self.replaced.get(name) or (self.files / name).read_bytes()

    def sha256(self, name: str) -> str:
        return hashlib.sha256(self.read(name)).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    index: Index

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        index, path = self.index, unquote(urlsplit(self.path).path).removeprefix(f"/{self.index.token}")
        index.asked.append(path)
        time.sleep(index.delay_s)
        if index.failures:
            index.failures -= 1
            self.answer(500, b"broken")
        elif index.users and not self.is_known():
            self.answer(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="index"'})
        elif path.startswith("/files/"):
            self.give_file(path.rpartition("/")[2])
        else:
            self.give_page(normalise(path.strip("/").rpartition("/")[2]))

    def is_known(self) -> bool:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(text).decode().partition(":") if kind == "Basic" else ("", "", "")
        return user in self.index.users and self.index.users[user] == password

    def give_file(self, name: str) -> None:
        if not (self.index.files / name).is_file():
            return self.answer(404, b"no such file")
        data = self.index.read(name)
        data = data[:-1] + b"?" if name in self.index.corrupted else data
        return self.answer(200, data, {"Content-Type": "application/octet-stream"})

    def give_page(self, name: str) -> None:
        files = self.index.projects().get(name)
        if files is None:
            return self.answer(404, b"no such project")
        if "json" in self.headers.get("Accept", ""):
            rows = [
                {
                    "filename": file,
                    "url": f"/{self.index.token}/files/{quote(file)}",
                    "hashes": {"sha256": self.index.sha256(file)},
                    "size": len(self.index.read(file)),
                    "yanked": self.index.yanked.get(file, False),
                }
                for file in files
            ]
            document = {"meta": {"api-version": "1.0"}, "name": name, "files": rows}
            kind = "application/vnd.pypi.simple.v1+json"
            return self.answer(200, json.dumps(document).encode(), {"Content-Type": kind})
        lines = [
            f'<a href="/{self.index.token}/files/{quote(file)}#sha256={self.index.sha256(file)}"'
            + (f' data-yanked="{html.escape(self.index.yanked[file])}"' if file in self.index.yanked else "")
            + f">{file}</a>"
            for file in files
        ]
        page = f"<!DOCTYPE html><html><body>{'<br>'.join(lines)}</body></html>"
        return self.answer(200, page.encode(), {"Content-Type": "text/html"})

    def answer(self, code: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, text in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none of a test's business."""


@contextmanager
def serve_index(files: Path) -> Iterator[Index]:
    """An index of the files in a directory."""
    files.mkdir(parents=True, exist_ok=True)
    index = Index(files)
    handler = type("OneHandler", (Handler,), {"index": index})
    with Server(("127.0.0.1", 0), handler) as server:
        index.url = f"http://127.0.0.1:{server.server_address[1]}/{index.token}/simple/"
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
