"""Parallel coordinates: which fields of the runs stand side by side, and in which scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import NotFound, UsageError
from mltrack.nouns import noun
from mltrack.operations.plotting.field_values import Column, column, column_of, is_finite, names_of
from mltrack.operations.plotting.labels import own_names
from mltrack.operations.seeing.fields import metric, param, shown_as, split_columns
from mltrack.plots import Axis, Parallel, Plot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mltrack.operations.plotting.field_values import Value
    from mltrack.operations.seeing.selection import Choice
    from mltrack.project import Project
    from mltrack.records import Run

DECADES = 100
"""How many times as large as the smallest the largest must be for a scale of powers."""
MOST_AXES = 10
MOST_NAMES = 12
"""Different texts that an axis which nobody asked for may have: a path of each run's own says nothing."""
MEASURED = ("val", "valid", "validation", "test", "eval", "dev")
"""Words of a metric that is rather what a run is judged by."""


@noun
class Beside:
    """What parallel coordinates are asked to show: fields, or by default the params that differ; then a metric."""

    fields: tuple[str, ...] = ()
    metric: str | None = None
    title: str | None = None


def parallel(runs: Sequence[Run], asked: Beside, goals: Mapping[str, str]) -> Plot:
    """A line a run over an axis a field, coloured by the last. Raises UsageError or NotFound."""
    if len(runs) < 2:
        raise UsageError("Parallel coordinates are of several runs, not of one.", "Name more runs, or a query.")
    last = last_axis(runs, asked, goals)
    remarks: list[str] = []
    if asked.fields:
        columns = [column(runs, name) for name in asked.fields]
    else:
        columns, remarks = differing(runs, last)
    if last is not None:
        columns = [one for one in columns if one.axis.label != last.axis.label] + [last]
    if len(columns) < 2:
        raise NotFound("These runs differ in no param.", "Name fields: --parallel params.lr,metrics.acc")
    columns = [with_scale(one) for one in columns]
    order = drawing_order(columns[-1])
    missing = sum(any(one.values[at] is None or not is_finite(one.values[at]) for one in columns) for at in order)
    if missing:
        remarks.append(
            f"{missing:,} of {len(runs):,} runs lack a value or have one that is not finite: marked as missing."
        )
    names = own_names(runs)
    panel = Parallel(
        "",
        axes_of(columns),
        tuple(names[runs[at].id] for at in order),
        tuple(tuple(known(one.values[at]) for one in columns) for at in order),
        len(columns) - 1,
        tuple(weight(one, columns[-1]) for one in columns),
    )
    return Plot(asked.title or f"{len(runs):,} runs", (panel,), tuple(remarks))


def axes_of(columns: Sequence[Column]) -> tuple[Axis, ...]:
    """The axes by the bare names of params and metrics, where these are still different ones."""
    bare = [one.axis.label.removeprefix("params.").removeprefix("metrics.") for one in columns]
    return tuple(
        replace(one.axis, label=name if bare.count(name) == 1 else one.axis.label) for one, name in zip(columns, bare)
    )


def fields_among(project: Project, choice: Choice) -> tuple[Choice, tuple[str, ...]]:
    """The words that name fields (`lr,depth,acc`), and what is left to choose runs by. What names a run is a run's."""
    from mltrack.operations.find import find_run
    from mltrack.operations.seeing.selection import SIGNS

    words, found = [], []
    for word in choice.words:
        if SIGNS.search(word) or not ("," in word or shown_as(word) is not None):
            words.append(word)
            continue
        try:
            find_run(project, word)
            words.append(word)
        except (NotFound, UsageError):
            found += split_columns(word)
    return replace(choice, words=tuple(words)), tuple(found)


def known(value: Value) -> Value:
    return value if is_finite(value) else None


def drawing_order(last: Column) -> list[int]:
    """Places of the runs, those without a value first and the largest last: what comes last lies on top."""
    keys = [(value is not None and is_finite(value), value) for value in last.values]
    if last.is_named:
        places = {name: place for place, name in enumerate(last.axis.names)}
        return sorted(range(len(keys)), key=lambda at: places.get(str(last.values[at]), -1))
    return sorted(range(len(keys)), key=lambda at: (keys[at][0], keys[at][1] if keys[at][0] else 0.0))


def last_axis(runs: Sequence[Run], asked: Beside, goals: Mapping[str, str]) -> Column | None:
    """The metric that was asked for, else the best known one; of fields that were named, the last is the last."""
    if asked.metric is not None:
        name = asked.metric
        return column_of(runs, metric(name)) if name in names_of(runs, "metrics") else column(runs, name)
    if asked.fields:
        return None
    best = best_known(runs, goals)
    return None if best is None else column_of(runs, metric(best))


def best_known(runs: Sequence[Run], goals: Mapping[str, str]) -> str | None:
    """The metric that most of the runs have and differ in, of which one knows whether larger is better; rather one of
    validation than of training, rather one to be large than a loss."""
    from mltrack.compare.goals import goal_of, words_of

    counts: dict[str, int] = {}
    for run in runs:
        for name in run.metrics:
            counts[name] = counts.get(name, 0) + 1
    most = max(counts.values(), default=0)
    common = [name for name, count in counts.items() if count * 2 >= most and "[" not in name]

    def worth(name: str) -> tuple[bool, bool, bool, int]:
        goal = goal_of(name, goals)
        return goal is not None, any(word in MEASURED for word in words_of(name)), goal == "max", counts[name]

    return max(common, key=worth, default=None)


def differing(runs: Sequence[Run], last: Column | None) -> tuple[list[Column], list[str]]:
    """The params in which the runs differ; of too many those that go most with the metric, and a word on the others."""
    found, unsaid = [], 0
    for name in names_of(runs, "params"):
        values = [run.params.get(name) for run in runs]
        if all(value == values[0] and type(value) is type(values[0]) for value in values):
            continue
        one = column_of(runs, param(name))
        distinct = len(set(one.values))
        if one.is_named and distinct > MOST_NAMES:
            unsaid += 1
        elif distinct > 1:
            found.append(one)
    remarks = [f"Not drawn: {unsaid:,} params with more than {MOST_NAMES} different texts."] if unsaid else []
    if len(found) > MOST_AXES - 1:
        by_weight = sorted(found, key=lambda one: -weight(one, last))[: MOST_AXES - 1]
        chosen = [one for one in found if any(one is kept for kept in by_weight)]
        remarks.append(f"{len(found):,} params differ; shown are the {len(chosen)} that go most with the last axis.")
        found = chosen
    return found, remarks


def weight(one: Column, last: Column | None) -> float:
    """How much a param goes with the metric: the size of their rank correlation, nothing where there is none."""
    from mltrack.compare.rates import spearman

    if last is None or one.is_named or last.is_named:
        return 0.0
    pairs = [(a, b) for a, b in zip(one.values, last.values) if isinstance(a, float) and isinstance(b, float)]
    whole = [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    return abs(spearman([a for a, _ in whole], [b for _, b in whole]) or 0.0)


def with_scale(one: Column) -> Column:
    """A scale of powers, where all values are positive and span decades."""
    numbers = [value for value in one.values if isinstance(value, float) and math.isfinite(value)]
    is_wide = bool(numbers) and min(numbers) > 0 and max(numbers) / DECADES >= min(numbers)
    return replace(one, axis=replace(one.axis, is_log=is_wide and not one.is_named))
