"""Do the rows that answer questions say what the records and events come to? Rows are not proved by any digest, so a
second ledger is derived from what is proved, in a scratch directory, and SQLite compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.ledger.keeping.rows import every_event, every_text, refresh
from mltrack.ledger.keeping.writing import Writer
from mltrack.ledger.tables import DERIVED_TABLES

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.ledger import Ledger

COMPARED = {
    name: "id" if name == "run" else "run"
    for name in ("run", "param", "metric", "input", "artifact", "package", "tag", "note")
}
"""View -> its column with the id of the run."""

PAGE = 500


def stale_runs(ledger: Ledger) -> list[str]:
    """Ids of the runs of which some row is wrong, missing or too many. Records and events that are damaged themselves
    are left out: they are told elsewhere."""
    from tempfile import TemporaryDirectory

    beside = ledger.path.parent
    with TemporaryDirectory(prefix="rederiving-", dir=beside if os.access(beside, os.W_OK) else None) as scratch:
        path = Path(scratch, "ledger.db")
        with ledger.open(path) as again:
            again.db.execute("PRAGMA synchronous = OFF")
            for page in pages(whole for *_, whole in every_text(ledger.db) if whole is not None):
                again.merge_records(page)
            again.merge_events(event for _, event in every_event(ledger.db) if event is not None)
        ledger.db.execute("ATTACH ? AS again", (str(path),))
        try:
            return sorted(set().union(*(differing(ledger.db, view, run) for view, run in COMPARED.items())))
        finally:
            ledger.db.execute("DETACH again")


def pages(items: Iterable[bytes]) -> Iterator[list[bytes]]:
    every = iter(items)
    while page := list(islice(every, PAGE)):
        yield page


def derive_all_again(ledger: Ledger) -> None:
    """Empty the tables of derived rows, and fill them from the records and events, in one transaction. Raises Damaged
    where a run has no record that can be read; then nothing has changed."""
    with ledger.db:
        ledger.db.execute("BEGIN IMMEDIATE")
        for table in DERIVED_TABLES:
            ledger.db.execute(f"DELETE FROM {table}")
        writer = Writer(ledger.db)
        for (run,) in ledger.db.execute("SELECT run FROM record GROUP BY run ORDER BY min(position)").fetchall():
            refresh(writer, run)


def differing(db: sqlite3.Connection, view: str, run: str) -> set[str]:
    """The runs whose rows in a view are not the same in both."""
    columns = [row[1] for row in db.execute(f"PRAGMA main.table_info({view})")]
    own = ", ".join(f'"{name}"' for name in columns if not name.startswith("imported_"))  # these no record decides
    here, there = f"SELECT {own} FROM main.{view}", f"SELECT {own} FROM again.{view}"
    asked = f"SELECT {run} FROM ({here} EXCEPT {there}) UNION SELECT {run} FROM ({there} EXCEPT {here})"
    return {row[0] for row in db.execute(asked)}
