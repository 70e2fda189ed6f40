"""Names of metrics, parameters and packages that no run has: a query about them finds nothing, and should say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mltrack.ledger.asking.choosing import sort_field

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.language.fields import Asked

FAMILIES = {"params": ("param", "parameter"), "metrics": ("metric", "metric"), "packages": ("package", "package")}
"""The part of a field's path that names follow -> the table that has them, and one in words."""


SOME = {
    **{
        f: f"SELECT 1 FROM {f}_row WHERE name = (SELECT id FROM word WHERE text = ?) LIMIT 1"
        for f in ("param", "metric")
    },
    "package": "SELECT 1 FROM package_row WHERE name = ? LIMIT 1",
}
"""Does some run have that name?"""

WORDS = "SELECT text FROM each JOIN word ON word.id = each.name ORDER BY text"


def unknown_names(db: sqlite3.Connection, query: RunQuery, alive: Iterable[tuple[str, str]]) -> list[str]:
    """Sentences about the names in a query and its sort that no run has, each with the nearest that some run has.

    `alive`: the (table, name) of those that a run has which is not in the ledger yet.
    """
    from mltrack.ledger.language.tree import every_asked

    asked = [] if query.where is None else list(every_asked(query.where))
    if query.sort.removeprefix("-").partition(".")[0] in ("params", "metrics", "packages", "environment"):
        asked.append(sort_field(query.sort.removeprefix("-")))
    known = set(alive)
    found = [about(db, one) for one in asked if one.key is not None and (table_of(one), one.key) not in known]
    return list(dict.fromkeys(sentence for sentence in found if sentence is not None))


def table_of(asked: Asked) -> str | None:
    """The table of a field's names, where it has one."""
    return next((FAMILIES[word][0] for word in asked.field.path if word in FAMILIES), None)


def about(db: sqlite3.Connection, asked: Asked) -> str | None:
    """The sentence about a name; None if some run has it."""
    from difflib import get_close_matches

    table, key = table_of(asked), str(asked.key)
    if table is None or db.execute(SOME[table], (key,)).fetchone():
        return None
    word = next(word for name, word in FAMILIES.values() if name == table)
    names = every_name(db, table)
    dotted = f"{key}.{asked.field.path[-1]}"
    if dotted in names:
        return f'No run has a {word} called {key}; {dotted} is written {table}s."{dotted}".'
    near = get_close_matches(key, names, 1) or [name for name in names if name.rsplit(".", 1)[-1] == key][:1]
    return f"No run has a {word} called {key}{f'; did you mean {near[0]}?' if near else '.'}"


def every_name(db: sqlite3.Connection, table: str) -> list[str]:
    """Each name of a `param`, `metric` or `package` once: from one to the next along the index, however many runs
    have it."""
    rows = db.execute(
        f"WITH RECURSIVE each(name) AS (SELECT min(name) FROM {table}_row UNION ALL"
        f" SELECT (SELECT min(name) FROM {table}_row WHERE name > each.name) FROM each WHERE each.name IS NOT NULL)"
        f" {'SELECT name FROM each WHERE name IS NOT NULL' if table == 'package' else WORDS}"
    )
    return [row[0] for row in rows]
