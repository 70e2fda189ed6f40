"""Remotes behind a web server: read-only HTTP, and WebDAV.

A plain web server lists directories as pages of links, tells no sizes, and may ignore that a part was asked for; then
what is before the part is read and dropped, and what is behind it is not read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from mltrack.errors import RemoteError
from mltrack.patterns import lazy
from mltrack.sync.patience import CONNECT, CONNECTIONS, STALL
from mltrack.sync.places import Listed
from mltrack.sync.places_fsspec import Looped, configured
from mltrack.sync.troubles import status_of

DEPTH = 4
"""Levels of folders that are followed: no remote has more, and a hostile server may have any number."""

LONGEST_PAGE = 64 << 20
BLOCK = 1 << 20
PIECE = 256 << 10
PART = lazy(r"bytes (\d+)-(\d+)/(?:\d+|\*)")
PAST_THE_END = 416
"""The HTTP status of a range that begins behind the last byte."""


class Served(Looped):
    """What both have in common: a URL, and a session that knows ~/.netrc and fsspec's configuration."""

    def __init__(self, root: str, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.root = root.rstrip("/")
        self.settings = settings
        self._session: Any = None

    def session(self) -> Any:
        """To be asked for on the loop only."""
        from aiohttp import BasicAuth, ClientSession, ClientTimeout, TCPConnector

        if self._session is None:
            options: dict[str, Any] = {"trust_env": True, **self.settings}
            if isinstance(options.get("auth"), list):
                options["auth"] = BasicAuth(*options["auth"])
            timeout = ClientTimeout(total=None, sock_connect=CONNECT, sock_read=STALL)
            self._session = ClientSession(timeout=timeout, connector=TCPConnector(limit=CONNECTIONS), **options)
        return self._session

    async def end(self) -> None:
        if self._session is not None:
            await self._session.close()

    def url(self, path: str) -> str:
        return f"{self.root}/{quote(path)}"

    async def ask(self, verb: str, url: str, headers: Mapping[str, str] | None = None, data: Any = None) -> Any:
        """The answer to a request. Raises FileNotFoundError if there is nothing at the URL."""
        from yarl import URL

        answer = await self.session().request(verb, URL(url, encoded=True), headers=headers, data=data)
        if answer.status in (404, 410):
            answer.release()
            raise FileNotFoundError(url)
        if answer.status >= 300 and answer.status != PAST_THE_END:
            answer.release()
            answer.raise_for_status()
            raise RemoteError(f"The server of this remote answered with {answer.status}.", "Check the URL.")
        return answer

    def read(self, path: str) -> bytes:
        return self.wait(self.get(path), 64 << 20)

    def read_range(self, path: str, start: int, length: int) -> bytes:
        return self.wait(self.get(path, start, length), start + length) if length > 0 else b""

    async def get(self, path: str, start: int | None = None, length: int = 0) -> bytes:
        headers = {"Accept-Encoding": "identity"}
        if start is not None:
            headers["Range"] = f"bytes={start}-{start + length - 1}"
        async with await self.ask("GET", self.url(path), headers) as answer:
            if answer.status == PAST_THE_END:
                return b""
            if start is None or answer.status == 206:
                return whole(answer, bytes(await answer.read()))
            return await part_of(answer, start, length)


class Web(Served):
    """A directory that is served over HTTP, for reading."""

    def __init__(self, url: str) -> None:
        super().__init__(url, configured(url.partition(":")[0].lower(), "client_kwargs"))

    def write(self, path: str, data: bytes) -> None:
        raise NotImplementedError("A remote over HTTP is read-only.")

    def remove(self, path: str) -> None:
        raise NotImplementedError("A remote over HTTP is read-only.")

    def list(self, folder: str) -> dict[str, Listed]:
        top = self.url(folder).rstrip("/") + "/"
        return {path: Listed(None, None) for path in self.wait(self.find(top), 64 << 20)}

    async def find(self, top: str) -> Iterable[str]:
        """Every file below a folder, by its path below it."""
        import asyncio

        found: list[str] = []
        folders = [top]
        for _ in range(DEPTH):
            gate = asyncio.Semaphore(CONNECTIONS // 2)
            pages = await asyncio.gather(*(self.page(folder, gate) for folder in folders))
            links = [link for page in pages for link in page]
            found += [unquote(link[len(top) :]) for link in links if not link.endswith("/")]
            folders = [link for link in links if link.endswith("/")]
            if not folders:
                break
        return found

    async def page(self, folder: str, gate: Any) -> Iterable[str]:
        """The files and folders that the page of a folder links to; none if there is no such folder."""
        async with gate:
            try:
                answer = await self.ask("GET", folder)
            except FileNotFoundError:
                return []
        async with answer:
            if answer.content_type != "text/html":
                raise RemoteError(
                    "The server of this remote does not list its directories as pages of links.",
                    "Serve the directory with listings, as `python -m http.server` does.",
                )
            text = await part_of(answer, 0, LONGEST_PAGE)
        return list(links_below(folder, text.decode("utf-8", "replace")))


def whole(answer: Any, data: bytes) -> bytes:
    """The bytes of a part, if they are as many as the server said. One that told no length may have been cut off."""
    said = PART.fullmatch(answer.headers.get("Content-Range", ""))
    if said is not None and len(data) != int(said[2]) - int(said[1]) + 1:
        raise ConnectionResetError(errno.ECONNRESET, "The answer was cut short")
    return data


async def part_of(answer: Any, start: int, length: int) -> bytes:
    """Some bytes of an answer that begins at the file's first one. What is behind them is not read."""
    parts: list[bytes] = []
    at = 0
    async for block in answer.content.iter_chunked(BLOCK):
        parts.append(block[max(0, start - at) : max(0, start + length - at)])
        at += len(block)
        if at >= start + length:
            answer.close()
            break
    return b"".join(parts)


class Links(HTMLParser):
    """Gathers where the links of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def links_below(folder: str, page: str) -> Iterator[str]:
    """The URLs of what lies directly in a folder: no parents, no sort orders, no other hosts, no hidden names."""
    links = Links()
    links.feed(page)
    base = urlsplit(folder)
    for link in dict.fromkeys(links.found):
        try:
            target = urlsplit(urljoin(folder, link))
        except ValueError:
            continue
        name = target.path[len(base.path) :] if target.path.startswith(base.path) else ""
        plain = unquote(name.rstrip("/"))
        strange = target.query or target.netloc != base.netloc or "/" in plain
        if plain and not strange and not plain.startswith(".") and name.count("/") <= 1:
            yield folder + name


class Dav(Served):
    """A WebDAV collection. A file is put beside its place and moved there."""

    def __init__(self, url: str) -> None:
        from fsspec.config import conf

        scheme, _, rest = url.partition("://")
        secure = scheme.lower() in ("webdavs", "davs")
        known = {name: value for name, value in conf.get("webdav", {}).items() if name in ("auth", "headers")}
        super().__init__(f"{'https' if secure else 'http'}://{rest}", known)

    def write(self, path: str, data: bytes) -> None:
        body = Body(data)
        self.wait(self.replace(path, body), len(data), lambda: body.sent)

    def remove(self, path: str) -> None:
        self.wait(self.do("DELETE", path))

    def list(self, folder: str) -> dict[str, Listed]:
        return self.wait(self.find(folder), 64 << 20)

    async def do(self, verb: str, path: str, headers: Mapping[str, str] | None = None, data: Any = None) -> None:
        answer = await self.ask(verb, self.url(path), headers, data)
        answer.release()

    async def replace(self, path: str, body: Body) -> None:
        import asyncio

        folder, _, name = path.rpartition("/")
        partial = f"{folder}/.{name}.{os.urandom(6).hex()}".lstrip("/")
        try:
            await self.put(partial, body, folder)
            await self.do("MOVE", partial, {"Destination": self.url(path), "Overwrite": "T"})
        except BaseException:
            try:
                await asyncio.wait_for(self.do("DELETE", partial), CONNECT)
            except Exception:  # the first error says more
                pass
            raise

    async def put(self, path: str, body: Body, folder: str) -> None:
        """Put a file, and its folder and that of the remote where they are not there yet."""
        headers = {"Content-Length": str(len(body.data)), "Content-Type": "application/octet-stream"}
        try:
            await self.do("PUT", path, headers, body.pieces())
            return
        except Exception as error:
            if not isinstance(error, FileNotFoundError) and status_of(error) != 409:
                raise
        parts = folder.split("/") if folder else []
        for depth in range(len(parts) + 1):
            await self.make_folder("/".join(parts[:depth]))
        await self.do("PUT", path, headers, body.pieces())

    async def make_folder(self, path: str) -> None:
        try:
            await self.do("MKCOL", f"{path}/".lstrip("/"))
        except Exception as error:
            if status_of(error) == 409:
                raise FileNotFoundError(path) from error
            if status_of(error) != 405:  # it is there
                raise

    async def find(self, folder: str) -> dict[str, Listed]:
        import asyncio

        found: dict[str, Listed] = {}
        gate = asyncio.Semaphore(CONNECTIONS // 2)
        folders = [""]
        for _ in range(DEPTH):
            listings = await asyncio.gather(*(self.contents(folder, below, gate) for below in folders))
            items = [item for listing in listings for item in listing]
            found |= {path: listed for path, listed in items if listed is not None}
            folders = [path for path, listed in items if listed is None]
        return found

    async def contents(self, folder: str, below: str, gate: Any) -> Iterable[tuple[str, Listed | None]]:
        """What lies directly in a folder, by its path below `folder`; None for the folders in it."""
        url = self.url(f"{folder}/{below}".strip("/")).rstrip("/") + "/"
        async with gate:
            try:
                answer = await self.ask("PROPFIND", url, {"Depth": "1", "Content-Type": "application/xml"}, PROPERTIES)
            except FileNotFoundError:
                return []
            async with answer:
                data = await part_of(answer, 0, LONGEST_PAGE)
        return [(f"{below}/{name}".lstrip("/"), listed) for name, listed in members(url, data)]


PROPERTIES = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>'
    b"<resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>"
)


def members(url: str, data: bytes) -> Iterator[tuple[str, Listed | None]]:
    """What a WebDAV server says lies in a collection; None for the collections in it. No hidden names."""
    from email.utils import parsedate_to_datetime
    from xml.etree import ElementTree

    base = unquote(urlsplit(url).path)
    for item in ElementTree.fromstring(data).iter("{DAV:}response"):
        path = unquote(urlsplit(item.findtext("{DAV:}href") or "").path)
        name = path[len(base) :].rstrip("/") if path.startswith(base) else ""
        if not name or "/" in name or name.startswith("."):
            continue
        if item.find(".//{DAV:}collection") is not None:
            yield name, None
            continue
        size, when = item.findtext(".//{DAV:}getcontentlength"), item.findtext(".//{DAV:}getlastmodified")
        yield name, Listed(int(size) if size else None, parsedate_to_datetime(when).timestamp() if when else None)


class Body:
    """What is sent, and how much of it was taken."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sent = 0

    async def pieces(self) -> AsyncIterator[memoryview]:
        view = memoryview(self.data)
        for start in range(0, len(view), PIECE):
            self.sent += 1
            yield view[start : start + PIECE]
