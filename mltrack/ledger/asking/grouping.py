"""A group of runs: how many they are, how they ended, what came of their metrics. `crossing.py` finds the groups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from mltrack.nouns import noun

if TYPE_CHECKING:
    import sqlite3


@noun
class GroupMetric:
    """A metric over the runs of a group, by the last value of each."""

    count: int
    """Runs that have a finite value of it; the other figures are of these."""
    mean: float | None = None
    deviation: float | None = None
    """The sample's standard deviation; None of fewer than two values."""
    best: str | None = None
    """Id of the best run, of equals the one that came last; None where nobody said whether larger is better."""
    best_value: float | None = None


@noun
class Group:
    """The runs that share the values of some fields."""

    value: Any
    """One for each field, as the ledger's tables have it: None for the runs without one; of a parameter that is a list,
    its JSON."""
    runs: int
    statuses: Mapping[str, int]
    """How many ended how."""
    newest: str
    """Id of the newest run."""
    newest_at: str
    """When it was created."""
    metrics: Mapping[str, GroupMetric] = field(default_factory=dict)


class Points:
    """The finite values of a metric in a group, and the numbers of their runs."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.runs: list[int] = []

    def summary(self, db: sqlite3.Connection, goal: str | None) -> GroupMetric:
        values = list(map(float, self.values))
        mean = sum_of(values) / len(values)
        squares = sum_of([(value - mean) * (value - mean) for value in values])
        deviation = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
        if goal is None:
            return GroupMetric(len(values), mean, deviation)
        best = (max if goal == "max" else min)(self.values)
        last = max(run for value, run in zip(self.values, self.runs) if value == best)
        return GroupMetric(len(values), mean, deviation, id_of(db, last), best)


def sum_of(values: list[float]) -> float:
    """Of values that may be larger together than a float can be."""
    try:
        return math.fsum(values)
    except OverflowError:
        return sum(values)


def id_of(db: sqlite3.Connection, number: int) -> str:
    return str(db.execute("SELECT id FROM run_row WHERE number = ?", (number,)).fetchone()[0])
