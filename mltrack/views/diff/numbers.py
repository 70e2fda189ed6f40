"""Params and metrics of two runs side by side: values, small lines of their series, the change and what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.compare.differences import is_better
from mltrack.nouns import noun
from mltrack.records import MetricSummary
from mltrack.views.diff.fitting import Fitting
from mltrack.views.page import Cell, Grid
from mltrack.views.sparkline import scale_of, sparkline
from mltrack.views.text import cell_width, clean, number, percent, scalar, signed
from mltrack.views.verdict import heads

if TYPE_CHECKING:
    from mltrack.compare.changes import Change
    from mltrack.compare.noise.intervals import Noted

    Series = Mapping[str, Sequence[float]]

SPARKS = (16, 10, 6)
"""Widths of the small lines, the first that fits."""
ALIGNS = "<>>>><<<"
WORDS = 5
"""Columns of names and numbers; those of words behind them are left out where they have nothing to say."""
VALUES = (1, 2)
LONG = 24
"""Cells of a value that is no number any more."""
KINDS = {"added": "green", "removed": "red"}


@noun
class Numbers:
    """What is known of metrics beside their values."""

    ids: tuple[str, str]
    limit: int | None
    more: str
    noise: Mapping[str, Noted]
    goals: Mapping[str, str]
    series: tuple[Series, Series] = ({}, {})
    remark: str = ""
    """What was said of all of them before."""


def numbers_block(changes: Sequence[Change], known: Numbers) -> Fitting:
    """One change a row; where there is room, with the course that each metric took."""
    rows = [number_row(change, known) for change in changes]
    columns = [place for place in range(len(ALIGNS)) if place < WORDS or any(row[place] for row in rows)]
    # The values are what a person looks for: the name and the remarks give way.
    plain = Grid(
        [[row[place] for place in columns] for row in rows],
        aligns(rows, columns),
        heads("", *known.ids, *[""] * (len(columns) - 3)),
        limit=known.limit,
        more=known.more,
        whole=tuple(range(3, min(6, len(columns)))),
        is_last_below=len(columns) > WORDS + 1,
        capped=VALUES,
    )
    shown = changes[: known.limit]
    if not any(change.what in series for change in shown for series in known.series):
        return Fitting((plain,), plain)
    return Fitting((*(with_sparks(plain, changes, known, width) for width in SPARKS), plain), plain)


def aligns(rows: Sequence[tuple[Cell, ...]], columns: Sequence[int]) -> str:
    """Values to the right, unless there are long texts among them: short ones would stand far from their names."""
    has_texts = any(cell_width(clean(words(row[place]))) > LONG for row in rows for place in VALUES)
    return "".join("<" if has_texts and place in VALUES else ALIGNS[place] for place in columns)


def remark_of_all(changes: Sequence[Change]) -> str:
    """`100 → 150 points`, where that is so of every metric that both runs have."""
    told = {words(aside(change)) for change in changes if change.kind not in KINDS}
    return told.pop() if len(told) == 1 and len(changes) > 1 else ""


def words(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def with_sparks(plain: Grid, changes: Sequence[Change], known: Numbers, width: int) -> Grid:
    """The grid with a column behind each value."""
    rows = []
    for row, change in zip(plain.rows, changes):
        first, second = sparks(change.what, known.series, width)
        rows.append((row[0], row[1], (first, "dim"), row[2], (second, "dim"), *row[3:]))
    head = list(plain.header or ())
    header = [head[0], head[1], "", head[2], "", *head[3:]]
    whole = (2, 4, *(place + 2 for place in plain.whole))
    return replace(plain, rows=rows, header=header, aligns="<><><" + plain.aligns[3:], whole=whole, capped=(1, 3))


def sparks(name: str, series: tuple[Series, Series], width: int) -> tuple[str, str]:
    """The series of a metric in both runs, on one scale."""
    pair = [one.get(name, ()) for one in series]
    between = scale_of(*pair)
    first, second = (sparkline(values, width, between) for values in pair)
    return first, second


def number_row(change: Change, known: Numbers) -> tuple[Cell, ...]:
    """Name, both values, the change, its per cent, better or worse, what a calibration says, and a remark."""
    if change.kind in KINDS:
        a, b = ("", shown(change.b)) if change.kind == "added" else (shown(change.a), "")
        return change.what, a, b, "", "", (change.kind, KINDS[change.kind]), "", ""
    noise = known.noise.get(change.what)
    delta = change.change
    word, style = judged(change, known.goals, noise)
    told = f"{'▲' if delta > 0 else '▼'} {signed(delta)}" if delta else ""
    share = percent(change.percent) if delta else ""
    remark = aside(change)
    row = (change.what, shown(change.a), shown(change.b), (told, style) if told else "", share)
    return (*row, (word, style) if word else "", noise_cell(noise), "" if words(remark) == known.remark else remark)


def judged(change: Change, goals: Mapping[str, str], noise: Noted | None) -> tuple[str, str]:
    """`better` or `worse` with its colour; no word for what is noise, or nobody knows how to take."""
    better = is_better(change, goals)
    if better is None or (noise is not None and noise.is_inside):
        return "", "cyan"
    return ("better", "green") if better else ("worse", "red")


def noise_cell(noted: Noted | None) -> Cell:
    """`inside noise (10 repetitions)`."""
    if noted is None:
        return ""
    from mltrack.compare.noise.intervals import FEW

    many = f"{noted.repetitions} {'seeds' if noted.vary == 'seed' else 'repetitions'}"
    many += ", too few" if noted.repetitions < FEW else ""
    return (f"inside noise ({many})", "green") if noted.is_inside else (f"outside noise ({many})", "yellow")


def shown(value: object) -> str:
    return number(value.last) if isinstance(value, MetricSummary) else scalar(value)


def aside(change: Change) -> Cell:
    """What else differs in a metric whose last point is the same, or was reached in another number of points."""
    a, b = change.a, change.b
    if not isinstance(a, MetricSummary) or not isinstance(b, MetricSummary):
        return ("other type", "dim") if shown(a) == shown(b) else ""
    if a.count != b.count:
        return (f"{a.count:,} → {b.count:,} points", "dim")
    if a.last == b.last:
        return (f"min {number(a.min)} → {number(b.min)}, max {number(a.max)} → {number(b.max)}", "dim")
    return ""
