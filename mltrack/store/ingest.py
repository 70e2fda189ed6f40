"""A stream into chunks: reading and cutting in one thread, hashing, compressing and writing beside it.

The work is done in calls that release the interpreter's lock, on a few buffers that are used again and again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mltrack.digest import from_raw, hasher
from mltrack.store.chunks import WINDOW, ReadInto, Window, windows

if TYPE_CHECKING:
    from concurrent.futures import Future

    from blake3 import blake3

    from mltrack.store.objects import Store

BUFFERS = 4
"""Windows in flight: one is read and cut, two are hashed and written, one has what the next begins with."""

CHUNKERS = 3
"""Threads that hash and write chunks: while one waits for another's write, the third hashes."""

LOT = 3 << 20
"""Bytes of chunks that a thread takes at once."""

PART = 2 << 20
"""Bytes read at once to be hashed: what stays in a core's cache."""

SMALL = 8 << 20
"""Bytes below which starting a thread is not worth it."""


class Flight(NamedTuple):
    """A window whose bytes are being worked on."""

    buffer: bytearray
    chunks: list[tuple[Future[list[bytes]], list[int]]]
    """The digests of some, when they are kept, and their lengths."""
    hashed: Future[None]


def ingest(read_into: ReadInto, store: Store) -> tuple[str, int]:
    """Keep the bytes of a stream in the store: chunks, then the recipe. Returns digest and size."""
    from concurrent.futures import ThreadPoolExecutor

    whole = hasher()
    pieces: list[tuple[bytes, int]] = []
    flying: deque[Flight] = deque()

    def land() -> bytearray:
        flight = flying.popleft()
        flight.hashed.result()
        for digests, lengths in flight.chunks:
            pieces.extend(zip(digests.result(), lengths, strict=True))
        return flight.buffer

    # One thread for the digest of the whole, which takes the windows in order; two for the chunks.
    with ThreadPoolExecutor(1) as in_order, ThreadPoolExecutor(CHUNKERS) as chunkers:
        for window in windows(read_into, lambda: land() if len(flying) == BUFFERS else bytearray(WINDOW)):
            chunks = [(chunkers.submit(store.put_chunks, some), list(map(len, some))) for some in shared_out(window)]
            flying.append(Flight(window.buffer, chunks, in_order.submit(update_all, whole, window.chunks)))
        while flying:
            land()
    digest = whole.digest()
    if len(pieces) > 1:
        store.put_recipe(digest, pieces)
    return from_raw(digest), sum(length for _, length in pieces)


def shared_out(window: Window) -> Iterator[list[memoryview]]:
    """The chunks of a window in lots that are worth handing to a thread."""
    lot: list[memoryview] = []
    for chunk in window.chunks:
        lot.append(chunk)
        if sum(map(len, lot)) >= LOT:
            yield lot
            lot = []
    if lot:
        yield lot


def update_all(whole: blake3, chunks: list[memoryview]) -> None:
    for chunk in chunks:
        whole.update(chunk)


def digest_stream(read_into: ReadInto, size: int) -> tuple[str, int]:
    """The digest and size of a stream that is not kept. `size` is about what it will be: small ones need no thread."""
    whole = hasher(all_cores=size > SMALL)
    total = 0
    if size <= SMALL:
        space = memoryview(bytearray(min(PART, size + 1)))
        while more := read_into(space):
            whole.update(space[:more])
            total += more
        return from_raw(whole.digest()), total
    from concurrent.futures import ThreadPoolExecutor

    spaces = [memoryview(bytearray(PART)) for _ in range(BUFFERS)]
    waiting: deque[Future[object]] = deque()
    with ThreadPoolExecutor(1) as in_order:
        while more := read_into(spaces[0]):
            waiting.append(in_order.submit(whole.update, spaces[0][:more]))
            total += more
            spaces.append(spaces.pop(0))
            if len(waiting) == len(spaces):
                waiting.popleft().result()
    return from_raw(whole.digest()), total
