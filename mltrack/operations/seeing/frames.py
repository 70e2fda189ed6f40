"""Rows of scalars as a data frame of pandas or polars, or a table of Arrow: columns with one type each.

Numbers are numbers, times are moments in UTC, what is missing is missing. The three packages are extras, imported
where they are asked for. Nothing here knows a run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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

ROUNDED, HUGE = "rounded", "huge"
"""Traits of integers: a float cannot hold it exactly, 64 bits cannot hold it."""

LARGEST, EXACT = 1 << 63, 1 << 53

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
    traits = {name: {trait_of(one) for one in found if one is not None} for name, found in values.items()}
    kinds = {name: kind_for(name, found, known) for name, found in traits.items()}
    return Columns(values, kinds, len(rows))


def kind_for(name: str, traits: Collection[str], types: Mapping[str, str] = KNOWN) -> str:
    """The type of a column, by the traits of all values in it.

    Of a fact it is always the same, but where integers are too large for it; a metric is a float. No integer is ever
    rounded: where floats would do so the column is of integers, and mixed where these do not hold all values either.
    """
    found, known = set(traits), types.get(name)
    if known is None and name.startswith("metrics.") and TEXT not in found:
        known = FLOAT
    if known in (INT, FLOAT) and (HUGE in found or (known == FLOAT and ROUNDED in found)):
        known = None
    if known is not None:
        return known
    if HUGE in found or (ROUNDED in found and FLOAT in found):
        return MIXED
    if found <= {INT, ROUNDED}:
        return INT if found else TEXT
    if found <= {INT, FLOAT}:
        return FLOAT
    return next(iter(found)) if len(found) == 1 else MIXED


def trait_of(value: Any) -> str:
    """What the type of a column must heed of a value that is there."""
    if not isinstance(value, int):
        return FLOAT if isinstance(value, float) else TEXT
    if isinstance(value, bool):
        return BOOL
    if -EXACT <= value <= EXACT:
        return INT
    return ROUNDED if -LARGEST <= value < LARGEST else HUGE


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
        return [None if value is None else float(value) for value in values]
    if kind == TIME:
        return [time_of(value) for value in values]
    if kind in (TEXT, MIXED):
        return [None if value is None else flat.text(value) for value in values]
    return list(values)


def time_of(value: Any) -> datetime | None:
    """The moment that a record's text says; None for what says none."""
    try:
        return None if value is None else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
