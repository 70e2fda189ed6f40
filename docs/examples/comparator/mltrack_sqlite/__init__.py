"""SQLite databases, table by table. Two that hold the same rows seldom have the same bytes."""

import sqlite3
from collections import Counter
from contextlib import closing

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding, Unreadable
from mltrack.compare.contents.contents import whole

WHAT = "how pages are laid out, and in which order rows were written"


def fits(name, head):
    return head.startswith(b"SQLite format 3\0")


def compare(a, b, around):
    try:
        one, other = tables(whole(a)), tables(whole(b))
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise Unreadable(f"it is no database that is read: {error}") from error
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other:
            return Finding(DIFFERENT, f"the table {name!r} is {'new' if name in other else 'gone'}")
        if one[name][0] != other[name][0]:
            return Finding(DIFFERENT, f"the table {name!r} has another definition")
        gone, new = one[name][1] - other[name][1], other[name][1] - one[name][1]
        if gone or new:
            return Finding(DIFFERENT, f"table {name!r}: {gone.total():,} rows are gone, {new.total():,} are new")
    return Finding(EQUIVALENT, "the same rows in all tables")


def tables(data):
    """Name -> (its definition, how often it has each row). The database is in memory only, and nothing in it runs."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(data)
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA query_only = ON")
        found = {}
        for kind, name, definition in database.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
            if kind in ("view", "trigger") or "VIRTUAL" in (definition or "").upper():
                raise Unreadable("it has views, triggers or virtual tables")
            rows = database.execute('SELECT * FROM "{}"'.format(name.replace('"', '""'))) if kind == "table" else ()
            found[kind, name] = definition, Counter(map(repr, rows))
        return found
