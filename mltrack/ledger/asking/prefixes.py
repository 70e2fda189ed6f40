"""What begins with some letters: runs, names, tags and values, for shells that complete words. Reads, and never writes.

Every answer is a few steps along an index, whatever the number of runs: only the documented views are asked, one
value after the next, and at most as many as can be shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.nouns import noun

if TYPE_CHECKING:
    import sqlite3

LAST = "\U0010ffff"
"""Sorts behind every text with the same beginning."""
BY_NAME = "name = (SELECT id FROM word WHERE text = ?)"
"""Of the rows behind the views `param` and `metric`, whose values lie in an index."""
RECENT = 1000
"""What has no index of its own is looked for in so many runs, the newest."""
BUSY_S = 0.05


@noun
class Brief:
    """What one line can say of a run."""

    id: str
    name: str | None
    status: str
    created_at: str
    command: tuple[str, ...]
    why: str | None


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger, opened so that no file is made or changed. Raises sqlite3.Error where it cannot be read."""
    import sqlite3

    # SQLite makes files beside a database in WAL mode even to read it, unless they are there already.
    beside = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    how = "mode=ro" if all(one.exists() for one in beside) else "mode=ro&immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_S)
    try:
        db.execute("SELECT 1 FROM sqlite_master LIMIT 1")  # the first look at the file
        yield db
    finally:
        db.close()


def runs_by_id(db: sqlite3.Connection, prefix: str, limit: int, deleted: bool = False) -> list[Brief]:
    """The runs whose ids begin like this, the newest first as far as the index goes; all of them for nothing."""
    bound = (prefix, prefix + LAST) if prefix else ()
    where, order = ("id >= ? AND id < ? AND", "id") if prefix else ("", "created_at DESC")
    return briefs(db, f"{where} deleted = ? ORDER BY {order} LIMIT ?", (*bound, int(deleted), limit))


def run_of_name(db: sqlite3.Connection, name: str) -> Brief | None:
    """The newest run of that name."""
    return next(iter(briefs(db, "name = ? AND NOT deleted ORDER BY created_at DESC LIMIT 1", (name,))), None)


def runs_of_tag(db: sqlite3.Connection, tag: str, limit: int) -> list[Brief]:
    """Some runs with that tag."""
    ids = [row[0] for row in db.execute("SELECT run FROM tag WHERE tag = ? LIMIT ?", (tag, limit))]
    return [run for one in ids for run in briefs(db, "id = ? AND NOT deleted", (one,))]


def briefs(db: sqlite3.Connection, condition: str, bound: tuple[Any, ...]) -> list[Brief]:
    rows = db.execute(f"SELECT id, name, status, created_at, command, why FROM run WHERE {condition}", bound)
    return [
        Brief(id, name, status, created, tuple(json.loads(words)), why)
        for id, name, status, created, words, why in rows
    ]


NAMED = {"param": "name", "metric": "name", "package": "name", "run": "name", "tag": "tag"}
"""The views that have names, and their column."""


def names(db: sqlite3.Connection, view: str, prefix: str, limit: int) -> list[str]:
    """The names in one of `NAMED` that begin like this, in order, each once."""
    column = NAMED[view]
    sign = ">="
    found: list[str] = []
    while len(found) < limit:
        after = found[-1] if found else prefix
        asked = f"SELECT {column} FROM {view} WHERE {column} {sign} ? AND {column} < ? ORDER BY {column} LIMIT 1"
        row = db.execute(asked, (after, prefix + LAST)).fetchone()
        if row is None:
            break
        found.append(str(row[0]))
        sign = ">"
    return found


def values(db: sqlite3.Connection, name: str, prefix: str, limit: int) -> list[Any]:
    """The values of a param: all kinds for no prefix, else the texts that begin like it."""
    found: list[Any] = []
    if prefix:
        condition, bound = "value >= ? AND value < ?", [prefix, prefix + LAST]
    else:
        condition, bound = "value IS NOT NULL", []
    while len(found) < limit:
        row = db.execute(
            f"SELECT value FROM param_row WHERE {BY_NAME} AND {condition} ORDER BY value LIMIT 1", (name, *bound)
        ).fetchone()
        if row is None:
            break
        found.append(row[0])
        condition, bound = ("value > ? AND value < ?", [row[0], prefix + LAST]) if prefix else ("value > ?", [row[0]])
    return found


def span(db: sqlite3.Connection, metric: str) -> tuple[float, float] | None:
    """The least and the largest last value of a metric; None where no run has a number of it."""
    ends = [
        db.execute(
            f"SELECT last FROM metric_row WHERE {BY_NAME} AND last < '' ORDER BY last {way} LIMIT 1", (metric,)
        ).fetchone()
        for way in ("ASC", "DESC")
    ]
    return None if None in ends else (ends[0][0], ends[1][0])


def last_value(db: sqlite3.Connection, run: str, metric: str) -> Any:
    """The last value of a run's metric; None where it has none."""
    row = db.execute("SELECT last FROM metric WHERE name = ? AND run = ?", (metric, run)).fetchone()
    return None if row is None else row[0]


def contents(db: sqlite3.Connection, run: str, prefix: str, limit: int) -> list[tuple[str, str]]:
    """The paths of a run's artifacts and then its inputs that begin like this, and which of the two each is."""
    found: list[tuple[str, str]] = []
    for view in ("artifact", "input"):
        rows = db.execute(
            f"SELECT path FROM {view} WHERE run = ? AND path >= ? AND path < ? ORDER BY path LIMIT ?",
            (run, prefix, prefix + LAST, limit - len(found)),
        )
        found += [(row[0], view) for row in rows]
    return found


COLUMNS = {
    "experiment": "experiment", "code.branch": "code_branch", "user": "user", "host": "host", "cwd": "cwd",
    "environment.kind": "environment_kind", "environment.python": "python",
}  # fmt: skip
"""Fields of which recent runs are asked for values -> their column in the view `run`."""


def recent(db: sqlite3.Connection, field: str, limit: int) -> list[str]:
    """The values of one of `COLUMNS` in the newest runs, the commonest first."""
    column = COLUMNS[field]
    rows = db.execute(
        f"SELECT value FROM (SELECT {column} AS value FROM run ORDER BY created_at DESC LIMIT ?)"
        " WHERE value IS NOT NULL GROUP BY value ORDER BY count(*) DESC, value LIMIT ?",
        (RECENT, limit),
    )
    return [str(row[0]) for row in rows]
