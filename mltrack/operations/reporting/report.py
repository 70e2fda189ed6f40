"""`mltrack report`: all that a report tells of one run, of two, or of many, read from the ledger and the store.

Nothing is fetched from a remote unless that was asked for: what is not here is left out, and said.
"""

from __future__ import annotations

from collections import deque
from dataclasses import field, replace
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, MltrackError
from mltrack.nouns import noun
from mltrack.operations.reporting.previews import Budget, Preview, previews
from mltrack.operations.seeing.known_series import known_series
from mltrack.operations.seeing.selection import Choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mltrack.compare.differences import Differences
    from mltrack.compare.many import Comparison, Row
    from mltrack.ledger.asking.grouping import Group
    from mltrack.operations.request import Tell
    from mltrack.plots import Plot
    from mltrack.project import Project
    from mltrack.records import Run

LOG_LINES = 200
MOST_SPARKS = 200
"""Metrics of a run with a spark line."""
MOST_GROUPED = 6
"""Params whose values make groups."""
MOST_VALUES = 12
"""Of a param whose values are groups."""
LARGEST_LOG = 256 << 20
"""Bytes of a log that is read for its last lines."""


@noun
class Asked:
    """What a report shall be about, and what it may hold."""

    choice: Choice = Choice()
    against: str | None = None
    title: str | None = None
    has_files: bool = True
    """Are pictures and texts among the artifacts shown?"""
    has_plots: bool = True
    max_bytes: int = 10 << 20
    """Of pictures among the artifacts, all together."""
    may_fetch: bool = False


@noun
class Story:
    """What is known of one run beside its record."""

    run: Run
    patch: str | None = None
    """Of the changes that were not committed."""
    log: tuple[str, ...] = ()
    """The last lines of its output."""
    previews: tuple[Preview, ...] = ()
    absent: frozenset[str] = frozenset()
    """Digests of artifacts that are not in the store."""
    missing: tuple[str, ...] = ()
    """Sentences: what could not be read, and why."""


@noun
class ByParam:
    """A metric by the values of a param, as `ls --group-by` counts it: of runs that finished."""

    param: str
    metric: str
    groups: tuple[Group, ...]


@noun
class Material:
    """All that a report is made of."""

    title: str | None
    stories: tuple[Story, ...]
    """One of a report of one run, two of one of two; none of one of many."""
    runs: tuple[Run, ...]
    differences: Differences | None = None
    comparison: Comparison | None = None
    goals: Mapping[str, str] = field(default_factory=dict)
    plot: Plot | None = None
    """Of the metrics."""
    resources: Plot | None = None
    """Of what one run used over time."""
    scatter: Plot | None = None
    """Of many runs: the param that goes with the main metric most."""
    groups: tuple[ByParam, ...] = ()
    sparks: Mapping[tuple[str, str], Sequence[float]] = field(default_factory=dict)
    """Values of metrics by run and name, thinned out."""
    missing: tuple[str, ...] = ()


def material(project: Project, asked: Asked, tell: Tell) -> Material:
    """Everything that the report needs. Raises NotFound, Ambiguous and UsageError as `runs_in_order` does."""
    if not asked.may_fetch:
        without_remotes(project)
    runs = subjects(project, asked, tell)
    found = of_few(project, asked, runs) if len(runs) < 3 else of_many(project, asked, runs)
    found = replace(found, goals=project.config.goals)
    if not asked.has_plots:
        return found
    from mltrack.operations.reporting.report_plots import with_plots

    return with_plots(project, found)


def of_few(project: Project, asked: Asked, runs: tuple[Run, ...]) -> Material:
    """Of one run or two."""
    budget = Budget(asked.max_bytes)
    stories = tuple(story(project, run, budget if asked.has_files else None) for run in runs)
    sparks = {
        (run.id, name): values
        for run in runs
        for name, values in known_series(project, run, list(run.metrics)[:MOST_SPARKS]).items()
    }
    found = Material(asked.title, stories, runs, sparks=sparks)
    if len(runs) == 1:
        return found
    differences, missing = between(project, runs[0], runs[1])
    return replace(found, differences=differences, missing=missing)


def of_many(project: Project, asked: Asked, runs: tuple[Run, ...]) -> Material:
    """Of three runs or more: what differs, and what goes with the main metric."""
    from mltrack.compare.telling import by_say, main_metric, scatter_of
    from mltrack.operations.seeing.comparison import compared
    from mltrack.plots import Plot

    comparison = compared(project, runs, runs[0])
    found = Material(asked.title, (), comparison.runs, comparison=comparison)
    metric = main_metric(comparison)
    if metric is None:
        return found
    params = [row for _, row in by_say(comparison, metric)]
    groups = [by_param(comparison, row, metric, project.config.goals) for row in params[:MOST_GROUPED]]
    scatter = scatter_of(comparison, params[0], metric) if params else None
    return replace(
        found,
        groups=tuple(one for one in groups if one is not None),
        scatter=Plot("", (scatter,)) if scatter is not None else None,
    )


def by_param(comparison: Comparison, param: Row, metric: Row, goals: Mapping[str, str]) -> ByParam | None:
    """What the metric is for each value of a param; None where most values have one run only."""
    from mltrack.digest import plain
    from mltrack.flat import quoted
    from mltrack.noun_json import to_dict
    from mltrack.operations.seeing.groups import grouped, one_valued

    documents = [
        {
            **{name: getattr(run, name) for name in ("id", "status", "created_at")},
            "params": plain(to_dict({name: run.params[name] for name in run.params if name == param.name})),
            "metrics": plain(to_dict({name: run.metrics[name] for name in run.metrics if name == metric.name})),
        }
        for run in comparison.runs
    ]
    found = grouped(documents, (one_valued(f"params.{quoted(param.name)}"),), goals).groups
    known = tuple(one for one in found if metric.name in one.metrics and one.value != (None,))
    many = sum(one.metrics[metric.name].count for one in known)
    return ByParam(param.name, metric.name, known) if 1 < len(known) <= min(MOST_VALUES, many // 2) else None


def without_remotes(project: Project) -> None:
    """As long as this project is open, none of its remotes is asked for anything."""
    project.__dict__["config"] = replace(project.config, remotes={})


def subjects(project: Project, asked: Asked, tell: Tell) -> tuple[Run, ...]:
    """The runs in the order in which they are told: what others are held against first; see `runs_in_order`."""
    from mltrack.operations.find import find_run
    from mltrack.operations.seeing.comparison import runs_in_order

    choice = replace(asked.choice, limit=1) if asked.choice.is_empty else asked.choice
    found = runs_in_order(project, choice, tell)
    if asked.against is not None:
        base = find_run(project, asked.against)
        return (base, *(run for run in found if run.id != base.id))
    return tuple(found)


def story(project: Project, run: Run, budget: Budget | None) -> Story:
    """One run with its patch, its output and what can be seen of its files."""
    missing: list[str] = []
    patch: str | None = None
    log: tuple[str, ...] = ()
    try:
        patch = uncommitted(project, run)
    except MltrackError as error:
        missing.append(f"The patch of the uncommitted changes is not shown: {error.message}")
    try:
        log = last_words(project, run)
    except MltrackError as error:
        missing.append(f"The output is not shown: {error.message}")
    seen = () if budget is None else previews(project, run, budget)
    absent = frozenset(project.store.missing([item.digest for item in run.artifacts]))
    return Story(run, patch, log, seen, absent, tuple(missing))


def uncommitted(project: Project, run: Run) -> str | None:
    """The patch from the commit to the tree that the run saw; None where there is none. Raises DataMissing."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from mltrack.git.patch import patch_text
    from mltrack.operations.fetch import ensure_here
    from mltrack.snapshot.code import open_trees, scratch_place

    code = run.code
    if not (code.changed and code.commit and code.tree):
        return None
    ensure_here(project, code.packs)
    with TemporaryDirectory(dir=scratch_place(project.store)) as scratch:
        return patch_text(open_trees([code], project.store, Path(scratch)), f"{code.commit}^{{tree}}", code.tree)


def last_words(project: Project, run: Run) -> tuple[str, ...]:
    """The last lines of a run's output. Raises DataMissing."""
    from mltrack.operations.log import Part, read_output

    if run.log is not None and run.log.size_bytes > LARGEST_LOG:
        raise DataMissing("it is too large to be read for it.", f"See: mltrack log -n {LOG_LINES} {run.id}")
    records = read_output(project, run.id, Part(lines=LOG_LINES))
    text = b"".join(record.data + (b"\n" if record.ends else b"") for record in records)
    return tuple(deque((plain(line) for line in text.decode("utf-8", "replace").split("\n")), LOG_LINES))


def plain(line: str) -> str:
    """A line as it stood on a terminal in the end: the last state of a bar, without colours."""
    import re

    line = line.rstrip("\r").rpartition("\r")[2]
    return re.sub(r"\x1b\[[0-9;:?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)", "", line)


def between(project: Project, a: Run, b: Run) -> tuple[Differences, tuple[str, ...]]:
    """What differs in two runs; what could not be compared, in sentences."""
    from mltrack.operations.differences import Wanted, compare

    try:
        return compare(project, a.id, b.id, Wanted()).differences, ()
    except DataMissing as error:
        return compare(project, a.id, b.id, Wanted(code=False)).differences, (error.message,)
