"""Curves of metrics over steps or time: which, of which runs, smoothed, as bands, and few enough points to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.errors import NotFound, UsageError
from mltrack.nouns import noun
from mltrack.operations.seeing.drawing import Drawing
from mltrack.operations.seeing.labels import labels_of, shades_of
from mltrack.operations.seeing.metric_names import chosen_names, matching
from mltrack.plots import Curve, Plot

if TYPE_CHECKING:
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

    def check(self) -> None:
        """Raises UsageError for what cannot be."""
        if self.smooth is not None and not (0 <= self.smooth < 1 or (self.smooth >= 1 and self.smooth % 1 == 0)):
            raise UsageError(
                f"--smooth {self.smooth:g} is no smoothing.", "From 0 to 0.999, or a whole number of points."
            )
        if sorted(self.log) not in ([], ["x"], ["y"], ["x", "y"]):
            raise UsageError(f"--log {self.log[:20]} is no axis.", "Write --log x, --log y or --log xy.")


def lines_plot(project: Project, choice: Choice, wanted: Wanted, tell: Tell) -> Plot:
    """The plot of lines that a command line asks for. Raises UsageError, NotFound with near names."""
    wanted.check()
    runs = [newest_with_metrics(project, wanted)] if choice.is_empty else chosen(project, choice, tell)
    return plot_of_runs(project, runs, wanted)


def chosen(project: Project, choice: Choice, tell: Tell) -> list[Run]:
    from mltrack.operations.seeing.selection import chosen_runs

    return chosen_runs(project, choice, tell)


def newest_with_metrics(project: Project, wanted: Wanted) -> Run:
    from mltrack.ledger.queries import RunQuery
    from mltrack.operations.find import list_runs

    for limit in (5, LOOKED_AT):
        for run in list_runs(project, RunQuery(limit)):
            if run.metrics and (not wanted.metrics or any(matching(run.metrics, name) for name in wanted.metrics)):
                return run
    runs = list_runs(project, RunQuery(1))
    if runs and wanted.metrics:  # a resource, or a name that none has, of which the error then tells
        return runs[0]
    raise NotFound(
        "No run has metrics yet." if runs else "There are no runs yet.",
        'Log one in the command: mltrack.log({"loss": 0.3}), or write a metrics file: docs/guides/metrics.md.',
    )


def plot_of_runs(project: Project, runs: Sequence[Run], wanted: Wanted) -> Plot:
    """The metrics of some runs: a panel a metric, in it a curve a run. Raises UsageError, NotFound."""
    wanted.check()
    names, remarks = chosen_names(project, runs, wanted.metrics)
    drawing = Drawing(wanted, labels_of(runs, wanted.group_by))
    if not wanted.band and not wanted.group_by:
        drawing.shades = shades_of(runs)
    panels = drawing.panels(project, runs, names)
    title = wanted.title or ("" if len(runs) > 1 else next(iter(drawing.labels.values())))
    return Plot(title, panels, (*remarks, *drawing.remarks()))


def curves(
    project: Project, runs: Sequence[Run], names: Sequence[str], wanted: Wanted | None = None
) -> dict[str, list[Curve]]:
    """Metric -> its curves, one for each of the runs that has it. See `Wanted` for x, smoothing and the like."""
    drawing = Drawing(wanted or Wanted(), labels_of(runs, None))
    return {panel.title: list(panel.curves) for panel in drawing.panels(project, runs, names)}
