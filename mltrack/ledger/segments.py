"""What this ledger knows of each remote: which segments are there and what they hold.

The set of names, not a highest number: a segment of another replica may appear late. It is in the ledger, so that a
ledger restored from a backup forgets with it what it then has to learn again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mltrack.nouns import noun

if TYPE_CHECKING:
    import sqlite3


@noun
class Held:
    """A segment's name, and what it holds: (digest of a record or event, id of its run)."""

    name: str
    items: Sequence[tuple[str, str]]


@noun
class Unsent:
    """Digests, each with the id of its run."""

    records: tuple[tuple[str, str], ...]
    events: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.records or self.events)


ON_REMOTE = "SELECT segment FROM remote_segment WHERE remote = ?"


def names(db: sqlite3.Connection, remote: str) -> set[str]:
    return {row[0] for row in db.execute(f"SELECT name FROM segment WHERE id IN ({ON_REMOTE})", (remote,))}


def remember(db: sqlite3.Connection, remote: str, held: Held) -> None:
    db.execute("INSERT OR IGNORE INTO segment (name) VALUES (?)", (held.name,))
    (number,) = db.execute("SELECT id FROM segment WHERE name = ?", (held.name,)).fetchone()
    items = [(item, number, run) for item, run in held.items]
    db.executemany("INSERT OR IGNORE INTO segment_item VALUES (?, ?, ?)", items)
    db.execute("INSERT OR IGNORE INTO remote_segment VALUES (?, ?)", (remote, number))


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
    query = f"SELECT item, run FROM segment_item WHERE segment IN ({ON_REMOTE})"
    there = dict(db.execute(query, (remote,)).fetchall())
    runs_there = set(there.values())
    withheld = {row[0] for row in db.execute("SELECT id FROM run WHERE deleted")} - runs_there
    wanted = None if run_ids is None else set(run_ids)
    found = []
    for table, order in (("record", "position"), ("event", "rowid")):
        rows = db.execute(f"SELECT digest, run FROM {table} ORDER BY {order}")
        found.append(
            tuple(
                (digest, run)
                for digest, run in rows
                if digest not in there and run not in withheld and (wanted is None or run in wanted)
            )
        )
    return Unsent(*found)


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
