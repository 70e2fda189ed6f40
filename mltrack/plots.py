"""The nouns of a plot: what is drawn, without a word on how. Operations make them, `views/plot` draws them as a picture
or as text, and a report sets several of them on a page.

Values are sequences of floats (numpy arrays where they are long), in the order in which they are drawn; NaN leaves a
gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.nouns import noun

if TYPE_CHECKING:
    import numpy

    Floats = Sequence[float] | numpy.ndarray


@noun
class Curve:
    """One line: a metric of one run."""

    label: str
    xs: Floats
    ys: Floats
    raw: Floats | None = None
    """The values before they were smoothed; drawn faintly behind."""
    run: str | None = None
    """Id of the run that it belongs to; curves of one run look alike in every panel."""
    shade: float | None = None
    """Where curves are coloured by a value: which."""


@noun
class Band:
    """Runs that are alike but for the seed, as one: their mean, and the interval of confidence around it."""

    label: str
    xs: Floats
    middle: Floats
    low: Floats
    high: Floats
    runs: int
    confidence: float = 0.95


@noun
class Axis:
    """What stands beside an axis, and its scale."""

    label: str = ""
    is_log: bool = False
    unit: str = ""
    """`s`, `bytes`, `per cent` or nothing."""
    names: tuple[str, ...] = ()
    """Of an axis of names: the order in which they stand."""


@noun
class Lines:
    """Curves and bands in one field."""

    title: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...] = ()
    bands: tuple[Band, ...] = ()
    colour: Axis | None = None
    """What the shades of the curves are of."""
    y_ends: tuple[float | None, float | None] = (None, None)
    """Where the vertical axis ends; None: as the values need."""


@noun
class Dot:
    """One run in a scatter plot. Texts are drawn on an axis of names."""

    x: float | str
    y: float | str
    label: str
    group: str = ""
    run: str | None = None
    shade: float | None = None
    """Where the colour is a number: which; `group` is then empty."""


@noun
class Scatter:
    """A param against a metric, or any field against another."""

    title: str
    x: Axis
    y: Axis
    dots: tuple[Dot, ...] = ()
    colour: Axis | None = None
    """What the groups or shades of the dots are of."""


@noun
class Parallel:
    """Parallel coordinates: a line a run across one axis a field."""

    title: str
    axes: tuple[Axis, ...]
    labels: tuple[str, ...]
    rows: tuple[tuple[float | str | None, ...], ...]
    """A value of each axis for each run; None where the run has none."""
    coloured_by: int | None = None
    """Number of the axis whose value gives the colour."""
    weights: tuple[float, ...] = ()
    """How much each axis goes with the last, from 0 to 1: where there is no room, the others stay away first."""


@noun
class Confusion:
    """How often which class was taken for which."""

    title: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """A row for each actual class, in it a count for each predicted one."""
    by_row: bool = False
    """Show the share of each row instead of the count."""


@noun
class Rates:
    """ROC or precision and recall curves."""

    title: str
    kind: str
    """`roc` or `pr`."""
    curves: tuple[Curve, ...]
    """The label holds the area."""
    areas: tuple[float, ...] = ()
    """Of each curve: under ROC by trapezoids, of precision and recall the average precision; NaN of a part of one."""


Panel = Lines | Scatter | Parallel | Confusion | Rates


@noun
class Plot:
    """Panels in one picture."""

    title: str
    panels: tuple[Panel, ...]
    remarks: tuple[str, ...] = ()
    """What a reader must know: points that are not drawn, runs left out, what a band means."""
    looks: tuple[str, ...] = ()
    """Labels whose looks come first, where this is one of several pictures: a run then looks alike in all of them."""
