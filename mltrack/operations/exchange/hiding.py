"""A run's JSON without the secrets in it, by the same rules as that of a run that is recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mltrack.digest import is_digest
from mltrack.redact import Redactor

PLAIN_WORD = re.compile(r"[0-9a-f]{32,64}")
"""Ids of git and the like, which only look random."""


def redacted(run: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The same JSON. In the tables whose names people choose, also what a secret name is given is hidden."""
    environment, image = run["environment"], run["environment"]["image"]
    hidden: dict[str, Any] = hide({**run, "command": [], "params": {}, "origin": {}}, redactor)
    made: dict[str, Any] = hidden["environment"]
    made["variables"] = redactor.variables(environment["variables"])
    for table in ("options", "libraries"):
        made[table] = redactor.params(environment[table])
    if image is not None:
        made["image"]["labels"] = redactor.params(image["labels"])
    for shown, rank in zip(hidden["ranks"], run["ranks"], strict=True):
        shown["variables"] = redactor.variables(rank["variables"])
    hidden["command"] = list(redactor.command(run["command"]))
    return {**hidden, "params": redactor.params(run["params"]), "origin": redactor.params(run["origin"])}


def hide(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return value if is_digest(value) or PLAIN_WORD.fullmatch(value) else redactor.text(value)
    if isinstance(value, dict):
        return {redactor.text(name): hide(item, redactor) for name, item in value.items()}
    return [hide(item, redactor) for item in value] if isinstance(value, list) else value
