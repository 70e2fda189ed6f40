"""Absolute paths in texts: whether two of them are the same place below different roots.

Where only one side's root is known, the other is told by it: `/ws/out/x` below the known root `/ws` and
`/srv/out/x` have the same remainder, so that `/srv` stands for `/ws`, and must do so throughout the file. Only where
nobody knows a root on either side, one pair of them is concluded from the paths alone. A project, a home and an
environment never stand for one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mltrack.patterns import lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from mltrack.compare.comparators import Around, Side

_END = r"\s\"'`<>|;,:(){}\[\]"
_TEMPORARY = lazy(
    r"(?:/tmp|/var/tmp|/dev/shm|/var/folders/\w+/\w+/T)/"
    r"(?:tmp[a-z0-9_]{8}|tmp\.[A-Za-z0-9]{6,10}|Rtmp[A-Za-z0-9]{6}|ipykernel_\d+|pymp-[a-z0-9_]{8})(?=/|$)"
)
"""Directories with random names, as Python, mktemp, R and Jupyter make them."""


def path_pattern(odd_roots: tuple[str, ...]) -> str:
    """The pattern of an absolute path in a text. It ends at a blank and the like, which only a known root may hold."""
    beginning = "|".join([*map(re.escape, odd_roots), "/(?!/)"])
    return rf"(?:(?<![\w/.~@+-])|(?<=file://))(?:{beginning})[^{_END}]*"


class Roots:
    """What is known of the roots of two files, and what their paths have told so far."""

    def __init__(self, around: Around) -> None:
        self.then, self.now = by_kind(around.then), by_kind(around.now)
        for one, other in ((self.then, self.now), (self.now, self.then)):
            # Where only one side has an environment of its own, its files there are files of the project.
            for root in [root for root, kind in one.items() if kind == "environment" and kind not in other.values()]:
                del one[root]
        self.odd = tuple(root for root in (*self.then, *self.now) if re.search(rf"[{_END}]", root))
        """Those that a pattern of paths must be told of."""
        self.to_new: dict[str, str] = {}
        self.to_old: dict[str, str] = {}

    def same(self, a: str, b: str, alike: Callable[[str, str], bool]) -> str | None:
        """What differs between two paths of the same place ("paths", "temporary directories"); None if they are not.

        `alike` compares what follows the roots.
        """
        first, second = _TEMPORARY.match(a), _TEMPORARY.match(b)
        if first or second:
            is_one = first and second and alike(a[first.end() :], b[second.end() :])
            return "temporary directories" if is_one and self._agree(first[0], second[0]) else None  # type: ignore[index]
        for old, new in self._candidates(a, b):
            if alike(a[len(old) :], b[len(new) :]) and self._agree(old, new):
                return "paths"
        return None

    def _candidates(self, a: str, b: str) -> Iterator[tuple[str, str]]:
        """(old root, new root) as these two paths may have them; of known ones the longest of each path only."""
        old, new = root_of(a, self.then), root_of(b, self.now)
        if old is not None and new is not None and self.then[old] == self.now[new]:
            yield old, new
        if not self.then and new is not None:  # where a side's own roots are known, no other path stands for them
            yield from ((old, new) for old in shortened(a, b[len(new) :]))
        if not self.now and old is not None:
            yield from ((old, new) for new in shortened(b, a[len(old) :]))
        if not self.then and not self.now:
            yield from concluded(a, b)

    def _agree(self, old: str, new: str) -> bool:
        """Does this pair contradict none before it? If so it is remembered."""
        if self.to_new.get(old, new) != new or self.to_old.get(new, old) != old:
            return False
        self.to_new[old], self.to_old[new] = new, old
        return True


def by_kind(side: Side) -> dict[str, str]:
    """Root -> what it is; the first that is said of a directory counts."""
    found: dict[str, str] = {}
    for i, root in enumerate(side.roots):
        if len(root) > 1:
            found.setdefault(root.rstrip("/"), side.kinds[i] if i < len(side.kinds) else "")
    return found


def root_of(path: str, roots: Mapping[str, str]) -> str | None:
    """The longest root that a path lies below."""
    return max((root for root in roots if is_below(path, root)), key=len, default=None)


def is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def shortened(path: str, remainder: str) -> Iterator[str]:
    """The one root that a path has if its remainder has as many parts as another's."""
    parts = path.split("/")
    count = remainder.count("/")
    if remainder.endswith("/") != path.endswith("/"):
        return
    root = "/".join(parts[: len(parts) - count]) if count else path
    if len(root) > 1:
        yield root


def concluded(a: str, b: str) -> Iterator[tuple[str, str]]:
    """The roots of two paths whose last parts are the same, if something follows and they lie in different places."""
    old, new = a.split("/"), b.split("/")
    count = 0
    while count < min(len(old), len(new)) - 2 and old[-1 - count] == new[-1 - count]:
        count += 1
    first, second = old[: len(old) - count], new[: len(new) - count]
    if count and first[:-1] != second[:-1]:
        yield "/".join(first), "/".join(second)
