"""Any table of values in any of the forms that commands offer: for a terminal, as CSV, JSON, JSON lines, Markdown.

The forms for machines are made row by row, so that a hundred thousand rows need no memory; only a table for a person
looks at all of them first. Values are scalars, lists or tables; None is "there is none".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from mltrack import flat
from mltrack.digest import plain
from mltrack.errors import UsageError
from mltrack.views.page import Renderable
from mltrack.views.tables.fitted import Column, Fitted
from mltrack.views.text import cell_width, clean, number, scalar, shorten

FORMATS = ("table", "csv", "json", "jsonl", "md")

LONGEST_MARKDOWN = 80
"""The same of a value, or a name, in Markdown."""

LONGEST = 200
"""Characters of a value in a table for a person."""

WIDEST_NUMBER = 23
"""Cells of a number: what is longer is said in words."""

Rows = Iterable[Sequence[Any]]


def tabular(names: Sequence[str], rows: Rows, form: str) -> Renderable | str:
    """A table in one of FORMATS: `names` are its columns, each row has a value for each. Raises UsageError."""
    return table(names, rows) if checked_form(form) == "table" else "".join(lines_of(names, rows, form))


def lines_of(names: Sequence[str], rows: Rows, form: str) -> Iterator[str]:
    """The same for csv, json, jsonl and md, piece by piece as the rows come. Raises UsageError for another form."""
    made = {"csv": csv_lines, "json": json_list, "jsonl": json_lines, "md": markdown_lines}.get(form)
    if made is None:
        raise unknown_form(form)
    return made(names, rows)


def checked_form(form: str) -> str:
    """The form, if it is one of FORMATS. Raises UsageError."""
    if form not in FORMATS:
        raise unknown_form(form)
    return form


def unknown_form(form: str) -> UsageError:
    return UsageError(f"There is no format {form[:40]!r}.", f"Formats: {', '.join(FORMATS)}.")


def csv_lines(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """RFC 4180, with lines that end in a line feed alone. Nothing stands for None, `""` for an empty text."""
    for row in chain([names], rows):
        yield (",".join(map(csv_cell, row)) or '""') + "\n"  # readers skip an empty line


NEEDS_QUOTES = re.compile(r'[",\r\n]|^[ \t]|[ \t]$|^$')


def csv_cell(value: Any) -> str:
    if value is None:
        return ""
    text = flat.text(value)
    return '"' + text.replace('"', '""') + '"' if NEEDS_QUOTES.search(text) else text


def json_lines(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """An object a line."""
    for row in rows:
        yield json_object(names, row) + "\n"


def json_list(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """One list, with an object a line."""
    return listed(json_object(names, row) for row in rows)


def listed(items: Iterable[str]) -> Iterator[str]:
    """JSON texts as one JSON list, an item a line."""
    start = "[\n"
    for item in items:
        yield start + item
        start = ",\n"
    yield "[]\n" if start == "[\n" else "\n]\n"


def json_object(names: Sequence[str], row: Sequence[Any]) -> str:
    return json.dumps(plain(dict(zip(names, row, strict=True))), ensure_ascii=False, allow_nan=False)


def markdown_lines(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """A table as GitHub reads it, for people: what is very long is shortened.

    Numbers stand at the right: a column is one of numbers if the first row with a value
    has a number there, of the first thousand."""
    coming = iter(rows)
    first = [row for row, _ in zip(coming, range(1000))]
    marks = ["---:" if is_numeric(row[place] for row in first) else "---" for place in range(len(names))]
    yield markdown_row(markdown(shorten(name, LONGEST_MARKDOWN)) for name in names)
    yield markdown_row(marks)
    for group in (first, coming):
        for row in group:
            yield markdown_row(map(markdown_cell, row))


def markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


MARKS = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|^[#+-]")


def markdown(text: str) -> str:
    """A text as Markdown that shows exactly it, on one line: no mark, no tag, no link."""
    escaped = MARKS.sub(lambda mark: "\\" + mark[0], clean_lines(text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("\n", "<br>")


def clean_lines(text: str) -> str:
    return "\n".join(map(clean, re.split(r"\r\n|\r|\n", text)))


def markdown_cell(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = flat.text(value)  # `-1` is no list here
        return text if len(text) <= LONGEST_MARKDOWN else value_words(value)
    return "" if value is None else markdown(shorten(flat.text(value), LONGEST_MARKDOWN))


def is_numeric(values: Iterable[Any]) -> bool:
    """Are all that are there numbers, and is there one?"""
    found = [value for value in values if value is not None]
    return bool(found) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found)


def table(names: Sequence[str], rows: Rows, remarks: Sequence[str] = ()) -> Fitted:
    """For a person: numbers in few digits and at the right, the first columns given room first."""
    columns = zip(*rows, strict=True)
    values = list(columns) or [() for _ in names]
    made = [value_column(name, place, found) for place, (name, found) in enumerate(zip(names, values, strict=True))]
    return Fitted(tuple(made), tuple(remarks))


def value_column(name: str, rank: float, values: Sequence[Any], title: str | None = None, style: str = "") -> Column:
    """A column of values. Numbers are never cut, as half a number is a lie; a long title or text may be."""
    cells = [(value_text(value), style) for value in values]
    widest = max((cell_width(text) for text, _ in cells), default=0)
    is_number = is_numeric(values) and widest <= WIDEST_NUMBER
    shown = clean(name if title is None else title)
    least = max(widest if is_number else min(widest, 10), min(cell_width(shown), 9))
    return Column(name, shown, cells, rank, least, is_number)


def value_text(value: Any) -> str:
    """A value as a table shows it: nothing for None, a text as it is, a number in about five digits."""
    if value is None:
        return ""
    return shorten(clean(value), LONGEST) if isinstance(value, str) else value_words(value)


def value_words(value: Any) -> str:
    """A parameter as a table shows it: exactly, in few digits where it has very many; a text that would read as a
    number is quoted."""
    if isinstance(value, float) and math.isfinite(value):
        short, exact = number(value), repr(value)
        return short if len(exact) > 10 or float(short) == value else exact
    return shorten(scalar(value), LONGEST)
