"""What a line of an import is: a sealed record that its digest proves, one to be completed, or neither.

Asks no ledger and writes nothing, so that it may be done beside what does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from mltrack.errors import MltrackError
from mltrack.ledger.bulk import Entry
from mltrack.ledger.deriving import prepared
from mltrack.ledger.events import Event, event_from, fold
from mltrack.ledger.shape import is_id
from mltrack.noun_json import from_dict, to_dict
from mltrack.operations.exchange.completing import Refused
from mltrack.operations.exchange.lines import proved_at_sight, said_by
from mltrack.records import Run

EDITED = ("name", "tags", "notes")
"""Fields of a line that its events decide, and that a person may have changed in it."""

KINDS = frozenset(
    ("name", "tag", "untag", "note", "delete", "restore", "drop", "verdict", "calibration", "environment", "import")
)


class Proved(NamedTuple):
    """Sealed records with their events, to be taken over as they are."""

    entries: tuple[Entry, ...]


class Given(NamedTuple):
    """A record that no digest proves."""

    document: dict[str, Any]


def judged(line: bytes, known: dict[bytes, Any]) -> Proved | Given:
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
    check_edits(document, json.loads(said.records[0][1]), events)
    records[0] = records[0]._replace(events=events)
    return Proved(tuple(records))


def entry_of(data: bytes, known: dict[bytes, Any]) -> Entry:
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
    return tuple(event for event in events if event.kind != "import")


def check_edits(document: Mapping[str, Any], record: Mapping[str, Any], events: tuple[Event, ...]) -> None:
    """Refuse a line in which somebody changed what its events decide: it would be lost in silence."""
    if any(event.kind not in KINDS for event in events):
        return  # a newer mltrack knows what they do
    after = to_dict(fold(from_dict(Run, record), events))
    for name in EDITED:
        if name in document and document[name] != after[name]:
            raise Refused(
                f"its {name} are not what its record and its events come to"
                if name != "name"
                else "its name is not what its record and its events come to",
                "Change them when it is here: mltrack tag, mltrack note.",
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
        from mltrack.operations.exchange.completing import check_values

        check_values({"schema": 1, "status": "finished", "id": document["id"]})
    return document


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(f"it says {twice[:60]!r} twice", "Which one is meant? Leave one.")
    return made
