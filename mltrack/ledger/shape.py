"""Does a JSON value have the shape of a record? What comes from elsewhere is checked here before it is taken over.

The shape is read from the dataclasses of `records.py`. Unknown keys are fine: they come from a newer mltrack.
"""

from __future__ import annotations

import base64
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

from mltrack.digest import canonical_json
from mltrack.errors import Damaged, FormatTooNew
from mltrack.records import ID_ALPHABET, ID_LENGTH, SCHEMA, Run


def is_id(text: Any) -> bool:
    """Is it a run id (or a replica's)? Ids become names of files, so nothing else may pass."""
    return isinstance(text, str) and len(text) == ID_LENGTH and not set(text) - set(ID_ALPHABET)


def checked_record(data: bytes) -> dict[str, Any]:
    """The sealed record that these bytes are. Raises Damaged if they are not one, FormatTooNew if it is a newer one."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or canonical_json(document) != data:
            raise damaged("it is not canonical JSON")
    except (ValueError, RecursionError) as error:
        raise damaged(f"it is not JSON ({type(error).__name__})") from error
    schema = document.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise FormatTooNew(f"A record was written by a newer mltrack (format {schema}).", "Upgrade mltrack.")
    why = misfit(Run, document)
    if why is None and not is_id(document["id"]):
        why = f"{str(document['id'])[:40]!r} is not a run id"
    if why is not None:
        raise damaged(why)
    return document


def damaged(why: str) -> Damaged:
    return Damaged(f"A record is damaged: {why}.", "It was not taken over. Run `mltrack verify`.")


def misfit(hint: Any, value: Any, where: str = "it") -> str | None:
    """Why a JSON value does not fit a type of `records.py`; None when it does."""
    if hint is Any:
        return None
    if is_dataclass(hint) and isinstance(hint, type):
        return misfit_of_fields(hint, value, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        reasons = [misfit(choice, value, where) for choice in arguments]
        return None if None in reasons else next((r for r in reasons if r and r.startswith(f"{where}.")), reasons[0])
    if origin is tuple:
        if not isinstance(value, list):
            return f"{where} is not a list"
        found = (misfit(arguments[0], item, f"{where}[]") for item in value)
        return next((reason for reason in found if reason), None)
    if origin is Mapping:
        if not isinstance(value, dict):
            return f"{where} is not an object"
        found = (misfit(arguments[1], item, f"{where}.{str(key)[:40]}") for key, item in value.items())
        return next((reason for reason in found if reason), None)
    if hint is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, hint)
    return None if fits else f"{where} is not {getattr(hint, '__name__', hint)}"


def misfit_of_fields(cls: type, value: Any, where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where} is not an object"
    for name, hint, required in shape_of(cls):
        if name not in value:
            if required:
                return f"{where} has no {name}"
            continue
        reason = misfit(hint, value[name], f"{where}.{name}")
        if reason:
            return reason
    if not is_base64(value.get("path_b64", "")):
        return f"{where}.path_b64 is not base64"
    words = value.get("command_b64", [])
    if not isinstance(words, list) or not all(map(is_base64, words)):
        return f"{where}.command_b64 is not a list of base64"
    return None


@cache
def shape_of(cls: type) -> list[tuple[str, Any, bool]]:
    """Name, type and "is it required" of each field."""
    hints = typing.get_type_hints(cls)
    return [
        (item.name, hints[item.name], item.default is MISSING and item.default_factory is MISSING)
        for item in fields(cls)
    ]


def is_base64(text: Any) -> bool:
    try:
        return isinstance(text, str) and base64.b64decode(text, validate=True) is not None
    except ValueError:
        return False
