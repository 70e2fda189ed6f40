"""Runs by the content that they made and used: who has a digest among the artifacts, who among the inputs.

Asked in bulk, and each thing once: what was read is remembered for as long as a `Content` lives. Nothing here opens a
manifest; what lies in directories is known to `store/members.py`. Links say nothing of content and are passed over.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mltrack.digest import PREFIX, plain
from mltrack.ledger.telling import told

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.records import Run

AT_ONCE = 500
"""Values in one SELECT; SQLite's limit may be as low as 999."""

HOLDING = "run_row.id, item.path, item.kind, item.digest, item.size_bytes, item.files, item.path_b64"
KINDS = "item.kind <> 'link'"
TELLING = ("id", "name", "status", "command", "created_at", "started_at", "finished_at", "deleted")
MAKERS, USERS = "artifact", "input"
ROWS = {
    MAKERS: "artifact_row AS item JOIN run_row ON run_row.number = item.run",
    USERS: "input_fact AS item JOIN input_row ON input_row.input = item.id"
    " JOIN run_row ON run_row.number = input_row.run",
}
"""Artifacts and inputs, with their runs."""


IN_ORDER = {MAKERS: " ORDER BY item.id", USERS: " ORDER BY input_row.id"}
"""As their records have them."""


class Holding(NamedTuple):
    """A file or directory as a run recorded it among its artifacts, or among its inputs."""

    run: str
    path: str
    kind: str
    """`file`, `directory`, or `url`."""
    digest: str | None
    """Null only for an input: one that changed, could not be read, or came from the network."""
    size_bytes: int | None
    files: int | None


class Brief(NamedTuple):
    """What a graph shows of a run. `began` and `ended` order runs; one whose end is not known ended after all."""

    id: str
    name: str | None
    status: str
    command: tuple[str, ...]
    began: str
    ended: str
    hidden: bool


class Content:
    """The content of all runs of a ledger, read when it is asked for; for one thread."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._by_digest: dict[str, dict[str, list[Holding]]] = {MAKERS: {}, USERS: {}}
        self._by_run: dict[str, dict[str, list[Holding]]] = {MAKERS: {}, USERS: {}}
        self._runs: dict[str, Brief] = {}
        self._is_whole = False

    def makers(self, digests: Collection[str]) -> dict[str, list[Holding]]:
        """Digest -> the artifacts that have it, of whatever run; empty where nobody made it."""
        return self._ask(MAKERS, "digest", digests)

    def users(self, digests: Collection[str]) -> dict[str, list[Holding]]:
        """Digest -> the inputs that have it."""
        return self._ask(USERS, "digest", digests)

    def artifacts_of(self, runs: Collection[str]) -> dict[str, list[Holding]]:
        """Run -> its artifacts."""
        return self._ask(MAKERS, "run", runs)

    def inputs_of(self, runs: Collection[str]) -> dict[str, list[Holding]]:
        """Run -> its inputs, also those whose content is not known."""
        return self._ask(USERS, "run", runs)

    def briefs(self, runs: Collection[str]) -> dict[str, Brief]:
        """Run -> what is to be shown of it; without those that have no record."""
        asked = [] if self._is_whole else [run for run in runs if run not in self._runs]
        for start in range(0, len(asked), AT_ONCE):
            some = asked[start : start + AT_ONCE]
            for row in _rows(self.ledger, f"SELECT {', '.join(TELLING)} FROM run WHERE id IN ({marks(some)})", some):
                self._runs[row[0]] = brief(row)
        return {run: self._runs[run] for run in runs if run in self._runs}

    def brief(self, run: str) -> Brief:
        """The same of one that is known to have a record."""
        found = self._runs.get(run)
        return self.briefs((run,))[run] if found is None else found

    def _ask(self, table: str, column: str, keys: Collection[str]) -> dict[str, list[Holding]]:
        known = (self._by_digest if column == "digest" else self._by_run)[table]
        if not self._is_whole:
            asked = [key for key in keys if key not in known]
            for start in range(0, len(asked), AT_ONCE):
                some = asked[start : start + AT_ONCE]
                known.update((key, []) for key in some)
                key = "item.digest" if column == "digest" else "run_row.id"
                query = (
                    f"SELECT {HOLDING} FROM {ROWS[table]} WHERE {key} IN ({marks(some)}) AND {KINDS}{IN_ORDER[table]}"
                )
                place = 3 if column == "digest" else 0
                for row in _rows(self.ledger, query, some):
                    known[row[place]].append(holding(row))
        return {key: known.get(key, []) for key in keys}

    def add(self, run: Run) -> None:
        """Take in a run that has no record yet, as it is so far."""
        self._runs[run.id] = Brief(
            run.id, run.name, run.status, run.command, run.started_at or run.created_at, "~", False
        )
        self._by_run[MAKERS][run.id] = []
        self._by_run[USERS][run.id] = [
            Holding(run.id, item.path, item.kind, item.digest, item.size_bytes, item.files)
            for item in run.inputs
            if item.kind != "link"
        ]

    # -- all at once

    def extent(self) -> int:
        """About how many artifacts and inputs there are, of all runs together; costs nothing."""
        tables = (MAKERS, USERS)
        return sum(_rows(self.ledger, f"SELECT coalesce(max(id), 0) FROM {table}_row")[0][0] for table in tables)

    def read_all(self) -> None:
        """Read everything now: for long ways through the ledger, which ask for a little many times."""
        for table in (MAKERS, USERS):
            by_digest: dict[str, list[Holding]] = {}
            by_run: dict[str, list[Holding]] = {}
            for row in _rows(self.ledger, f"SELECT {HOLDING} FROM {ROWS[table]} WHERE {KINDS}{IN_ORDER[table]}"):
                one = holding(row)
                if one.digest is not None:
                    by_digest.setdefault(one.digest, []).append(one)
                by_run.setdefault(one.run, []).append(one)
            self._by_digest[table], self._by_run[table] = by_digest, by_run
        self._runs = {row[0]: brief(row) for row in _rows(self.ledger, f"SELECT {', '.join(TELLING)} FROM run")}
        self._is_whole = True


def directories(ledger: Ledger, seen: str | None) -> tuple[set[str], str]:
    """Digests of the manifests that records name which came since the place `seen`, and the place now.

    A place that is not of this ledger (it was made anew) counts as none.
    """
    after = _position(ledger, seen)
    rows = _rows(ledger, "SELECT position, digest FROM record ORDER BY position DESC LIMIT 1")
    if not rows or rows[0][0] == after:
        return set(), seen or ""
    found: set[str] = set()
    for table in (MAKERS, USERS):
        query = (
            f"SELECT DISTINCT item.digest FROM {ROWS[table]} JOIN record ON record.run = run_row.id"
            " WHERE record.position > ? AND item.kind = 'directory' AND item.digest IS NOT NULL"
        )
        found.update(row[0] for row in _rows(ledger, query, (after,)))
    return found, f"{rows[0][0]} {rows[0][1]}"


def _position(ledger: Ledger, seen: str | None) -> int:
    number, _, digest = (seen or "").partition(" ")
    if not number.isdigit():
        return 0
    rows = _rows(ledger, "SELECT 1 FROM record WHERE position = ? AND digest = ?", (int(number), digest))
    return int(number) if rows else 0


def beginning(ledger: Ledger, prefix: str) -> set[str]:
    """Digests of artifacts and inputs that begin with this text: `b3:` and some hex digits."""
    found: set[str] = set()
    for table in (MAKERS, USERS):
        query = f"SELECT DISTINCT item.digest FROM {ROWS[table]} WHERE item.digest >= ? AND item.digest < ? AND {KINDS}"
        found.update(row[0] for row in _rows(ledger, query, (prefix, prefix + "g")))
    return found


def last_at(ledger: Ledger, path: str) -> Holding | None:
    """The artifact that the newest run left at that path of the project."""
    query = (
        f"SELECT {HOLDING} FROM {ROWS[MAKERS]} WHERE item.path = ? AND {KINDS} AND NOT deleted"
        " ORDER BY coalesce(started_at, created_at) DESC, run_row.id LIMIT 1"
    )
    rows = _rows(ledger, query, (plain(path),))
    return next((one for one in map(holding, rows) if one.path == path), None)


def of_size(ledger: Ledger, least: int, most: int, limit: int) -> list[Holding]:
    """Files of at least and at most so many bytes that runs made, newest runs first; each content once."""
    query = (
        f"SELECT {HOLDING} FROM {ROWS[MAKERS]} WHERE item.kind = 'file' AND item.size_bytes BETWEEN ? AND ?"
        " GROUP BY item.digest ORDER BY max(created_at) DESC LIMIT ?"
    )
    return [holding(row) for row in _rows(ledger, query, (least, most, limit))]


def holding(row: Sequence[Any]) -> Holding:
    """`row` has the columns HOLDING."""
    if row[6] is None:
        return Holding._make(row[:6])
    return Holding(row[0], os.fsdecode(base64.b64decode(row[6])), *row[2:6])


def brief(row: Sequence[Any]) -> Brief:
    """`row` has the columns TELLING."""
    began = row[5] or row[4]
    return Brief(row[0], row[1], row[2], tuple(json.loads(row[3])), began, row[6] or "~", bool(row[7]))


def marks(values: Collection[str]) -> str:
    return ",".join("?" * len(values))


def is_prefix(text: str) -> bool:
    """Is it the beginning of a digest?"""
    digits = text[len(PREFIX) :]
    return text.startswith(PREFIX) and len(digits) <= 64 and not set(digits) - set("0123456789abcdef")


@told
def _rows(ledger: Ledger, query: str, values: Iterable[Any] = ()) -> list[Any]:
    return ledger.db.execute(query, tuple(values)).fetchall()
