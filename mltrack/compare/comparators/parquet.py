"""Comparator of tables: Parquet, and Arrow's files and streams (Feather), by pyarrow where it is installed.

Rows are compared in order, in blocks. How a table is cut into row groups, compressed and encoded may differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Around, Content, Finding, Unreadable
from mltrack.compare.contents.cells import Cells
from mltrack.compare.contents.inner import BLOCK, careful, refusing, seekable
from mltrack.compare.contents.measuring import summary
from mltrack.nouns import noun

WHAT = "row groups, compression, encodings and the writer of a table in Parquet or Arrow"

ROWS = 1 << 16
"""Of one block."""

WRITERS = ("pandas_version", "creator")
"""What pandas says of itself beside a table."""


@noun
class Table:
    """A table that is read in blocks. `blocks` are pyarrow.RecordBatch, in order; `schema` is a pyarrow.Schema."""

    schema: Any
    blocks: Iterator[Any]


def fits(name: str, head: bytes) -> bool:
    """By the first bytes; a stream of Arrow by its name too."""
    streamed = name.lower().endswith((".arrow", ".arrows", ".feather")) and head.startswith(b"\xff\xff\xff\xff")
    return head.startswith((b"PAR1", b"PARE", b"ARROW1\0\0", b"FEA1")) or streamed


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Row against row."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise Unreadable("install mltrack-ledger[parquet] to compare tables")
    a, b = seekable(a, around.depth), seekable(b, around.depth)
    with careful(a.open) as f, careful(b.open) as g:
        return refusing(lambda: _compared(read_table(f), read_table(g)))


def _compared(then: Table, now: Table) -> Finding:
    return _unlike(then.schema, now.schema) or _rows(then, now)


def read_table(file: BinaryIO) -> Table:
    """A table in any of the known formats. Raises what pyarrow raises."""
    import pyarrow.ipc
    import pyarrow.parquet

    head = file.read(6)
    file.seek(0)
    if head.startswith(b"PAR1"):
        parquet = pyarrow.parquet.ParquetFile(file, buffer_size=BLOCK)
        return Table(parquet.schema_arrow, parquet.iter_batches(batch_size=ROWS, use_threads=False))
    if head.startswith(b"ARROW1"):
        reader = pyarrow.ipc.open_file(file)
        return Table(reader.schema, (reader.get_batch(number) for number in range(reader.num_record_batches)))
    if head.startswith(b"\xff\xff\xff\xff"):
        stream = pyarrow.ipc.open_stream(file)
        return Table(stream.schema, iter(stream))
    raise Unreadable("it is encrypted" if head.startswith(b"PARE") else "it is a table of an old format")


def _unlike(then: Any, now: Any) -> Finding | None:
    """Differences of two schemas."""
    if then.names != now.names:
        changed = sorted(set(then.names) ^ set(now.names))
        told = f" ({', '.join(map(repr, changed[:3]))})" if changed else ""
        return Finding(DIFFERENT, f"its columns are not the same, or in another order{told}")
    for before, after in zip(then, now):
        if not before.equals(after, check_metadata=True):
            return Finding(
                DIFFERENT,
                f"its column {before.name!r} is {after.type}, and was {before.type}"
                if before.type != after.type
                else f"what is said of its column {before.name!r} differs",
            )
    told_then, told_now = (_metadata(schema.metadata) for schema in (then, now))
    for key in sorted(told_then.keys() | told_now.keys()):
        if told_then.get(key) != told_now.get(key):
            return Finding(DIFFERENT, f"its metadata {key.decode(errors='replace')[:40]!r} differs")
    return None


def _metadata(raw: dict[bytes, bytes] | None) -> dict[bytes, object]:
    """The metadata of a table without what pandas says of itself."""
    told: dict[bytes, object] = dict(raw or {})
    if raw and b"pandas" in raw:
        said = json.loads(raw[b"pandas"])
        if isinstance(said, dict):
            told[b"pandas"] = {key: value for key, value in said.items() if key not in WRITERS}
    return told


def _rows(then: Table, now: Table) -> Finding:
    """All rows, in blocks of the same length on both sides."""
    cells, rows = Cells(), 0
    left, right = _Rows(then.blocks), _Rows(now.blocks)
    while True:
        count = min(left.ready(), right.ready())
        if not count:
            break
        a, b = left.take(count), right.take(count)
        for number, name in enumerate(then.schema.names):
            add_column(cells, a.column(number), b.column(number), (rows, name))
        rows += count
    if left.ready() or right.ready():
        return Finding(DIFFERENT, f"it has {rows + right.rest():,} rows, and had {rows + left.rest():,}")
    if cells.changed:
        measure = cells.measure()
        return Finding(DIFFERENT, summary(measure, "cell"), measure)
    return Finding(EQUIVALENT, "the same rows; only how they are grouped, encoded or compressed differs, or the writer")


class _Rows:
    """Rows of one side, taken in the lengths that the other side allows."""

    def __init__(self, blocks: Iterator[Any]) -> None:
        self._blocks = blocks
        self._block: Any = None
        self._at = 0

    def ready(self) -> int:
        """How many rows can be taken now; 0 at the end."""
        while self._block is None or self._at == self._block.num_rows:
            self._block, self._at = next(self._blocks, None), 0
            if self._block is None:
                return 0
            self._block.validate(full=True)  # what an Arrow file says of its own offsets is not to be trusted
        return min(int(self._block.num_rows) - self._at, ROWS)

    def take(self, count: int) -> Any:
        self._at += count
        return self._block.slice(self._at - count, count)

    def rest(self) -> int:
        """How many rows are left."""
        count = 0
        while ready := self.ready():
            count += self.take(ready).num_rows
        return count


def add_column(cells: Cells, a: Any, b: Any, at: tuple[int, str]) -> None:
    """Count one column of a block; `at` is the number of its first row, and its name."""
    a, b = _stored(a), _stored(b)
    is_moment = is_time(a.type)  # compared as integers, which no tolerance is meant for
    a, b = (array.view(f"int{array.type.bit_width}") if is_moment else array for array in (a, b))
    row, name = at

    def where(i: int) -> str:
        return f"row {row + i}, column {name}"

    if not _is_number(a.type):
        changed = [] if a.equals(b) else [i for i, (x, y) in enumerate(zip(a, b)) if not _same_cell(x, y)]
        cells.equal(len(a) - len(changed))
        if changed:
            cells.opaque(len(changed), where(changed[0]))
        return
    x, y = (array.fill_null(0).to_numpy(zero_copy_only=False) for array in (a, b))
    known, known_now = (array.is_valid().to_numpy(zero_copy_only=False) for array in (a, b))
    places = (known & known_now).nonzero()[0]
    if is_moment:
        changed = places[x[places] != y[places]]
        cells.equal(len(places) - len(changed))
        if len(changed):
            cells.opaque(len(changed), where(int(changed[0])))
    else:
        cells.add(x[places], y[places], lambda i: where(int(places[i])))
    cells.equal(int((~known & ~known_now).sum()))
    gone = (known != known_now).nonzero()[0]
    if gone.size:
        cells.opaque(int(gone.size), where(int(gone[0])))


def _stored(column: Any) -> Any:
    """A column's values as they are kept: without extension types, dictionaries, and floats of 16 bits."""
    import pyarrow.types as kinds

    if isinstance(column.type, _extension()):
        column = column.storage
    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast("float32") if kinds.is_float16(column.type) else column


def _extension() -> Any:
    import pyarrow

    return pyarrow.BaseExtensionType


def is_time(kind: Any) -> bool:
    """A date, a time, a moment or a duration: a count of its unit."""
    import pyarrow.types as kinds

    return bool(kinds.is_temporal(kind) and not kinds.is_interval(kind))


def _is_number(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind))


def _same_cell(a: Any, b: Any) -> bool:
    """Are two pyarrow.Scalar the same? A NaN in a list or a structure is itself."""
    if a.equals(b):
        return True
    try:
        return repr(a.as_py()) == repr(b.as_py())
    except ValueError:  # moments in it, finer than Python's
        return False
