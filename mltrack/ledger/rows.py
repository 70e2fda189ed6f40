"""Sealed records and events as rows, in and out; and the rows that are derived from them, so that SQL can ask.

The tables `record` and `event` hold what is true; `run`, `param`, `metric`, `input`, `artifact`, `tag` and `note` can
be derived from them at any time (`refresh`). Called inside a transaction of `ledger.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mltrack.digest import canonical_json, digest_bytes
from mltrack.errors import Damaged
from mltrack.ledger.events import KNOWN, Event, event_digest, event_from, fold, is_deleted
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import Run, Warning

if TYPE_CHECKING:
    import sqlite3

FOLDED = ("name", "tags", "notes", "verdict", "calibrations", "environment_kept", "warnings")
"""Fields of a run that may differ from its sealed record, by events or by a second record of the same id."""

LARGEST = 1 << 63

DERIVED = ("param", "metric", "input", "artifact")


def insert_record(db: sqlite3.Connection, digest: str, data: bytes, document: Mapping[str, Any]) -> bool:
    """Keep a sealed record; False if it is here already. Its packages, which runs share, are kept once."""
    if db.execute("SELECT 1 FROM record WHERE digest = ?", (digest,)).fetchone():
        return False
    text, at = cut_packages(data.decode(), document)
    packages = package_set(db, document["environment"]["packages"]) if at is not None else None
    db.execute(
        "INSERT INTO record (digest, run, json, package_set, packages_at) VALUES (?, ?, ?, ?, ?)",
        (digest, document["id"], text, packages, at),
    )
    return True


def cut_packages(text: str, document: Mapping[str, Any]) -> tuple[str, int | None]:
    """The record with an empty `packages`, and where they belong; or as it is, when it has none.

    Should the same words stand elsewhere in the record first, they are cut there: put back, they are the same bytes.
    """
    packages = document.get("environment", {}).get("packages")
    if not packages:
        return text, None
    names = canonical_json(packages).decode()
    at = text.find('"packages":' + names)
    if at < 0:
        return text, None
    at += len('"packages":')
    return text[:at] + "{}" + text[at + len(names) :], at


def package_set(db: sqlite3.Connection, packages: Mapping[str, str]) -> int:
    digest = digest_bytes(canonical_json(packages))
    row = db.execute("SELECT id FROM package_set WHERE digest = ?", (digest,)).fetchone()
    if row:
        return int(row[0])
    number = db.execute("INSERT INTO package_set (digest) VALUES (?)", (digest,)).lastrowid
    assert number is not None
    db.executemany("INSERT INTO package VALUES (?, ?, ?)", [(number, name, v) for name, v in packages.items()])
    return number


def whole_record(db: sqlite3.Connection, digest: str) -> bytes:
    """The bytes of a record as they were sealed. Raises Damaged if they are not these any more."""
    row = db.execute("SELECT json, package_set, packages_at FROM record WHERE digest = ?", (digest,)).fetchone()
    text, packages, at = row
    if at is not None:
        text = text[:at] + packages_text(db, packages) + text[at + 2 :]
    data: bytes = text.encode()
    if digest_bytes(data) != digest:
        raise damaged(digest)
    return data


def every_record(
    db: sqlite3.Connection, after: int, skip: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and value (without packages) of each record behind a position, proved. Raises Damaged.

    Asked for in pages, so that writers are not kept waiting where the file has no WAL.
    """
    names: dict[int, str] = {}
    query = (
        "SELECT position, digest, json, package_set, packages_at FROM record WHERE position > ? ORDER BY position"
        " LIMIT 500"
    )
    while page := db.execute(query, (after,)).fetchall():
        for after, digest, text, packages, at in page:
            if digest in skip:
                continue
            whole = text
            if at is not None:
                if packages not in names:
                    names[packages] = packages_text(db, packages)
                whole = text[:at] + names[packages] + text[at + 2 :]
            if digest_bytes(whole.encode()) != digest:
                raise damaged(digest)
            yield after, json.loads(text)


def packages_text(db: sqlite3.Connection, number: int) -> str:
    """The packages of a set as they stand in a record."""
    found = db.execute("SELECT name, version FROM package WHERE package_set = ?", (number,))
    return canonical_json(dict(found.fetchall())).decode()


def damaged(digest: str) -> Damaged:
    return Damaged(
        f"The record {digest} is damaged in the ledger.", "`mltrack verify --repair` fetches a good copy from a remote."
    )


def mend_record(db: sqlite3.Connection, digest: str, data: bytes, document: Mapping[str, Any]) -> None:
    """Put a record that is damaged here in its place again; also its packages, if those are what is wrong."""
    position = db.execute("SELECT position FROM record WHERE digest = ?", (digest,)).fetchone()
    db.execute("DELETE FROM record WHERE digest = ?", (digest,))
    packages = document["environment"].get("packages") or {}
    number = package_set(db, packages) if packages else None
    db.execute("DELETE FROM package WHERE package_set = ?", (number,))
    db.executemany("INSERT INTO package VALUES (?, ?, ?)", [(number, name, v) for name, v in packages.items()])
    insert_record(db, digest, data, document)
    if position is not None:
        db.execute("UPDATE record SET position = ? WHERE digest = ?", (position[0], digest))


def insert_event(db: sqlite3.Connection, event: Event) -> bool:
    """Keep an event; False if it is here already."""
    values = [getattr(event, name) for name in KNOWN]
    values[KNOWN.index("value")] = canonical_json(event.value).decode()
    extra = canonical_json(event.extra).decode() if event.extra else None
    done = db.execute(
        f"INSERT OR IGNORE INTO event (digest, {', '.join(KNOWN)}, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (event_digest(event), *values, extra),
    )
    return done.rowcount == 1


def events_where(db: sqlite3.Connection, condition: str, values: tuple[Any, ...]) -> list[Event]:
    """Events in the order they came, which means nothing; `condition` is SQL of this room, never of a user."""
    rows = db.execute(f"SELECT {', '.join(KNOWN)}, extra FROM event WHERE {condition}", values)
    return [event_of_row(row) for row in rows]


def event_of_row(row: tuple[Any, ...]) -> Event:
    document = dict(zip(KNOWN, row[:-1], strict=True))
    document["value"] = json.loads(document["value"])
    return event_from({**document, **json.loads(row[-1] or "{}")})


def refresh(db: sqlite3.Connection, runs: Iterable[str], records_too: bool) -> None:
    """Derive the rows of some runs again, after records or events of theirs arrived."""
    for run in runs:
        shown = db.execute("SELECT position, digest, json FROM record WHERE run = ?", (run,)).fetchall()
        if not shown:
            continue  # an event came before its record; it waits
        position, digest, text = min(shown, key=rank)
        document = json.loads(text)
        if records_too:
            derive(db, document, position, digest)
        refold(db, document, [row[1] for row in shown if row[1] != digest])


def rank(row: tuple[int, str, str]) -> tuple[bool, str]:
    """Which of several records with one id is shown: a finish overrides `lost`, then the smallest digest; so every
    replica shows the same one, in whatever order they came."""
    return json.loads(row[2])["status"] == "lost", row[1]


def refold(db: sqlite3.Connection, document: dict[str, Any], others: list[str]) -> None:
    """Write what events and other records made of a run: the columns of `run`, its tags and its notes."""
    run = str(document["id"])
    events = events_where(db, "run = ?", (run,))
    before = from_dict(Run, document)
    after = fold(before, events)
    changed = {name: to_dict(getattr(after, name)) for name in FOLDED if getattr(after, name) != getattr(before, name)}
    if others:
        changed["warnings"] = [to_dict(w) for w in (*before.warnings, conflict(others))]
    verdict = after.verdict.grade if after.verdict else None
    folded = canonical_json(changed).decode() if changed else None
    db.execute(
        "UPDATE run SET name = ?, verdict = ?, deleted = ?, folded = ? WHERE id = ?",
        (plain_text(after.name), plain_text(verdict), is_deleted(events), folded, run),
    )
    db.execute("DELETE FROM tag WHERE run = ?", (run,))
    db.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?)", [(run, plain_text(tag)) for tag in after.tags])
    db.execute("DELETE FROM note WHERE run = ?", (run,))
    notes = [(run, number, plain_text(text)) for number, text in enumerate(after.notes, 1)]
    db.executemany("INSERT INTO note VALUES (?, ?, ?)", notes)


def plain_text(text: str | None) -> str | None:
    return text if text is None else text.encode("utf-8", "replace").decode()


def conflict(others: list[str]) -> Warning:
    return Warning(
        "record_conflict",
        f"There are other records with the id of this run: {', '.join(sorted(others))}. All are kept.",
    )


def derive(db: sqlite3.Connection, document: Mapping[str, Any], position: int, digest: str) -> None:
    """Write the rows that a sealed record alone decides."""
    run = document["id"]
    for table in DERIVED:
        db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
    columns = run_columns(document)
    columns |= {"record": position, "record_digest": digest}
    columns["package_set"] = db.execute("SELECT package_set FROM record WHERE position = ?", (position,)).fetchone()[0]
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    db.execute(f"INSERT OR REPLACE INTO run ({names}) VALUES ({marks})", [small(v) for v in columns.values()])
    sources = document.get("param_sources", {})
    params = document.get("params", {})
    db.executemany(
        "INSERT INTO param VALUES (?, ?, ?, ?, ?)", [(run, n, *typed(v), sources.get(n)) for n, v in params.items()]
    )
    keys = ("last", "min", "max", "count", "last_step")
    for name, metric in document.get("metrics", {}).items():
        db.execute(
            "INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?, ?)", (run, name, *(small(metric.get(k)) for k in keys))
        )
    insert_paths(db, "input", run, document.get("inputs", ()))
    insert_paths(db, "artifact", run, document.get("artifacts", ()))


def run_columns(document: Mapping[str, Any]) -> dict[str, Any]:
    same = (
        "id name experiment status cwd exit_code signal seed created_at started_at finished_at duration_s user host why"
        " fingerprint"
    )
    columns = {name: document.get(name) for name in same.split()}
    columns["created_at"] = columns["created_at"] or ""
    columns["command"] = canonical_json(document["command"]).decode()
    code, environment = document.get("code") or {}, document.get("environment") or {}
    columns |= {f"code_{name}": code.get(name) for name in ("commit", "branch", "dirty", "snapshot", "tree")}
    columns |= {f"environment_{name}": environment.get(name) for name in ("digest", "kind")}
    columns["python"] = environment.get("python")
    parent = document.get("parent") or {}
    columns |= {"parent_kind": parent.get("kind"), "parent_run": parent.get("run")}
    replica = (document.get("origin") or {}).get("replica")
    columns["replica"] = replica if isinstance(replica, str) else None
    return columns


def insert_paths(db: sqlite3.Connection, table: str, run: str, items: Iterable[Mapping[str, Any]]) -> None:
    keys = ["path", "path_b64", "kind", "digest", "size_bytes", "files", "found"]
    if table == "input":
        keys += ["role", "kept", "changed_during_run"]
    marks = ", ".join("?" * (len(keys) + 1))
    rows = [(run, *(small(item.get(key)) for key in keys)) for item in items]
    db.executemany(f"INSERT INTO {table} (run, {', '.join(keys)}) VALUES ({marks})", rows)


def typed(value: Any) -> tuple[Any, str]:
    """A parameter's value as SQL holds it, and its type: `int float bool str null json`."""
    if isinstance(value, (dict, list)):
        return canonical_json(value).decode(), "json"
    return small(value), "null" if value is None else type(value).__name__


def small(value: Any) -> Any:
    """SQLite's integers have 64 bits; of a larger one the nearest float is kept, so that it compares as a number."""
    if not isinstance(value, int) or -LARGEST <= value < LARGEST:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
