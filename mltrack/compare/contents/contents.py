"""Contents at hand: bytes in memory as a content, a content as bytes, and whether two are the same.

Nothing here knows a format.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from mltrack.compare.comparators import HEAD, LARGEST_IN_MEMORY, Unreadable
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.compare.comparators import Content

_BLOCK = 1 << 20


@noun
class Held:
    """Bytes in memory as the content of a file: a member of an archive, an image in a notebook."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)


def whole(content: Content, limit: int = LARGEST_IN_MEMORY) -> bytes:
    """All bytes of a content. Raises Unreadable where there are more than `limit`."""
    if content.size > limit:
        raise Unreadable(f"it has {content.size:,} bytes, and at most {limit:,} are compared in memory")
    with content.open() as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Unreadable(f"it has more than {limit:,} bytes, which is what is compared in memory")
    return data


def head_of(content: Content) -> bytes:
    """The first bytes, as `fits` is shown them."""
    with content.open() as file:
        return file.read(HEAD)


def same_bytes(a: Content, b: Content) -> bool:
    """Are they the same, byte for byte? Read in blocks."""
    if a.size != b.size:
        return False
    with a.open() as first, b.open() as second:
        while True:
            one, other = first.read(_BLOCK), second.read(_BLOCK)
            if one != other:
                return False
            if not one:
                return True
