"""Which of some runs are the best and the worst by a number, and which do not count. Pure.

One rule for lists, comparisons, groups and reports: only a run that finished is the best or the worst, for the number
of one that broke off may be that of half the work. Where none of the runs that have the number finished, all count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mltrack.nouns import noun

FINISHED = "finished"
"""Status of the runs that count."""


@noun
class Ends:
    """The runs at the ends of some numbers, by their places."""

    best: tuple[int, ...] = ()
    worst: tuple[int, ...] = ()
    """Both are empty where all numbers are equal; the worst also where those that count are."""
    better: tuple[int, ...] = ()
    """Runs that did not finish and are better than the best, the best of them first: told, never chosen."""
    none_finished: bool = False
    """Do the ends belong to runs that did not finish, as no other has a number?"""


def counted(numbers: Mapping[int, float | int], finished: Collection[int]) -> Mapping[int, float | int]:
    """Those numbers, by the places of their runs, that count: of the runs that finished; all where none did."""
    return {place: number for place, number in numbers.items() if place in finished} or numbers


def ends(numbers: Mapping[int, float | int], finished: Collection[int], goal: str) -> Ends:
    """The best and the worst of numbers (without NaN) by a goal, `max` or `min`."""
    if len(set(numbers.values())) < 2:
        return Ends()
    known = counted(numbers, finished)
    low, high = min(known.values()), max(known.values())
    best, worst = (high, low) if goal == "max" else (low, high)
    better = [place for place, number in numbers.items() if is_better(number, best, goal)]
    return Ends(
        tuple(place for place, number in known.items() if number == best),
        tuple(place for place, number in known.items() if number == worst != best),
        tuple(sorted(better, key=numbers.__getitem__, reverse=goal == "max")),
        not any(place in finished for place in known),
    )


def is_better(number: float | int, other: float | int, goal: str) -> bool:
    return number > other if goal == "max" else number < other
