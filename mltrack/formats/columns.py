"""Tables of values -> columns: CSV, TSV, JSON and JSON lines, read whole, a million rows in seconds.

Which column means what is not decided here. A column is a numpy array of floats where all its cells are numbers
(missing ones NaN), else a list of texts and None; columns that hold names by what they are called stay texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy

    Column = numpy.ndarray | list[str | None]

BLOCK = 65_536
"""Rows that are turned into columns at a time: the texts of the numbers in them are then let go."""

MISSING = ("", "na", "n/a", "null", "none", "-", "?")
DELIMITERS = ",\t;|"
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
WIDEST = 1 << 27
"""Characters that a cell may have."""


@noun
class Table:
    """What a file holds, as far as it can be seen as columns."""

    columns: Mapping[str, Column]
    """By name; without a header by number, from "1"."""
    document: Any = None
    """The value of a JSON file, for shapes that are no table."""
    has_header: bool = True


Keeps = Callable[[str], bool]
"""Is the column of that name one of names, whatever they look like? `007` is a class, not seven."""


def read_table(data: bytes, name: str, keeps: Keeps = lambda name: False) -> Table:
    """The columns of a file, by the ending of its name or, without a known one, by its first character.

    Raises UsageError for what cannot be read, with the file's name and the line where that is known.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not text in UTF-8: byte {error.start:,} is not.", known_forms()) from error
    if not text.strip():
        raise UsageError(f"{name} is empty.", known_forms())
    form = form_of(name, text)
    if form == "jsonl":
        return from_rows(json_lines(text, name), keeps)
    if form == "json":
        document = parsed(text, name)
        return Table(columns_in(document, keeps), document)
    return from_csv(text, name, keeps)


def known_forms() -> str:
    return "It reads CSV, TSV, JSON and JSON lines (.jsonl)."


def form_of(name: str, text: str) -> str:
    lower = name.lower()
    if lower.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    if lower.endswith((".csv", ".tsv")):
        return "csv"
    first = text.lstrip()[:1]
    if lower.endswith(".json") or first in ("{", "["):
        lines = text.split("\n", 2)
        is_lines = first == "{" and len(lines) > 1 and lines[0].rstrip().endswith("}") and lines[1].startswith("{")
        return "jsonl" if is_lines else "json"
    return "csv"


# -- JSON


def parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"{name}{line} is no JSON: {error}.", known_forms()) from error
    except RecursionError as error:
        raise UsageError(f"{name} is nested too deeply.", known_forms()) from error


def json_lines(text: str, name: str) -> list[Any]:
    """All lines at once, which is several times faster than one by one; one by one only to say which is wrong."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    try:
        return list(json.loads(f"[{','.join(lines)}]"))
    except (ValueError, RecursionError):
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise UsageError(f"{name}, line {number:,} is no JSON.", known_forms()) from error
        raise


def columns_in(document: Any, keeps: Keeps) -> dict[str, Column]:
    """The columns of a JSON value: a list of objects, an object of lists, or either under a name (as DVC writes)."""
    if isinstance(document, list):
        return dict(from_rows(document, keeps).columns)
    if not isinstance(document, dict):
        return {}
    lists = {str(key): value for key, value in document.items() if isinstance(value, list)}
    rows = next((value for value in lists.values() if value and isinstance(value[0], dict)), None)
    if rows is not None:
        return dict(from_rows(rows, keeps).columns)
    found = {key: column(value, keeps(key)) for key, value in lists.items() if not holds_lists(value)}
    for key, value in lists.items():
        if holds_lists(value):
            found |= spread(key, value)
    if not found:
        inner = next((value for value in document.values() if isinstance(value, dict)), None)
        return columns_in(inner, keeps) if inner and any(isinstance(one, list) for one in inner.values()) else {}
    return found


def from_rows(rows: Sequence[Any], keeps: Keeps) -> Table:
    """A list of objects as columns, a column for each key of any of them; what is no object is left out."""
    objects = [row for row in rows if isinstance(row, dict)]
    keys = list(dict.fromkeys(key for row in objects[:BLOCK] for key in row))
    found: dict[str, Column] = {}
    for key in keys:
        values = [row.get(key) for row in objects]
        first = next((value for value in values if value is not None), None)
        if isinstance(first, dict):  # {"cat": 0.9, "dog": 0.1}: a column for each
            tables = [value if isinstance(value, dict) else {} for value in values]
            for inner in dict.fromkeys(one for table in tables[:BLOCK] for one in table):
                found[f"{key}_{inner}"] = column([table.get(inner) for table in tables], False)
        elif isinstance(first, list):
            found |= spread(key, values)
        else:
            found[str(key)] = column(values, keeps(str(key)))
    return Table(found, rows)


def holds_lists(values: Sequence[Any]) -> bool:
    return bool(values) and isinstance(values[0], list)


def spread(key: str, values: Sequence[Any]) -> dict[str, Column]:
    """A list in every row as a column for each place: `scores#0`, `scores#1` ..."""
    lists = [value if isinstance(value, list) else [] for value in values]
    width = max(map(len, lists), default=0)
    if width > 10_000:
        return {}
    return {f"{key}#{at}": column([one[at] if at < len(one) else None for one in lists], False) for at in range(width)}


# -- CSV


def from_csv(text: str, name: str, keeps: Keeps) -> Table:
    import csv
    import io

    head = text[: text.find("\n")] if "\n" in text else text
    limit = csv.field_size_limit(WIDEST)  # of the whole process: given back below
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=head.count))
    try:
        first = next(reader)
        has_header = not all(is_number(cell) for cell in first)
        names = unique([cell.strip() for cell in first]) if has_header else [f"{at}" for at in range(1, len(first) + 1)]
        parts: list[list[Column]] = [[] for _ in names]
        for rows in blocks(reader, [] if has_header else [first], len(names), name):
            for place, cells in enumerate(zip(*rows)):
                is_text = keeps(names[place]) or bool(parts[place] and isinstance(parts[place][0], list))
                parts[place].append(column(cells, is_text))
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num:,} is no CSV: {error}.", known_forms()) from error
    finally:
        csv.field_size_limit(limit)
    return Table({key: joined(part) for key, part in zip(names, parts)}, has_header=has_header)


def blocks(reader: Any, start: list[list[str]], width: int, name: str) -> Iterator[list[list[str]]]:
    """The rows by BLOCK of them, without empty ones. Raises UsageError for a row that is longer or shorter."""
    from itertools import islice

    while True:
        rows = start + list(islice(reader, BLOCK))
        start = []
        if not rows:
            return
        if any(len(row) != width for row in rows):
            rows = [row for row in rows if row]
            wrong = next((row for row in rows if len(row) != width), None)
            if wrong is not None:
                raise UsageError(
                    f"{name} has {width} columns and a row of {len(wrong)}: {','.join(wrong)[:60]!r}.",
                    f"The row is at line {reader.line_num:,} or before.",
                )
        yield rows


def unique(names: Sequence[str]) -> list[str]:
    """The names, those that came before with a number behind."""
    found: dict[str, None] = {}
    for name in names:
        number, one = 2, name
        while one in found:
            number, one = number + 1, f"{name} ({number})"
        found[one] = None
    return list(found)


# -- cells


def column(cells: Sequence[Any], is_text: bool) -> Column:
    """Floats where all cells are numbers or missing, else texts."""
    if not is_text:
        import numpy

        try:
            return numpy.fromiter(map(float, cells), float, len(cells))
        except (TypeError, ValueError, OverflowError):
            numbers = [number_of(cell) for cell in cells]
            if None not in numbers:
                return numpy.array(numbers, float)
    return texts(cells)


def texts(cells: Iterable[Any]) -> list[str | None]:
    """Cells as names, each different one kept once: `1`, `1.0` and `true` as JSON or CSV would say them."""
    known: dict[Any, str | None] = {}
    found = []
    for cell in cells:
        key = cell if type(cell) is str else (type(cell), repr(cell))
        if key not in known:
            known[key] = text_of(cell)
        found.append(known[key])
    return found


def text_of(cell: Any) -> str | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = str(cell).strip()
    return None if text.lower() in MISSING[:2] + ("nan",) else text


def number_of(cell: Any) -> float | None:
    """A cell as a number, NaN where it is missing; None where it is something else."""
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
        return math.nan
    try:
        return None if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError, OverflowError):
        return None


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def joined(parts: Sequence[Column]) -> Column:
    """The parts of a column as one: floats if all are."""
    import numpy

    numbers = [part for part in parts if not isinstance(part, list)]
    if len(numbers) == len(parts):
        return numpy.concatenate(numbers) if numbers else numpy.zeros(0)
    return [cell for part in parts for cell in (part if isinstance(part, list) else texts(part.tolist()))]
