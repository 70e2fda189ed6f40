"""`mltrack report`: all that a report tells of one run, of two, or of many, read from the ledger and the store.

Nothing is fetched from a remote unless that was asked for: what is not here is left out, and said.
"""

from __future__ import annotations

from collections import deque
from dataclasses import field, replace
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, MltrackError
from mltrack.nouns import noun
from mltrack.operations.seeing.known_series import known_series
from mltrack.operations.seeing.previews import Budget, Preview, previews
from mltrack.operations.seeing.selection import Choice, chosen_runs, split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mltrack.compare.differences import Differences
    from mltrack.compare.many import Comparison
    from mltrack.compare.telling import Group
    from mltrack.operations.request import Tell
    from mltrack.plots import Panel, Plot
    from mltrack.project import Project
    from mltrack.records import Run

LOG_LINES = 200
MOST_SPARKS = 200
"""Metrics of a run with a spark line."""
MOST_PANELS = 8
SAMPLED = ("memory_bytes", "cpu_percent")
"""Resources that are drawn, beside those of GPUs."""
MOST_CURVES = 24
"""Runs with a curve each: more are a picture of nothing."""
MOST_GROUPED = 6
"""Params whose values make groups."""
LONGEST_LABEL = 20
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
    groups: tuple[tuple[str, tuple[Group, ...]], ...] = ()
    """A metric, and what it is for the values of some params."""
    sparks: Mapping[tuple[str, str], Sequence[float]] = field(default_factory=dict)
    """Values of metrics by run and name, thinned out."""
    missing: tuple[str, ...] = ()


def material(project: Project, asked: Asked, tell: Tell) -> Material:
    """Everything that the report needs. Raises NotFound, Ambiguous and UsageError as `chosen_runs` does."""
    if not asked.may_fetch:
        without_remotes(project)
    runs = subjects(project, asked, tell)
    found = of_few(project, asked, runs) if len(runs) < 3 else of_many(project, asked, runs)
    found = replace(found, goals=project.config.goals)
    return with_plots(project, found) if asked.has_plots else found


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
    from mltrack.compare.telling import by_say, groups_of, main_metric, scatter_of
    from mltrack.operations.seeing.comparison import compared
    from mltrack.plots import Plot

    comparison = compared(project, runs, runs[0])
    found = Material(asked.title, (), comparison.runs, comparison=comparison)
    metric = main_metric(comparison)
    if metric is None:
        return found
    params = [row for _, row in by_say(comparison, metric)]
    groups = [group for row in params[:MOST_GROUPED] for group in groups_of(row, metric)]
    scatter = scatter_of(comparison, params[0], metric) if params else None
    return replace(
        found,
        groups=((metric.name, tuple(groups)),) if groups else (),
        scatter=Plot("", (scatter,)) if scatter is not None else None,
    )


def with_plots(project: Project, found: Material) -> Material:
    """With the metrics over their steps, of one run also what it used. What cannot be drawn is left out, and said."""
    runs = found.runs[:MOST_CURVES]
    missing = list(found.missing)
    names = drawn_metrics(found, runs)
    plot = metrics_plot(project, runs, names, missing)
    if plot is not None and len(runs) < len(found.runs):
        missing.append(f"Of {len(found.runs):,} runs the first {MOST_CURVES} have curves.")
    used = resources_plot(project, runs[0]) if len(runs) == 1 else None
    return replace(found, plot=plot, resources=used, missing=tuple(missing))


def drawn_metrics(found: Material, runs: Sequence[Run]) -> list[str]:
    """Metrics of several points: of two runs those that differ first, of many those with a goal; few of many."""
    from mltrack.formats.ranked import split_rank

    counts: dict[str, int] = {}
    for run in runs:
        for name, summary in run.metrics.items():
            if summary.count > 1 and split_rank(name)[1] is None:
                counts[name] = counts.get(name, 0) + 1
    first: list[str] = []
    if found.differences is not None:
        first = [change.what for change in found.differences.metrics]
    elif found.comparison is not None:
        first = [row.name for row in found.comparison.differing if row.section == "metrics" and row.goal]
    told = [name for name in first if name in counts]
    others = sorted((name for name in counts if name not in set(told)), key=lambda name: -counts[name])
    return [*told, *others][:MOST_PANELS]


def metrics_plot(project: Project, runs: Sequence[Run], names: Sequence[str], missing: list[str]) -> Plot | None:
    """A panel a metric; None where no points are here, which is said in `missing`."""
    from mltrack.operations.seeing.curves import Wanted, plot_of_runs

    try:
        if not names:
            return None
        plot = plot_of_runs(project, runs, Wanted(tuple(names)))
        labels = short_labels(runs)
        return replace(plot, title="", panels=tuple(relabelled(panel, labels) for panel in plot.panels))
    except MltrackError as error:
        missing.append(f"The curves are not drawn: {error.message}")
        return None


def short_labels(runs: Sequence[Run]) -> dict[str, str]:
    """What runs are called in a small plot: what sets them apart stands in the tables beside it."""
    names = [run.name for run in runs]
    return {
        run.id: run.name if run.name and len(run.name) <= LONGEST_LABEL and names.count(run.name) == 1 else run.id[:8]
        for run in runs
    }


def relabelled(panel: Panel, labels: Mapping[str, str]) -> Panel:
    """The panel with its curves called so."""
    from mltrack.plots import Lines

    if not isinstance(panel, Lines):
        return panel
    curves = tuple(replace(curve, label=labels.get(curve.run or "", curve.label)) for curve in panel.curves)
    return replace(panel, curves=curves)


def resources_plot(project: Project, run: Run) -> Plot | None:
    """What a run used over time, as far as samples of it are here: memory, processors, GPUs."""
    from mltrack.operations.seeing.curves import Wanted, plot_of_runs
    from mltrack.operations.seeing.points import sampled_names

    try:
        known = sampled_names(project, run)
        names = [name for name in known if name in SAMPLED or name.startswith("gpu")][:MOST_PANELS]
        return replace(plot_of_runs(project, [run], Wanted(tuple(names), x="time")), title="") if names else None
    except MltrackError:
        return None  # the table says what it used


def without_remotes(project: Project) -> None:
    """As long as this project is open, none of its remotes is asked for anything."""
    project.__dict__["config"] = replace(project.config, remotes={})


def subjects(project: Project, asked: Asked, tell: Tell) -> tuple[Run, ...]:
    """The runs in the order in which they are told: what others are held against first, of two else the older one."""
    from mltrack.operations.find import find_run

    choice = replace(asked.choice, limit=1) if asked.choice.is_empty else asked.choice
    found = chosen_runs(project, choice, tell)
    if asked.against is not None:
        base = find_run(project, asked.against)
        return (base, *(run for run in found if run.id != base.id))
    if len(found) == 2 and len(split(project, choice.words)[0]) < 2:
        found.sort(key=lambda run: (run.created_at, run.id))
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
