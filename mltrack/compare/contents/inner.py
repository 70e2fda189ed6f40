"""Reading what lies inside of another file: members of archives, contents of compressed files.

Every reader here turns whatever a decoder raises into `Unreadable`, and counts what it unpacks against a `Budget` that
all files inside one outermost file share, so that nothing that unpacks to much more than it is can hang a comparison.
Nothing here touches a disk.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, TypeVar, cast

from mltrack.compare.comparators import LARGEST_IN_MEMORY, Content, Unreadable
from mltrack.compare.contents.contents import whole
from mltrack.errors import MltrackError

T = TypeVar("T")

BLOCK = 1 << 20
"""Bytes read at a time."""

LINES = 64 << 10
"""Bytes read at a time where lines are asked for."""

FREE, RATIO, CEILING = 1 << 30, 200, 256 << 30
"""A file may be unpacked to so many times its size: to a gigabyte always, and beyond 256 only to twice its size."""


READ_AGAIN = 4
"""How often all of it may be read."""


class Budget:
    """Bytes that may still be unpacked from one outermost file. Reading again counts again."""

    def __init__(self, size: int) -> None:
        self.left = READ_AGAIN * max(FREE, 2 * size, min(RATIO * size, CEILING))

    def charge(self, size: int) -> None:
        """Raises Unreadable when it is used up."""
        self.left -= size
        if self.left < 0:
            raise Unreadable("it unpacks to far more than its size")


class Inner:
    """The content of a file inside of another one. It can seek, but going back unpacks again from the beginning."""

    def __init__(self, opened: Callable[[], BinaryIO], budget: Budget, size: int | None = None) -> None:
        self._opened, self.budget, self._size = opened, budget, size

    @property
    def size(self) -> int:
        """In bytes; where nothing tells it, all is unpacked once to count."""
        if self._size is None:
            with self.open() as file:
                self._size = sum(iter(lambda: len(file.read(BLOCK)), 0))
        return self._size

    def open(self) -> BinaryIO:
        """A new reader from the beginning. Raises Unreadable, as its reads do."""
        return careful(self._opened, self.budget, self._size)


class Unpacked:
    """A content that was unpacked into memory as a whole. What is inside of it counts against the same budget."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        self._data, self.budget = data, budget

    @property
    def size(self) -> int:
        return len(self._data)

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)


class Careful(io.BufferedIOBase):
    """A reader whose every failure is `Unreadable`, and that never answers more than fits in memory at once."""

    def __init__(self, source: BinaryIO, budget: Budget | None = None, size: int | None = None) -> None:
        self._source, self._budget, self._size = source, budget, size
        self._pulled = 0
        """Where the source stands."""
        self._ahead, self._used = b"", 0
        """Bytes that were pulled for lines, and how many of them were given."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = LARGEST_IN_MEMORY + 1 if size is None or size < 0 else min(size, LARGEST_IN_MEMORY + 1)
        data = self._ahead[self._used : self._used + wanted]
        self._used += len(data)
        if len(data) < wanted:
            data += self._pull(wanted - len(data))
        if len(data) > LARGEST_IN_MEMORY:
            raise Unreadable("it asks for more memory than a comparison may use")
        return data

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        most = LARGEST_IN_MEMORY if size is None or size < 0 else size
        parts: list[bytes] = []
        while most > 0:
            if self._used == len(self._ahead):
                self._ahead, self._used = self._pull(LINES), 0
            start = self._used
            end = self._ahead.find(b"\n", start, start + most) + 1 or min(start + most, len(self._ahead))
            if end == start:
                break
            self._used = end
            parts.append(self._ahead[start:end])
            most -= end - start
            if self._ahead[end - 1] == 10:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        before = self._pulled
        offset = offset + self.tell() if whence == 1 else offset
        self._pulled = refusing(lambda: self._source.seek(offset, 0 if whence == 1 else whence))
        self._ahead, self._used = b"", 0
        self._charge(self._pulled - before if self._pulled >= before else self._pulled)
        return self._pulled

    def tell(self) -> int:
        return self._pulled - len(self._ahead) + self._used

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()

    def _pull(self, wanted: int) -> bytes:
        data = refusing(lambda: read_fully(self._source, wanted))
        self._pulled += len(data)
        self._charge(len(data))
        if len(data) < wanted and self._size not in (None, self._pulled):
            raise Unreadable("its size is not what was said of it")
        return data

    def _charge(self, size: int) -> None:
        if self._budget:
            self._budget.charge(size)


def careful(opened: Callable[[], BinaryIO], budget: Budget | None = None, size: int | None = None) -> BinaryIO:
    """What `opened` opens, as a `Careful` reader that ends after `size` bytes. Raises Unreadable if it cannot open."""
    return cast(BinaryIO, Careful(refusing(opened), budget, size))


def refusing(work: Callable[[], T]) -> T:
    """What `work` returns; whatever a decoder raises on a damaged file is Unreadable."""
    try:
        return work()
    except (Unreadable, MltrackError):
        raise
    except Exception as error:  # decoders raise nearly anything on hostile bytes
        raise Unreadable(said(error)) from error


def said(error: Exception) -> str:
    """An error of a decoder in one short line."""
    text = " ".join(str(error).split())[:120].rstrip(".")
    return text or type(error).__name__


def budget_of(content: Content) -> Budget:
    """The budget that files inside of `content` count against: that of the outermost file."""
    budget = getattr(content, "budget", None)
    return budget if isinstance(budget, Budget) else Budget(content.size)


def seekable(content: Content, depth: int) -> Content:
    """The same content with cheap seeks: one that would be unpacked again for each seek is unpacked into memory.

    Raises Unreadable where it is too large for that.
    """
    if not isinstance(content, Inner):
        return content
    return Unpacked(whole(content, LARGEST_IN_MEMORY >> max(depth - 1, 0)), content.budget)


def read_fully(file: BinaryIO, size: int) -> bytes:
    """`size` bytes, or fewer at the end of the file only."""
    data = file.read(size)
    if len(data) == size or not data:
        return data
    parts, left = [data], size - len(data)
    while left and (data := file.read(left)):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def same_bytes(f: BinaryIO, g: BinaryIO) -> bool:
    """Do both readers give the same bytes to their end?"""
    while True:
        left, right = read_fully(f, BLOCK), read_fully(g, BLOCK)
        if left != right:
            return False
        if not left:
            return True
