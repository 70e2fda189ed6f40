"""One remote: its URL, its files, what is cached of it. Every request to it passes here, is counted and made plain.

Nothing of the format is decided here but `store.json`; see `packs.py` and `segments.py`. Credentials are never kept:
a URL that holds one is refused.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from mltrack.digest import canonical_json
from mltrack.errors import Damaged, FormatTooNew, MltrackError, RemoteError, StorageError
from mltrack.sync.patience import Patience
from mltrack.sync.places import Listed, Place, place_at
from mltrack.sync.troubles import is_absent, plain
from mltrack.sync.urls import check_url, missing, redacted, scheme_of

A = TypeVar("A")
T = TypeVar("T")

AT_ONCE = 8
"""Requests under way together."""

FORMAT = 1
DESCRIPTION = {"digest": "blake3-256", "format": "mltrack remote", "version": FORMAT}
STORE_FILE = "store.json"
LARGEST_DESCRIPTION = 4096
"""Bytes of `store.json` that are read."""


class Remote:
    """A remote at a URL or path; `cache` is a directory for copies of its indexes, which may be deleted at any time.

    Nothing is opened before it is used. Every method raises RemoteError when the remote cannot be reached, refuses,
    is read-only or full; what may pass is tried again first, as `patience` says.
    """

    def __init__(self, url: str, cache: Path) -> None:
        check_url(url)
        self.url = url.rstrip("/") or url
        self.cache = cache
        self.patience = Patience()
        self.tell: Callable[[str], None] | None = None
        """Told in a few words when a request is made again."""
        self.requests = 0
        self.repeated = 0
        """Of the requests, those that were made again after an error."""
        self._turn = threading.Lock()
        self._stopped = threading.Event()
        self._place: tuple[int, Place] | None = None
        self._end: Callable[[], object] = bool
        self._told = ("", 0.0)

    @property
    def place(self) -> Place:
        """Where the files lie; opened when first asked for, and anew in a process that forked."""
        with self._turn:
            if self._place is None or self._place[0] != os.getpid():
                self._parents = self._place  # kept, for to end it would close what the parent uses
                self.place = place_at(self.url)
            return self._place[1]  # type: ignore[index]

    @place.setter
    def place(self, place: Place) -> None:
        import weakref

        self._place = os.getpid(), place
        self._end = weakref.finalize(self, end, *self._place)

    def close(self) -> None:
        """Close the connections. A remote that nobody refers to any more does so by itself."""
        with self._turn:
            if self._place is not None:
                self._end()
                self._place = None

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""
        return self._found(lambda: self.place.read(path))

    def read_range(self, path: str, start: int, length: int) -> bytes | None:
        """The `length` bytes from `start`, fewer at the end of the file; None if the file is not there."""
        return self._found(lambda: self.place.read_range(path, start, length))

    def write(self, path: str, data: bytes) -> None:
        """Make a file appear whole, or not at all."""
        self._ask("write to", lambda: self.place.write(path, data))

    def remove(self, path: str) -> None:
        """Remove a file. That it is gone already is no error."""

        def work() -> None:
            try:
                self.place.remove(path)
            except FileNotFoundError as error:
                if not is_absent(error):
                    raise

        self._ask("remove from", work)

    def list(self, folder: str) -> dict[str, Listed]:
        """Every file below a folder, by its path below it: length and server's time of the last write, where told."""
        return self._ask("list", lambda: self.place.list(folder))

    def map(self, function: Callable[[A], T], items: Iterable[A], at_once: int = AT_ONCE) -> Iterator[T]:
        """What the function, which makes requests, gives for each item, in order, several under way together.

        Items are drawn only as needed, so memory is bounded by `at_once` of them. After an error nothing new begins.
        """
        from collections import deque
        from concurrent.futures import Future, ThreadPoolExecutor

        flying: deque[Future[T]] = deque()
        try:
            with ThreadPoolExecutor(at_once) as pool:
                try:
                    for item in items:
                        flying.append(pool.submit(function, item))
                        if len(flying) >= at_once:
                            yield flying.popleft().result()
                    while flying:
                        yield flying.popleft().result()
                except BaseException as error:
                    for future in flying:
                        future.cancel()
                    self._stop(at_once=not isinstance(error, Exception))
                    raise
        finally:
            self._stopped.clear()

    def _stop(self, at_once: bool) -> None:
        """Try nothing again; and when the user interrupted, end what is under way too."""
        self._stopped.set()
        abandon = getattr(self._place[1], "abandon", None) if self._place is not None else None
        if at_once and abandon is not None:
            abandon()

    def is_remote(self) -> bool:
        """Does it hold mltrack's data? Raises FormatTooNew if a newer version's, Damaged if `store.json` is another."""
        import json

        data = self.read_range(STORE_FILE, 0, LARGEST_DESCRIPTION)
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

    # -- requests ------------------------------------------------------------------------------------------------

    def _found(self, request: Callable[[], bytes]) -> bytes | None:
        try:
            return self._ask("read", request)
        except RemoteError as error:
            if error.__cause__ is not None and is_absent(error.__cause__):
                return None
            raise

    def _ask(self, verb: str, request: Callable[[], T]) -> T:
        """The answer to a request. What its library raises becomes a RemoteError: each has exceptions of its own."""
        with self._turn:
            self.requests += 1
        try:
            return self.patience.ask(request, self._stopped, self._again)
        except MltrackError:
            raise
        except ImportError as error:
            raise missing(scheme_of(self.url) or "file") from error
        except Exception as error:
            raise plain(verb, self.shown, error) from error

    def _again(self, text: str) -> None:
        """Count a request that is made again, and say so; once, when many fail together."""
        with self._turn:
            self.requests += 1
            self.repeated += 1
            now = time.monotonic()
            known = self._told[0] == text and now - self._told[1] < 1
            self._told = text, now
        if self.tell is not None and not known:
            self.tell(text)


def end(owner: int, place: Place) -> None:
    """Close a place, in the process that opened it."""
    close = getattr(place, "close", None)
    if close is not None and os.getpid() == owner:
        close()
