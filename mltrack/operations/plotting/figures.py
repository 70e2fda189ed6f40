"""The plots that are not lines: which one a command line asks for; and of one field against another, its dots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import NotFound, UsageError
from mltrack.formats.predictions import Named
from mltrack.nouns import noun
from mltrack.operations.plotting.field_values import Column, column, is_finite
from mltrack.operations.plotting.labels import own_names
from mltrack.plots import Dot, Plot, Scatter

if TYPE_CHECKING:
    from mltrack.operations.plotting.curves import Wanted
    from mltrack.operations.plotting.field_values import Value
    from mltrack.operations.request import Tell
    from mltrack.operations.seeing.selection import Choice
    from mltrack.plots import Axis
    from mltrack.project import Project
    from mltrack.records import Run


@noun
class Figure:
    """A plot that is no lines."""

    kind: str
    """`scatter`, `parallel`, `confusion`, `roc` or `pr`."""
    scatter: tuple[str, str] | None = None
    files: tuple[str, ...] = ()
    named: Named = Named()
    coloured_by: str | None = None
    by_row: bool = False


def figure_plot(project: Project | None, choice: Choice, wanted: Wanted, figure: Figure, tell: Tell) -> Plot:
    """The plot, with its numbers. Without a project there are only files here. Raises UsageError, NotFound,
    DataMissing."""
    from mltrack.operations.seeing.selection import chosen_runs

    wanted.check()
    if figure.files:
        from mltrack.operations.plotting.classification import Sought, classification

        runs = [] if project is None or choice.is_empty else chosen_runs(project, choice, tell)
        sought = Sought(figure.kind, figure.files, figure.named, figure.by_row, wanted.title)
        return classification(project, runs, sought, tell)
    assert project is not None, "without files there is a project"
    if figure.scatter is not None:
        from mltrack.operations.seeing.naming import name_among

        runs = chosen_runs(project, choice, tell)
        x, y = (name_among(runs, name, tell) for name in figure.scatter)
        colour = figure.coloured_by and name_among(runs, figure.coloured_by, tell)
        return scatter(runs, Against(x, y, colour, wanted.log, wanted.title))
    from mltrack.operations.plotting.parallel import Beside, fields_among, parallel

    choice, fields = fields_among(project, choice)
    runs = chosen_runs(project, choice, tell)
    if len(wanted.metrics) > 1:
        raise UsageError("--parallel has one metric, at its end.", "Name more fields: --parallel lr,loss,acc")
    metric = next(iter(wanted.metrics), None)
    return parallel(runs, Beside(fields, metric, wanted.title), project.config.goals)


@noun
class Against:
    """What a scatter plot is asked to show; `log` is of "x", "y", both or none."""

    x: str
    y: str
    colour: str | None = None
    log: str = ""
    title: str | None = None


def scatter(runs: Sequence[Run], asked: Against) -> Plot:
    """One dot a run. Raises UsageError for a field that is none, NotFound where no run has one of them."""
    x, y = column(runs, asked.x), column(runs, asked.y)
    colour = None if asked.colour is None else column(runs, asked.colour)
    x_axis, y_axis = replace(x.axis, is_log="x" in asked.log), replace(y.axis, is_log="y" in asked.log)
    whole = [at for at in range(len(runs)) if x.values[at] is not None and y.values[at] is not None]
    finite = [at for at in whole if is_finite(x.values[at]) and is_finite(y.values[at])]
    drawn = [at for at in finite if has_place(x_axis, x.values[at]) and has_place(y_axis, y.values[at])]
    remarks = [
        *left_out(len(runs) - len(whole), "lacks one of the two", "lack one of the two"),
        *left_out(len(whole) - len(finite), "has a NaN or an infinity there", "have a NaN or an infinity there"),
        *left_out(
            len(finite) - len(drawn),
            "is not positive, and has no place on a log axis",
            "are not positive, and have no place on a log axis",
        ),
    ]
    if not drawn:
        raise NotFound(f"No run has a place for {asked.x} against {asked.y}.", " ".join(remarks) or None)
    names = own_names([runs[at] for at in drawn])
    dots = tuple(dot((runs[at], names[runs[at].id]), x.values[at], y.values[at], colour, at) for at in drawn)
    remarks[:0] = correlation(asked, dots)
    title = asked.title or f"{asked.y} against {asked.x}"
    panel = Scatter("", x_axis, y_axis, dots, None if colour is None else colour.axis)
    return Plot(title, (panel,), tuple(remarks))


def dot(named: tuple[Run, str], x: Value, y: Value, colour: Column | None, at: int) -> Dot:
    """The dot of a run and its label; `at` is its place among the values of the colour."""
    run, label = named
    assert x is not None and y is not None, "only what has a place is drawn"
    shade = None if colour is None else colour.values[at]
    if isinstance(shade, float):
        return Dot(x, y, label, "", run.id, shade if math.isfinite(shade) else None)
    group = "" if colour is None else "(none)" if shade is None else shade
    return Dot(x, y, label, group, run.id)


def correlation(asked: Against, dots: Sequence[Dot]) -> list[str]:
    """Spearman's rank correlation as a sentence, where both are numbers and there are enough."""
    from mltrack.compare.rates import spearman

    xs, ys = [one.x for one in dots], [one.y for one in dots]
    if any(isinstance(value, str) for value in (*xs, *ys)):
        return []
    found = spearman(xs, ys)
    if found is None:
        return []
    return [f"Spearman's rank correlation of {asked.x} and {asked.y}: {found:+.2f}, n = {len(dots)}."]


def left_out(count: int, one: str, many: str) -> list[str]:
    if not count:
        return []
    return [f"Not drawn: {count:,} {'run' if count == 1 else 'runs'}, which {one if count == 1 else many}."]


def has_place(axis: Axis, value: Value) -> bool:
    return not axis.is_log or not isinstance(value, float) or value > 0
