"""Prepared records into the tables, many at once: names become numbers, and what runs share is written once.

Called inside a transaction of `ledger.py`. A `Writer` remembers numbers for one transaction, or for several of one
process while nothing was rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from mltrack.digest import digest_bytes
from mltrack.ledger.keeping.deriving import FACTS, Derived, Fact, Prepared
from mltrack.ledger.keeping.packing import (
    EVERY,
    Packer,
    Unpacker,
    add_dictionary,
    better_words,
    dictionary_of,
    newest_dictionary,
)  # fmt: skip
from mltrack.ledger.tables import ARTIFACT_COLUMNS, RUN_COLUMNS, SHARED, SUMMARY_COLUMNS

if TYPE_CHECKING:
    import sqlite3

AT_ONCE = 500
"""Values in one SELECT; SQLite's limit may be as low as 999."""

MOST_KNOWN = 200_000
"""Numbers of shared rows that are remembered."""


def insert(table: str, columns: Sequence[str], how: str = "INSERT") -> str:
    return f"{how} INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


RUN = insert("run_row", ("number", "id", "record", "package_set", *FACTS, *RUN_COLUMNS, "warnings"))
PARAM = insert("param_row", ("name", "run", "value", "type", "source"))
METRIC = insert("metric_row", ("name", "run", *SUMMARY_COLUMNS))
INPUT = insert("input_row", ("run", "input"))
ARTIFACT = insert("artifact_row", ("run", *ARTIFACT_COLUMNS))
TAG = insert("tag_row", ("run", "tag"), "INSERT OR IGNORE")
NOTE = insert("note_row", ("run", "number", "text"))
RECORD = insert(
    "record", ("position", "digest", "run", "imported", "packed", "dictionary", "package_set", "packages_at")
)
FACT = {name: insert(f"{name}_fact", ("key", *columns)) for name, columns in SHARED.items()}

NO_IMPORTS: Mapping[str, int] = {}

ROWS_OF_RUN = ("input_row", "artifact_row", "tag_row", "note_row")
NAME, SOURCE = itemgetter(0), itemgetter(3)


class Writer:
    """Writes into one ledger."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self._words: dict[str, int] = {}
        self._facts: dict[tuple[str, bytes], int] = {}
        self._package_sets: dict[bytes, int] = {}

    # -- what is true --------------------------------------------------------------------------------------------

    def add_records(
        self, records: Sequence[Prepared], imports: Mapping[str, int] = NO_IMPORTS
    ) -> list[tuple[int, Prepared]]:
        """Keep those that are not here yet, and their positions. `imports`: by run, where a file brought it."""
        here = self.among("record", "digest", [one.digest for one in records])
        fresh = list({one.digest: one for one in records if one.digest not in here}.values())
        if not fresh:
            return []
        first = self.next_of("record", "position")
        loose = [one.text for one in fresh if one.dictionary is None]
        number, words = self.dictionary(first, loose) if loose else (None, b"")
        packer = Packer(words)
        placed = list(enumerate(fresh, first))
        rows = []
        for position, one in placed:
            how = (packer.pack(one.text), number) if one.dictionary is None else (one.text, one.dictionary)
            numbers = (self.package_set(one.packages), one.at)
            rows.append((position, one.digest, one.id, imports.get(one.id), *how, *numbers))
        self.db.executemany(RECORD, rows)
        return placed

    def dictionary(self, first: int, texts: Sequence[bytes]) -> tuple[int, bytes]:
        """The dictionary for records that come next, at position `first`: a new one, if it serves clearly better."""
        number, words = newest_dictionary(self.db)
        if number is None:
            found: bytes | None = dictionary_of(texts[:EVERY])
        elif len(texts) > EVERY:
            found = better_words(words, texts[:EVERY], texts[EVERY])
        elif first % EVERY == 0:
            found = better_words(words, self._latest(), texts[0])
        else:
            found = None
        if found is None:
            assert number is not None
            return number, words
        return add_dictionary(self.db, found), found

    def _latest(self) -> list[bytes]:
        """The last few records, as far as they can be read."""
        query = "SELECT packed, dictionary FROM record ORDER BY position DESC LIMIT ?"
        unpacker, found = Unpacker(self.db), []
        for packed, dictionary in reversed(self.db.execute(query, (EVERY - 1,)).fetchall()):
            try:
                found.append(unpacker.unpack(packed, dictionary))
            except ValueError:
                pass
        return found

    def package_set(self, packages: bytes | None) -> int | None:
        """The number of a set of packages, given as canonical JSON; its rows are made where it is new."""
        if packages is None:
            return None
        number = self._package_sets.get(packages)
        if number is None:
            digest = digest_bytes(packages)
            row = self.db.execute("SELECT id FROM package_set WHERE digest = ?", (digest,)).fetchone()
            number = int(row[0]) if row else self._new("INSERT INTO package_set (digest) VALUES (?)", (digest,))
            if not row:
                self.add_packages(number, json.loads(packages))
            self._package_sets[packages] = number
        return number

    def add_packages(self, number: int, packages: dict[str, str]) -> None:
        self.db.executemany(
            "INSERT INTO package_row (package_set, name, version) VALUES (?, ?, ?)",
            [(number, name, version) for name, version in packages.items()],
        )

    # -- what is derived -----------------------------------------------------------------------------------------

    def add_runs(self, runs: Sequence[tuple[int, Prepared]]) -> None:
        """The rows of records, each the first of its run, given with their positions."""
        first = self.next_of("run_row", "number")
        self._write(
            [
                (number, position, one.id, self.package_set(one.packages), one.derived)
                for number, (position, one) in enumerate(runs, first)
            ]
        )

    def replace_run(self, id: str, position: int, derived: Derived) -> None:
        """Write the rows of a run again, by another record or the same."""
        row = self.db.execute("SELECT number FROM run_row WHERE id = ?", (id,)).fetchone()
        number = int(row[0]) if row else self.next_of("run_row", "number")
        if row:
            self.db.execute("DELETE FROM run_row WHERE number = ?", (number,))
            for table in ROWS_OF_RUN:
                self.db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
            for table in ("param_row", "metric_row"):  # their keys begin with the name
                self.db.execute(f"DELETE FROM {table} WHERE name IN (SELECT id FROM word) AND run = ?", (number,))
        (packages,) = self.db.execute("SELECT package_set FROM record WHERE position = ?", (position,)).fetchone()
        self._write([(number, position, id, packages, derived)])

    def _write(self, runs: Sequence[tuple[int, int, str, int | None, Derived]]) -> None:
        words = self.words_of([one[-1] for one in runs])
        params: list[Any] = []
        metrics: list[Any] = []
        inputs: list[Any] = []
        artifacts: list[Any] = []
        rows: list[Any] = []
        for number, position, id, packages, one in runs:
            facts = list(map(self.fact, FACTS, one.facts))
            rows.append((number, id, position, packages or 0, *facts, *one.run, one.warnings))
            params += [(words[name], number, value, kind, words.get(by)) for name, value, kind, by in one.params]
            metrics += [(words[metric[0]], number, *metric[1:]) for metric in one.metrics]
            inputs += [(number, self.fact("input", item)) for item in one.inputs]
            artifacts += [(number, *item) for item in one.artifacts]
        # In the order of their keys, so that what is written next is near to what was written last; of a name they are
        # in the order of the runs already.
        params.sort(key=NAME)
        metrics.sort(key=NAME)
        for statement, many in (
            (RUN, rows), (PARAM, params), (METRIC, metrics), (INPUT, inputs), (ARTIFACT, artifacts)
        ):  # fmt: skip
            self.db.executemany(statement, many)
        self.write_words([(number, one.tags, one.notes) for number, _, _, _, one in runs])

    def write_words(self, runs: Iterable[tuple[int, Sequence[str], Sequence[str]]]) -> None:
        """The tags and notes of runs."""
        tags, notes = [], []
        for number, own_tags, own_notes in runs:
            tags += [(number, tag) for tag in own_tags]
            notes += [(number, *note) for note in enumerate(own_notes, 1)]
        self.db.executemany(TAG, tags)
        self.db.executemany(NOTE, notes)

    # -- numbers -------------------------------------------------------------------------------------------------

    def words_of(self, runs: Sequence[Derived]) -> dict[Any, int]:
        """The numbers of all names in these rows."""
        asked: set[str | None] = set()
        for one in runs:
            asked.update(map(NAME, one.params))
            asked.update(map(SOURCE, one.params))
            asked.update(map(NAME, one.metrics))
        known = self._words
        missing = sorted(word for word in asked if word is not None and word not in known)
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            query = f"SELECT text, id FROM word WHERE text IN ({', '.join('?' * len(some))})"
            known.update(self.db.execute(query, some).fetchall())
            for word in some:
                if word not in known:
                    known[word] = self._new("INSERT INTO word (text) VALUES (?)", (word,))
        return known  # it is asked with None too

    def fact(self, table: str, fact: Fact) -> int:
        """The number of a row that runs share."""
        key, values = fact
        number = self._facts.get((table, key))
        if number is None:
            row = self.db.execute(f"SELECT id FROM {table}_fact WHERE key = ?", (key,)).fetchone()
            number = int(row[0]) if row else self._new(FACT[table], (key, *values))
            if len(self._facts) >= MOST_KNOWN:
                self._facts.clear()
            self._facts[(table, key)] = number
        return number

    def _new(self, statement: str, values: Sequence[Any]) -> int:
        number = self.db.execute(statement, values).lastrowid
        assert number is not None
        return number

    def next_of(self, table: str, column: str) -> int:
        (last,) = self.db.execute(f"SELECT max({column}) FROM {table}").fetchone()
        return (last or 0) + 1

    def among(self, table: str, column: str, values: Collection[str]) -> set[str]:
        """Those of the values that the table has."""
        found: set[str] = set()
        every = list(values)
        for start in range(0, len(every), AT_ONCE):
            some = every[start : start + AT_ONCE]
            query = f"SELECT {column} FROM {table} WHERE {column} IN ({', '.join('?' * len(some))})"
            found.update(row[0] for row in self.db.execute(query, some))
        return found
