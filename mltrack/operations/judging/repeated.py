"""What the repetitions of a run come to: the noise of its metrics and artifacts, and where they first went apart.

Reads records, series and the contents of artifacts; runs nothing, and keeps nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from mltrack.compare.changes import same_number, same_summary
from mltrack.compare.noise.divergence import earliest, first_artifact, first_metric
from mltrack.compare.noise.intervals import CONFIDENCE, PARTS, is_constant, is_steady, spreads
from mltrack.compare.verdict.rules import Rules, is_covered
from mltrack.formats.ranked import split_rank
from mltrack.nouns import noun
from mltrack.operations.judging.contents import Compare, Held, hold
from mltrack.records import Run, new_id
from mltrack.verdicts import Calibration, Divergence

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point
    from mltrack.project import Project


@noun
class Repeated:
    """A run, and repetitions of it that ended as it did."""

    then: Run
    runs: tuple[Run, ...]
    vary: str
    seeds: tuple[int | None, ...]
    written: Mapping[str, float] = field(default_factory=dict)
    """When the first repetition wrote its artifacts, in seconds since 1970, by path."""


def calibration_of(project: Project, repeated: Repeated, rules: Rules, compare: Compare) -> Calibration:
    """The noise of a run. Raises DataMissing or Damaged if the series of a repetition cannot be read."""
    then, runs = repeated.then, repeated.runs
    held = hold(project, (then, *runs), rules, compare)
    metrics, content = spreads(rows_of(runs, rules), sum(one.is_measured for one in held.values()))
    artifacts = {path: one.variation(content) for path, one in held.items()}
    among = apart_among(project, repeated, rules)
    steady = among is None and all(is_constant(one) and not one.missing for one in metrics.values())
    steady = steady and all(is_steady(one, len(runs)) for one in artifacts.values())
    first = firsts(among, artifact_apart(held, repeated, 1, range(2, len(runs) + 1)))
    as_recorded = None
    if steady:
        since = metrics_apart(project, (then, runs[0]), rules)
        first = firsts(since, artifact_apart(held, repeated, 0, [1]))
        as_recorded = not first and same_metrics(then, runs[0], rules)
    is_same_seed = repeated.vary == "nothing"
    return Calibration(
        id=new_id(),
        of=then.id,
        vary=repeated.vary,
        runs=tuple(run.id for run in runs),
        seeds=repeated.seeds,
        host=runs[0].host,
        at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        confidence=CONFIDENCE,
        content=content,
        deterministic=steady if is_same_seed else None,
        as_recorded=bool(as_recorded) if is_same_seed else None,
        metrics=metrics,
        artifacts=artifacts,
        first=first,
    )


def rows_of(runs: Sequence[Run], rules: Rules) -> list[dict[str, float | str]]:
    """The last values of the metrics of each run; and what else of a metric is not alike in all: `loss (points)`."""
    names = {name for run in runs for name in run.metrics if not is_ignored(name, rules)}
    rows: list[dict[str, float | str]] = []
    for run in runs:
        rows.append({name: one.last for name, one in run.metrics.items() if name in names})
    for name in sorted(names):
        known = [run.metrics.get(name) for run in runs]
        for part, of in PARTS.items():
            values = [getattr(one, of, None) if one or of != "count" else 0 for one in known]
            is_last = [one is None or same_number(value, one.last) for one, value in zip(known, values)]
            if all(same_number(values[0], value) for value in values) or (of in ("min", "max") and all(is_last)):
                continue
            for row, value in zip(rows, values):
                if value is not None:
                    row[f"{name} ({part})"] = value
    return rows


def is_ignored(name: str, rules: Rules) -> bool:
    return is_covered(name, rules.ignore) or is_covered(split_rank(name)[0], rules.ignore)


def same_metrics(then: Run, now: Run, rules: Rules) -> bool:
    """Do two runs agree in all that is known of every metric?"""
    names = {name for name in then.metrics.keys() | now.metrics.keys() if not is_ignored(name, rules)}
    if not names <= then.metrics.keys() & now.metrics.keys():
        return False
    return all(same_summary(then.metrics[name], now.metrics[name]) for name in names)


def apart_among(project: Project, repeated: Repeated, rules: Rules) -> Divergence | None:
    """Where the metrics of any repetition first differ from those of the first one."""
    first, *others = repeated.runs
    return earliest(metrics_apart(project, (first, other), rules) for other in others)


def metrics_apart(project: Project, runs: tuple[Run, Run], rules: Rules) -> Divergence | None:
    a, b = runs
    return first_metric(
        points_of(project, a), points_of(project, b), (a.id, b.id), lambda name: is_ignored(name, rules)
    )


def points_of(project: Project, run: Run) -> list[Point]:
    from mltrack.operations.series import read_points

    return read_points(project, run)


def artifact_apart(held: Mapping[str, Held], repeated: Repeated, one: int, others: Sequence[int]) -> Divergence | None:
    """The artifact in which a run first differs from any of the others; 0 is the recorded run."""
    runs = (repeated.then, *repeated.runs)
    for other in others:
        sides = [
            {path: token for path, item in held.items() if (token := item.tokens[place]) is not None}
            for place in (one, other)
        ]
        found = first_artifact(sides[0], sides[1], repeated.written, (runs[one].id, runs[other].id))
        if found is not None:
            return found
    return None


def firsts(metric: Divergence | None, artifact: Divergence | None) -> tuple[Divergence, ...]:
    return tuple(one for one in (artifact, metric) if one is not None)
