"""A record that somebody made by hand, or by a converter, completed to one that can be sealed here.

Little is asked: an object with some of a run's fields. What cannot be meant is refused with a reason, never dropped in
silence. The same record gives the same run each time, also its id where it has none. Nothing here asks a ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from mltrack.digest import canonical_json, digest_bytes, is_digest, plain
from mltrack.ledger.keeping.shape import is_id, misfit
from mltrack.noun_json import from_dict, to_dict
from mltrack.operations.exchange.hiding import redacted
from mltrack.operations.exchange.lines import BESIDE, OURS
from mltrack.operations.exchange.refused import Refused
from mltrack.operations.exchange.values import flat_params, summary_of, times_of, words_of
from mltrack.operations.keeping.objects import named_objects
from mltrack.records import ID_ALPHABET, SCHEMA, Run
from mltrack.redact import Redactor

FIELDS = tuple(item.name for item in fields(Run))
ENDED = ("finished", "failed", "interrupted", "lost")
KIND = "imported"
"""Kind of the warning that such a run bears for ever."""
FROM_ELSEWHERE = "imported"
"""Replica of such a run: it was made in no checkout that is known."""
CONTENT = "content"
"""Key of `origin`: the digest of the record as it was given, so that it is known again."""
GIVEN_ID = "imported_from_id"
"""Key of `origin`: the id that the record had where it was given. It may be that of a run elsewhere, whose place a
record that nothing proves must never take."""
MESSAGE = "mltrack did not record this run: what is known of it was read from a file by mltrack import."


def content_of(document: Mapping[str, Any]) -> str:
    """A digest of what a record says, without what mltrack adds behind a record's fields."""
    return digest_bytes(canonical_json({name: value for name, value in document.items() if name not in OURS}))


def minted_id(content: str, time: int) -> str:
    """The id of a record that nothing proves; `time` counts how often the same content came before in its file."""
    number = int(digest_bytes(f"{content} {time}".encode())[3:23], 16)
    return "".join(ID_ALPHABET[(number >> shift) & 31] for shift in range(0, 80, 5))


def completed(document: Mapping[str, Any], content: str, redactor: Redactor, time: int = 0) -> Run:
    """The run that a record means, ready to be sealed, its secrets hidden, with an id of its own. Raises Refused."""
    check_text(document)
    check_names(document)
    given = {name: value for name, value in document.items() if name not in OURS and value is not None}
    made: dict[str, Any] = {"schema": SCHEMA, "name": None, "experiment": None, "status": "finished", "cwd": "."}
    made |= {"command": [], **given, "id": minted_id(content, time)}
    check_values(made)
    made["command"] = words_of(made["command"])
    made["tags"] = [made["tags"]] if isinstance(made.get("tags"), str) else made.get("tags", [])
    made["notes"] = [made["notes"]] if isinstance(made.get("notes"), str) else made.get("notes", [])
    made |= times_of(made)
    if isinstance(made.get("params"), Mapping):
        made["params"] = flat_params(made["params"])
    if isinstance(made.get("metrics"), Mapping):
        made["metrics"] = {name: summary_of(name, value) for name, value in made["metrics"].items()}
    why = misfit(Run, made)
    if why is not None:
        raise Refused(why.replace("it.", "its ", 1), "The shape of a run: docs/reference/machine-interface.md")
    run = from_dict(Run, made)
    check_digests(run)
    return marked(redacted(plain(to_dict(run)), redactor), content, given.get("id"))


def marked(run: dict[str, Any], content: str, given_id: str | None) -> Run:
    """The run with what says for ever that it was completed from a file."""
    told = {} if given_id is None else {GIVEN_ID: given_id}
    origin = {**run["origin"], "replica": FROM_ELSEWHERE, CONTENT: content, **told}
    warnings = [one for one in run["warnings"] if one["kind"] != KIND] + [{"kind": KIND, "message": MESSAGE}]
    return from_dict(Run, {**run, "origin": origin, "warnings": warnings})


def check_text(document: Mapping[str, Any]) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise Refused(
            f"it has half of a character, \\u{ord(half):04x}",
            "Write the whole one; a path that is no UTF-8 has `path_b64` beside it.",
        ) from None


def check_digests(run: Run) -> None:
    """Refuse a record that names an object of the store by what no object has: nothing could look after the others."""
    named = [(f"input {item.path}", item.digest) for item in run.inputs if item.digest is not None]
    named += [(f"input {item.path}", item.digest_after) for item in run.inputs if item.digest_after is not None]
    for what, digest in (*named, *named_objects(run)):
        if not is_digest(digest):
            raise Refused(
                f"the digest of its {what[:60]}, {str(digest)[:20]!r}, is none",
                "A digest is b3: and 64 characters of 0-9a-f, by BLAKE3. Leave out what has none.",
            )


def check_names(document: Mapping[str, Any]) -> None:
    for name in document:
        if name not in FIELDS and name not in OURS:
            near = get_close_matches(name, FIELDS, 1)
            hint = f"Did you mean {near[0]}?" if near else "What is a run's: docs/reference/machine-interface.md"
            raise Refused(f"no run has a field {name[:60]!r}", hint)
    for name in BESIDE:
        if document.get(name):
            raise Refused(
                f"no digest proves its record, and so its `{name}` cannot be taken over",
                f"Leave `{name}` out; `name`, `tags` and `notes` are taken as they stand.",
            )


def check_values(made: Mapping[str, Any]) -> None:
    schema, status = made["schema"], made["status"]
    if isinstance(schema, int) and schema > SCHEMA:
        raise Refused(f"a newer mltrack wrote it (format {schema})", "Upgrade mltrack.")
    if not is_id(made["id"]):
        raise Refused(
            f"its id {str(made['id'])[:40]!r} is no run id: those have 16 of {ID_ALPHABET}",
            "Leave `id` out, and one is made from the record; `name` may hold yours.",
        )
    if status not in ENDED:
        hint = (
            "A run that has not ended cannot be taken over." if status == "running" else f"One of {', '.join(ENDED)}."
        )
        raise Refused(f"its status is {str(status)[:40]!r}", hint)
