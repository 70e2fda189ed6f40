"""Does a JSON value have the shape of a record? What comes from elsewhere is checked here before it is taken over.

The shape is read from the dataclasses of `records.py`. Unknown keys are fine: they come from a newer mltrack.
"""

from __future__ import annotations

import base64
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

from mltrack.digest import is_digest
from mltrack.errors import Damaged, FormatTooNew
from mltrack.records import ID_ALPHABET, ID_LENGTH, SCHEMA, Run

ENDED = frozenset(("finished", "failed", "interrupted", "lost"))
NAMED_NUMBERS = frozenset(("NaN", "Infinity", "-Infinity"))
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")


def is_id(text: Any) -> bool:
    """Is it a run id (or a replica's)? Ids become names of files, so nothing else may pass."""
    return isinstance(text, str) and len(text) == ID_LENGTH and not set(text) - set(ID_ALPHABET)


def checked_record(data: bytes) -> dict[str, Any]:
    """The sealed record that these bytes are. Raises Damaged if they are not one, FormatTooNew if it is a newer one."""
    document = canonical_value(data)
    check_shape(document)
    return document


def canonical_value(data: bytes) -> dict[str, Any]:
    """The object whose canonical JSON these bytes are. Raises Damaged if they are not that."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or canonical(document) != data:
            raise damaged("it is not canonical JSON")
    except (ValueError, RecursionError) as error:
        raise damaged(f"it is not JSON ({type(error).__name__})") from error
    return document


def check_shape(document: dict[str, Any]) -> None:
    """Raises Damaged for JSON that is no record, FormatTooNew for a newer one."""
    schema = document.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise FormatTooNew(f"A record was written by a newer mltrack (format {schema}).", "Upgrade mltrack.")
    why = None if test_of(Run)(document) else misfit(Run, document)
    why = why or odd_value(document)
    if why is not None:
        raise damaged(why)


def odd_value(document: Mapping[str, Any]) -> str | None:
    """Why a record of the right types can be none all the same: a value that no run has."""
    if not is_id(document["id"]):
        return f"{str(document['id'])[:40]!r} is not a run id"
    if document["status"] not in ENDED:
        return f"{document['status'][:40]!r} is no status of a run that has ended"
    for name in ("created_at", "started_at", "finished_at"):
        if document.get(name) and not TIME.fullmatch(document[name]):
            return f"{name} is not a time: {document[name][:40]!r}"
    for name, summary in document.get("metrics", {}).items():
        for value in (summary["last"], summary["min"], summary["max"]):
            if value.__class__ is str and value not in NAMED_NUMBERS:
                return f"a value of the metric {name[:40]!r} is not a number"
    for name in ("inputs", "artifacts"):
        for item in document.get(name, ()):
            if item.get("digest") is not None and not is_digest(item["digest"]):
                return f"the digest of {item['path'][:80]!r} is none"
    return None


def canonical(document: Any) -> bytes:
    """The canonical JSON of what `json.loads` gave: `canonical_json` without its look at every value. Raises
    ValueError for what canonical JSON cannot hold as it is."""
    return CANONICAL.encode(document).encode()


CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
)
"""What was read holds no rings."""


PLAIN: Mapping[Any, frozenset[type]] = {
    str: frozenset((str,)),
    bool: frozenset((bool,)),
    int: frozenset((int,)),
    float: frozenset((int, float)),
    type(None): frozenset((type(None),)),
}
"""Types of fields -> types of the JSON values that fit."""

MOST_KNOWN = 200
"""Sets of names and types that are remembered of a class."""

ENCODED = frozenset(("path_b64", "command_b64"))
"""Fields that are looked at more closely."""


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


@cache
def test_of(hint: Any) -> Callable[[Any], bool]:
    """A fast test that holds only for what `misfit` finds nothing wrong with; where it does not hold, ask `misfit`."""
    if hint is Any:
        return lambda value: True
    if is_dataclass(hint) and isinstance(hint, type):
        return test_of_fields(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    kinds = kinds_of(hint)
    if kinds is not None:
        return lambda value: value.__class__ in kinds
    if origin in (typing.Union, types.UnionType):
        plain = frozenset(kind for choice in arguments for kind in PLAIN.get(choice, ()))
        tests = [test_of(choice) for choice in arguments if choice not in PLAIN]
        return lambda value: value.__class__ in plain or any(test(value) for test in tests)
    if origin is tuple:
        return test_of_items(list, arguments[0], iter)
    if origin is Mapping:
        return test_of_items(dict, arguments[1], dict.values)
    return lambda value: False


def kinds_of(hint: Any) -> frozenset[type] | None:
    """The types of the JSON values that fit, where nothing else decides that."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        every = [PLAIN.get(choice) for choice in typing.get_args(hint)]
        return None if None in every else frozenset().union(*filter(None, every))
    return PLAIN.get(hint)


def test_of_items(cls: type, hint: Any, items: Callable[[Any], Iterable[Any]]) -> Callable[[Any], bool]:
    kinds = kinds_of(hint)
    if kinds is not None:
        return lambda value: value.__class__ is cls and kinds.issuperset(map(type, items(value)))
    test = test_of(hint)
    return lambda value: value.__class__ is cls and all(map(test, items(value)))


def test_of_fields(cls: type) -> Callable[[Any], bool]:
    shape = [(name, hint, required) for name, hint, required in shape_of(cls) if hint is not Any]
    needed = frozenset(name for name, _, required in shape_of(cls) if required)
    tests: dict[str, Callable[[Any], bool]] = {}
    known: dict[tuple[Any, ...], list[tuple[str, Callable[[Any], bool]]]] = {}

    def looked_at(value: dict[str, Any]) -> list[tuple[str, Callable[[Any], bool]]] | None:
        """The members of which names and types do not say whether they fit; None where these say that they do not."""
        if not needed <= value.keys() or not ENCODED.isdisjoint(value):
            return None
        if not tests:  # made on first use, as a class may hold itself
            tests.update({name: test_of(hint) for name, hint, _ in shape})
        found = []
        for name in tests.keys() & value.keys():
            if value[name].__class__ in (dict, list):
                found.append((name, tests[name]))
            elif not tests[name](value[name]):
                return None
        return found

    def holds(value: Any) -> bool:
        if value.__class__ is not dict:
            return False
        types = (*value, *map(type, value.values()))
        deep = known.get(types)  # mostly those of one that was here before
        if deep is None:
            deep = looked_at(value)
            if deep is None:
                return False
            if len(known) < MOST_KNOWN:
                known[types] = deep
        return all(test(value[name]) for name, test in deep)

    return holds


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
