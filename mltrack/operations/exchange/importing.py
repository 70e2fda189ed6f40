"""`mltrack import`: runs from a file into the ledger, all of the file or nothing.

What a digest proves is taken over byte for byte, as a pull does; the rest is completed and sealed here, and says so.
No data comes with a file: what the records name and the store lacks is noted as let go, so that nobody looks for it.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

from mltrack.errors import Damaged
from mltrack.ledger.keeping.deriving import nothing_known
from mltrack.ledger.keeping.members import Known
from mltrack.nouns import noun
from mltrack.operations.exchange.checking import Given, judged
from mltrack.operations.exchange.filling import completed, content_of
from mltrack.operations.exchange.reading import Bad, Piece, at_hand, pieces
from mltrack.operations.exchange.refused import Refused
from mltrack.operations.exchange.workers import answers
from mltrack.redact import Redactor

if TYPE_CHECKING:
    from mltrack.ledger.keeping.bulk import Entry
    from mltrack.ledger.keeping.deriving import Prepared
    from mltrack.progress import Progress
    from mltrack.project import Project

BATCH = 500
"""Runs that are taken over together."""


@noun
class ImportRequest:
    """`name` is what the file is called in messages and in the runs, without its directory."""

    name: str
    dry_run: bool = False
    skip_bad: bool = False


@noun
class ImportReport:
    """What came of an import, or would."""

    read: int
    """Runs in the file that could be taken over, or are here."""
    new: int
    proved: int
    """Of the new ones, those that are the sealed records of their runs."""
    events: int
    """Edits that are new."""
    applied: bool
    refused: tuple[Bad, ...] = ()
    other_ids: int = 0
    """Of the new ones, those that no digest proves and that had an id: they got another one."""


@dataclass
class Tally:
    """What was seen so far."""

    here: set[str]
    read: int = 0
    ids: dict[str, bool] = field(default_factory=dict)
    """Of the new runs: are they proved?"""
    refused: list[Bad] = field(default_factory=list)
    other_ids: int = 0
    times: Counter[str] = field(default_factory=Counter)
    known: Known = field(default_factory=nothing_known)
    """What records that were met before had alike."""

    def note(self, run: str, is_proved: bool) -> None:
        if run not in self.here:
            self.ids.setdefault(run, is_proved)


def import_runs(
    project: Project, request: ImportRequest, file: IO[bytes], progress: Progress | None = None
) -> ImportReport:
    """Take over the runs of an open file. Raises Damaged for the first line that cannot be, and then nothing is taken
    over, unless `skip_bad`; UsageError for a file of another kind, StorageError."""
    from mltrack.ledger.keeping.bulk import take_over

    ledger = project.ledger
    events = 0
    with at_hand(file, project.state) as whole:
        tally = Tally(ledger.ids())
        found = batches(project, request, tally, pieces(whole, request.name), progress)
        if request.dry_run:
            for batch in found:
                events += sum(len(entry.events) for entry in batch if entry.record.id in tally.ids)
        else:
            events = take_over(ledger, found, request.name).events
    if tally.ids and not request.dry_run:
        ledger.note_let_go(tally.ids)
    return ImportReport(
        tally.read,
        len(tally.ids),
        sum(tally.ids.values()),
        events,
        not request.dry_run,
        tuple(tally.refused),
        tally.other_ids,
    )


def batches(
    project: Project,
    request: ImportRequest,
    tally: Tally,
    found: Iterator[Piece | Bad],
    progress: Progress | None,
) -> Iterator[list[Entry]]:
    """What the ledger takes over, many runs at a time. The first are judged here, those of a large file by workers."""
    from mltrack.ledger.keeping.bulk import dictionary

    judge = Judge(request, tally, Redactor(os.environ))
    chunks = chunked(found, progress)
    first = next(chunks, [])
    yield judge.entries(first, [None] * len(first))
    second = next(chunks, [])
    if not second:
        return
    words = None if request.dry_run else dictionary(project.ledger)
    sent: deque[list[Piece | Bad]] = deque()

    def lines() -> Iterator[list[bytes]]:
        for chunk in chain([second], chunks):
            sent.append(chunk)
            yield [piece.data if isinstance(piece, Piece) else b"" for piece in chunk]

    for records in answers(lines(), words):
        yield judge.entries(sent.popleft(), records)


def chunked(found: Iterator[Piece | Bad], progress: Progress | None) -> Iterator[list[Piece | Bad]]:
    while chunk := list(islice(found, BATCH)):
        yield chunk
        if progress is not None:
            progress(sum(len(piece.data) for piece in chunk if isinstance(piece, Piece)))


@dataclass
class Judge:
    """Turns pieces into what the ledger takes, and counts."""

    request: ImportRequest
    tally: Tally
    redactor: Redactor

    def entries(self, chunk: Sequence[Piece | Bad], records: Sequence[Prepared | None]) -> list[Entry]:
        """Of pieces, and what workers made of them; None where they made nothing. Raises Damaged for a bad one."""
        from mltrack.ledger.keeping.bulk import Entry

        found: list[Entry] = []
        for piece, record in zip(chunk, records):
            if record is None:
                found += self.judged(piece)
            else:
                found.append(Entry(record))
                self.tally.note(record.id, True)
                self.tally.read += 1
        return found

    def judged(self, piece: Piece | Bad) -> list[Entry]:
        bad = piece if isinstance(piece, Bad) else None
        found: list[Entry] = []
        try:
            if isinstance(piece, Piece):
                found = entries_of(piece.data, self.tally, self.redactor)
                self.tally.read += 1
        except Refused as error:
            bad = Bad(piece.number, error.reason, error.hint)
        except RecursionError:
            bad = Bad(piece.number, "it is nested too deeply", "A run is never so deep.")
        if bad is not None:
            if not self.request.skip_bad:
                where = "Standard input" if self.request.name == "-" else self.request.name
                raise Damaged(
                    f"{where}, line {bad.number}: {bad.reason}. Nothing was taken over.",
                    f"{bad.hint} To pass such lines over: --skip-bad",
                )
            self.tally.refused.append(bad)
        return found


def entries_of(line: bytes, tally: Tally, redactor: Redactor) -> list[Entry]:
    """What a line adds to the ledger. Raises Refused."""
    found = judged(line, tally.known)
    entries = sealed_here(found.document, tally, redactor) if isinstance(found, Given) else list(found.entries)
    for entry in entries:
        tally.note(entry.record.id, entry.is_proved)
    return entries


def sealed_here(document: dict[str, Any], tally: Tally, redactor: Redactor) -> list[Entry]:
    """A record that no digest proves, completed and sealed under an id that is made from what it says; so it never
    takes the place of another run, and a second time adds nothing. Raises Refused."""
    from mltrack.ledger.keeping.bulk import Entry
    from mltrack.ledger.keeping.deriving import prepared
    from mltrack.ledger.ledger import sealed_bytes

    content = content_of(document)
    has_id = document.get("id") is not None
    run = completed(document, content, redactor, 0 if has_id else tally.times[content])
    if not has_id:
        tally.times[content] += 1
    if run.id in tally.ids or run.id in tally.here:
        return []
    tally.other_ids += has_id
    return [Entry(prepared(sealed_bytes(run), tally.known), is_proved=False)]
