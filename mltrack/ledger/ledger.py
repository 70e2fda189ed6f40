"""The ledger: one SQLite file that every process of a project may read and write at the same time.

What is added is never rewritten: sealed records and events, both named by their digest. All else in the file is
derived from them. Every method is one transaction, and what it added is on the disk when it returns.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.digest import canonical_json, plain
from mltrack.errors import NotFound
from mltrack.ledger import schema
from mltrack.ledger import segments as known
from mltrack.ledger.asking import names, queries, refs
from mltrack.ledger.asking.choosing import REPETITION
from mltrack.ledger.asking.queries import RunQuery
from mltrack.ledger.events import Event, event_from, event_json, fold, is_dropped, later, next_clock
from mltrack.ledger.keeping import rows
from mltrack.ledger.keeping.deriving import nothing_known, prepared
from mltrack.ledger.keeping.writing import Writer
from mltrack.ledger.remotes import RemoteMemory
from mltrack.ledger.replica import all_replicas, replica_id
from mltrack.ledger.telling import tell, told
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import UNSEALED, CodeState, Run, new_id

if TYPE_CHECKING:
    import sqlite3

    # `list` is a method of Ledger, and so no type inside of it.
    Runs = list[Run]
    Documents = list[dict[str, Any]]
    Events = list[Event]
    CodeStates = list[CodeState]
    Sentences = list[str]
    Counts = tuple[int, int]

NAMES_NO_OBJECT = frozenset(
    ("params", "param_sources", "metrics", "recognised", "warnings", "preflight", "verdict", "calibrations")
)
"""Fields of a record that are not looked at for the objects that it needs; one that is new is."""


class Ledger(RemoteMemory):
    """An open ledger, for one thread at a time. Use `Ledger.open`; close it, or use it as a context manager."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self.db = db

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """The ledger in that file, which is made, or migrated after a backup, where that is due.

        Raises FormatTooNew for a newer one, Damaged for a file that is none, StorageError when it cannot be opened.
        """
        import sqlite3

        try:
            return cls(path, schema.connect(path))
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise tell(path, error) from error

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def replica(self) -> str:
        """The id of this checkout, minted when it is first asked for. Raises StorageError."""
        return replica_id(self.path.parent)

    @property
    def replicas(self) -> Sequence[str]:
        """Every id that this checkout has had, the valid one first; none before one is asked for."""
        return all_replicas(self.path.parent)

    # -- adding ------------------------------------------------------------------------------------------------

    @told
    def seal(self, run: Run) -> Run:
        """Keep a run that has ended, for good; its verdict, which is not part of the record, as an event.

        The same run a second time changes nothing. Returns it with its `record_digest`. Raises Damaged if it would
        not be accepted elsewhere, StorageError if it cannot be written.
        """
        record = prepared(sealed_bytes(run))
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            is_new = not self.db.execute("SELECT 1 FROM record WHERE digest = ?", (record.digest,)).fetchone()
            if is_new and run.verdict is not None:
                self._insert_local("verdict", run.id, to_dict(run.verdict))
            rows.take(Writer(self.db), [record], ())
        return replace(run, record_digest=record.digest)

    def add_record(self, data: bytes) -> bool:
        """Take over a sealed record from elsewhere, byte for byte; True if it is new. Raises Damaged, FormatTooNew."""
        return self.merge_records([data]) == 1

    @told
    def merge_records(self, records: Iterable[bytes]) -> int:
        """Take over sealed records, all or none; returns how many were new. Raises Damaged, FormatTooNew."""
        return self._merge(records, ())[0]

    @told
    def merge_events(self, events: Iterable[Event]) -> int:
        """Take over events from elsewhere; returns how many were new. Their runs may come later. Raises Damaged."""
        return self._merge((), events)[1]

    @told
    def merge_segment(self, remote: str, held: known.Held, records: Iterable[bytes], events: Iterable[Event]) -> Counts:
        """Take over what a segment of a remote holds, or the part that is wanted, and remember all it holds, at once.

        Returns how many records and events were new. Raises Damaged, FormatTooNew; then nothing has changed.
        """
        return self._merge(records, events, lambda: known.remember(self.db, remote, held))

    def _merge(
        self, records: Iterable[bytes], events: Iterable[Event], also: Callable[[], None] = lambda: None
    ) -> Counts:
        known = nothing_known()
        sealed = [prepared(data, known) for data in records]
        edits = [event_from(event_json(event)) for event in events]
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            taken = rows.take(Writer(self.db), sealed, edits)
            self._see_clocks(event.clock for event in taken.events)
            also()
        return len(taken.runs), len(taken.events)

    @told
    def add_event(self, kind: str, run_id: str, value: Any) -> Event:
        """Note an edit of a run, made here and now; the run may still be alive. `value` is anything JSON can say."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            event = self._insert_local(kind, run_id, value)
            if self.db.execute("SELECT 1 FROM run_row WHERE id = ?", (run_id,)).fetchone():
                rows.refold(Writer(self.db), run_id)
        return event

    def _insert_local(self, kind: str, run_id: str, value: Any) -> Event:
        now = time.time_ns() // 1000
        replica = self.replica
        event = Event(
            id=new_id(),
            kind=kind,
            run=run_id,
            value=plain(value),
            clock=next_clock(self._clock(), now // 1000, replica),
            at=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000)) + f".{now % 1_000_000:06}Z",
            replica=replica,
            user=user_name(),
        )
        event = event_from(event_json(event))
        rows.insert_events(Writer(self.db), [event])
        self._see_clocks([event.clock])
        return event

    def _clock(self) -> str | None:
        row = self.db.execute("SELECT value FROM meta WHERE key = 'clock'").fetchone()
        return row[0] if row else None

    def _see_clocks(self, clocks: Iterable[str]) -> None:
        before = self._clock()
        latest = later([*clocks, *([before] if before else [])])
        if latest is not None:
            self.db.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (latest,))

    # -- asking ------------------------------------------------------------------------------------------------

    @told
    def get(self, run_id: str) -> Run:
        """The run with that exact id, as its events left it, deleted or not. Raises NotFound."""
        query = f"SELECT {queries.COLUMNS} FROM {queries.RUN_WITH_RECORD} WHERE run.id = ?"
        found = queries.decode(self.db, self.db.execute(query, (run_id,)).fetchall(), with_packages=True)
        if not found:
            raise NotFound(f"There is no run {run_id}.", "`mltrack ls` shows the runs.")
        return found[0]

    @told
    def record_bytes(self, run_id: str) -> bytes:
        """The sealed record of that run, byte for byte. Raises NotFound, Damaged."""
        query = "SELECT digest FROM run_row JOIN record ON position = record WHERE id = ?"
        row = self.db.execute(query, (run_id,)).fetchone()
        if row is None:
            raise NotFound(f"There is no run {run_id}.", "`mltrack ls` shows the runs.")
        return rows.whole_record(self.db, row[0])

    @told
    def list(self, query: RunQuery | None = None) -> Runs:
        """The runs that a query asks for; all that were not deleted, newest first, without one. Raises UsageError."""
        return queries.select(self.db, query or RunQuery())

    @told
    def documents(self, query: RunQuery) -> Documents:
        """The same runs as the machine interface's JSON values."""
        return queries.select_documents(self.db, query)

    @told
    def resolve(self, ref: str, live: Sequence[refs.Live] = ()) -> str:
        """The id of the run that a person means by `ref`; `live` are the runs that have no record yet.

        A deleted run is found by its exact id only. Raises NotFound, Ambiguous.
        """
        return refs.resolve(self.db, ref, live, self.replicas)

    @told
    def events(self, run_id: str) -> Events:
        """The history of a run's edits, in no particular order; `events.in_order` sorts it."""
        return rows.events_where(self.db, "run = ?", (run_id,))

    @told
    def find_code(self, snapshot: str | None, limit: int = 20) -> CodeStates:
        """Code states that runs recorded, to pack another against: those of this snapshot first, then the newest."""
        return queries.code_states(self.db, snapshot, limit)

    @told
    def artifact_paths(self) -> set[str]:
        """Every path that some run recorded as an artifact, as the file system spells it."""
        import base64

        found = self.db.execute("SELECT DISTINCT path, path_b64 FROM artifact_row")
        return {path if b64 is None else os.fsdecode(base64.b64decode(b64)) for path, b64 in found}

    @told
    def ids(self) -> set[str]:
        """The ids of all runs, deleted ones too."""
        return {row[0] for row in self.db.execute("SELECT id FROM run_row")}

    @told
    def deleted_ids(self) -> set[str]:
        return {
            row[0]
            for row in self.db.execute("SELECT id FROM run_row WHERE (deleted OR parent_kind IS NOT NULL) AND deleted")
        }

    @told
    def dropped_ids(self) -> set[str]:
        """Runs whose data was let go by name: it need not be on remotes any more."""
        found = {row[0] for row in self.db.execute("SELECT DISTINCT run FROM event WHERE kind = 'drop'")}
        return {run for run in found if is_dropped(rows.events_where(self.db, "run = ?", (run,)))}

    @told
    def repetition_times(self, run_id: str) -> Sequence[float]:
        """How many seconds the command took in each finished reproduction of a run, the oldest first."""
        asked = (
            "SELECT duration_s FROM run_row WHERE parent_run = ? AND parent_kind = 'reproduce' AND status = 'finished'"
            " AND duration_s IS NOT NULL AND NOT deleted ORDER BY created_at"
        )
        return [float(row[0]) for row in self.db.execute(asked, (run_id,))]

    @told
    def count(self, repetitions: bool = True) -> int:
        """How many runs there are, without the deleted ones; also without those that calibrations made."""
        aside = (
            "SELECT count(*) FROM run_row WHERE (deleted OR parent_kind IS NOT NULL)"
            " AND (deleted OR (parent_kind = ? AND NOT ?))"
        )
        (every,) = self.db.execute("SELECT count(*) FROM run_row").fetchone()
        return int(every) - int(self.db.execute(aside, (REPETITION, repetitions)).fetchone()[0])

    @told
    def unknown_names(self, query: RunQuery, alive: Iterable[tuple[str, str]]) -> Sentences:
        """What to say of the metrics, parameters and packages in a query that no run has."""
        return names.unknown_names(self.db, query, alive)

    @told
    def check(self) -> Sentences:
        """What is wrong with this ledger, in sentences; nothing, when records and edits are what was kept."""
        wrong = [str(row[0]) for row in self.db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        wrong += [rows.damaged(digest).message for digest in self.damaged_records()]
        return wrong + [rows.damaged_event(run).message for run, event in rows.every_event(self.db) if event is None]

    @told
    def stale_runs(self) -> Sequence[str]:
        """Ids of the runs that questions are answered wrongly about: their rows are not what their record says."""
        from mltrack.ledger.keeping.rederiving import stale_runs

        return stale_runs(self)

    @told
    def derive_all_again(self) -> None:
        """Make every row that answers questions anew, from the records and events. Raises Damaged."""
        from mltrack.ledger.keeping.rederiving import derive_all_again

        derive_all_again(self)

    @told
    def damaged_records(self) -> Sequence[str]:
        """Digests of the records that are not any more what was sealed."""
        return rows.damaged_records(self.db)

    @told
    def mend(self, data: bytes) -> None:
        """Put a sealed record in the place of the damaged one that has its digest. Raises Damaged, FormatTooNew."""
        record = prepared(data)
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            rows.mend_record(Writer(self.db), record)

    # -- what the store must keep ------------------------------------------------------------------------------

    def records(self, after: int = 0, skip: Collection[str] = ()) -> Iterator[tuple[int, Run]]:
        """Every sealed record behind a position, with its position: also of hidden runs, also several of one run.

        Proved, without packages; of what events changed, with the objects that they add. Without those of the digests
        in `skip`. Raises Damaged.
        """
        import sqlite3

        try:
            added = self.environment_events()
            for position, document in rows.every_record(self.db, after, skip):
                run = from_dict(Run, {name: value for name, value in document.items() if name not in NAMES_NO_OBJECT})
                yield position, fold(run, added[run.id]) if run.id in added else run
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise tell(self.path, error) from error

    @told
    def runs_wholly_on(self, remote: str) -> set[str]:
        """Ids of the runs of which a remembered segment of that remote holds every record that is here."""
        return known.runs_with_all_records(self.db, remote)

    @told
    def let_go(self) -> set[str]:
        """Ids of the runs whose data was dropped here by name, so that nobody wonders where it is."""
        row = self.db.execute("SELECT value FROM meta WHERE key = 'let_go'").fetchone()
        return set(json.loads(row[0])) if row else set()

    @told
    def note_let_go(self, run_ids: Iterable[str], back: Iterable[str] = ()) -> None:
        """Remember that the data of these runs is dropped here; `back`: of which it is here again."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            value = json.dumps(sorted(self.let_go().union(run_ids).difference(back)))
            self.db.execute("INSERT OR REPLACE INTO meta VALUES ('let_go', ?)", (value,))

    @told
    def segments_with(self, remote: str, digest: str) -> Sequence[str]:
        """Names of the remembered segments of that remote that hold this record or event."""
        return known.holding(self.db, remote, digest)

    # -- items by their digest -----------------------------------------------------------------------------------

    @told
    def item(self, digest: str) -> bytes | Event | None:
        """The sealed record or the event with that digest; None if it is not here. Raises Damaged."""
        if self.db.execute("SELECT 1 FROM record WHERE digest = ?", (digest,)).fetchone():
            return rows.whole_record(self.db, digest)
        return next(iter(rows.events_where(self.db, "digest = ?", (digest,))), None)

    @told
    def record(self, digest: str) -> bytes:
        """A sealed record by its digest; also one that another record of the same id hides. Raises Damaged."""
        return rows.whole_record(self.db, digest)

    @told
    def records_of(self, run_id: str) -> Sequence[str]:
        """Digests of the records of that run: one, or more where two machines disagree."""
        return [row[0] for row in self.db.execute("SELECT digest FROM record WHERE run = ? ORDER BY digest", (run_id,))]

    @told
    def event(self, digest: str) -> Event:
        return rows.events_where(self.db, "digest = ?", (digest,))[0]


def sealed_bytes(run: Run) -> bytes:
    """The canonical JSON of a run without what later events may decide: the record."""
    return canonical_json({name: value for name, value in to_dict(run).items() if name not in UNSEALED})


def user_name() -> str | None:
    """Who edits; None when the system does not know."""
    name = os.environ.get("LOGNAME") or os.environ.get("USER")
    if name is None:
        import pwd

        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return None
    return name
