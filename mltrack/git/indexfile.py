"""A git index of version 2, written by hand.

Only so can a file that a filter converts stand in the index as unchanged where the filter is not configured: the
entry carries the stat of the file as restored, and git believes it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from mltrack.nouns import noun

NAME_MASK = 0xFFF


@noun
class IndexEntry:
    """One path. Without a stat git compares the file's content when asked."""

    path: bytes
    mode: bytes
    blob: str
    stat: os.stat_result | None


def write_index(index: Path, entries: Iterable[IndexEntry], algorithm: str) -> None:
    """Write the index file; entries may come in any order."""
    import hashlib

    ordered = sorted(entries, key=lambda entry: entry.path)
    data = b"".join([struct.pack(">4sLL", b"DIRC", 2, len(ordered)), *map(_encode, ordered)])
    index.write_bytes(data + hashlib.new(algorithm, data, usedforsecurity=False).digest())


def _encode(entry: IndexEntry) -> bytes:
    numbers = [0] * 10
    if entry.stat is not None:
        found = entry.stat
        ctime, mtime = divmod(found.st_ctime_ns, 10**9), divmod(found.st_mtime_ns, 10**9)
        numbers[:6] = [*ctime, *mtime, found.st_dev, found.st_ino]
        numbers[7:] = [found.st_uid, found.st_gid, found.st_size]
    numbers[6] = int(entry.mode, 8)
    fixed = struct.pack(">10L", *(number & 0xFFFFFFFF for number in numbers)) + bytes.fromhex(entry.blob)
    named = fixed + struct.pack(">H", min(len(entry.path), NAME_MASK)) + entry.path
    return named + b"\0" * (8 - len(named) % 8)
