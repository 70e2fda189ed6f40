"""A record that somebody made by hand, or by a converter, completed to one that can be sealed here.

Little is asked: an object with some of a run's fields. What cannot be meant is refused with a reason, never dropped in
silence. The same record gives the same run each time, also its id where it has none. Nothing here asks a ledger.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timezone
from difflib import get_close_matches
from typing import Any

from mltrack.digest import canonical_json, digest_bytes, is_digest, plain
from mltrack.ledger.shape import is_id, misfit
from mltrack.noun_json import from_dict, to_dict
from mltrack.operations.exchange.lines import OURS
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
MESSAGE = "mltrack did not record this run: what is known of it was read from a file by mltrack import."
PLAIN_WORD = re.compile(r"[0-9a-f]{32,64}")


class Refused(Exception):
    """A record that cannot be completed."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def content_of(document: Mapping[str, Any]) -> str:
    """A digest of what a record says, without what mltrack adds behind a record's fields."""
    return digest_bytes(canonical_json({name: value for name, value in document.items() if name not in OURS}))


def minted_id(content: str, time: int) -> str:
    """The id of a record that has none; `time` counts how often the same content came before in its file."""
    number = int(digest_bytes(f"{content} {time}".encode())[3:23], 16)
    return "".join(ID_ALPHABET[(number >> shift) & 31] for shift in range(0, 80, 5))


def completed(document: Mapping[str, Any], content: str, redactor: Redactor, time: int = 0) -> Run:
    """The run that a record means, ready to be sealed, its secrets hidden. Raises Refused."""
    check_names(document)
    given = {name: value for name, value in document.items() if name not in OURS and value is not None}
    made: dict[str, Any] = {"schema": SCHEMA, "name": None, "experiment": None, "status": "finished", "cwd": "."}
    made |= {"command": [], **given}
    made["id"] = given.get("id") or minted_id(content, time)
    check_values(made)
    made["command"] = words_of(made["command"])
    made["tags"] = [made["tags"]] if isinstance(made.get("tags"), str) else made.get("tags", [])
    made["notes"] = [made["notes"]] if isinstance(made.get("notes"), str) else made.get("notes", [])
    made |= times_of(made)
    if isinstance(made.get("params"), Mapping):
        made["params"] = dict(flattened(made["params"]))
    if isinstance(made.get("metrics"), Mapping):
        made["metrics"] = {name: summary_of(value) for name, value in made["metrics"].items()}
    why = misfit(Run, made)
    if why is not None:
        raise Refused(why.replace("it.", "its ", 1), "The shape of a run: docs/reference/machine-interface.md")
    run = plain(to_dict(from_dict(Run, made)))
    run["origin"] = {**run["origin"], "replica": FROM_ELSEWHERE, CONTENT: content}
    run = redacted(run, redactor)
    run["warnings"] = [one for one in run["warnings"] if one["kind"] != KIND] + [{"kind": KIND, "message": MESSAGE}]
    return from_dict(Run, run)


def check_names(document: Mapping[str, Any]) -> None:
    for name in document:
        if name not in FIELDS and name not in OURS:
            near = get_close_matches(name, FIELDS, 1)
            hint = f"Did you mean {near[0]}?" if near else "What is a run's: docs/reference/machine-interface.md"
            raise Refused(f"no run has a field {name[:60]!r}", hint)


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


def words_of(command: Any) -> Any:
    """A command as its words; a text as a shell would read it."""
    if not isinstance(command, str):
        return command
    try:
        return shlex.split(command)
    except ValueError:
        return [command]


def times_of(made: Mapping[str, Any]) -> dict[str, Any]:
    """The times in our form; what is not given follows from the others where it can. Raises Refused."""
    found = {name: moment(made.get(name), name) for name in ("created_at", "started_at", "finished_at")}
    first = next((text for text in found.values() if text), None)
    found["created_at"] = found["created_at"] or first or ""
    times: dict[str, Any] = {name: text for name, text in found.items() if text is not None}
    if "duration_s" not in made and found["started_at"] and found["finished_at"]:
        took = read_moment(found["finished_at"]) - read_moment(found["started_at"])
        times["duration_s"] = max(took.total_seconds(), 0.0)
    return times


def moment(value: Any, name: str) -> str | None:
    """ISO 8601, or seconds since 1970, as ISO 8601 in UTC with microseconds; a time without a zone is UTC."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, timezone.utc)
        else:
            found = read_moment(value)
        found = found.replace(tzinfo=found.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, TypeError, OverflowError, OSError, AttributeError):
        raise Refused(f"its {name} {str(value)[:40]!r} is no time", "Such as 2026-11-21T01:02:03Z.") from None
    return found.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if found.year > 999 else None


def read_moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def flattened(params: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Params with flat names: `{"model": {"depth": 3}}` is `model.depth`."""
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def summary_of(value: Any) -> Any:
    """A metric; a number alone is its last value, and the only one."""
    if isinstance(value, Mapping):
        last = value.get("last")
        return {"last": last, "min": last, "max": last, "count": 1, **value} if last is not None else value
    return {"last": value, "min": value, "max": value, "count": 1}


def redacted(run: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """A run's JSON without the secrets in it, by the same rules as that of a run that is recorded."""
    command, params = redactor.command(run["command"]), redactor.params(run["params"])
    variables = redactor.variables(run["environment"]["variables"])
    hidden: dict[str, Any] = hide({**run, "command": [], "params": {}}, redactor)
    hidden["environment"]["variables"] = variables
    return {**hidden, "command": list(command), "params": params}


def hide(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return value if is_digest(value) or PLAIN_WORD.fullmatch(value) else redactor.text(value)
    if isinstance(value, dict):
        return {redactor.text(name): hide(item, redactor) for name, item in value.items()}
    return [hide(item, redactor) for item in value] if isinstance(value, list) else value
