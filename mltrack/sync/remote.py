"""One remote: its URL, its files, what is cached of it. Every request to it passes here, is counted and made plain.

Nothing of the format is decided here but `store.json`; see `packs.py` and `segments.py`. Credentials are never kept:
a URL that holds one is refused.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from mltrack.digest import canonical_json
from mltrack.errors import Damaged, FormatTooNew, MltrackError, RemoteError, StorageError, UsageError
from mltrack.patterns import lazy
from mltrack.sync.places import Listed, Place, place_at

A = TypeVar("A")
T = TypeVar("T")

AT_ONCE = 8
"""Requests under way together."""

FORMAT = 1
DESCRIPTION = {"digest": "blake3-256", "format": "mltrack remote", "version": FORMAT}
STORE_FILE = "store.json"

SCHEME = lazy(r"([A-Za-z][A-Za-z0-9+.-]*)://")
USERINFO = lazy(r"(?<=://)[^/@\s]*@")
SECRET_QUERY = lazy(r"[?&][^=&]*(?:key|token|secret|password|signature|sig|credential)[^=&]*=", re.IGNORECASE)

EXTRAS = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "adl": ("adlfs", "azure"),
    "sftp": ("paramiko", "sftp"),
    "ssh": ("paramiko", "sftp"),
    "http": ("aiohttp", "http"),
    "https": ("aiohttp", "http"),
    "webdav": ("webdav4", "webdav"),
}
"""Scheme -> the module that must be there, and the extra of this distribution that brings it."""

WHERE_CREDENTIALS_BELONG = {
    "s3": "Put it in ~/.aws/credentials or in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "gcs": "Log in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
    "azure": "Log in with `az login`, or set AZURE_STORAGE_CONNECTION_STRING.",
    "sftp": "Use an SSH key: ssh-agent, or ~/.ssh.",
}

REFUSED = {errno.EACCES, errno.EPERM}
FULL = {errno.ENOSPC, errno.EDQUOT}


def check_url(url: str) -> None:
    """Raise UsageError for a URL that holds a credential, or that nothing installed here can open."""
    found = SCHEME.match(url)
    if found is None:
        if "://" in url:
            raise UsageError(f"{redacted(url)} is not a URL of one filesystem.", "Give a path, or SCHEME://PLACE.")
        return
    scheme = found.group(1).lower()
    module, extra = EXTRAS.get(scheme, ("", ""))
    user = url[found.end() :].partition("/")[0].rpartition("@")[0]
    if ":" in user or SECRET_QUERY.search(url):
        hint = WHERE_CREDENTIALS_BELONG.get(extra, "Put it where its fsspec library looks: ~/.config/fsspec/*.json.")
        raise UsageError(f"The URL {redacted(url)} holds a password or key, which mltrack never keeps.", hint)
    from importlib.util import find_spec

    if module and find_spec(module) is None:
        raise UsageError(
            f"{scheme}:// needs the package {module}, which is not installed.",
            f"Install mltrack with that extra: mltrack-ledger[{extra}].",
        )
    if not module and scheme not in ("file", "local", "memory"):
        check_known(scheme)


def check_known(scheme: str) -> None:
    from fsspec.registry import get_filesystem_class

    try:
        get_filesystem_class(scheme)
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"{scheme}:// cannot be opened: {error}.", "Give a path, or a URL that an fsspec filesystem knows."
        ) from error


def redacted(url: str) -> str:
    """The URL without what stands before its `@` and after its `?`."""
    return USERINFO.sub("", url).partition("?")[0]


class Remote:
    """A remote at a URL or path; `cache` is a directory for copies of its indexes, which may be deleted at any time.

    Nothing is opened before it is used. Every method raises RemoteError when the remote cannot be reached, refuses,
    is read-only or full.
    """

    def __init__(self, url: str, cache: Path) -> None:
        check_url(url)
        self.url = url.rstrip("/") or url
        self.cache = cache
        self.requests = 0
        self._turn = threading.Lock()

    @cached_property
    def place(self) -> Place:
        return self._told("open", lambda: place_at(self.url))

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""
        return self._found("read", lambda: self.place.read(path))

    def read_range(self, path: str, start: int, length: int) -> bytes | None:
        """At most `length` bytes from `start`; None if the file is not there."""
        return self._found("read", lambda: self.place.read_range(path, start, length))

    def write(self, path: str, data: bytes) -> None:
        """Make a file appear whole, or not at all."""
        self._count()
        self._told("write to", lambda: self.place.write(path, data))

    def remove(self, path: str) -> None:
        """Remove a file. That it is gone already is no error."""
        self._count()

        def work() -> None:
            try:
                self.place.remove(path)
            except FileNotFoundError:
                pass

        self._told("remove from", work)

    def list(self, folder: str) -> dict[str, Listed]:
        """Every file below a folder, by its path below it: length and server's time of the last write, where told."""
        self._count()
        return self._told("list", lambda: self.place.list(folder))

    def map(self, function: Callable[[A], T], items: Iterable[A], at_once: int = AT_ONCE) -> Iterator[T]:
        """What the function, which makes requests, gives for each item, in order, several under way together.

        Items are drawn only as needed, so memory is bounded by `at_once` of them. After an error nothing new begins.
        """
        from collections import deque
        from concurrent.futures import Future, ThreadPoolExecutor

        flying: deque[Future[T]] = deque()
        with ThreadPoolExecutor(at_once) as pool:
            try:
                for item in items:
                    flying.append(pool.submit(function, item))
                    if len(flying) >= at_once:
                        yield flying.popleft().result()
                while flying:
                    yield flying.popleft().result()
            finally:
                for future in flying:
                    future.cancel()

    def is_remote(self) -> bool:
        """Does it hold mltrack's data? Raises FormatTooNew if a newer version's, Damaged if `store.json` is another."""
        import json

        data = self.read(STORE_FILE)
        if data is None or data == canonical_json(DESCRIPTION):
            return data is not None
        try:
            found = json.loads(data)
            newer = found["format"] == DESCRIPTION["format"] and int(found["version"]) > FORMAT
        except (ValueError, TypeError, KeyError):
            newer = False
        if newer:
            raise FormatTooNew(
                f"The remote {self.shown} was written by a newer mltrack (its format is above {FORMAT}).",
                "Upgrade mltrack. Nothing was changed.",
            )
        raise Damaged(f"{self.shown}/{STORE_FILE} is not as mltrack writes it.", "Is it the right URL?")

    def found(self) -> None:
        """Write `store.json`. Its bytes are constant, so two machines may do so at once."""
        self.write(STORE_FILE, canonical_json(DESCRIPTION))

    @property
    def shown(self) -> str:
        """The URL as it may be told."""
        return redacted(self.url)

    # -- the cache -----------------------------------------------------------------------------------------------

    def cached(self, path: str) -> bytes | None:
        try:
            return (self.cache / path).read_bytes()
        except FileNotFoundError:
            return None

    def keep(self, path: str, data: bytes) -> None:
        """Put a file that never changes into the cache. Raises StorageError."""
        target = self.cache / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{os.getpid()}")
            partial.write_bytes(data)
            partial.replace(target)
        except OSError as error:
            raise StorageError(f"{target} cannot be written: {error.strerror}.", "Free some space.") from error

    # -- errors --------------------------------------------------------------------------------------------------

    def _count(self) -> None:
        with self._turn:
            self.requests += 1

    def _found(self, verb: str, request: Callable[[], bytes]) -> bytes | None:
        self._count()
        try:
            return self._told(verb, request)
        except RemoteError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def _told(self, verb: str, request: Callable[[], T]) -> T:
        """The answer to a request. What its library raises becomes a RemoteError: each has exceptions of its own."""
        try:
            return request()
        except MltrackError:
            raise
        except Exception as error:
            raise self._plain(verb, error) from error

    def _plain(self, verb: str, error: Exception) -> RemoteError:
        number = getattr(error, "errno", None)
        if number in FULL:
            return RemoteError(f"The remote {self.shown} is full.", "Free some space there and push again.")
        if number == errno.EROFS or isinstance(error, NotImplementedError):
            return RemoteError(f"The remote {self.shown} is read-only.", "Push to another one.")
        if number in REFUSED or isinstance(error, PermissionError):
            return RemoteError(f"The remote {self.shown} refused to {verb} it.", "Check the permissions there.")
        reason = (isinstance(error, OSError) and error.strerror) or USERINFO.sub("", str(error)).split("\n")[0]
        return RemoteError(
            f"Could not {verb} the remote {self.shown}: {reason or type(error).__name__}.",
            "Check the URL, the network and your credentials.",
        )
