"""Comparator of pickles: it says that nothing opens them. Loading a pickle runs what it holds."""

from __future__ import annotations

from mltrack.compare.comparators import DIFFERENT, IDENTICAL, Around, Content, Finding
from mltrack.compare.contents.contents import same_bytes

WHAT = "nothing: a pickle is never opened"

ENDINGS = (".pkl", ".pickle", ".joblib")


def fits(name: str, head: bytes) -> bool:
    """By its ending, or by the first bytes of a pickle: a protocol, and an opcode that may follow it."""
    begins = (
        len(head) > 2
        and head[0] == 0x80
        and 2 <= head[1] <= 5
        and head[2:3] in (b"\x95", b"}", b"]", b"c", b"\x8a", b"(", b"X")
    )
    return begins or name.lower().endswith(ENDINGS)


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Their bytes."""
    if same_bytes(a, b):
        return Finding(IDENTICAL, "the same bytes")
    return Finding(DIFFERENT, "a pickle: its bytes differ, and it is never opened")
