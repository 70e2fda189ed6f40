"""Curves of metrics over steps or time: which, of which runs, smoothed, as bands, and few enough points to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.errors import NotFound, UsageError
from mltrack.nouns import noun
from mltrack.operations.plotting.drawing import Drawing
from mltrack.operations.plotting.labels import keys_of, labels_of, shades_of
from mltrack.operations.plotting.metric_names import (
    chosen_names,
    matching,
    names_by_use,
    parts_of,
    resources,
    unknown,
)
from mltrack.plots import Curve, Plot

if TYPE_CHECKING:
    from mltrack.operations.plotting.banding import Grouping
    from mltrack.operations.request import Tell
    from mltrack.operations.seeing.selection import Choice
    from mltrack.project import Project
    from mltrack.records import Run

LOOKED_AT = 200
"""Runs that are looked at for the newest one with metrics."""


@noun
class Wanted:
    """What a plot of lines is asked to show."""

    metrics: tuple[str, ...] = ()
    """Names or patterns, of metrics and of resources; of none all metrics."""
    x: str | None = None
    """`step`, `time`, `points` or a metric; None: steps where there are any."""
    smooth: float | None = None
    log: str = ""
    band: bool = False
    group_by: str | None = None
    rank: int | None = None
    title: str | None = None
    is_drawn: bool = True
    """Only as many points as a picture can show; False: all of them."""
    y_ends: tuple[float | None, float | None] = (None, None)
    """Where the vertical axis ends; None: as the values need."""
    label: str | None = None
    """Fields, with commas between them, that curves are called by; None: name or id, and what differs."""

    def check(self) -> None:
        """Raises UsageError for what cannot be."""
        if self.smooth is not None and not (0 <= self.smooth < 1 or (self.smooth >= 1 and self.smooth % 1 == 0)):
            raise UsageError(
                f"--smooth {self.smooth:g} is no smoothing.", "From 0 to 0.999, or a whole number of points."
            )
        if sorted(self.log) not in ([], ["x"], ["y"], ["x", "y"]):
            raise UsageError(f"--log {self.log[:20]} is no axis.", "Write --log x, --log y or --log xy.")
        if "y" in self.log and any(end is not None and end <= 0 for end in self.y_ends):
            raise UsageError("A log axis has no place for 0 or less.", "Give --ylim positive ends, or none: --ylim ,1")


def lines_plot(project: Project, choice: Choice, wanted: Wanted, tell: Tell) -> Plot:
    """The plot of lines that a command line asks for. Raises UsageError, NotFound with near names."""
    wanted.check()
    runs = [newest_with_metrics(project, wanted)] if choice.is_empty else chosen(project, choice, tell)
    return plot_of_runs(project, runs, wanted)


def chosen(project: Project, choice: Choice, tell: Tell) -> list[Run]:
    from mltrack.operations.seeing.selection import chosen_runs

    return chosen_runs(project, choice, tell)


def newest_with_metrics(project: Project, wanted: Wanted) -> Run:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.find import list_runs

    runs: list[Run] = []
    for limit in (5, LOOKED_AT):
        runs = list_runs(project, RunQuery(limit))
        for run in runs:
            if run.metrics and (not wanted.metrics or has_any(run, wanted.metrics)):
                return run
    if runs and wanted.metrics:
        sampled = resources(project, runs[:1])
        if any(matching(sampled, name) for word in wanted.metrics for name in parts_of(word, sampled)):
            return runs[0]
        raise unknown(wanted.metrics[0], names_by_use(runs), len(runs))
    raise NotFound(
        "No run has metrics yet." if runs else "There are no runs yet.",
        'Log one in the command: mltrack.log({"loss": 0.3}), or write a metrics file: docs/guides/metrics.md.',
    )


def has_any(run: Run, asked: Sequence[str]) -> bool:
    return any(matching(run.metrics, name) for word in asked for name in parts_of(word, run.metrics))


def plot_of_runs(project: Project, runs: Sequence[Run], wanted: Wanted) -> Plot:
    """The metrics of some runs: a panel a metric, in it a curve a run. Raises UsageError, NotFound."""
    wanted.check()
    names, remarks = chosen_names(project, runs, wanted.metrics)
    labelled_by = [part.strip() for part in (wanted.label or "").split(",") if part.strip()]
    drawing = Drawing(wanted, labels_of(runs, wanted.group_by, labelled_by))
    if wanted.band:
        drawing.grouping = grouping_of(project, runs, drawing.labels, wanted.group_by)
    elif not wanted.group_by and not wanted.label:
        drawing.shades = shades_of(runs)
    panels = drawing.panels(project, runs, names)
    title = wanted.title or ("" if len(runs) > 1 else next(iter(drawing.labels.values())))
    return Plot(title, panels, (*remarks, *drawing.remarks()))


def grouping_of(project: Project, runs: Sequence[Run], labels: Mapping[str, str], group_by: str | None) -> Grouping:
    """Which runs make a band: those with the same value, or those that are alike but for the seed."""
    from mltrack.operations.plotting.alike_runs import alike_runs
    from mltrack.operations.plotting.banding import Grouping

    alike = alike_runs(project, runs)
    return Grouping(keys_of(runs, group_by) if group_by else alike, alike, labels, group_by)


def curves(
    project: Project, runs: Sequence[Run], names: Sequence[str], wanted: Wanted | None = None
) -> dict[str, list[Curve]]:
    """Metric -> its curves, one for each of the runs that has it. See `Wanted` for x, smoothing and the like."""
    drawing = Drawing(wanted or Wanted(), labels_of(runs, None))
    return {panel.title: list(panel.curves) for panel in drawing.panels(project, runs, names)}
