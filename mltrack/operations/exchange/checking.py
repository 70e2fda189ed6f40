"""What a line of an import is: a sealed record that its digest proves, one to be completed, or neither.

Asks no ledger and writes nothing, so that it may be done beside what does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from mltrack.errors import MltrackError
from mltrack.ledger.events import Event, event_from, is_deleted
from mltrack.ledger.keeping.bulk import Entry, Stored
from mltrack.ledger.keeping.deriving import prepared
from mltrack.ledger.keeping.members import Known
from mltrack.ledger.keeping.shape import is_id
from mltrack.operations.exchange.lines import Said, differing, document_of, proved_at_sight, said_by
from mltrack.operations.exchange.refused import Refused

EDITED = ("name", "tags", "notes", "hidden")
"""Fields of a line that its events decide, and that can be changed here."""

KINDS = frozenset(
    ("name", "tag", "untag", "note", "delete", "restore", "drop", "verdict", "calibration", "environment")
)


class Proved(NamedTuple):
    """Sealed records with their events, to be taken over as they are."""

    entries: tuple[Entry, ...]


class Given(NamedTuple):
    """A record that no digest proves."""

    document: dict[str, Any]


def judged(line: bytes, known: Known) -> Proved | Given:
    """What a line is; `known` is for `deriving.prepared`. Raises Refused."""
    at_sight = proved_at_sight(line)
    if at_sight is not None:
        return Proved((entry_of(at_sight[1], known),))
    document = parsed(line)
    said = said_by(document)
    if said is None:
        return Given(document)
    records = [entry_of(data, known) for _, data in said.records]
    run = records[0].record.id
    if any(entry.record.id != run for entry in records):
        raise Refused("it holds records of different runs", "Export it again.")
    events = events_of(said.events, run)
    check_edits(document, said, run, events)
    records[0] = records[0]._replace(events=events)
    return Proved(tuple(records))


def entry_of(data: bytes, known: Known) -> Entry:
    try:
        return Entry(prepared(data, known))
    except MltrackError as error:
        raise refused(error) from error


def events_of(values: list[Any], run: str) -> tuple[Event, ...]:
    try:
        events = tuple(map(event_from, values))
    except MltrackError as error:
        raise refused(error) from error
    if any(event.run != run for event in events):
        raise Refused("an event in it is of another run", "Export it again.")
    return events


def check_edits(document: Mapping[str, Any], said: Said, run: str, events: tuple[Event, ...]) -> None:
    """Refuse a line in which somebody changed what its records and events decide: it would be lost in silence."""
    if any(event.kind not in KINDS for event in events):
        return  # a newer mltrack knows what they do
    digests, records = zip(*said.records, strict=True)
    name = differing(document, document_of(Stored(run, digests, records, events), is_deleted(events)))
    if name is not None:
        raise Refused(
            f"its {name[:60]} {'are' if name.endswith('s') else 'is'} not what its record and its events come to",
            "Change it when it is here: mltrack tag, note, hide." if name in EDITED else "Export it again.",
        )


def refused(error: MltrackError) -> Refused:
    reason = error.message.rstrip(".")
    return Refused(reason[:1].lower() + reason[1:], error.hint or "Export it again.")


def parsed(line: bytes) -> dict[str, Any]:
    """A line as an object. Raises Refused."""
    try:
        document = json.loads(line, object_pairs_hook=once)
    except RecursionError:
        raise Refused("it is nested too deeply", "A run's line is never so deep.") from None
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8", "Export it again, or convert it with iconv.") from None
    except ValueError as error:
        told = f" ({error.msg} at column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Refused(f"it is no JSON{told}", "A line holds one run as a JSON object.") from None
    if not isinstance(document, dict):
        raise Refused("it is no JSON object", "A line holds one run as a JSON object.")
    if "id" in document and document["id"] is not None and not is_id(document["id"]):
        from mltrack.operations.exchange.filling import check_values

        check_values({"schema": 1, "status": "finished", "id": document["id"]})
    return document


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(f"it says {twice[:60]!r} twice", "Which one is meant? Leave one.")
    return made
