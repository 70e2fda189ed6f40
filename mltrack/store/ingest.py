"""A stream into chunks: reading and cutting in one thread, hashing, compressing and writing beside it.

The work is done in calls that release the interpreter's lock, on a few buffers that are used again and again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mltrack.digest import from_raw, hasher
from mltrack.store.chunks import WINDOW, ReadInto, windows

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mltrack.store.objects import Store

BUFFERS = 3
"""Windows in flight: one is read and cut, one hashed and written, and one has what the next begins with."""

PART = 8 << 20
SMALL = 8 << 20
"""Bytes below which starting a thread is not worth it."""


def ingest(read_into: ReadInto, store: Store) -> tuple[str, int]:
    """Keep the bytes of a stream in the store: chunks, then the recipe. Returns digest and size."""
    from concurrent.futures import ThreadPoolExecutor

    whole = hasher()
    pieces: list[tuple[bytes, int]] = []
    flying: deque[tuple[bytearray, list[Future[bytes]], list[Future[object]]]] = deque()

    def land() -> bytearray:
        buffer, digests, hashed = flying.popleft()
        for future in hashed:
            future.result()
        pieces.extend((digest.result(), sizes.popleft()) for digest in digests)
        return buffer

    sizes: deque[int] = deque()
    # One thread for the digest of the whole: it takes the chunks in order.
    with ThreadPoolExecutor(1) as in_order, ThreadPoolExecutor(1) as worker:
        for window in windows(read_into, lambda: land() if len(flying) == BUFFERS else bytearray(WINDOW)):
            sizes.extend(map(len, window.chunks))
            hashed: list[Future[object]] = [in_order.submit(whole.update, chunk) for chunk in window.chunks]
            flying.append((window.buffer, [worker.submit(store.put_chunk, chunk) for chunk in window.chunks], hashed))
        while flying:
            land()
    digest = whole.digest()
    if len(pieces) > 1:
        store.put_recipe(digest, pieces)
    return from_raw(digest), sum(length for _, length in pieces)


def digest_stream(read_into: ReadInto, size: int) -> tuple[str, int]:
    """The digest and size of a stream that is not kept. `size` is about what it will be: small ones need no thread."""
    whole = hasher()
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
