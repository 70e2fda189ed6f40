"""Many runs at once, from a file: all of them or none, in one transaction that others may read beside.

What is taken over was checked before (`deriving.prepared`), by whoever read the file; here nothing is parsed again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mltrack.digest import digest_bytes
from mltrack.ledger.asking import choosing
from mltrack.ledger.events import Event, in_order
from mltrack.ledger.keeping import rows
from mltrack.ledger.keeping.packing import Unpacker, newest_dictionary
from mltrack.ledger.keeping.writing import Writer, insert
from mltrack.ledger.telling import told

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.keeping.deriving import Prepared
    from mltrack.ledger.ledger import Ledger

CACHE_KIB = 128 << 10
"""Memory for pages of the ledger: its indexes are written to all over."""

IMPORT = insert("import", ("at", "by", "file", "digest_proved"))

PAGE = 200
"""Runs that are read at once."""


class Entry(NamedTuple):
    """A sealed record, checked, with the events of its run that came with it."""

    record: Prepared
    events: tuple[Event, ...] = ()
    is_proved: bool = True
    """The record's digest was given with it; else it was sealed just now."""


class Taken(NamedTuple):
    """How many were new."""

    records: int
    events: int


@told
def take_over(ledger: Ledger, batches: Iterable[Sequence[Entry]], file: str) -> Taken:
    """Take over all that comes, or nothing where the batches end in an error. `file`: the name of where it is from.

    What is kept of the import, for the runs of which there was no record before, stays in this ledger and is in no
    export. Raises what the batches raise, StorageError.
    """
    records = events = 0
    ledger.db.execute(f"PRAGMA cache_size={-CACHE_KIB}")
    with ledger.db:
        ledger.db.execute("BEGIN IMMEDIATE")
        writer, maker = Writer(ledger.db), Import(ledger, file)
        for batch in batches:
            new = {entry.record.id: entry for entry in batch}
            known = writer.among("run_row", "id", list(new))
            imports = {run: maker.number(entry.is_proved) for run, entry in new.items() if run not in known}
            edits = [event for entry in batch for event in entry.events]
            taken = rows.take(writer, [entry.record for entry in batch], edits, imports)
            ledger._see_clocks(event.clock for event in taken.events)
            records += len(taken.runs)
            events += len(taken.events)
    return Taken(records, events)


def dictionary(ledger: Ledger) -> tuple[int, bytes] | None:
    """Number and words of the dictionary that records are packed with now; None before there is one."""
    number, words = newest_dictionary(ledger.db)
    return None if number is None else (number, words)


class Import:
    """The rows of one import, made as they are needed: all bear one time."""

    def __init__(self, ledger: Ledger, file: str) -> None:
        from mltrack.ledger.ledger import user_name

        now = time.time_ns() // 1000
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000)) + f".{now % 1_000_000:06}Z"
        self.db = ledger.db
        self.values = (at, user_name(), file)
        self.numbers: dict[bool, int] = {}

    def number(self, is_proved: bool) -> int:
        """Of the row for the runs whose record's digest came with them, or for those that were sealed just now."""
        if is_proved not in self.numbers:
            number = self.db.execute(IMPORT, (*self.values, is_proved)).lastrowid
            assert number is not None
            self.numbers[is_proved] = number
        return self.numbers[is_proved]


class Stored(NamedTuple):
    """All that the ledger keeps of a run."""

    id: str
    digests: tuple[str, ...]
    """Of its records; the first is the one that is shown, the others are in order."""
    records: tuple[bytes, ...]
    events: tuple[Event, ...]
    """In their order."""


@told
def chosen(ledger: Ledger, query: RunQuery) -> list[str]:
    """The ids of the runs that a query asks for, in its order. Raises UsageError."""
    return choosing.chosen(ledger.db, query)


def stored(ledger: Ledger, ids: Sequence[str]) -> Iterator[Stored]:
    """All that is kept of some runs, in that order, a page of them in memory. Raises Damaged, StorageError."""
    unpacker, packages = Unpacker(ledger.db), dict[int, bytes]()
    for start in range(0, len(ids), PAGE):
        yield from page_of(ledger, ids[start : start + PAGE], unpacker, packages)


@told
def page_of(ledger: Ledger, ids: Sequence[str], unpacker: Unpacker, packages: dict[int, bytes]) -> list[Stored]:
    """The same of one page; `packages` are the sets that were met."""
    db, marks = ledger.db, ", ".join("?" * len(ids))
    records: dict[str, dict[str, bytes]] = {run: {} for run in ids}
    query = f"SELECT run, digest, packed, dictionary, package_set, packages_at FROM record WHERE run IN ({marks})"
    for run, digest, packed, words, number, at in db.execute(query, ids).fetchall():
        if number is not None and number not in packages:
            packages[number] = rows.packages_text(db, number)
        try:
            data = unpacker.unpack(packed, words)
        except ValueError:
            raise rows.damaged(digest) from None
        data = data if at is None else data[:at] + packages[number] + data[at + 2 :]
        if digest_bytes(data) != digest:
            raise rows.damaged(digest)
        records[run][digest] = data
    events: dict[str, list[Event]] = {}
    for event in rows.events_where(db, f"run IN ({marks})", tuple(ids)):
        events.setdefault(event.run, []).append(event)
    found = []
    for run in ids:
        digests = list(records[run])
        if len(digests) > 1:
            shown = ledger.get(run).record_digest
            digests.sort(key=lambda digest: (digest != shown, digest))
        edits = tuple(in_order(events.get(run, ())))
        found.append(Stored(run, tuple(digests), tuple(records[run][digest] for digest in digests), edits))
    return found


@told
def imported_ids(ledger: Ledger) -> set[str]:
    """The runs that came from a file, here."""
    if ledger.db.execute("SELECT 1 FROM import LIMIT 1").fetchone() is None:
        return set()
    return {row[0] for row in ledger.db.execute("SELECT run FROM record WHERE imported IS NOT NULL")}
