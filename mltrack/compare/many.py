"""Many runs -> what differs between them: a row for each field, in the sections of `differences`. Pure.

A row holds what each run has of one field, which runs have the best and the worst of it, and what it lies apart from
the baseline. Nothing is laid out or shortened here; what differs is what `diff` would count between some two of them,
but that of a metric only its last point counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mltrack.compare.best import FINISHED, ends
from mltrack.compare.changes import as_number, difference
from mltrack.compare.gathering import CIRCUMSTANCES, Same, gathered, sections
from mltrack.compare.goals import goal_of
from mltrack.flat import metric_name
from mltrack.noun_json import to_dict
from mltrack.nouns import noun
from mltrack.records import Run

if TYPE_CHECKING:
    from mltrack.compare.noise.intervals import Noted

MEASURED = ("params", "metrics", CIRCUMSTANCES)
"""Sections in which numbers can be larger and smaller, by so many per cent."""


@noun
class Row:
    """One field of many runs."""

    section: str
    """One of `differences.SECTIONS`, or `circumstances`."""
    name: str
    known: Mapping[int, Any]
    """Place of a run in the comparison -> its value; runs that have none are not in it."""
    count: int
    """How many runs there are."""
    baseline: int
    differs: bool
    goal: str | None = None
    """`max` or `min` of a metric, if it is known which is better."""
    best: tuple[int, ...] = ()
    worst: tuple[int, ...] = ()
    """Places of the runs with the best and the worst value, by the rule of `best.py`; none where all are equal."""
    better: tuple[int, ...] = ()
    """Places of runs that did not finish and have a better value than the best."""
    none_finished: bool = False
    """Are the best and the worst of runs that did not finish, as no run that has a value did?"""
    noise: Mapping[int, Noted] = field(default_factory=dict)
    """What a calibration says of the difference between a run and the baseline, where one is known."""

    @property
    def field(self) -> str:
        """The field as queries, CSV and `--sort` call it, as far as they know it: `params.lr`."""
        if self.section == "metrics":
            return metric_name(self.name)
        return PREFIXES.get(self.section, f"{self.section}.") + self.name

    @property
    def values(self) -> tuple[Any, ...]:
        """The value of each run; None where it has none (`known` tells that from a recorded null)."""
        return tuple(self.known.get(place) for place in range(self.count))

    @property
    def absent(self) -> tuple[int, ...]:
        """Places of the runs that have no value."""
        return tuple(place for place in range(self.count) if place not in self.known)

    @property
    def base(self) -> Any:
        """The value of the baseline."""
        return self.known.get(self.baseline)

    @property
    def changes(self) -> tuple[float | int | None, ...]:
        """What each run's number lies above the baseline's; None for the baseline, and where one is not finite."""
        return tuple(self.change(place) for place in range(self.count))

    def change(self, place: int) -> float | int | None:
        if place == self.baseline or self.section not in MEASURED:
            return None
        return difference(as_number(self.base), as_number(self.known.get(place)))

    def percent(self, place: int) -> float | None:
        """The change in per cent of the size of the baseline's number; None where that is zero."""
        change, base = self.change(place), as_number(self.base)
        if change is None or not base:
            return None
        try:
            share = change / abs(base) * 100
        except OverflowError:
            return None
        return share if math.isfinite(share) else None

    @cached_property
    def numbers(self) -> dict[int, float | int]:
        """The values that are numbers, NaN aside; none of a field whose numbers are names, such as an exit code."""
        if self.section not in MEASURED:
            return {}
        found = ((place, as_number(value)) for place, value in self.known.items())
        return {place: value for place, value in found if value is not None and value == value}

    @cached_property
    def distinct(self) -> int:
        """How many different values there are; one more where some runs have none."""
        return len({key_of(value) for value in self.known.values()}) + (len(self.known) < self.count)


@noun
class Comparison:
    """What many runs have in common, and what not. `baseline` is the place of the run that changes are held against."""

    runs: tuple[Run, ...]
    baseline: int
    rows: tuple[Row, ...]
    """Every field, in the order of sections, then by name; those that differ and those that do not."""

    @cached_property
    def differing(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.differs)

    @property
    def is_empty(self) -> bool:
        """Does nothing differ but circumstances?"""
        return all(row.section == CIRCUMSTANCES for row in self.differing)


PREFIXES = {"command": "", "outcome": "", CIRCUMSTANCES: ""}


def compare_runs(runs: Sequence[Run], baseline: int = 0, goals: Mapping[str, str] | None = None) -> Comparison:
    """Compare runs, which have their packages; changes are held against the one at the place `baseline`.

    `goals` are the project's, see `goals.goal_of`. Raises ValueError where there is no such place.
    """
    if not 0 <= baseline < len(runs):
        raise ValueError("the baseline is one of the runs")
    shape = Shape(len(runs), baseline)
    rows: list[Row] = []
    for section, tables in sections(runs):
        for table in tables:
            rows += [shape.row(section, name, table.columns[name], table.same) for name in table.names()]
    finished = frozenset(place for place, run in enumerate(runs) if run.status == FINISHED)
    return Comparison(tuple(runs), baseline, tuple(judged(row, goals or {}, finished) for row in rows))


@noun
class Shape:
    """How many runs, and which is the baseline."""

    count: int
    baseline: int

    def row(self, section: str, name: str, known: Mapping[int, Any], same: Same) -> Row:
        return Row(section, name, known, self.count, self.baseline, same(known, self.count))


def judged(row: Row, goals: Mapping[str, str], finished: frozenset[int]) -> Row:
    """A row of a metric with its goal, and the runs that have the best and the worst of it."""
    goal = goal_of(row.name, goals) if row.section == "metrics" else None
    if goal is None:
        return row
    if not row.differs:
        return replace(row, goal=goal)
    found = ends(row.numbers, finished, goal)
    return replace(
        row, goal=goal, best=found.best, worst=found.worst, better=found.better, none_finished=found.none_finished
    )


def with_noise(comparison: Comparison, noted: Mapping[int, Mapping[str, Noted]]) -> Comparison:
    """The comparison with what calibrations say: place of a run -> metric -> that. See `noise.intervals.between`."""
    turned = gathered(noted.get(place, {}) for place in range(len(comparison.runs)))
    if not turned:
        return comparison
    rows = [
        replace(row, noise=turned[row.name]) if row.section == "metrics" and row.name in turned else row
        for row in comparison.rows
    ]
    return replace(comparison, rows=tuple(rows))


def key_of(value: Any) -> Any:
    """Something hashable that is the same for the same values."""
    if isinstance(value, (list, tuple)):
        return tuple(map(key_of, value))
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), key_of(item)) for key, item in value.items()))
    if isinstance(value, float) and value != value:
        return float, "NaN"
    return type(value), value


def to_json(comparison: Comparison, rows: Sequence[Row] | None = None) -> dict[str, Any]:
    """The comparison as plain dicts and lists, with the rows that are given, by default those that differ; lists beside
    `runs` have an item for each, in their order."""
    runs = comparison.runs
    rows = comparison.differing if rows is None else rows
    return {
        "baseline": runs[comparison.baseline].id,
        "is_empty": comparison.is_empty,
        "runs": [{"id": run.id, "name": run.name, "status": run.status, "created_at": run.created_at} for run in runs],
        "rows": [row_to_json(row, [run.id for run in runs]) for row in rows],
        "equal": len(comparison.rows) - len(comparison.differing),
    }


def row_to_json(row: Row, ids: Sequence[str]) -> dict[str, Any]:
    """One field; numbers carry their change and its per cent, metrics their goal, best and worst runs and noise."""
    result: dict[str, Any] = {
        "section": row.section,
        "name": row.name,
        "field": row.field,
        "differs": row.differs,
        "values": to_dict(row.values),
        "absent": [ids[place] for place in row.absent],
    }
    if row.numbers:
        result["changes"] = list(row.changes)
        result["percents"] = [row.percent(place) for place in range(row.count)]
    if row.section == "metrics":
        told = {"best": row.best, "worst": row.worst, "better_unfinished": row.better}
        result |= {"goal": row.goal, **{name: [ids[one] for one in places] for name, places in told.items()}}
    if row.noise:
        result["noise"] = [to_dict(row.noise.get(place)) for place in range(row.count)]
    return result
