"""Family: what a file format lets differ without meaning anything. Two files go in, a finding comes out.

A comparator is a module with three names:

    WHAT: str                                                  what may differ, for a person: "times in the headers"
    fits(name: str, head: bytes) -> bool                       is this file of its format? By its name and first bytes
    compare(a: Content, b: Content, around: Around) -> Finding the recorded file against the new one

The built-in ones stand in `plugins.BUILT_IN["comparators"]`, the more special first; others come by the entry point
group `mltrack.comparators`. The first that fits both files and can read them decides (`finding.py`, the entrance). A
comparator never unpickles, never runs what it reads, never touches a disk or the network, and reads large files in
blocks. What is not valid in its format it refuses with `Unreadable`: then the next that fits is asked, at last the one
for any text, and where none can read it the bytes alone count. The grades here are `identical` (the same bytes),
`equivalent` (only what the format lets differ) and `different`.
"""

from __future__ import annotations

from dataclasses import field
from typing import BinaryIO, Protocol

from mltrack.nouns import noun
from mltrack.verdicts import Measure

IDENTICAL, EQUIVALENT, DIFFERENT = "identical", "equivalent", "different"

HEAD = 4096
"""Bytes of a file's beginning that `fits` is shown."""

DEEPEST = 4
"""Files within files (a zip in a tar in a gzip) are opened so far."""

LARGEST_IN_MEMORY = 256 << 20
"""Bytes; what would have to be in memory as a whole and is larger is refused with `Unreadable`."""


class Unreadable(Exception):
    """A file is not what its name or beginning promised, or too large for its comparator. The text says why."""


class Content(Protocol):
    """The bytes of one file."""

    @property
    def size(self) -> int:
        """In bytes."""

    def open(self) -> BinaryIO:
        """A new reader from the beginning; it can seek. Whoever opens it closes it."""


@noun
class Side:
    """Where one of the two files was written."""

    roots: tuple[str, ...] = ()
    """Absolute directories that stand for the project there, the home, the environment: as they are known; the longest
    first."""
    hosts: tuple[str, ...] = ()
    """Names of the machine."""
    began: float | None = None
    """Unix seconds, or None where unknown. A time in a file that lies outside of the run is data, and must be equal."""
    ended: float | None = None
    zone: str | None = None
    """The name of its time zone, where known. Times without a zone are in this one or in universal time."""
    kinds: tuple[str, ...] = ()
    """What each of the roots is, `project`, `home` or `environment`: only roots of one kind stand for each other. Where
    this is empty any may."""


@noun
class Around:
    """What a comparator may know beside the two files."""

    then: Side = field(default_factory=Side)
    now: Side = field(default_factory=Side)
    ignore: tuple[str, ...] = ()
    """Patterns of keys or columns of this file that the project leaves out."""
    depth: int = 0
    """How many files the members of this one are inside of; `compare_contents` counts it."""
    name: str = ""
    """The name of the recorded file, as `compare_contents` was given it: `metrics.csv.gz` holds a `metrics.csv`."""


@noun
class Finding:
    """What two files come to. `reason` is a short clause: "only the times in its headers differ"."""

    grade: str
    reason: str
    measure: Measure | None = None
