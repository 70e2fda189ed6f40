"""Remotes behind a web server: read-only HTTP, and WebDAV.

A plain web server lists directories as pages of links, tells no sizes, and may ignore that a part was asked for; then
what is before the part is read and dropped, and what is behind it is not read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from mltrack.errors import RemoteError
from mltrack.sync.patience import CONNECT, CONNECTIONS, STALL
from mltrack.sync.places import Listed
from mltrack.sync.places_fsspec import Looped, configured, modified
from mltrack.sync.troubles import status_of

DEPTH = 4
"""Levels of folders that are followed: no remote has more, and a hostile server may have any number."""

LONGEST_PAGE = 64 << 20
BLOCK = 1 << 20


class Web(Looped):
    """A directory that is served over HTTP, for reading."""

    def __init__(self, url: str) -> None:
        from aiohttp import ClientTimeout
        from fsspec.implementations.http import HTTPFileSystem

        super().__init__()
        timeout = ClientTimeout(total=None, sock_connect=CONNECT, sock_read=STALL)
        protocol = url.partition(":")[0].lower()
        client = {"timeout": timeout, "trust_env": True, **configured(protocol, "client_kwargs")}
        self.fs: Any = HTTPFileSystem(client_kwargs=client, skip_instance_cache=True)
        self.root = url.rstrip("/")

    def read(self, path: str) -> bytes:
        return self.wait(self.get(path), 64 << 20)

    def read_range(self, path: str, start: int, length: int) -> bytes:
        return self.wait(self.get(path, start, length), start + length) if length > 0 else b""

    def write(self, path: str, data: bytes) -> None:
        raise NotImplementedError("A remote over HTTP is read-only.")

    def remove(self, path: str) -> None:
        raise NotImplementedError("A remote over HTTP is read-only.")

    def list(self, folder: str) -> dict[str, Listed]:
        top = f"{self.root}/{quote(folder)}".rstrip("/") + "/"
        return {path: Listed(None, None) for path in self.wait(self.find(top), 64 << 20)}

    async def end(self) -> None:
        if self.fs._session is not None:
            await self.fs._session.close()

    async def get(self, path: str, start: int | None = None, length: int = 0) -> bytes:
        headers = {"Accept-Encoding": "identity"}
        if start is not None:
            headers["Range"] = f"bytes={start}-{start + length - 1}"
        async with await self.ask(f"{self.root}/{quote(path)}", headers) as answer:
            if answer.status in (404, 410):
                raise FileNotFoundError(path)
            if answer.status == 416:
                return b""
            answer.raise_for_status()
            if start is None or answer.status == 206:
                return bytes(await answer.read())
            return await part_of(answer, start, length)

    async def ask(self, url: str, headers: dict[str, str]) -> Any:
        from yarl import URL

        session = await self.fs.set_session()
        options = dict(self.fs.kwargs)
        headers = {**options.pop("headers", {}), **headers}
        return await session.get(URL(url, encoded=True), headers=headers, **options)

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
        async with gate, await self.ask(folder, {}) as answer:
            if answer.status in (404, 410):
                return []
            answer.raise_for_status()
            if answer.content_type != "text/html":
                raise RemoteError(
                    "The server of this remote does not list its directories as pages of links.",
                    "Serve the directory with listings, as `python -m http.server` does.",
                )
            text = await part_of(answer, 0, LONGEST_PAGE)
        return list(links_below(folder, text.decode("utf-8", "replace")))


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


class Dav:
    """A WebDAV collection. A file is put beside its place and moved there."""

    def __init__(self, url: str) -> None:
        import httpx
        from fsspec.config import conf
        from webdav4.fsspec import WebdavFileSystem

        scheme, _, rest = url.partition("://")
        base = f"{'https' if scheme.lower().endswith('s') else 'http'}://{rest.rstrip('/')}"
        options: dict[str, Any] = {
            "timeout": httpx.Timeout(STALL, connect=CONNECT),
            "limits": httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            "retry": False,
        }
        auth = conf.get("webdav", {}).get("auth")
        options["auth"] = tuple(auth) if isinstance(auth, list) else auth or netrc_login(urlsplit(base).hostname)
        self.client: Any = WebdavFileSystem(base, skip_instance_cache=True, **options).client

    def close(self) -> None:
        self.client.http.close()

    def ask(self, verb: str, path: str, **options: Any) -> Any:
        answer = self.client.http.request(verb, self.client.join_url(path), **options)
        if answer.status_code in (404, 410):
            raise FileNotFoundError(path)
        if answer.status_code >= 300:
            answer.raise_for_status()
        return answer

    def read(self, path: str) -> bytes:
        return bytes(self.ask("GET", path).content)

    def read_range(self, path: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        try:
            answer = self.ask("GET", path, headers={"Range": f"bytes={start}-{start + length - 1}"})
        except Exception as error:
            if status_of(error) == 416:
                return b""
            raise
        data = bytes(answer.content)
        return data if answer.status_code == 206 else data[start : start + length]

    def write(self, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        partial = f"{folder}/.{name}.{os.urandom(6).hex()}".lstrip("/")
        try:
            self.put(partial, data, folder)
            to = {"Destination": str(self.client.join_url(path)), "Overwrite": "T"}
            self.ask("MOVE", partial, headers=to)
        except BaseException:
            try:
                self.remove(partial)
            except Exception:  # the first error says more
                pass
            raise

    def put(self, path: str, data: bytes, folder: str) -> None:
        """Put a file, and its folder and that of the remote where they are not there yet."""
        try:
            self.ask("PUT", path, content=data)
            return
        except Exception as error:
            if not isinstance(error, FileNotFoundError) and status_of(error) != 409:
                raise
        parts = folder.split("/") if folder else []
        for depth in range(len(parts) + 1):
            self.make_folder("/".join(parts[:depth]))
        self.ask("PUT", path, content=data)

    def make_folder(self, path: str) -> None:
        try:
            self.ask("MKCOL", path + "/")
        except Exception as error:
            if status_of(error) == 409:
                raise FileNotFoundError(path) from error
            if status_of(error) != 405:  # it is there
                raise

    def remove(self, path: str) -> None:
        self.ask("DELETE", path)

    def list(self, folder: str) -> dict[str, Listed]:
        from webdav4.client import ResourceNotFound

        def contents(path: str) -> list[dict[str, Any]]:
            try:
                found: list[dict[str, Any]] = self.client.ls(path, detail=True)
                return found
            except ResourceNotFound:
                return []

        start = len(folder) + 1 if folder else 0
        found = below(contents, folder)
        return {item["name"].strip("/")[start:]: Listed(item["content_length"], modified(item)) for item in found}


def below(contents: Callable[[str], list[dict[str, Any]]], folder: str) -> Iterator[dict[str, Any]]:
    """The files below a folder; several folders are asked for together."""
    from concurrent.futures import ThreadPoolExecutor

    folders = [folder]
    with ThreadPoolExecutor(CONNECTIONS // 2) as pool:
        for _ in range(DEPTH):
            items = [item for listing in pool.map(contents, folders) for item in listing]
            items = [item for item in items if not item["name"].rstrip("/").rpartition("/")[2].startswith(".")]
            yield from (item for item in items if item["type"] != "directory")
            folders = [item["name"] for item in items if item["type"] == "directory"]
            if not folders:
                return


def netrc_login(host: str | None) -> tuple[str, str] | None:
    """Name and password for a host from ~/.netrc, or the file that NETRC names."""
    import netrc

    try:
        found = netrc.netrc(os.environ.get("NETRC") or os.path.expanduser("~/.netrc")).authenticators(host or "")
    except (OSError, netrc.NetrcParseError):
        return None
    return (found[0], found[2] or "") if found else None
