"""Inputs and artifacts that differ: sizes, the files of directories, and what became of tables and their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.compare.members import KINDS, FileChange, MemberChanges
from mltrack.compare.tables.drift import ALIKE, FAR, KS_MOVED, MOVED, SAME, ColumnChange, TableChange
from mltrack.compare.tables.profile import NUMBERS, Profile
from mltrack.nouns import noun
from mltrack.views.diff.fitting import Fitting
from mltrack.views.page import Cell, Grid, Item, Line
from mltrack.views.show import extent, name_of
from mltrack.views.text import count, number, percent, short_digest, size

if TYPE_CHECKING:
    from mltrack.compare.changes import Change
    from mltrack.compare.members import DataChange
    from mltrack.views.page import Block

GLYPHS = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
    "renamed": ("→", "cyan"),
    "unknown": ("?", "yellow"),
}
MOST_MEMBERS = 8
"""Files of one directory that a terminal shows."""
MOST_COLUMNS = 12
FEW_NAMES = 6
MARKS = {FAR: ("!", "red"), MOVED: ("~", "yellow")}
WORDS = {FAR: "moved far", MOVED: "moved"}


@noun
class Limits:
    """What a terminal shows of a section; null is all."""

    files: int | None
    members: int | None = MOST_MEMBERS
    columns: int | None = MOST_COLUMNS
    more: str = "... and {} more"


def file_blocks(changes: Sequence[Change], inside: Mapping[str, DataChange], limits: Limits) -> Iterator[Block]:
    """Files and directories one below another, each with what is inside of it."""
    waiting: list[Change] = []
    for place, change in enumerate(changes):
        waiting.append(change)
        data = inside.get(change.what)
        if data is not None and (limits.files is None or place < limits.files):
            yield rows_of(waiting, limits)
            waiting = []
            yield from data_blocks(data, limits)
    if waiting:
        yield rows_of(waiting, limits)


def rows_of(changes: Sequence[Change], limits: Limits) -> Fitting:
    """A row each; where there is little room without the digests."""
    whole, brief = (
        Grid([file_row(change, digests) for change in changes], "<<<", limit=limits.files, more=limits.more)
        for digests in (True, False)
    )
    return Fitting((whole, brief), whole)


def file_row(change: Change, digests: bool = True) -> tuple[Cell, ...]:
    a, b = change.a, change.b
    path = f"{name_of(a)} → {name_of(b)}" if a and b and a.path != b.path else name_of(b or a)
    if change.kind == "changed":
        told = " → ".join(f"{extent(one)} {short_digest(one.digest)}" if digests else extent(one) for one in (a, b))
        told += ", other bytes" if not digests and extent(a) == extent(b) else ""
    elif change.kind == "renamed":
        told = "renamed, the same bytes"
    elif change.kind == "unknown":
        told = "cannot tell: it changed during the run, or could not be read"
    else:
        told = f"{change.kind}, {extent(b or a)}"
    return GLYPHS[change.kind], path, told


def data_blocks(inside: DataChange, limits: Limits) -> Iterator[Block]:
    """The files of a directory, then each table; of a single table no more than what became of it."""
    if inside.members is not None:
        yield from member_blocks(inside.members, limits)
    yield from table_items(inside, limits, is_one=inside.members is None)


def table_items(inside: DataChange, limits: Limits, is_one: bool) -> Iterator[Block]:
    for path, change in inside.tables.items():
        name = "" if is_one else path
        if isinstance(change, str):
            yield Item(("·", "dim"), f"{name}: {change}." if name else f"Not looked into: {change}.", "dim", 5)
        else:
            yield from table_blocks(name, change, limits)


# -- files and directories


def tracked_blocks(inside: DataChange, limits: Limits) -> Iterator[Block]:
    """Data among the code: its files, then what became of the tables."""
    if inside.members is not None:
        rows = [member_row(change) for change in inside.members.files]
        yield Grid(rows, "<<<", limit=limits.files, more=limits.more)
    yield from table_items(inside, limits, is_one=False)


def member_blocks(members: MemberChanges, limits: Limits) -> Iterator[Block]:
    rows = [member_row(change) for change in members.files]
    yield Grid(rows, "<<<", indent=5, limit=limits.members, more=limits.more)
    told = [f"{members.count(kind):,} {kind}" for kind in KINDS if members.count(kind)]
    told += [f"{members.unchanged:,} unchanged"] if members.unchanged else []
    remark = " (of those that are remembered)" if members.is_partial else ""
    yield Line((("     ", ""), (f"{', '.join(told) or 'the same files'}{remark}", "dim")))


def member_row(change: FileChange) -> tuple[Cell, ...]:
    a, b = change.a, change.b
    path = f"{change.path} → {b.path}" if change.kind == "renamed" and b else change.path
    sizes = [size(one.size_bytes) for one in (a, b) if one is not None]
    if change.kind == "renamed" or (a and b and a.size_bytes == b.size_bytes):
        told = f"{sizes[0]}, {'the same bytes' if change.kind == 'renamed' else 'the same size'}"
    else:
        told = " → ".join(sizes)
    return GLYPHS[change.kind], path, told


# -- tables


def table_blocks(name: str, change: TableChange, limits: Limits) -> Iterator[Block]:
    """Rows and columns in a sentence, then a row for each column whose values moved, the farthest first."""
    yield Item(("▦", "cyan"), (f"{name}: " if name else "") + "; ".join(table_words(change)), indent=5)
    moved = [one for one in change.columns if one.grade in MARKS]
    moved.sort(key=lambda one: one.grade != FAR)
    rows = [
        (MARKS[one.grade], named(one.name), (WORDS[one.grade], MARKS[one.grade][1]), column_words(one)) for one in moved
    ]
    if rows:
        yield Grid(rows, "<<<<", indent=7, limit=limits.columns, more=limits.more, whole=(2,), is_last_below=True)
    rest = rest_words(change)
    if rest:
        yield Line((("       ", ""), (rest, "dim")))


def table_words(change: TableChange) -> Iterator[str]:
    before, now = change.rows
    if before == now:
        yield count(now, "row")
    else:
        share = percent((now - before) / before * 100) if before else ""
        yield f"{before:,} → {now:,} rows{f' ({share})' if share else ''}"
    for word, names in (("added", change.added), ("removed", change.removed)):
        if names:
            yield f"{count(len(names), 'column')} {word}: {some(list(map(named, names)))}"
    if change.retyped:
        yield f"type changed: {some([f'{named(one.name)} {one.a} → {one.b}' for one in change.retyped])}"
    if change.is_reordered:
        yield "columns in another order"


def named(column: str) -> str:
    """The name of a column, as it is shown; a second one without a name is called ` (2)`."""
    return column if column.partition(" (")[0].strip() else f"(no name){column.rstrip()}"


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    rest = len(names) - FEW_NAMES
    return ", ".join(names[:FEW_NAMES]) + (f" and {rest:,} more" if rest > 0 else "")


def rest_words(change: TableChange) -> str:
    """`3 columns alike, 2 with the same values; compared by a sample of 30,000 of 120,000 rows`."""
    alike, same = (sum(one.grade == grade for one in change.columns) for grade in (ALIKE, SAME))
    told = [f"{count(alike, 'column')} alike"] if alike else []
    told += [f"{count(same, 'column')} with the same values"] if same else []
    sentence = ", ".join(told)
    if change.is_sample:
        drawn = " and ".join(f"{one:,} of {rows:,}" for one, rows in zip(change.drawn, change.rows))
        sentence += f"{'; ' if sentence else ''}by a sample of {drawn} rows, the same one each time"
    return sentence


def column_words(one: ColumnChange) -> str:
    """What became of a column, in words with the numbers that say it."""
    a, b = one.a, one.b
    told = []
    if one.ks is not None and a.kind in NUMBERS and b.kind in NUMBERS:
        told += [numbers_words(one)] if one.ks >= KS_MOVED else []
    elif one.ks is not None:
        told.append(f"from {a.min} .. {a.max} to {b.min} .. {b.max} (KS {one.ks:.2f})")
    elif "empty" in (a.kind, b.kind) and a.kind != b.kind:
        told.append("has values now" if a.kind == "empty" else "has no values any more")
    else:
        told += texts_words(one)
    if share(a) != share(b):
        told.append(f"missing {of_hundred(share(a))} → {of_hundred(share(b))}")
    return "; ".join(filter(None, told))


def numbers_words(one: ColumnChange) -> str:
    """`higher: mean 3.1 → 4.2 (+0.51 sd), sd 1 → 1.1, KS 0.20`."""
    a, b = one.a, one.b
    if a.mean is None or b.mean is None:
        return f"KS {one.ks:.2f}"
    smd = one.smd or 0.0
    word = "higher: " if smd >= 0.1 else "lower: " if smd <= -0.1 else "another spread: "
    told = f"{word}mean {number(a.mean)} → {number(b.mean)}"
    told += f" ({one.smd:+.2f} sd)" if one.smd is not None else ""
    if a.sd is not None and b.sd is not None:
        told += f", sd {number(a.sd)} → {number(b.sd)}"
    return f"{told}, KS {one.ks:.2f}"


def texts_words(one: ColumnChange) -> list[str]:
    told = []
    if one.new:
        told.append(f"{of_hundred(one.new)} of the values are new")
    if one.vanished:
        told.append(f"{of_hundred(one.vanished)} of the old ones are gone")
    if not told:
        told.append("the same values in other shares")
    if one.a.distinct != one.b.distinct and one.a.distinct is not None and one.b.distinct is not None:
        told.append(f"{one.a.distinct:,} → {one.b.distinct:,} distinct")
    return [*told, *([f"PSI {one.psi:.2f}"] if one.psi is not None else [])]


def of_hundred(part: float) -> str:
    """`20.2 %`; what is not nothing is never told as nothing."""
    return f"{part * 100:.1f} %" if not 0 < part < 0.0005 else "less than 0.1 %"


def share(profile: Profile) -> float:
    """Of missing values, as it is shown."""
    return round(profile.missing / profile.count, 3) if profile.count else 0.0
