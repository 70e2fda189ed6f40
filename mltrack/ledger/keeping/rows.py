"""Sealed records and events as rows, in and out; and what both come to, run by run.

The tables `record` and `event` hold what is true; all that `deriving.py` makes rows of can be derived from them at any
time (`refresh`). Called inside a transaction of `ledger.py`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.digest import canonical_json, digest_bytes
from mltrack.errors import Damaged
from mltrack.ledger.events import KNOWN, Event, event_digest, event_from, fold, is_deleted
from mltrack.ledger.keeping.deriving import Prepared, derive
from mltrack.ledger.keeping.packing import Packer, Unpacker, newest_dictionary
from mltrack.ledger.keeping.writing import NO_IMPORTS, Writer, insert
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import Run, Warning

if TYPE_CHECKING:
    import sqlite3

FOLDED = ("name", "tags", "notes", "verdict", "calibrations", "environment_kept", "warnings")
"""Fields of a run that may differ from its sealed record, by events or by a second record of the same id."""


def take(
    writer: Writer, records: Sequence[Prepared], events: Sequence[Event], imports: Mapping[str, int] = NO_IMPORTS
) -> Taken:
    """Keep records and events that are not here yet, and derive what they touch. `imports`: number of the import that
    brings a run, by its id."""
    placed = writer.add_records(records, imports)
    ids = [one.id for _, one in placed]
    seen = writer.among("run_row", "id", ids)
    edited = writer.among("event", "run", ids)
    new = insert_events(writer, events)
    first: dict[str, tuple[int, Prepared]] = {}
    again: dict[str, None] = {}
    for position, one in placed:
        if one.id in seen or one.id in first:
            again[one.id] = None
        else:
            first[one.id] = (position, one)
    writer.add_runs(list(first.values()))
    for run in again:
        refresh(writer, run)
    edited.update(event.run for event in new)
    for run in sorted(writer.among("run_row", "id", edited.difference(again))):
        refold(writer, run)
    return Taken(ids, new)


EVENT = insert("event", ("digest", *KNOWN, "extra"))


class Taken:
    """What was new: the runs of records, and the events."""

    def __init__(self, runs: Sequence[str], events: Sequence[Event]) -> None:
        self.runs = runs
        self.events = events


def whole_record(db: sqlite3.Connection, digest: str) -> bytes:
    """The bytes of a record as they were sealed. Raises Damaged if they are not these any more."""
    query = "SELECT packed, dictionary, package_set, packages_at FROM record WHERE digest = ?"
    packed, words, packages, at = db.execute(query, (digest,)).fetchone()
    try:
        data = Unpacker(db).unpack(packed, words)
    except ValueError:
        raise damaged(digest) from None
    if at is not None:
        data = data[:at] + packages_text(db, packages) + data[at + 2 :]
    if digest_bytes(data) != digest:
        raise damaged(digest)
    return data


def every_record(
    db: sqlite3.Connection, after: int, skip: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and value (without packages) of each record behind a position, proved. Raises Damaged."""
    for position, digest, text, whole in every_text(db, after, skip):
        if whole is None:
            raise damaged(digest)
        yield position, json.loads(text)


def damaged_records(db: sqlite3.Connection) -> list[str]:
    """Digests of the records that are not any more what was sealed."""
    return [digest for _, digest, _, whole in every_text(db) if whole is None]


def every_text(
    db: sqlite3.Connection, after: int = 0, skip: Collection[str] = ()
) -> Iterator[tuple[int, str, bytes, bytes | None]]:
    """Position, digest, text without packages, and the whole text, of each record behind a position; None for the whole
    where the bytes are not those that were sealed.

    Asked for in pages, so that writers are not kept waiting where the file has no WAL.
    """
    names: dict[int, bytes] = {}
    unpacker = Unpacker(db)
    query = (
        "SELECT position, digest, packed, dictionary, package_set, packages_at FROM record WHERE position > ?"
        " ORDER BY position LIMIT 500"
    )
    while page := db.execute(query, (after,)).fetchall():
        for after, digest, packed, words, packages, at in page:
            if digest in skip:
                continue
            try:
                whole = text = unpacker.unpack(packed, words)
            except (ValueError, TypeError):
                yield after, digest, b"", None
                continue
            if at is not None:
                if packages not in names:
                    names[packages] = packages_text(db, packages)
                whole = text[:at] + names[packages] + text[at + 2 :]
            yield after, digest, text, whole if digest_bytes(whole) == digest else None


def packages_text(db: sqlite3.Connection, number: int) -> bytes:
    """The packages of a set as they stand in a record."""
    found = db.execute("SELECT name, version FROM package_row WHERE package_set = ?", (number,))
    return canonical_json(dict(found.fetchall()))


def damaged(digest: str) -> Damaged:
    return Damaged(
        f"The record {digest} is damaged in the ledger.", "`mltrack verify --repair` fetches a good copy from a remote."
    )


def mend_record(writer: Writer, record: Prepared) -> None:
    """Put a record that is damaged here in its place again; also its packages, if those are what is wrong."""
    db = writer.db
    position = db.execute("SELECT position FROM record WHERE digest = ?", (record.digest,)).fetchone()
    if record.packages is not None:
        number = writer.package_set(record.packages)
        assert number is not None
        db.execute("DELETE FROM package_row WHERE package_set = ?", (number,))
        writer.add_packages(number, json.loads(record.packages))
    if position is None:
        writer.add_records([record])
    else:
        words, text = newest_dictionary(db)
        db.execute(
            "UPDATE record SET packed = ?, dictionary = ?, package_set = ?, packages_at = ? WHERE position = ?",
            (Packer(text).pack(record.text), words, writer.package_set(record.packages), record.at, *position),
        )
    refresh(writer, record.id)


def insert_events(writer: Writer, events: Iterable[Event]) -> list[Event]:
    """Keep events; returns those that were not here yet."""
    found = {event_digest(event): event for event in events}
    here = writer.among("event", "digest", found)
    new = {digest: event for digest, event in found.items() if digest not in here}
    writer.db.executemany(EVENT, [event_row(digest, event) for digest, event in new.items()])
    return list(new.values())


def event_row(digest: str, event: Event) -> tuple[Any, ...]:
    values = [getattr(event, name) for name in KNOWN]
    values[KNOWN.index("value")] = canonical_json(event.value).decode()
    return (digest, *values, canonical_json(event.extra).decode() if event.extra else None)


def events_where(db: sqlite3.Connection, condition: str, values: tuple[Any, ...]) -> list[Event]:
    """Events in the order they came, which means nothing; `condition` is SQL of this room, never of a user."""
    rows = db.execute(f"SELECT {', '.join(KNOWN)}, extra FROM event WHERE {condition}", values)
    return [event_of_row(row) for row in rows]


def event_of_row(row: tuple[Any, ...]) -> Event:
    """Raises Damaged."""
    document = dict(zip(KNOWN, row[:-1], strict=True))
    try:
        document["value"] = json.loads(document["value"])
        return event_from({**document, **json.loads(row[-1] or "{}")})
    except (ValueError, TypeError) as error:
        raise damaged_event(str(document["run"])) from error


def every_event(db: sqlite3.Connection) -> Iterator[tuple[str, Event | None]]:
    """The run of each event, and the event; None where it is not any more what was kept."""
    run = KNOWN.index("run")
    for digest, *row in db.execute(f"SELECT digest, {', '.join(KNOWN)}, extra FROM event"):
        try:
            event = event_of_row(tuple(row))
            yield event.run, event if event_digest(event) == digest else None
        except (Damaged, ValueError, TypeError):
            yield str(row[run]), None


def damaged_event(run: str) -> Damaged:
    return Damaged(
        f"An edit of the run {run} is damaged in the ledger.", "Bring the ledger back from a remote or a copy."
    )


def refresh(writer: Writer, run: str) -> None:
    """Derive the rows of a run again, after a record of its came to others, or was mended."""
    position, _, document, _ = shown_record(writer.db, run)
    writer.replace_run(run, position, derive(document))
    refold(writer, run)


def shown_record(db: sqlite3.Connection, run: str) -> tuple[int, str, dict[str, Any], list[str]]:
    """Position, digest and value (without packages) of the record of a run that is shown, and digests of the others.

    A finish overrides `lost`, then the smallest digest counts; so every replica shows the same one, in whatever order
    they came. One that cannot be read is not shown, where another can. Raises Damaged.
    """
    unpacker = Unpacker(db)
    found = []
    rows = db.execute("SELECT position, digest, packed, dictionary FROM record WHERE run = ?", (run,)).fetchall()
    for position, digest, packed, words in rows:
        try:
            document = json.loads(unpacker.unpack(packed, words))
            found.append(((document["status"] == "lost", digest), position, document))
        except (ValueError, KeyError, TypeError):
            pass
    if not found:
        raise damaged(rows[0][1])
    (_, shown), position, document = min(found, key=lambda one: one[0])
    return position, shown, document, [row[1] for row in rows if row[1] != shown]


def refold(writer: Writer, run: str) -> None:
    """Write what events and other records made of a run: the columns of `run_row`, its tags and its notes."""
    db = writer.db
    events = events_where(db, "run = ?", (run,))
    _, _, document, others = shown_record(db, run)
    before = from_dict(Run, document)
    after = fold(before, events)
    changed = {name: to_dict(getattr(after, name)) for name in FOLDED if getattr(after, name) != getattr(before, name)}
    if others:
        changed["warnings"] = [to_dict(w) for w in (*before.warnings, conflict(others))]
    write_fold(writer, after, is_deleted(events), changed)


def write_fold(writer: Writer, run: Run, deleted: bool, changed: Mapping[str, Any]) -> None:
    """Write a run as its events left it."""
    db = writer.db
    warnings = changed.get("warnings") or [to_dict(warning) for warning in run.warnings]
    values = (
        plain_text(run.name),
        plain_text(run.verdict.grade if run.verdict else None),
        deleted,
        canonical_json(warnings).decode() if warnings else None,
        canonical_json(changed).decode() if changed else None,
    )
    db.execute(
        "UPDATE run_row SET name = ?, verdict = ?, deleted = ?, warnings = ?, folded = ? WHERE id = ?",
        (*values, run.id),
    )
    (number,) = db.execute("SELECT number FROM run_row WHERE id = ?", (run.id,)).fetchone()
    for table in ("tag_row", "note_row"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
    tags, notes = ([str(plain_text(text)) for text in words] for words in (run.tags, run.notes))
    writer.write_words([(number, tags, notes)])


def plain_text(text: str | None) -> str | None:
    return text if text is None else text.encode("utf-8", "replace").decode()


def conflict(others: list[str]) -> Warning:
    return Warning(
        "record_conflict",
        f"There are other records with the id of this run: {', '.join(sorted(others))}. All are kept.",
    )
