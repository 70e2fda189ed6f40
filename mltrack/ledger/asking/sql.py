"""A person's own SQL on the ledger: answers, no change. Documented are the views: `docs/reference/format-ledger.md`.

The connection is opened for reading only, says so itself (`query_only`), and an authorizer refuses every statement that
is not a question: none may attach a file, load an extension or set what would be remembered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from mltrack.errors import UsageError
from mltrack.ledger.telling import tell

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.ledger import Ledger

VIEWS: Mapping[str, str] = {
    "run": "a run a row: how it ended, when, where, of which code and environment",
    "param": "the params of runs",
    "metric": "the metrics of runs: last, least, largest value, how many points",
    "artifact": "what runs made",
    "input": "what runs read",
    "package": "the packages of their environments",
    "tag": "their tags",
    "note": "their notes",
}
"""What is documented and keeps its names and columns."""

PRAGMAS = frozenset(
    (
        *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"),
        *("compile_options", "function_list", "collation_list", "database_list"),
    )
)
"""Those that ask and change nothing, whatever they are given."""

FORBIDDEN = frozenset(("load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"))
"""Functions that reach outside of the file, in builds of SQLite that have them."""

EVERY = 100_000
"""Steps of SQLite's machine between two looks whether Ctrl-C was pressed."""


class Answer(NamedTuple):
    """The names of the columns, and the rows as they come."""

    names: Sequence[str]
    rows: Iterator[Sequence[Any]]


def ask(ledger: Ledger, question: str, values: Mapping[str, Any]) -> Answer:
    """The answer to one SELECT (or VALUES, WITH, EXPLAIN, PRAGMA that asks), its rows read as they are wanted.

    `values` are those of its named parameters. Raises UsageError in one line for what cannot be asked, StorageError.
    """
    import sqlite3

    db = reading(ledger)
    try:
        cursor = db.execute(checked(question), values)
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        told = refusal(ledger, db, question, error)
        db.close()
        raise told from error
    if cursor.description is None:
        db.close()
        raise UsageError("This asks nothing.", 'Begin with SELECT: mltrack sql "SELECT id, status FROM run"')
    return Answer([column[0] for column in cursor.description], rows_of(ledger, db, cursor, question))


def rows_of(ledger: Ledger, db: sqlite3.Connection, cursor: sqlite3.Cursor, question: str) -> Iterator[Sequence[Any]]:
    import sqlite3

    try:
        yield from cursor
    except (sqlite3.Error, ValueError, OverflowError) as error:
        raise refusal(ledger, db, question, error) from error
    finally:
        db.close()


def views(ledger: Ledger) -> dict[str, list[str]]:
    """The documented views, each with its columns."""
    db = reading(ledger)
    try:
        return {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for name in VIEWS}
    finally:
        db.close()


def definitions(ledger: Ledger) -> list[str]:
    """The SQL that made everything in the file, tables first."""
    order = "CASE type WHEN 'view' THEN 0 WHEN 'table' THEN 1 ELSE 2 END, name"
    asked = f"SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY {order}"
    db = reading(ledger)
    try:
        return [row[0] for row in db.execute(asked)]
    finally:
        db.close()


def reading(ledger: Ledger) -> sqlite3.Connection:
    """A connection that can change nothing. Raises StorageError, Damaged."""
    import sqlite3

    from mltrack.ledger.schema import BUSY_S

    uri = ledger.path.absolute().as_uri()
    wal = ledger.path.with_name(ledger.path.name + "-wal")
    is_alone = not os.access(ledger.path.parent, os.W_OK) and not (wal.exists() and wal.stat().st_size)
    try:
        db = sqlite3.connect(f"{uri}?mode=ro{'&immutable=1' if is_alone else ''}", uri=True, timeout=BUSY_S)
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise tell(ledger.path, error) from error
    db.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")  # tables that are made when first named: by us, here
    db.text_factory = lambda data: data.decode("utf-8", "replace")
    db.set_progress_handler(lambda: 0, EVERY)  # Python looks for signals whenever it is called
    db.set_authorizer(allowed)
    return db


def allowed(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    """SQLite asks this of every part of a statement before it runs."""
    import sqlite3

    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in FORBIDDEN else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_OK if (first or "").lower() in PRAGMAS else sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_DENY


def checked(question: str) -> str:
    if not question.strip().strip(";").strip():
        raise UsageError("The question is empty.", 'Such as: mltrack sql "SELECT id, status FROM run"')
    if "\0" in question:
        raise UsageError("There is a NUL in the question.", "SQL is text.")
    return question


def refusal(ledger: Ledger, db: sqlite3.Connection, question: str, error: Exception) -> Exception:
    """What SQLite says, in our words and with the name that was meant."""
    said = str(error)
    if said == "interrupted":
        return KeyboardInterrupt()  # type: ignore[return-value]
    found = re.search(r"no such (table|column|function): \"?([^\"]+)", said)
    if found:
        return unknown(ledger, found[1], found[2])
    if "authoriz" in said or "prohibited" in said or "readonly" in said or "query_only" in said:
        return UsageError(
            "Only questions can be asked here: nothing may be changed, attached or loaded.",
            "For a copy that may be changed: mltrack export, or the sqlite3 program on a copy of the ledger.",
        )
    if "one statement at a time" in said:
        return UsageError("These are several statements.", "Ask one at a time.")
    missing = re.search(r"supply a value for binding (?:parameter )?:?(\w+)", said)
    if missing:
        return UsageError(f"The question has a parameter :{missing[1]}.", f"Give its value: -p {missing[1]}=VALUE")
    if "supply" in said or "binding" in said.lower():
        return UsageError("A parameter of the question has no name.", "Write :name, and give its value: -p name=VALUE")
    if "malformed" in said or "not a database" in said or "disk I/O" in said:
        return tell(ledger.path, error)  # type: ignore[arg-type]
    return UsageError(f"SQLite cannot answer this: {said}.", "The views and their columns: mltrack sql")


def unknown(ledger: Ledger, what: str, name: str) -> UsageError:
    """There is no table, column or function of that name; which one is nearest?"""
    own = name.rpartition(".")[2]
    known = views(ledger)
    if what == "column":
        choices = [column for columns in known.values() for column in columns]
        holders = {column: [view for view in known if column in known[view]] for column in choices}
    else:
        choices, holders = list(known) if what == "table" else [], {}
    near = (
        get_close_matches(own, dict.fromkeys(choices), 1, 0.5)
        or [one for one in dict.fromkeys(choices) if one in own or own in one][:1]
    )
    if what == "column" and own in holders:
        return UsageError(
            f"No table of the question has the column {name}.", f"It is one of: {', '.join(holders[own])}."
        )
    word = {"table": "view", "column": "column", "function": "function"}[what]
    where = f" (of {', '.join(holders[near[0]])})" if near and near[0] in holders else ""
    hint = f"Did you mean {near[0]}{where}?" if near else "The views and their columns: mltrack sql"
    if what == "column" and not near:
        hint = "A text stands in single quotes: 'lstm'. The views and their columns: mltrack sql"
    return UsageError(f"There is no {word} {name}.", hint)
