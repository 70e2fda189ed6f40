"""Columns that were asked for by name, for a table that a person reads: what each says of a run, in few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.ledger.language.fields import ANY, DURATION, ID, METRIC, SIZE, TIME
from mltrack.operations.seeing.fields import AGE
from mltrack.records import Run
from mltrack.views.tables.columns import STATUS, even_numbers
from mltrack.views.tables.fitted import Column
from mltrack.views.tables.tabular import LONGEST, is_numeric, value_column, value_words
from mltrack.views.text import age, cell_width, clean, duration, number, scalar, short_digest, shorten, size

if TYPE_CHECKING:
    from mltrack.operations.seeing.fields import Shown


def chosen_columns(shown: Sequence[Shown], documents: Sequence[Mapping[str, Any]], now: float) -> list[Column]:
    """The columns asked for, in that order. `now`: seconds since 1970, for ages."""
    made = []
    for place, one in enumerate(shown):
        column = chosen_column(one, [one.read(document) for document in documents], place, now)
        made.append(column if one.expanded else replace(column, must=True))
    return made


def focus_columns(shown: Sequence[Shown], runs: Sequence[Run], now: float) -> list[Column]:
    """Columns of what a query names, for runs that are to be listed."""
    return [chosen_column(one, [one.of_run(run) for run in runs], 0, now) for one in shown]


def chosen_column(one: Shown, values: Sequence[Any], rank: float, now: float) -> Column:
    name = one.asked.name
    if name == "id":
        return short_ids(values, one.name, rank)
    if name == "status":
        pairs = [(value, *STATUS.get(value, ("?", ""))) for value in values]
        words = [(clean(f"{glyph} {status}"), style) for status, glyph, style in pairs]
        return Column(name, clean(one.name), words, rank, 6, short=[(glyph, style) for _, glyph, style in pairs])
    is_named = name.startswith(("params.", "metrics."))
    title = one.name if not is_named or not one.name.startswith(name.partition(".")[0]) else name.partition(".")[2]
    style = "cyan" if one.kind == METRIC else ""
    if one.kind == METRIC and is_numeric(values):
        cells = [(text, style) for text in even_numbers(values)]
        least = max((cell_width(text) for text, _ in cells), default=1)
        return Column(one.name, clean(title), cells, rank, max(least, min(9, cell_width(title))), True)
    say = words_for(one.kind, now)
    if one.kind == ANY:
        values = [value_words(value) if isinstance(value, str) else value for value in values]
    if say is None:
        return value_column(one.name, rank, [listed(value) for value in values], title, style)
    cells = [("" if value is None else clean(say(value)), style) for value in values]
    width = max((cell_width(text) for text, _ in cells), default=1)
    is_number = one.kind in (AGE, DURATION, SIZE)
    return Column(one.name, clean(title), cells, rank, width, is_number)


def words_for(kind: str, now: float) -> Callable[[Any], str] | None:
    """How values of a kind are said where they are more than themselves."""
    if kind == AGE:
        return lambda value: age(value, now)
    said: dict[str, Callable[[Any], str]] = {
        TIME: lambda value: str(value)[:19].replace("T", " "),
        DURATION: lambda value: duration(value) if isinstance(value, (int, float)) else scalar(value),
        SIZE: lambda value: size(value) if isinstance(value, int) else listed(value) or "",
        ID: lambda value: ", ".join(map(short_digest, value)) if isinstance(value, list) else short_digest(value),
    }
    return said.get(kind)


def listed(value: Any) -> Any:
    """A list as words with commas between them."""
    return ", ".join(value if isinstance(value, str) else number(value) for value in value) if isinstance(
        value, list
    ) else value  # fmt: skip


def short_ids(values: Sequence[Any], title: str, rank: float) -> Column:
    """Ids shortened to 8 characters, or to as many as tell these runs apart."""
    length = 8
    while length < 16 and len({value[:length] for value in values}) < len(set(values)):
        length += 1
    cells = [(clean(shorten(value[:length], LONGEST)), "yellow") for value in values]
    return Column("id", title, cells, rank, least=length)
