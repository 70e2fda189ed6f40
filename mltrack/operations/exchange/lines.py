"""A run as a line of an export, and what such a line says it was: its sealed record, byte for byte, and its edits.

A line is the run's JSON of the machine interface with packages, as its edits left it, and `events`. What the edits
changed of the sealed record stands in `sealed` as it was. Most runs were never edited: their line is the text of the
record with a tail behind it, so that neither side need parse it. See `docs/guides/export.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from mltrack.digest import canonical_json, digest_bytes, plain
from mltrack.ledger.events import event_json, fold
from mltrack.ledger.keeping.bulk import Stored
from mltrack.ledger.keeping.rows import FOLDED, conflict
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import UNSEALED, Run

LATER: Mapping[str, Any] = {"verdict": None, "calibrations": [], "environment_kept": {}}
"""What a run that was never edited has of what is not part of its record."""

EVENTS, SEALED, NOT_SEALED, OTHERS, HIDDEN = "events", "sealed", "not_sealed", "other_records", "hidden"
OURS = (*UNSEALED, EVENTS, SEALED, NOT_SEALED, OTHERS, HIDDEN)
"""Keys of a line that are not the record's."""
BESIDE = (*LATER, EVENTS, SEALED, NOT_SEALED, OTHERS, HIDDEN)
"""Those of them that say something only beside a record that its digest proves."""

DIGEST_KEY = b',"record_digest":"'
WORDS = tuple(f'"{name}":'.encode() for name in (*LATER, EVENTS, "record_digest"))
"""Where one of them stands in a record, it may be a key of the record, which the tail would say a second time."""
TAIL = (json.dumps({**LATER, EVENTS: []}, separators=(",", ":"))[1:]).encode()


class Said(NamedTuple):
    """What a line holds: sealed records by their digests, the shown one first, and events as JSON."""

    records: tuple[tuple[str, bytes], ...]
    events: list[Any]


def line_of(run: Stored, is_hidden: bool = False) -> bytes:
    """The line of a run, without the line's end."""
    record = run.records[0]
    is_plain = not (run.events or len(run.records) > 1 or is_hidden)
    if is_plain and not any(word in record for word in WORDS):
        return b"".join((record[:-1], DIGEST_KEY, run.digests[0].encode(), b'",', TAIL))
    return dumps(document_of(run, is_hidden))


def document_of(run: Stored, is_hidden: bool = False) -> dict[str, Any]:
    """The line as a value."""
    record = json.loads(run.records[0])
    before = from_dict(Run, record)
    after = fold(before, run.events)
    document = dict(record)
    for name in FOLDED:
        value = getattr(after, name)
        if value != getattr(before, name):
            document[name] = plain(to_dict(value))
    if len(run.records) > 1:
        warnings = (*before.warnings, conflict(list(run.digests[1:])))
        document["warnings"] = plain(to_dict(warnings))
    sealed = {name: value for name, value in record.items() if name in OURS or document[name] != value}
    not_sealed = [name for name in document if name not in record and name not in OURS]
    document["record_digest"] = run.digests[0]
    for name, value in LATER.items():
        document.setdefault(name, value)
    document.update({SEALED: sealed} if sealed else {})
    document.update({NOT_SEALED: not_sealed} if not_sealed else {})
    others = zip(run.digests[1:], run.records[1:])
    if len(run.records) > 1:
        document[OTHERS] = [{"record_digest": digest, "record": json.loads(data)} for digest, data in others]
    document.update({HIDDEN: True} if is_hidden else {})
    document[EVENTS] = [event_json(event) for event in run.events]
    return document


def shown_of(run: Stored) -> dict[str, Any]:
    """The run's JSON as its edits left it, for flat rows; quick for one that was never edited."""
    if run.events or len(run.records) > 1:
        return document_of(run)
    document: dict[str, Any] = json.loads(run.records[0])
    return {**document, "record_digest": run.digests[0]}


def dumps(value: Any) -> bytes:
    """Compact JSON of what JSON was read from."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:  # a number or a text that JSON cannot say
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def proved_at_sight(line: bytes) -> tuple[str, bytes] | None:
    """Digest and bytes of the sealed record of a run that was never edited, without parsing; None if it is not that."""
    at = line.rfind(DIGEST_KEY)
    start = at + len(DIGEST_KEY)
    end = line.find(b'"', start)
    if at < 0 or line[end : end + 2] != b'",' or line[end + 2 :] != TAIL:
        return None
    record, digest = line[:at] + b"}", line[start:end].decode("ascii", "replace")
    return (digest, record) if digest_bytes(record) == digest else None


def said_by(document: Mapping[str, Any]) -> Said | None:
    """What a line holds, where its digests prove that; else None."""
    record = {name: value for name, value in document.items() if name not in OURS}
    sealed, not_sealed, others = document.get(SEALED, {}), document.get(NOT_SEALED, []), document.get(OTHERS, [])
    events = document.get(EVENTS, [])
    if not (isinstance(sealed, dict) and all(isinstance(part, list) for part in (not_sealed, others, events))):
        return None
    for name in not_sealed:
        record.pop(str(name), None)
    record.update(sealed)
    claims: list[tuple[Any, Any]] = [(document.get("record_digest"), record)]
    for other in others:
        claims.append((other.get("record_digest"), other.get("record")) if isinstance(other, dict) else (None, None))
    records = []
    for digest, value in claims:
        data = canonical(value)
        if digest != digest_bytes(data):
            return None
        records.append((digest, data))
    return Said(tuple(records), events)


def canonical(value: Any) -> bytes:
    """The canonical JSON of what JSON was read from; fast where it holds nothing that JSON cannot say."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return canonical_json(value)


def differing(document: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """The first field of a line that is not what its record and its events come to; `expected` is the line that an
    export would write. What a line does not say is no difference."""
    wanted = {HIDDEN: False, **expected}
    names = [name for name in document if name not in (EVENTS, SEALED, NOT_SEALED, "record_digest", "imported")]
    return next((name for name in names if name not in wanted or document[name] != wanted[name]), None)
