"""Remotes through fsspec: what all its filesystems do alike; and the ground of those whose library is asynchronous.

A filesystem is never taken from fsspec's cache of instances: it would know the credentials of another time, or belong
to a process that forked. Its cache of listings is off: it would hide what other machines push meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from mltrack.sync import patience
from mltrack.sync.patience import allowance
from mltrack.sync.places import Listed

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

WHOLE_PUTS = {"memory", "oci", "oss", "hf"}
"""Protocols whose put makes a file appear whole or not at all; for the others a file is renamed into place."""

TIME_FIELDS = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What the filesystems of fsspec call the time of the last write."""


LOUD = ("adlfs", "aiobotocore", "asyncio", "asyncssh", "azure", "botocore", "fsspec", "gcsfs", "s3fs")


def hush() -> None:
    """Keep what the libraries log of errors, which are told in one line anyway, from stderr; for who asked, it stays.

    Python prints warnings of loggers that nobody configured.
    """
    import logging

    for name in LOUD:
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def open_url(url: str, **options: Any) -> tuple[Any, str]:
    """A filesystem of its own for a URL, and the path of the URL in it."""
    from fsspec.core import url_to_fs

    fs, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **options)
    return fs, root


def configured(protocol: str, option: str) -> dict[str, Any]:
    """What the user's fsspec configuration says of an option that is a table."""
    from fsspec.config import conf

    found = conf.get(protocol, {}).get(option)
    return dict(found) if isinstance(found, dict) else {}


class Filesystem:
    """Any filesystem that fsspec knows. Credentials come from the library's own places."""

    def __init__(self, url: str) -> None:
        self.fs, self.root = open_url(url)
        protocol = self.fs.protocol
        self.puts_whole = bool(WHOLE_PUTS & ({protocol} if isinstance(protocol, str) else set(protocol)))

    def path(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}"

    def read(self, path: str) -> bytes:
        return bytes(self.fs.cat_file(self.path(path)))

    def read_range(self, path: str, start: int, length: int) -> bytes:
        data = bytes(self.fs.cat_file(self.path(path), start=start, end=start + length))
        if len(data) > length:  # some clients and servers ignore the range, and give the whole file
            data = data[start : start + length]
        return data

    def write(self, path: str, data: bytes) -> None:
        target = self.path(path)
        if self.puts_whole:
            self.fs.pipe_file(target, data)
            return
        folder, _, name = target.rpartition("/")
        self.fs.makedirs(folder, exist_ok=True)
        partial = f"{folder}/.{name}.{os.urandom(6).hex()}"
        try:
            self.fs.pipe_file(partial, data)
            self.fs.mv(partial, target)
        except BaseException:
            try:
                self.fs.rm_file(partial)
            except Exception:  # the first error says more
                pass
            raise

    def remove(self, path: str) -> None:
        self.fs.rm_file(self.path(path))

    def list(self, folder: str) -> dict[str, Listed]:
        top = self.path(folder)
        try:
            found = self.fs.find(top, detail=True)
        except FileNotFoundError:
            return {}
        return visible(found, len(self.fs._strip_protocol(top).rstrip("/")) + 1)


def visible(found: dict[str, dict[str, Any]], start: int) -> dict[str, Listed]:
    """What fsspec found, without unfinished writes; paths begin after so many characters."""
    below = {name[start:]: Listed(info.get("size"), modified(info)) for name, info in found.items()}
    return {path: listed for path, listed in below.items() if path and not path.rpartition("/")[2].startswith(".")}


def modified(info: dict[str, Any]) -> float | None:
    """When a file was last written, by the server's clock, in seconds since 1970."""
    from datetime import datetime, timezone

    for name in TIME_FIELDS:
        value = info.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return None


class Looped:
    """The ground of places whose library is asynchronous: the requests of many threads run on fsspec's loop."""

    def __init__(self) -> None:
        from fsspec.asyn import get_loop

        hush()
        self.loop: Any = get_loop()
        self._flying: dict[Future[Any], int] = {}

    def wait(self, work: Coroutine[Any, Any, T], size: int = 0, moved: Callable[[], int] | None = None) -> T:
        """What a request gives that moves `size` bytes; `moved` says how many it has sent, where that can be known.

        Raises TimeoutError for one that does not end, or sends no more.
        """
        import asyncio

        longest = allowance(size + sum(list(self._flying.values())))
        future = asyncio.run_coroutine_threadsafe(self.timed(work, longest, moved), self.loop)
        self._flying[future] = size
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
        finally:
            del self._flying[future]

    async def timed(self, work: Coroutine[Any, Any, T], longest: float, moved: Callable[[], int] | None = None) -> T:
        import asyncio

        if moved is None:
            return await asyncio.wait_for(work, longest)
        task = asyncio.ensure_future(work)
        sent = -1
        try:
            while not task.done() and moved() > sent:
                sent = moved()
                await asyncio.wait({task}, timeout=patience.STALL)
            if not task.done():
                raise TimeoutError("the server stalls")
            return task.result()
        finally:
            task.cancel()

    async def end(self) -> None:
        """Close the connections."""

    def close(self) -> None:
        """Let the connections be closed, without waiting for it."""
        import asyncio

        if self.loop.is_running():
            asyncio.run_coroutine_threadsafe(self.end(), self.loop)

    def abandon(self) -> None:
        """End the requests that are under way: nobody waits for them any more."""
        for future in list(self._flying):
            future.cancel()
