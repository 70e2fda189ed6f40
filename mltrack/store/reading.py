"""One object of the store as a file that can be read from anywhere: a large one chunk by chunk, never as a whole.

Each chunk is proved by its digest when it is read; nothing is written, and no more than a few chunks are in memory.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO, cast

from mltrack.digest import from_raw
from mltrack.errors import Damaged
from mltrack.nouns import noun
from mltrack.store.entries import CHUNK

if TYPE_CHECKING:
    from mltrack.store.objects import Store

REMEMBERED = 4
"""Chunks that stay in memory: what reads an archive jumps between its members and its table."""

BUFFER = 1 << 16


def always() -> None:
    """No reason to stop."""


@noun
class StoredContent:
    """The bytes of an object; `size` in bytes. `check` is asked before each chunk, and may raise to end the reading."""

    store: Store
    digest: str
    size: int
    check: Callable[[], None] = always

    def open(self) -> BinaryIO:
        """A new reader from the beginning. Raises DataMissing; its reads raise Damaged."""
        return cast(BinaryIO, io.BufferedReader(ObjectReader(self.store, self.digest, self.check), BUFFER))


class ObjectReader(io.RawIOBase):
    """Reads one object; for one thread at a time."""

    def __init__(self, store: Store, digest: str, check: Callable[[], None] = always) -> None:
        super().__init__()
        self._store = store
        self._check = check
        pieces = store.pieces(digest)
        whole = bytes.fromhex(digest.partition(":")[2])
        self._pieces = pieces if pieces is not None else [(whole, store.size(digest))]
        self._ends = list(accumulate(length for _, length in self._pieces))
        self._size = self._ends[-1] if self._ends else 0
        self._position = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new position, from the beginning. Raises ValueError before the beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as one chunk reaches; how many bytes, 0 at the end."""
        if self._position >= self._size:
            return 0
        number = bisect_right(self._ends, self._position)
        chunk = self._chunk(number)
        start = self._position - (self._ends[number] - self._pieces[number][1])
        part = memoryview(chunk)[start : start + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def _chunk(self, number: int) -> bytes:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        self._check()
        raw, length = self._pieces[number]
        data = self._store.load((CHUNK, raw))
        if len(data) != length:
            raise Damaged(
                f"The recipe of an object gives the chunk {from_raw(raw)} another length than it has.",
                "Run `mltrack verify` to see what it touches and where a copy is.",
            )
        self._kept[number] = data
        while len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)
        return data
