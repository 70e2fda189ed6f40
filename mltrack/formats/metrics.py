"""Metrics that a command wrote: its metrics files, and the journals that it appended to while it ran.

Only numbers are metrics: text, lists of lists and nulls are skipped, a bool counts as 1 or 0, and the names of NaN and
the infinities are numbers. Nothing here summarises or stores; see `series.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from mltrack.formats.documents import broken_file, decode, flatten, parse_document, read_bytes
from mltrack.formats.yaml_nodes import Broken
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

STEPS = ("step", "global_step", "total_timesteps", "timesteps", "iteration", "iter", "epoch")
"""Names of a row's step, the finest first; what a row has besides its step stays a metric."""

LOOKED_AT = 100
"""Rows of which one says its step, if the file has steps."""

_ODD = {
    "nan": float("nan"),
    "inf": float("inf"),
    "infinity": float("inf"),
    "-inf": float("-inf"),
    "-infinity": float("-inf"),
    "+inf": float("inf"),
    "+infinity": float("inf"),
}
_LAST = lazy(r"[./]")
_NUMBER = lazy(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


class Point(NamedTuple):
    """One value of one metric. A tuple: a run may have a million, and all pass through when it ends."""

    name: str
    value: float
    step: int | float | None = None
    at: float | None = None
    """Seconds since 1970, where known."""
    rank: int | None = None
    """Who logged it, where several processes are one training."""


def number(value: Any) -> float | None:
    """The value as a metric, or None if it is no number."""
    if isinstance(value, str):
        return _ODD.get(value.lower())
    if not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def read_metrics(path: Path) -> list[Point]:
    """The points of a metrics file, by its suffix: JSON, JSONL, YAML, TOML, CSV or TSV.

    Names of nested values are joined by dots. A list of numbers is a series with its index as step. A list of mappings,
    a JSONL file and a CSV file are rows, whose step is one of STEPS, else the row's index (none where there is only one
    row). A JSONL line that is torn is skipped if it is the last. Raises UsageError that names the file and the line.
    """
    data = read_bytes(path)
    suffix = path.suffix.lower()
    try:
        if suffix in (".jsonl", ".ndjson"):
            return list(_row_points(_json_rows(data)))
        if suffix in (".csv", ".tsv"):
            return list(_row_points(_csv_rows(data, suffix)))
    except Broken as error:
        raise broken_file(path, error) from error
    values = parse_document(path, data)
    return list(_document_points(values if isinstance(values, (dict, list)) else {}, ""))


def _document_points(value: Any, name: str) -> Iterator[Point]:
    """The points of a document below a name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _document_points(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        rows = [item for item in value if isinstance(item, dict)]
        if rows:
            prefix = f"{name}." if name else ""
            yield from _row_points({f"{prefix}{key}": item for key, item in flatten(row).items()} for row in rows)
        else:
            found = ((step, number(item)) for step, item in enumerate(value))
            yield from (Point(name or "value", item, step) for step, item in found if item is not None)
    else:
        found_value = number(value)
        if found_value is not None:
            yield Point(name, found_value)


def _row_points(rows: Iterable[dict[str, Any]]) -> Iterator[Point]:
    """The points of rows of flat names; the step is a column, else the row's index, else none for a lone row."""
    rows = list(rows)
    for index, row in enumerate(rows):
        step_name = step_name_of(row)
        step = _step(row[step_name]) if step_name else index if len(rows) > 1 else None
        for name, item in row.items():
            value = None if name == step_name else number(item)
            if value is not None:
                yield Point(name, value, step)


def has_rows_without_steps(path: Path) -> bool:
    """Does a metrics file hold several rows, none of which says its step? Raises UsageError as `read_metrics` does."""
    data = read_bytes(path)
    suffix = path.suffix.lower()
    rows: Iterator[dict[str, Any]]
    try:
        if suffix in (".jsonl", ".ndjson"):
            rows = _json_rows(data)
        elif suffix in (".csv", ".tsv"):
            rows = _csv_rows(data, suffix)
        else:
            values = parse_document(path, data)
            rows = (flatten(row) for row in (values if isinstance(values, list) else ()) if isinstance(row, dict))
        first = list(islice(rows, LOOKED_AT))
    except Broken as error:
        raise broken_file(path, error) from error
    return len(first) > 1 and not any(map(step_name_of, first))


def step_name_of(row: dict[str, Any]) -> str | None:
    """The name of the row's step, whose last part (`time/total_timesteps`, `train.step`) is one of STEPS."""
    by_last = {_LAST.split(name)[-1].lower(): name for name in reversed(row) if _step(row[name]) is not None}
    return next((by_last[word] for word in STEPS if word in by_last), None)


def _step(value: Any) -> int | float | None:
    """A step: a finite number, an int where it is whole."""
    if type(value) is int:
        return value
    found = None if isinstance(value, (bool, str)) else _finite(value)
    return int(found) if found is not None and found == int(found) else found


def _finite(value: Any) -> float | None:
    found = number(value)
    return None if found is None or found - found != 0 else found


def _json_rows(data: bytes) -> Iterator[dict[str, Any]]:
    lines = decode(data).split("\n")
    last = max((index for index, line in enumerate(lines) if line.strip()), default=-1)
    for index, line in enumerate(lines[: last + 1]):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if index == last:
                return
            raise Broken("the line is not JSON", index + 1) from error
        if isinstance(row, dict):
            yield flatten(row)


def _csv_rows(data: bytes, suffix: str) -> Iterator[dict[str, Any]]:
    import csv
    import io

    text = decode(data)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=csv_delimiter(text, suffix))
    names: list[str] | None = None
    try:
        for row in reader:
            if names is None:
                if not row:
                    continue
                names = [cell.strip().lstrip("#").strip() for cell in row]
                if any(cell_number(cell) is None for cell in names):
                    continue
                names = [f"column{index + 1}" for index in range(len(names))]  # no header
            cells = zip(names, map(cell_number, row), strict=False)
            values = {name: cell for name, cell in cells if cell is not None and name}
            if values:
                yield values
    except csv.Error as error:
        raise Broken(str(error), reader.line_num) from error


def csv_delimiter(text: str, suffix: str) -> str:
    """What the values of a table are separated by: told by its first line."""
    return "\t" if suffix == ".tsv" else max(",;\t", key=text.partition("\n")[0].count)


def cell_number(text: str) -> int | float | None:
    """The number that a cell of a table is; None for any other text."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    return {"true": 1.0, "false": 0.0}.get(text.lower(), _ODD.get(text.lower()))


BLOCK = 1 << 18
"""Bytes of a journal that are parsed at once."""


class Journal(Iterator[Point]):
    """The points of a journal, read as they are asked for."""

    junk: int
    """Lines met so far that were no JSON object, a torn last line included."""
    offset: int
    """Where the whole lines end that were read so far, in bytes; once all points were taken, all of them."""

    def __init__(self, path: Path, offset: int = 0, growing: bool = False) -> None:
        self.junk = 0
        self.offset = offset
        self._points = self._read(path, growing)

    def __next__(self) -> Point:
        return next(self._points)

    def __iter__(self) -> Iterator[Point]:
        return self._points  # not self: each point would pass one more function

    def _read(self, path: Path, growing: bool) -> Iterator[Point]:
        new = tuple.__new__  # what Point(...) comes to, in half the time
        for row in chain.from_iterable(_journal_rows(path, self, growing)):
            step, at = row.pop("step", None), row.pop("t", None)
            if type(step) is not int:
                step = _step(step)
            if type(at) is not float or at - at != 0:
                at = _finite(at)
            if "time" in row:
                time = _finite(row.pop("time"))
                at = time if at is None else at
            rank = row.get("rank")
            if type(rank) is int and rank >= 0:
                del row["rank"]
            else:
                rank = None
            for name, item in row.items():
                if type(item) is float:  # nearly all of a long journal
                    yield new(Point, (name, item, step, at, rank))
                    continue
                for inner, leaf in flatten({name: item}).items():
                    value = number(leaf)
                    if value is not None:
                        yield Point(inner, value, step, at, rank)


def read_journal(path: Path, offset: int = 0, growing: bool = False) -> Journal:
    """The points of `$MLTRACK_METRICS`: JSON lines `{"step": 3, "t": 1700000000.1, "loss": 0.1}`.

    `step`, and `t` or `time` (seconds since 1970), are reserved, and so is `rank` where it is a whole number. A missing
    file has no points. Nothing that stands in the file raises: what cannot be read is counted in the journal's `junk`.
    It is read from `offset` on (an earlier journal's); of a `growing` file a last line without its end is left for the
    next time.
    """
    return Journal(path, offset, growing)


def read_params_journal(path: Path) -> dict[str, Any]:
    """The params of `$MLTRACK_PARAMS`, flattened: JSON lines of names and values, of which the last counts."""
    params: dict[str, Any] = {}
    for row in chain.from_iterable(_journal_rows(path, Journal(path))):
        params.update(flatten(row))
    return params


def _journal_rows(path: Path, journal: Journal, growing: bool = False) -> Iterator[list[dict[str, Any]]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(journal.offset)
        while lines := file.readlines(BLOCK):
            whole = lines if lines[-1].endswith(b"\n") or not growing else lines[:-1]
            yield _rows(whole, journal)
            journal.offset += sum(map(len, whole))
            if len(whole) < len(lines):
                return


def _rows(lines: list[bytes], journal: Journal) -> list[dict[str, Any]]:
    """The objects of some lines. Parsed as one text, which halves the time, where that is certain to be the same."""
    if all(line.startswith(b"{") for line in lines):
        try:
            rows = json.loads(b"[%b]" % b",".join(lines))
        except (ValueError, RecursionError):
            rows = []
        if len(rows) == len(lines) and all(type(row) is dict for row in rows):
            return list(rows)
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        elif line.strip():
            journal.junk += 1
    return rows
