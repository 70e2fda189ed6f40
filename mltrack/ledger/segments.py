"""What this ledger knows of each remote: which segments are there and what they hold.

The set of names, not a highest number: a segment of another replica may appear late. It is in the ledger, so that a
ledger restored from a backup forgets with it what it then has to learn again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mltrack.ledger.keeping import rows
from mltrack.nouns import noun

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.events import Event


REPLACES = "replaces/"
"""Keys of `meta` that begin so hold, for the segment named behind it, the JSON list of those it replaces."""


UNCONFIRMED = "unconfirmed/"
"""Keys of `meta` that begin so hold, for the remote behind it, the JSON list of records that were written there by a
push that has not yet looked whether all they need is still there."""


@noun
class Held:
    """A segment's name, and what it holds: (digest of a record or event, id of its run)."""

    name: str
    items: Sequence[tuple[str, str]]
    replaces: Sequence[str] = ()
    """Segments whose items it holds too, as `<replica>/<file>`."""


@noun
class Unsent:
    """Digests, each with the id of its run."""

    records: tuple[tuple[str, str], ...]
    events: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.records or self.events)


THERE = "EXISTS (SELECT 1 FROM segment_item JOIN remote_segment USING (segment) WHERE item = digest AND remote = ?)"
ON_REMOTE = "SELECT segment FROM remote_segment WHERE remote = ?"


def names(db: sqlite3.Connection, remote: str) -> set[str]:
    return {row[0] for row in db.execute(f"SELECT name FROM segment WHERE id IN ({ON_REMOTE})", (remote,))}


def remember(db: sqlite3.Connection, remote: str, held: Held) -> None:
    db.execute("INSERT OR IGNORE INTO segment (name) VALUES (?)", (held.name,))
    (number,) = db.execute("SELECT id FROM segment WHERE name = ?", (held.name,)).fetchone()
    items = [(item, number, run) for item, run in held.items]
    db.executemany("INSERT OR IGNORE INTO segment_item VALUES (?, ?, ?)", items)
    db.execute("INSERT OR IGNORE INTO remote_segment VALUES (?, ?)", (remote, number))
    if held.replaces:
        text = json.dumps(sorted(held.replaces))
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (REPLACES + held.name, text))


def forget(db: sqlite3.Connection, remote: str, gone: Iterable[str]) -> None:
    """What a segment of that name holds stays known, since the name says its bytes; only that it is there does not."""
    statement = "DELETE FROM remote_segment WHERE remote = ? AND segment = (SELECT id FROM segment WHERE name = ?)"
    db.executemany(statement, [(remote, name) for name in gone])


def recognise(db: sqlite3.Connection, remote: str, found: Iterable[str]) -> set[str]:
    """Those of the names whose content is known, from this remote or another; from now on they are on this one."""
    known = set()
    for name in found:
        row = db.execute("SELECT id FROM segment WHERE name = ?", (name,)).fetchone()
        if row is not None:
            known.add(name)
            db.execute("INSERT OR IGNORE INTO remote_segment VALUES (?, ?)", (remote, row[0]))
    return known


def unsent(db: sqlite3.Connection, remote: str, run_ids: Sequence[str] | None) -> Unsent:
    """What is here and not there, oldest first; only of some runs, if they are given.

    A run that was deleted before it was ever sent stays here, with its events.
    """
    gone = db.execute(
        "SELECT id FROM run_row AS run WHERE (deleted OR parent_kind IS NOT NULL) AND deleted"
        f" AND NOT EXISTS (SELECT 1 FROM record WHERE record.run = id AND {THERE})"
        f" AND NOT EXISTS (SELECT 1 FROM event WHERE event.run = run.id AND {THERE})",
        (remote, remote),
    )
    withheld = {row[0] for row in gone}
    wanted = None if run_ids is None else set(run_ids)
    found = []
    for table, order in (("record", "position"), ("event", "rowid")):
        rows = db.execute(f"SELECT digest, run FROM {table} WHERE NOT {THERE} ORDER BY {order}", (remote,))
        found.append(
            tuple((digest, run) for digest, run in rows if run not in withheld and (wanted is None or run in wanted))
        )
    return Unsent(*found)


def environment_events(db: sqlite3.Connection, remote: str | None) -> list[Event]:
    """The events that add objects to a run: all, or those that a remembered segment of that remote holds."""
    if remote is None:
        return rows.events_where(db, "kind = 'environment'", ())
    return rows.events_where(db, f"kind = 'environment' AND {THERE}", (remote,))


def runs(db: sqlite3.Connection, remote: str) -> set[str]:
    """Ids of the runs that a remembered segment of that remote says something about."""
    query = f"SELECT DISTINCT run FROM segment_item WHERE segment IN ({ON_REMOTE})"
    return {row[0] for row in db.execute(query, (remote,))}


def unread(db: sqlite3.Connection, remote: str, run_ids: Sequence[str] | None) -> set[str]:
    """Segments that hold something that is there and not here; only of some runs, if they are given."""
    rows = db.execute(
        "SELECT DISTINCT segment.name, segment_item.run FROM segment_item JOIN segment ON segment.id = segment"
        f" WHERE segment IN ({ON_REMOTE}) AND NOT EXISTS (SELECT 1 FROM record WHERE digest = item)"
        " AND NOT EXISTS (SELECT 1 FROM event WHERE digest = item)",
        (remote,),
    )
    wanted = None if run_ids is None else set(run_ids)
    return {name for name, run in rows if wanted is None or run in wanted}


def replaced(db: sqlite3.Connection, segments: Iterable[str]) -> set[str]:
    """What these segments replace, as `<replica>/<file>`."""
    found: set[str] = set()
    for name in segments:
        row = db.execute("SELECT value FROM meta WHERE key = ?", (REPLACES + name,)).fetchone()
        if row is not None:
            found.update(json.loads(row[0]))
    return found


def replacing(db: sqlite3.Connection, remote: str) -> dict[str, set[str]]:
    """The remembered segments of that remote that replace others, each with those, as `<replica>/<file>`."""
    rows = db.execute("SELECT key, value FROM meta WHERE key >= ? AND key < ?", (REPLACES, REPLACES + "~"))
    there = {REPLACES + name: name for name in names(db, remote)}
    return {there[key]: set(json.loads(value)) for key, value in rows if key in there}


def ended_at(db: sqlite3.Connection, replica: str, last: int) -> set[str]:
    """Every segment of that replica ever known, on any remote, that ends with that number."""
    rows = db.execute("SELECT name FROM segment WHERE name GLOB ?", (f"{replica}/*-{last}-*",))
    return {row[0] for row in rows}


def of_replica(db: sqlite3.Connection, replica: str) -> set[str]:
    """Every segment of that replica ever known, on any remote."""
    return {row[0] for row in db.execute("SELECT name FROM segment WHERE name GLOB ?", (f"{replica}/*",))}


def items_of(db: sqlite3.Connection, segments: Iterable[str]) -> list[tuple[str, str]]:
    """What these segments hold together, each item once: records in the order they came here, then events."""
    found: dict[str, str] = {}
    query = "SELECT item, run FROM segment_item WHERE segment = (SELECT id FROM segment WHERE name = ?)"
    for name in segments:
        found.update(db.execute(query, (name,)).fetchall())
    return sorted(found.items())


def runs_with_all_records(db: sqlite3.Connection, remote: str) -> set[str]:
    """Ids of the runs of which the remembered segments of that remote hold every record."""
    query = (
        f"SELECT run FROM record LEFT JOIN (SELECT DISTINCT item FROM segment_item WHERE segment IN ({ON_REMOTE}))"
        " ON item = digest GROUP BY run HAVING count(*) = count(item)"
    )
    return {row[0] for row in db.execute(query, (remote,))}


def records(db: sqlite3.Connection, remote: str) -> list[str]:
    """Digests of the records here that a remembered segment of that remote holds."""
    return [row[0] for row in db.execute(f"SELECT digest FROM record WHERE {THERE} ORDER BY position", (remote,))]


def holding(db: sqlite3.Connection, remote: str, item: str) -> list[str]:
    """The remembered segments of that remote that hold a record or event."""
    query = (
        "SELECT name FROM segment JOIN segment_item ON segment_item.segment = segment.id"
        f" WHERE item = ? AND segment.id IN ({ON_REMOTE})"
    )
    return [row[0] for row in db.execute(query, (item, remote))]


def unconfirmed(db: sqlite3.Connection, remote: str) -> list[str]:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (UNCONFIRMED + remote,)).fetchone()
    return [] if row is None else list(json.loads(row[0]))


def note_unconfirmed(db: sqlite3.Connection, remote: str, records: Iterable[str]) -> None:
    every = sorted({*records, *unconfirmed(db, remote)})
    if every:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (UNCONFIRMED + remote, json.dumps(every)))


def confirm(db: sqlite3.Connection, remote: str) -> None:
    db.execute("DELETE FROM meta WHERE key = ?", (UNCONFIRMED + remote,))
