"""`mltrack plot`."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mltrack.cli.choosing import choosing
from mltrack.cli.options import Json, Many
from mltrack.cli.start import say, working_directory
from mltrack.errors import UsageError
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.operations.plotting.curves import Wanted
    from mltrack.operations.plotting.figures import Figure
    from mltrack.operations.seeing.selection import Choice
    from mltrack.plots import Plot
    from mltrack.views.plot.out import Wish

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write a picture: .png, .svg or .pdf; - is stdout."),
]
Metrics = Annotated[
    Many, typer.Option("--metric", "-m", metavar="NAME|PATTERN,...", help="A metric or a resource: loss, 'val/*' ...")
]
X = Annotated[
    str | None, typer.Option("--x", "-x", metavar="step|time|points|METRIC", help="What the horizontal axis shows.")
]
Smooth = Annotated[
    float | None,
    typer.Option("--smooth", metavar="0..1|N", help="Smooth: the weight of what was before, or a window of N points."),
]
Log = Annotated[str | None, typer.Option("--log", metavar="x|y|xy", help="Axes with a scale of powers.")]
Banded = Annotated[
    bool, typer.Option("--band", help="Runs that are alike but for the seed as their mean, with its 95 % interval.")
]
Size = Annotated[str | None, typer.Option("--size", metavar="WxH", help="In inches (10x6), or of a text in cells.")]

Scatter = Annotated[
    tuple[str, str] | None, typer.Option("--scatter", metavar="X Y", help="One field of the runs against another.")
]
Parallel = Annotated[
    bool, typer.Option("--parallel", help="Parallel coordinates: of lr,depth,acc behind it, else of what differs.")
]
Confusion = Annotated[
    Many, typer.Option("--confusion", metavar="FILE", help="Confusion matrix of an artifact (RUN:PATH too) or a file.")
]
Roc = Annotated[Many, typer.Option("--roc", metavar="FILE", help="ROC curve from labels and scores, or a ready one.")]
Pr = Annotated[Many, typer.Option("--pr", metavar="FILE", help="Precision and recall from labels and scores.")]
Actual = Annotated[str | None, typer.Option("--actual", metavar="COL", help="The file's column of actual classes.")]
Predicted = Annotated[str | None, typer.Option("--predicted", metavar="COL", help="That of predicted classes.")]
Score = Annotated[str | None, typer.Option("--score", metavar="COL", help="That of scores.")]
Positive = Annotated[str | None, typer.Option("--positive", metavar="CLASS", help="The class that scores are for.")]
ByRow = Annotated[
    bool, typer.Option("--normalise", "--normalize", help="Per cent of each row in a confusion matrix, not counts.")
]
Colour = Annotated[
    str | None, typer.Option("--colour", "--color", metavar="FIELD", help="Colour the dots of --scatter by this field.")
]

Dpi = Annotated[int | None, typer.Option("--dpi", metavar="N", help="Pixels of an inch, of a PNG; usually 120.")]
Ylim = Annotated[
    str | None, typer.Option("--ylim", metavar="LOW,HIGH", help="The vertical axis of lines; either may be left out.")
]
Legend = Annotated[
    str | None, typer.Option("--legend", metavar="right|inside|below|off", help="Where the names of curves stand.")
]
Label = Annotated[
    str | None, typer.Option("--label", metavar="FIELD,...", help="What curves are called by: name, params.lr ...")
]


@choosing
def plot(
    choice: Choice,
    metrics: Metrics = None,
    x: X = None,
    smooth: Smooth = None,
    log: Log = None,
    band: Banded = False,
    group_by: Annotated[
        str | None, typer.Option("--group-by", metavar="FIELD", help="One look for all runs that have the same value.")
    ] = None,
    rank: Annotated[
        int | None, typer.Option("--rank", metavar="N", min=0, help="The points that rank N logged.")
    ] = None,
    scatter: Scatter = None,
    parallel: Parallel = False,
    confusion: Confusion = None,
    roc: Roc = None,
    pr: Pr = None,
    actual: Actual = None,
    predicted: Predicted = None,
    score: Score = None,
    positive: Positive = None,
    by_row: ByRow = False,
    coloured_by: Colour = None,
    label: Label = None,
    ylim: Ylim = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="What stands above it.")] = None,
    size: Size = None,
    dpi: Dpi = None,
    legend: Legend = None,
    dark: Annotated[bool, typer.Option("--dark/--light", help="For a dark page, or a light one.")] = False,
    output: Output = None,
    as_text: Annotated[bool, typer.Option("--text", help="As text, also where a picture could be shown.")] = False,
    as_json: Json = False,
) -> None:
    """Draw the metrics of runs over their steps or over time.

    Without arguments the newest run that has metrics. Without -o a picture where the terminal can show one, else text.
    """
    from mltrack.operations.plotting.curves import Wanted
    from mltrack.views.plot.out import Wish, form_of

    wish = Wish(output, as_text, as_json, size, dark, dpi, legend)
    form_of(wish)  # an ending that is none is told before anything is read
    ends = ends_of(ylim)
    wanted = Wanted(tuple(metrics or ()), x, smooth, log or "", band, group_by, rank, title, not as_json, ends, label)
    kinds = {"scatter": scatter, "parallel": parallel, "confusion": confusion, "roc": roc, "pr": pr}
    figure = asked_figure(kinds, (actual, predicted, score, positive), coloured_by, by_row)
    if figure is not None and (ylim or label):
        raise UsageError(f"{'--ylim' if ylim else '--label'} is for lines.", "Leave it out, or draw metrics.")
    directory = working_directory()
    project = Project.find(directory)
    if project is None and (figure is None or not figure.files or not choice.is_empty):
        project = Project.get(directory)  # which says that there is none
    with project or nullcontext():
        drawn = plot_of(project, choice, wanted, figure)
    put_out(drawn, wish)


def ends_of(text: str | None) -> tuple[float | None, float | None]:
    """The ends of an axis: `0,1`, `0,` or `,1`. Raises UsageError."""
    if text is None:
        return None, None
    parts = text.split(",")
    try:
        found = [float(part) if part.strip() else None for part in parts]
    except ValueError:
        found = []
    known = [end for end in found if end is not None]
    is_odd = not all(math.isfinite(end) and abs(end) < 1e300 for end in known)
    if len(found) != 2 or not known or is_odd or known != sorted(set(known)):
        raise UsageError(f"--ylim {text[:40]} is no pair of ends.", "The lower first: --ylim 0,1; or one: --ylim 0,")
    return found[0], found[1]


def plot_of(project: Project | None, choice: Choice, wanted: Wanted, figure: Figure | None) -> Plot:
    """What was asked for, with its numbers."""
    if figure is not None:
        from mltrack.operations.plotting.figures import figure_plot

        return figure_plot(project, choice, wanted, figure, say)
    from mltrack.operations.plotting.curves import lines_plot

    assert project is not None, "lines are of runs"
    return lines_plot(project, choice, wanted, say)


def asked_figure(
    kinds: Mapping[str, Any], columns: tuple[str | None, ...], coloured_by: str | None, by_row: bool
) -> Figure | None:
    """A plot that is no lines; None where none was asked for. Raises UsageError for two at once."""
    asked = [name for name, value in kinds.items() if value]
    if len(asked) > 1:
        raise UsageError(f"--{asked[0]} and --{asked[1]} are two plots.", "Ask for one at a time.")
    if not asked:
        return None
    from mltrack.formats.predictions import Named
    from mltrack.operations.plotting.figures import Figure

    files = tuple(kinds[asked[0]]) if asked[0] in ("confusion", "roc", "pr") else ()
    return Figure(asked[0], kinds["scatter"], files, Named(*columns), coloured_by, by_row)


def put_out(drawn: Plot, wish: Wish) -> None:
    """Write a plot to where it was wished for."""
    from mltrack.views.console import write
    from mltrack.views.plot.out import rendered, write_picture

    if wish.output is not None:
        write_picture(drawn, wish)
    else:
        write(sys.stdout, rendered(drawn, wish, sys.stdout))
