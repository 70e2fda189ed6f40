"""Where a large file is cut: FastCDC, by content, so that an insertion moves no cut far behind it.

The parameters, the gear table (that of the 2020 paper's reference code) and the test vectors are part of the format;
see `docs/reference/format-store.md`, and `docs/design/002-chunking.md` for why this library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from mltrack.nouns import noun

if TYPE_CHECKING:
    from pyfastcdc import FastCDC

KIB = 1024
MIB = 1024 * KIB

SINGLE = 1 * MIB
"""Bytes up to which an object is one chunk and is not cut."""

SMALLEST = 128 * KIB
AVERAGE = 512 * KIB
LARGEST = 2 * MIB
"""Bytes of a chunk. The library's "average" comes on top of the smallest size: about 0.75 MiB in fact."""

WINDOW = 12 * MIB
"""Bytes looked at together; a multiple of LARGEST, so that little is moved and looked at twice."""

ReadInto = Callable[[memoryview], int]
"""Fills the front of a buffer with the next bytes of a stream; how many, 0 at its end."""


@noun
class Window:
    """Some bytes of a stream and the chunks that end in them; the views are valid until `free` of the buffer."""

    buffer: bytearray
    chunks: list[memoryview]


def cut(data: memoryview, last: bool) -> list[int]:
    """The lengths of the leading chunks of `data` whose ends can no longer move.

    `data` starts at a cut. Unless `last` says that the stream ends with it, a chunk is certain only when LARGEST bytes
    follow its start; what comes after the last certain cut is to be given again, at the start of the next data.
    """
    lengths: list[int] = []
    start = 0
    if len(data) < LARGEST and not last:
        return lengths
    for chunk in _cutter().cut_buf(data):
        lengths.append(chunk.length)
        start += chunk.length
        if not last and start + LARGEST > len(data):
            break
    return lengths


def windows(read_into: ReadInto, buffer: Callable[[], bytearray]) -> Iterator[Window]:
    """A stream's chunks, window by window. An empty stream is one empty chunk.

    `buffer` gives a buffer of WINDOW bytes to fill, and may give again those of earlier windows but the latest:
    touching new memory costs more than the hashing does.
    """
    rest = memoryview(b"")
    first = last = True
    while first or not last:
        space = buffer()
        view = memoryview(space)
        size = len(rest)
        view[:size] = rest
        while size < WINDOW and (more := read_into(view[size:])):
            size += more
        last = size < WINDOW
        lengths = [size] if first and size <= SINGLE else cut(view[:size], last)
        chunks, start = [], 0
        for length in lengths:
            chunks.append(view[start : start + length])
            start += length
        rest, first = view[start:size], False
        yield Window(space, chunks)


def split(blocks: Iterable[bytes]) -> Iterator[memoryview]:
    """The chunks of a stream given in blocks, each in memory of its own."""
    for window in windows(reader(blocks), lambda: bytearray(WINDOW)):
        yield from window.chunks


def reader(blocks: Iterable[bytes]) -> ReadInto:
    """A stream given in blocks, as one to read from."""
    source = iter(blocks)
    rest = memoryview(b"")

    def read_into(space: memoryview) -> int:
        nonlocal rest
        while not rest:
            try:
                rest = memoryview(next(source))
            except StopIteration:
                return 0
        size = min(len(space), len(rest))
        space[:size] = rest[:size]
        rest = rest[size:]
        return size

    return read_into


def _cutter() -> FastCDC:
    """A new cutter each time: one object must not be used by two threads."""
    from pyfastcdc import FastCDC

    return FastCDC(AVERAGE, min_size=SMALLEST, max_size=LARGEST, normalized_chunking=1, seed=0)
