"""Runs as flat rows, a column for each fact, param and metric: CSV and Parquet.

The runs are gone through twice: for the columns, and to write. What rows are is in `mltrack/flat.py`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from mltrack.digest import plain
from mltrack.errors import UsageError
from mltrack.flat import FACTS, Scalar, flat
from mltrack.operations.seeing.frames import BOOL, FLOAT, INT, TIME, kind_for, time_of, trait_of

if TYPE_CHECKING:
    import pyarrow as pa

Documents = Callable[[], Iterable[Mapping[str, Any]]]
Advance = Callable[[int], None]

GROUP = 5000
"""Rows of a group in a Parquet file, at most; fewer where they are wide."""
CELLS = 2_000_000
"""Cells that are in memory at a time, about."""


def columns_of(documents: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Each column of some runs, facts first, then params and metrics, each as it came up; with the traits of what is
    in it."""
    facts: dict[str, set[str]] = {name: set() for name in FACTS}
    params: dict[str, set[str]] = {}
    metrics: dict[str, set[str]] = {}
    for document in documents:
        for name, value in flat(document).items():
            place = facts if name in facts else params if name.startswith("params.") else metrics
            traits = place.setdefault(name, set())
            if value is not None:
                traits.add(trait_of(value))
    return {**facts, **params, **metrics}


def write_csv(out: IO[bytes], documents: Documents, advance: Advance) -> None:
    """RFC 4180 with a line of names: nothing for what is missing, `true` and `false`, numbers in full, `NaN`."""
    names = list(columns_of(documents()))
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(plain, names))
    for document in documents():
        row = flat(document)
        writer.writerow([cell(row.get(name)) for name in names])
        advance(1)
    text.flush()
    text.detach()


def cell(value: Scalar) -> Scalar:
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value)  # type: ignore[no-any-return]


def write_parquet(out: IO[bytes], documents: Documents, advance: Advance) -> None:
    """Parquet with types, those of the facts always the same; a column of several kinds is text. Raises UsageError."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed.", 'pip install "mltrack-ledger[parquet]", or --format csv.'
        ) from error
    kinds = columns_of(documents())
    schema = pa.schema([(str(plain(name)), arrow_type(pa, kind_for(name, found))) for name, found in kinds.items()])
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for group in groups(documents(), max(1, min(GROUP, CELLS // len(kinds)))):
            arrays = [column(group, name, field.type) for name, field in zip(kinds, schema)]
            writer.write_table(pa.table(arrays, schema=schema))
            advance(len(group))


def groups(documents: Iterable[Mapping[str, Any]], most: int) -> Iterator[list[Mapping[str, Scalar]]]:
    found: list[Mapping[str, Scalar]] = []
    for document in documents:
        found.append(flat(document))
        if len(found) == most:
            yield found
            found = []
    if found:
        yield found


def arrow_type(pa: Any, kind: str) -> pa.DataType:
    types = {BOOL: pa.bool_(), INT: pa.int64(), FLOAT: pa.float64(), TIME: pa.timestamp("us", tz="UTC")}
    return types.get(kind, pa.string())


def column(rows: Sequence[Mapping[str, Scalar]], name: str, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    values: list[Any] = [row.get(name) for row in rows]
    if pa.types.is_timestamp(kind):
        values = [time_of(value) for value in values]
    elif pa.types.is_string(kind):
        values = [None if value is None else text_of(value) for value in values]
    elif pa.types.is_floating(kind):
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


def text_of(value: Scalar) -> str:
    shown = cell(value)
    return shown if isinstance(shown, str) else repr(shown)
