"""The plots of a report: metrics over their steps, alike runs as bands, and what one run used over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.compare.seeds import is_seed
from mltrack.errors import MltrackError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mltrack.operations.reporting.report import Material
    from mltrack.plots import Panel, Plot
    from mltrack.project import Project
    from mltrack.records import Run

MOST_PANELS = 8
SAMPLED = ("memory_bytes", "cpu_percent")
"""Resources that are drawn, beside those of GPUs."""
MOST_CURVES = 24
"""Runs, or groups of alike ones, with a curve each: more are a picture of nothing."""
MOST_READ = 240
"""Runs whose points are read for them."""
LONGEST_LABEL = 24


def with_plots(project: Project, found: Material) -> Material:
    """With the metrics over their steps, of one run also what it used. What cannot be drawn is left out, and said."""
    groups = alike(project, found.runs) if len(found.runs) > 2 else [[run] for run in found.runs]
    runs = [run for group in groups[:MOST_CURVES] for run in group][:MOST_READ]
    missing = list(found.missing)
    names = drawn_metrics(found, runs)
    plot = metrics_plot(project, runs, names, missing, len(groups) < len(found.runs))
    if plot is not None and len(runs) < len(found.runs):
        missing.append(f"Of {len(found.runs):,} runs {len(runs):,} have curves.")
    used = resources_plot(project, runs[0]) if len(runs) == 1 else None
    return replace(found, plot=plot, resources=used, missing=tuple(missing))


def alike(project: Project, runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that are alike but for the seed together, each group where its first one stands."""
    from mltrack.operations.plotting.alike_runs import alike_runs

    known = alike_runs(project, runs)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(known[run.id], []).append(run)
    return list(groups.values())


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


def metrics_plot(
    project: Project, runs: Sequence[Run], names: Sequence[str], missing: list[str], has_bands: bool
) -> Plot | None:
    """A panel a metric, with bands runs that are alike but for the seed as one; None where no points are here, which is
    said in `missing`."""
    from mltrack.operations.plotting.curves import Wanted, plot_of_runs

    if not names:
        return None
    try:
        plot = plot_of_runs(project, runs, Wanted(tuple(names), band=has_bands))
    except MltrackError as error:
        missing.append(f"The curves are not drawn: {error.message}")
        return None
    labels = short_labels(runs)
    return replace(plot, title="", panels=tuple(relabelled(panel, labels) for panel in plot.panels))


def short_labels(runs: Sequence[Run]) -> dict[str, str]:
    """What runs are called in a small plot: a name or an id, and as many of the params that differ as have room."""
    from mltrack.operations.plotting.labels import differing, own_names, texts_by_param, told

    params = [name for name in differing(runs) if not is_seed(name)] if len(runs) > 1 else []
    made = {}
    for run_id, name in own_names(runs).items():
        made[run_id] = name if len(name) <= LONGEST_LABEL else run_id[:8]
    texts = texts_by_param(runs, params)
    for run in runs:
        for word in told(run, params, texts):
            if len(made[run.id]) + 1 + len(word) <= LONGEST_LABEL:
                made[run.id] += f" {word}"
    return made


def relabelled(panel: Panel, labels: Mapping[str, str]) -> Panel:
    """The panel with its curves called so."""
    from mltrack.plots import Lines

    if not isinstance(panel, Lines):
        return panel
    curves = tuple(replace(curve, label=labels.get(curve.run or "", curve.label)) for curve in panel.curves)
    return replace(panel, curves=curves)


def resources_plot(project: Project, run: Run) -> Plot | None:
    """What a run used over time, as far as samples of it are here: memory, processors, GPUs."""
    from mltrack.operations.plotting.curves import Wanted, plot_of_runs
    from mltrack.operations.plotting.points import sampled_names

    try:
        known = sampled_names(project, run)
        names = [name for name in known if name in SAMPLED or name.startswith("gpu")][:MOST_PANELS]
        return replace(plot_of_runs(project, [run], Wanted(tuple(names), x="time")), title="") if names else None
    except MltrackError:
        return None  # the table says what it used
