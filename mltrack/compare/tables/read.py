"""A table in a file -> its columns: all values, or of a long table those of a sample of its rows.

The sample is drawn by the number of the row alone, so it is the same every time, and no period of the data meets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.compare.comparators import Unreadable
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.compare.comparators import Content

EXACT_ROWS = 50_000
"""Up to so many rows every value counts; of longer tables between half and all of that number are drawn."""

MOST_COLUMNS = 2_000

TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")
PARQUET_SUFFIXES = (".parquet", ".pq", ".parq")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""May stand behind either."""

LONGEST_LINE = 1 << 16

_MASK = (1 << 64) - 1


@noun
class Table:
    """The columns of a table in order, each with its values (None where there is none)."""

    rows: int
    names: tuple[str, ...]
    columns: dict[str, list[Any]]
    types: dict[str, str]
    """What the file itself says of a column's type; empty for text."""
    drawn: int
    """Rows whose values these are."""

    @property
    def is_sample(self) -> bool:
        return self.drawn < self.rows


def is_table(path: str) -> bool:
    """Is a file of this name read as a table?"""
    return name_inside(path).endswith((*TEXT_SUFFIXES, *PARQUET_SUFFIXES))


def name_inside(path: str) -> str:
    """The name of the table itself, in small letters: `A.CSV.gz` holds `a.csv`."""
    name = path.lower()
    return name[: name.rfind(".")] if name.endswith(COMPRESSED) else name


def get_ready(path: str) -> None:
    """Load what a file of this name is read with, which takes longer than most tables: no part of any limit of time."""
    if name_inside(path).endswith(PARQUET_SUFFIXES):
        try:
            import pyarrow.ipc
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            pass  # read_table says so


def read_table(path: str, content: Content, exact_rows: int = EXACT_ROWS) -> Table:
    """Read one. Raises Unreadable for what is no table, and where pyarrow is not there for Parquet."""
    name = name_inside(path)
    if len(name) < len(path):
        from mltrack.compare.comparators.gzip_files import unpacked

        content = unpacked(content)
    return (read_parquet if name.endswith(PARQUET_SUFFIXES) else read_text)(name, content, exact_rows)


def read_text(name: str, content: Content, exact_rows: int) -> Table:
    """CSV and its kin. Columns without a header are numbered from 1; see `contents.headers`."""
    from itertools import chain, islice

    from mltrack.compare.comparators import csv_files
    from mltrack.compare.contents.headers import SAMPLE, is_header

    if content.size == 0:
        return Table(0, (), {}, {}, 0)
    mark = mark_of(content, {".tsv": "\t", ".tab": "\t", ".psv": "|"}.get(name[-4:], ",;\t|"))
    rows = (row for row in csv_files.rows(content, mark) if row)
    first = next(rows, [])
    below = list(islice(rows, SAMPLE))
    has_names = is_header(first, below, is_number)
    names = unique([cell.strip() for cell in first] if has_names else [str(at + 1) for at in range(len(first))])
    if len(names) > MOST_COLUMNS:
        raise Unreadable(f"it has {len(names):,} columns")
    width = len(names)
    draw = Draw(exact_rows)
    draw.add(chain([] if has_names else [first], below, rows))
    drawn = draw.rows()
    if any(len(row) != width for row in drawn):
        drawn = [[*row[:width], *[""] * (width - len(row))] for row in drawn]
    columns = zip(*drawn) if drawn else ([] for _ in names)
    return Table(draw.count, names, {name: list(column) for name, column in zip(names, columns)}, {}, len(drawn))


def mark_of(content: Content, asked: str) -> str:
    """What the values are separated by; where the rows have not all as many, what its first line has most of."""
    from mltrack.compare.comparators import csv_files

    mark = csv_files.separator(content, asked)
    with content.open() as file:
        first = file.readline(LONGEST_LINE).decode("utf-8", "replace")
    return mark if mark in first else max(asked, key=first.count)


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() not in ("nan", "inf", "infinity")


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, the second `x` as `x (2)`."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(found)


class Draw:
    """All rows, or a sample of at most `most`: those whose scrambled number ends in enough zero bits. Half of them are
    let go each time that there are too many, as in adaptive sampling (Wegman, told by Flajolet 1990)."""

    def __init__(self, most: int) -> None:
        self.count = 0
        """Rows so far."""
        self._most, self._mask = most, 0
        self._kept: list[tuple[int, Any]] = []

    def add(self, rows: Iterable[Any]) -> None:
        """The next rows, one by one."""
        for row in rows:
            if not self._mask or not scrambled(self.count) & self._mask:
                self._keep(self.count, row)
            self.count += 1

    def add_block(self, length: int, take: Callable[[Sequence[int]], Iterable[Any]]) -> None:
        """The next `length` rows, of which `take` gives those at some places."""
        mask, start = self._mask, self.count
        places = range(length) if not mask else [at for at in range(length) if not scrambled(start + at) & mask]
        for at, row in zip(places, take(places)):
            self._keep(start + at, row)
        self.count += length

    def rows(self) -> list[Any]:
        return [row for _, row in self._kept]

    def _keep(self, number: int, row: Any) -> None:
        if self._mask and scrambled(number) & self._mask:
            return  # the mask grew within a block
        self._kept.append((number, row))
        while len(self._kept) > self._most:
            self._mask = self._mask * 2 + 1
            self._kept = [one for one in self._kept if not scrambled(one[0]) & self._mask]


def scrambled(number: int) -> int:
    """A number to 64 bits that look random: the finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    value = (number + 1) * 0x9E3779B97F4A7C15 & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def read_parquet(name: str, content: Content, exact_rows: int) -> Table:
    """Parquet, by pyarrow."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise Unreadable("install mltrack-ledger[parquet] to look into Parquet files") from None
    from mltrack.compare.comparators.parquet import read_table as read_arrow
    from mltrack.compare.contents.inner import careful, refusing

    def read() -> Table:
        with careful(content.open) as file:
            table = read_arrow(file)
            return of_blocks(table.schema, table.blocks, exact_rows)

    return refusing(read)


def of_blocks(schema: Any, blocks: Iterable[Any], most: int) -> Table:
    """The columns of blocks of pyarrow; of each block only the rows that are drawn become Python's."""
    names = unique(list(schema.names))
    if len(names) > MOST_COLUMNS:
        raise Unreadable(f"it has {len(names):,} columns")
    draw = Draw(most)
    for block in blocks:
        draw.add_block(block.num_rows, lambda places, block=block: taken(block, places))  # type: ignore[misc]
    drawn = draw.rows()
    columns = zip(*drawn) if drawn and names else ([] for _ in names)
    types = {name: str(schema.field(place).type) for place, name in enumerate(names)}
    return Table(draw.count, names, {name: list(one) for name, one in zip(names, columns)}, types, len(drawn))


def taken(block: Any, places: Sequence[int]) -> Iterable[Any]:
    """Rows of a block of pyarrow, by their places in it."""
    some = block if len(places) == block.num_rows else block.take(list(places)) if places else block.slice(0, 0)
    if not some.num_columns:
        return [()] * some.num_rows
    return zip(*(plain(some.column(place)) for place in range(some.num_columns)))


def plain(column: Any) -> list[Any]:
    """The values of a column as numbers, truth values or texts."""
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError):  # moments finer or earlier than Python's
        values = column.cast("string").to_pylist()
    return [value if value is None or isinstance(value, (int, float, str)) else told(value) for value in values]


def told(value: Any) -> str:
    iso: Callable[[], str] | None = getattr(value, "isoformat", None)
    return iso() if iso is not None else str(value)
