"""Names of metrics that several ranks log: `loss` is the first rank's, `loss[rank=3]` another one's.

The one place that knows the spelling. What was logged without a rank counts as rank 0's; where neither is there (the
loss of a pipeline is known to its last stage only), the lowest rank that logged it has the plain name. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mltrack.formats.metrics import Point

MOST_RANKS = 64
"""Ranks, the lowest, whose sums a record has for each metric; the points of all are in the series."""

_MARK = "[rank="

T = TypeVar("T")


def ranked_name(name: str, rank: int) -> str:
    """`loss`, 3 -> `loss[rank=3]`."""
    return f"{name}{_MARK}{rank}]"


def split_rank(name: str) -> tuple[str, int | None]:
    """`loss[rank=3]` -> `loss`, 3; a name without a rank -> itself, None."""
    plain, mark, rest = name.rpartition(_MARK)
    digits = rest[:-1]
    if mark and rest.endswith("]") and digits.isascii() and digits.isdigit():
        return plain, int(digits)
    return name, None


def in_ranks(found: Mapping[str, T]) -> dict[str, list[tuple[int | None, T]]]:
    """Plain name -> what each rank has under it, the lowest first; the one that has the plain name has None."""
    groups: dict[str, list[tuple[int | None, T]]] = {}
    for key, value in found.items():
        name, rank = split_rank(key)
        groups.setdefault(name, []).append((rank, value))
    for group in groups.values():
        group.sort(key=lambda item: -1 if item[0] is None else item[0])
    return groups


def in_the_first_place(found: Mapping[str, T]) -> dict[str, T]:
    """Entries by ranked name, of each metric the lowest ranks only, the first of them under the plain name."""
    if not any(key.endswith("]") for key in found):
        return dict(found)
    named: dict[str, T] = {}
    for name, group in in_ranks(found).items():
        for place, (rank, value) in enumerate(group[: MOST_RANKS + 1]):
            named[name if rank is None or place == 0 else ranked_name(name, rank)] = value
    return named


def of_rank(points: Iterable[Point], rank: int | None) -> list[Point]:
    """One rank's points; with None those that a summary under the plain name stands for."""
    if rank is not None:
        return [point for point in points if (point.rank or 0) == rank]
    everyone = list(points)
    lowest = min((point.rank or 0 for point in everyone), default=0)
    return [point for point in everyone if (point.rank or 0) == lowest]
