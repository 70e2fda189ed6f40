"""Rows of scalars as a data frame of pandas or polars, or a table of Arrow: columns with one type each.

Numbers are numbers, times are moments in UTC, what is missing is missing. The three packages are extras, imported
where they are asked for. Nothing here knows a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mltrack import flat
from mltrack.nouns import noun

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

BOOL, INT, FLOAT, TIME, TEXT, MIXED = "bool", "int", "float", "time", "text", "mixed"
"""Types of columns; `mixed` has values of several."""

LARGEST = 1 << 63

KNOWN: Mapping[str, str] = {
    **dict.fromkeys(flat.FACTS, TEXT),
    **dict.fromkeys(flat.TIMES, TIME),
    **dict.fromkeys(("exit_code", "signal", "seed", "hardware.cores", "hardware.memory_bytes"), INT),
    **dict.fromkeys(("resources.peak_memory_bytes",), INT),
    **dict.fromkeys(("duration_s", "resources.cpu_seconds"), FLOAT),
    "code.dirty": BOOL,
}
"""Types of the facts that every run has, whether or not one of these runs has a value."""


@noun
class Columns:
    """Named columns of equal length, each with its type; None is missing."""

    values: Mapping[str, Sequence[Any]]
    kinds: Mapping[str, str]
    rows: int

    def to_pandas(self) -> pandas.DataFrame:
        """Raises ImportError, with what to install, where pandas is missing."""
        frames: Any = needed("pandas")
        made = {name: series(frames, self.kinds[name], values) for name, values in self.values.items()}
        frame: pandas.DataFrame = frames.DataFrame(made, index=range(self.rows))
        return frame

    def to_polars(self) -> polars.DataFrame:
        """Raises ImportError, with what to install, where polars is missing."""
        frames: Any = needed("polars")
        types = {BOOL: frames.Boolean, INT: frames.Int64, FLOAT: frames.Float64, TIME: frames.Datetime("us", "UTC")}
        made = [
            frames.Series(name, plain_values(self.kinds[name], values), types.get(self.kinds[name], frames.String))
            for name, values in self.values.items()
        ]
        frame: polars.DataFrame = frames.DataFrame(made)
        return frame

    def to_arrow(self) -> pyarrow.Table:
        """Raises ImportError, with what to install, where pyarrow is missing."""
        arrow: Any = needed("pyarrow", "arrow")
        types = {
            BOOL: arrow.bool_(),
            INT: arrow.int64(),
            FLOAT: arrow.float64(),
            TIME: arrow.timestamp("us", "UTC"),
        }
        arrays = [
            arrow.array(plain_values(self.kinds[name], values), types.get(self.kinds[name], arrow.string()))
            for name, values in self.values.items()
        ]
        return arrow.Table.from_arrays(arrays, names=[flat.text(name) for name in self.values])


def columns_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str], known: Mapping[str, str] = KNOWN) -> Columns:
    """The columns of some rows; a name that a row has not is missing there."""
    values = {name: [row.get(name) for row in rows] for name in names}
    kinds = {name: known.get(name) or kind_of(name, found) for name, found in values.items()}
    return Columns(values, kinds, len(rows))


def kind_of(name: str, values: Sequence[Any]) -> str:
    types = {type(value) for value in values if value is not None}
    if not types:
        return FLOAT if name.startswith("metrics.") else TEXT
    if types == {bool}:
        return BOOL
    if types == {str}:
        return TEXT
    if not types <= {int, float}:
        return MIXED
    is_small = float not in types and all(value is None or -LARGEST <= value < LARGEST for value in values)
    return INT if is_small and not name.startswith("metrics.") else FLOAT


def needed(package: str, extra: str | None = None) -> Any:
    """The package. Raises ImportError with the extra that brings it."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f'{package} is needed for this: pip install "mltrack-ledger[{extra or package}]"') from error


def series(frames: Any, kind: str, values: Sequence[Any]) -> Any:
    """A column for pandas: of the types that plots and statistics take, where nothing is missing; NaN is missing."""
    if kind == MIXED:
        return frames.Series([frames.NA if value is None else value for value in values], dtype=object)
    if kind == TEXT:
        return frames.Series(plain_values(kind, values), dtype="string")
    has_all = all(value is not None for value in values)
    made = plain_values(kind, values)
    if kind == TIME:
        return frames.Series(frames.to_datetime(made, utc=True)).dt.as_unit("us")
    if kind == FLOAT:
        return frames.Series(made, dtype="float64")
    whole, holed = {BOOL: ("bool", "boolean"), INT: ("int64", "Int64")}[kind]
    return frames.Series(made, dtype=whole if has_all else holed)


def plain_values(kind: str, values: Sequence[Any]) -> list[Any]:
    """The values of a column as those of its type."""
    if kind == FLOAT:
        return [None if value is None else float_of(value) for value in values]
    if kind == TIME:
        return [time_of(value) for value in values]
    if kind in (TEXT, MIXED):
        return [None if value is None else flat.text(value) for value in values]
    return list(values)


def float_of(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def time_of(value: Any) -> datetime | None:
    """The moment that a record's text says; None for what says none."""
    try:
        return None if value is None else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
