"""Comparator of R's .rds and .RData: the bytes behind a header that names the version of R that wrote them.

They come compressed; `gzip_files.py` takes that off.
"""

from __future__ import annotations

from typing import BinaryIO

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Around, Content, Finding, Unreadable
from mltrack.compare.contents.inner import careful, read_fully, same_bytes

WHAT = "the version of R that wrote an .rds or .RData file"

MAGICS = (b"RDX2\nX\n", b"RDX3\nX\n", b"X\n")
LONGEST_NAME = 64
"""Bytes of the name of an encoding."""


def fits(name: str, head: bytes) -> bool:
    """R's serialisation in its portable form, of version 2 or 3."""
    magic = next((magic for magic in MAGICS if head.startswith(magic)), None)
    return magic is not None and head[len(magic) : len(magic) + 4] in (b"\0\0\0\2", b"\0\0\0\3")


def compare(a: Content, b: Content, around: Around) -> Finding:
    """What stands behind the headers."""
    with careful(a.open) as f, careful(b.open) as g:
        then, now = read_header(f), read_header(g)
        if then[0] != now[0]:
            return Finding(DIFFERENT, "its format or encoding differs")
        if not same_bytes(f, g):
            return Finding(DIFFERENT, "the objects in it differ, or their order")
    return Finding(EQUIVALENT, f"only the version of R that wrote it differs ({now[1]}, and was {then[1]})")


def read_header(file: BinaryIO) -> tuple[bytes, str]:
    """What of the header counts, and the version of R; the reader then stands behind it."""
    head = read_fully(file, 7)
    magic = next(magic for magic in MAGICS if head.startswith(magic))
    file.seek(len(magic))
    numbers = read_fully(file, 12)
    version, writer = numbers[3], numbers[5:8]
    counts = magic + numbers[:4]
    if version == 3:
        length = read_fully(file, 4)
        size = int.from_bytes(length, "big")
        if size > LONGEST_NAME:
            raise Unreadable("its header is too long")
        counts += length + read_fully(file, size)
    return counts, ".".join(map(str, writer))
