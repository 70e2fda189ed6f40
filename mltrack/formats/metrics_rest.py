"""What a metrics file holds beside its metrics: text, lists of lists, nulls. See `metrics.py` for what a metric is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from mltrack.formats.documents import decode, flatten, parse
from mltrack.formats.metrics import cell_number, csv_delimiter, number, step_name_of


class Rest:
    """A metrics file in two: the names of its metrics, and the rest as plain values."""

    def __init__(self, path: str, data: bytes) -> None:
        """Raises Broken."""
        self.names: set[str] = set()
        suffix = PurePosixPath(path).suffix.lower()
        self.values: Any
        if suffix in (".jsonl", ".ndjson"):
            self.values = self._lines(decode(data).split("\n"))
        elif suffix in (".csv", ".tsv"):
            self.values = self._table(decode(data), suffix)
        else:
            self.values = self._document(parse(data, suffix), "")

    def _document(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            kept = {
                str(key): self._document(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()
            }
            return {key: item for key, item in kept.items() if item is not _METRIC}
        if isinstance(value, list):
            if any(isinstance(item, dict) for item in value):
                return self._rows(value, f"{name}." if name else "")
            left = {f"{at}": item for at, item in enumerate(value) if number(item) is None}
            if len(left) < len(value):
                self.names.add(name or "value")
            return left
        if number(value) is None:
            return value
        self.names.add(name)
        return _METRIC

    def _rows(self, rows: Iterable[Any], prefix: str = "") -> list[Any]:
        """What is left of rows; nothing where nothing is left of any, or their number would count."""
        found = [self._row({f"{prefix}{key}": item for key, item in flatten(row).items()}) if isinstance(row, dict)
                 else row for row in rows]  # fmt: skip
        return found if any(row != {} for row in found) else []

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        step = step_name_of(row)
        self.names.update(name for name, item in row.items() if name != step and number(item) is not None)
        return {name: item for name, item in row.items() if name != step and number(item) is None}

    def _lines(self, lines: Iterable[str]) -> list[Any]:
        rows: list[Any] = []
        for line in lines:
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except (ValueError, RecursionError):
                    rows.append(line)  # torn
        return self._rows(rows)

    def _table(self, text: str, suffix: str) -> list[Any]:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=csv_delimiter(text, suffix)) if row]
        if not rows:
            return []
        names = [cell.strip().lstrip("#").strip() for cell in rows[0]]
        if all(cell_number(cell) is not None for cell in names):
            names = [f"column{index + 1}" for index in range(len(names))]
        else:
            rows = rows[1:]
        found: list[Any] = []
        for row in rows:
            cells = {names[at] if at < len(names) and names[at] else f"#{at}": cell for at, cell in enumerate(row)}
            numbers = {name: cell_number(cell) for name, cell in cells.items() if not name.startswith("#")}
            known = {name: value for name, value in numbers.items() if value is not None}
            self._row(known)
            found.append({name: cell for name, cell in cells.items() if name not in known})
        return [names, found] if any(found) else [names]


_METRIC = object()
