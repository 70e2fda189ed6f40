"""Rows of what differs in two runs: numbers with change and per cent, files, packages, anything else.

Texts are as they were recorded. `pair` sets them on a page, `short` in Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.compare.changes import Change
from mltrack.compare.differences import LIBRARIES, Differences, is_better
from mltrack.compare.packages import direction
from mltrack.records import Artifact, Input, MetricSummary
from mltrack.views.report.blocks import Cell, Course, Table, split
from mltrack.views.report.tables import Sparks, cut
from mltrack.views.show import extent, name_of
from mltrack.views.sparkline import scale_of
from mltrack.views.text import duration, number, percent, scalar, short_digest, signed, size

if TYPE_CHECKING:
    from mltrack.compare.noise.intervals import Noted

OBJECT_ID = re.compile(r"(?:b3:)?[0-9a-f]{40,64}")
KINDS: Mapping[str, Cell] = {
    "added": ("+ added", "good"),
    "removed": ("- removed", "bad"),
    "changed": ("~ changed", "warn"),
    "renamed": ("→ renamed", "dim"),
    "unknown": ("? cannot tell", "warn"),
    "rebuilt": ("~ other files", "warn"),
    "moved": ("→ from elsewhere", "dim"),
}


def shown(what: str, value: object) -> str:
    """A recorded value; ids only as far as they help to recognise them, sizes and lengths with their unit."""
    if value is None:
        return ""
    if isinstance(value, MetricSummary):
        return number(value.last)
    if isinstance(value, (Input, Artifact)):
        return f"{extent(value)} {short_digest(value.digest)}"
    if isinstance(value, str) and (LIBRARIES in what or not OBJECT_ID.fullmatch(value)):
        return cut(scalar(value), 500)
    if isinstance(value, str):
        return short_digest(value)
    if isinstance(value, int) and (what.endswith("_bytes") or what.startswith("left_out.")):
        return size(value)
    if isinstance(value, (int, float)) and what.endswith(("duration_s", "cpu_seconds")):
        return duration(value)
    return cut(scalar(value), 500)


def better(change: Change, found: Differences) -> Cell:
    """`better` or `worse`, where it is known which is which."""
    is_so = is_better(change, found.goals)
    return "" if is_so is None else ("better", "good") if is_so else ("worse", "bad")


def moved(change: Change) -> str:
    """`▲ +0.08`, or what became of it."""
    delta = change.change
    if delta:
        return f"{'▲' if delta > 0 else '▼'} {signed(delta)}"
    if change.kind in ("added", "removed"):
        return change.kind
    return remark_on(change)


def remark_on(change: Change) -> str:
    """What else differs in a metric whose last point is the same, or in a value that looks the same."""
    a, b = change.a, change.b
    if not isinstance(a, MetricSummary) or not isinstance(b, MetricSummary):
        return "another type" if scalar(a) == scalar(b) else "other"
    if a.count != b.count:
        return f"{a.count:,} → {b.count:,} points"
    return f"min {number(a.min)} → {number(b.min)}, max {number(a.max)} → {number(b.max)}" if a.last == b.last else ""


def metric_change(change: Change, found: Differences) -> tuple[Cell, ...]:
    """Name, both values, change, per cent, better or worse, and whether that is more than noise."""
    noted = found.noise.get(change.what)
    return (
        (change.what, "name"),
        shown(change.what, change.a),
        shown(change.what, change.b),
        moved(change),
        percent(change.percent) if change.change else "",
        better(change, found),
        noise_cell(noted),
    )


def noise_cell(noted: Noted | None) -> Cell:
    """`inside noise (10 repetitions)`."""
    if noted is None:
        return ""
    many = f"{noted.repetitions} {'seeds' if noted.vary == 'seed' else 'repetitions'}"
    return (f"inside noise ({many})", "dim") if noted.is_inside else (f"outside noise ({many})", "warn")


def metric_changes(differences: Differences, ids: tuple[str, str], sparks: Sparks) -> Table:
    """The metrics that differ, with the course of both on one scale."""
    rows = []
    for change in differences.metrics:
        courses = [sparks.get((run, change.what), ()) for run in (differences.a, differences.b)]
        scale = scale_of(*courses)
        drawn: list[Cell] = [Course(one, scale) if len(one) > 1 else "" for one in courses]
        rows.append((*metric_change(change, differences), *drawn))
    heads = ("metric", *ids, "change", "per cent", "", "noise", f"course of {ids[0]}", f"of {ids[1]}")
    return without_empty(Table("Metrics that differ", heads, rows, "<>>>><<<<"), 5)


def without_empty(table: Table, always: int) -> Table:
    """The table without columns that hold nothing, the first `always` apart."""

    def holds(place: int) -> bool:
        cells = (row[place] for row in table.rows)
        return any(split(cell)[0] for cell in cells)

    kept = [place for place in range(len(table.heads)) if place < always or holds(place)]
    return Table(
        table.about,
        tuple(table.heads[place] for place in kept),
        [tuple(row[place] for place in kept) for row in table.rows],
        "".join(table.aligns[place] for place in kept),
        table.limit,
        table.longest,
    )


def value_changes(changes: Sequence[Change], ids: tuple[str, str], about: str) -> Table:
    """Any values: both of them, and the change of numbers."""
    rows: list[tuple[Cell, ...]] = [
        (
            (change.what, "name"),
            (shown(change.what, change.a), "code"),
            (shown(change.what, change.b), "code"),
            moved(change) if change.change or change.kind != "changed" else "",
            percent(change.percent) if change.change else "",
        )
        for change in changes
    ]
    return without_empty(Table(about, ("", *ids, "change", "per cent"), rows, "<<<>>"), 3)


def package_changes(changes: Sequence[Change], ids: tuple[str, str]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            (change.what.removeprefix("packages."), "name"),
            (shown("", change.a), "code"),
            (shown("", change.b), "code"),
            up_or_down(change),
        )
        for change in changes
    ]
    return Table("Packages that differ", ("package", *ids, ""), rows, "<<<<")


def up_or_down(change: Change) -> Cell:
    if change.kind != "changed":
        return KINDS[change.kind]
    return {"up": "▲ up", "down": "▼ down"}.get(direction(str(change.a), str(change.b)), KINDS["changed"])


def file_changes(changes: Sequence[Change], ids: tuple[str, str], about: str) -> Table:
    """Inputs or artifacts."""
    rows: list[tuple[Cell, ...]] = []
    for change in changes:
        a, b = change.a, change.b
        path = f"{name_of(a)} → {name_of(b)}" if a and b and a.path != b.path else name_of(b or a)
        rows.append(((path, "name"), shown("", a), shown("", b), KINDS[change.kind]))
    return Table(about, ("path", *ids, ""), rows, "<<<<")
