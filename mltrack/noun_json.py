"""A noun as JSON, and back: plain dicts and lists, in the order of the fields. Knows no noun by name.

A field says what it holds by `many(Class)`, `one(Class)`, or metadata: `of` a class (or a function that gives it, for
one that is defined later), `each` for a table of such.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

LEAVES = frozenset((str, int, float, bool, type(None)))


def many(of: type) -> Any:
    """A field that holds a tuple of other records."""
    return field(default=(), metadata={"of": of})


def one(of: type) -> Any:
    """A field that holds another record, or None."""
    return field(default=None, metadata={"of": of})


def to_dict(record: Any) -> Any:
    """A record as plain dicts and lists, in field order; a `path` that is not UTF-8 gets a `path_b64` beside it."""
    if record.__class__ in LEAVES:
        return record
    if is_dataclass(record) and not isinstance(record, type):
        result: dict[str, Any] = {}
        for name in plan_of(record.__class__).names:
            value = getattr(record, name)
            result[name] = to_dict(value)
            if name == "path" and value is not None and not is_utf8(value):
                result["path_b64"] = base64.b64encode(os.fsencode(value)).decode()
            elif name == "command" and not all(is_utf8(word) for word in value):
                result["command_b64"] = [base64.b64encode(os.fsencode(word)).decode() for word in value]
        return result
    if isinstance(record, Mapping):
        return {key: to_dict(value) for key, value in record.items()}
    if isinstance(record, (tuple, list)):
        return [to_dict(value) for value in record]
    return record


def from_dict(cls: type[T], data: Mapping[str, Any]) -> T:
    """The record of class `cls` that `to_dict` wrote. Unknown keys are ignored: they come from a newer mltrack."""
    plan: Plan = plan_of(cls)  # type: ignore[arg-type]  # a class is hashable
    is_whole = plan.names == data.keys()
    if is_whole and plan.is_plain:
        made = cls.__new__(cls)
        values = made.__dict__
        values.update(data)  # as its own `__init__` would, when nothing is missing
    else:
        values = {name: data[name] for name in plan.names if name in data}
    for name, of, is_table in plan.deep:
        if name in values:
            values[name] = decode(values[name], of, is_table)
    if is_whole:
        return made if plan.is_plain else cls(**values)
    if "path_b64" in data:
        values["path"] = os.fsdecode(base64.b64decode(data["path_b64"]))
    if "command_b64" in data:
        values["command"] = tuple(os.fsdecode(base64.b64decode(word)) for word in data["command_b64"])
    return cls(**values)


class Plan:
    """What is asked of a class thousands of times for a list of runs."""

    def __init__(self, cls: Any) -> None:
        own = fields(cls)
        self.names = {item.name: None for item in own}.keys()
        self.is_plain: bool = getattr(cls, "_has_plain_init", False)
        self.deep: list[tuple[str, Any, bool]] = []
        """Fields that are more than one text or number: what they hold, and whether a table of such."""
        for item in own:
            of = item.metadata.get("of") or item.metadata.get("each")
            if of is not None or not is_scalar(item.type):
                of = of if of is None or isinstance(of, type) else of()
                self.deep.append((item.name, of, "each" in item.metadata))


def is_scalar(hint: Any) -> bool:
    """Is it the annotation of a text, a number, true or false, or None?"""
    return isinstance(hint, str) and all(word.strip() in SCALARS for word in hint.split("|"))


SCALARS = frozenset(("str", "int", "float", "bool", "None"))


@cache
def plan_of(cls: Any) -> Plan:
    return Plan(cls)


def decode(value: Any, of: Any, is_table: bool = False) -> Any:
    """The value of a field, made of what JSON has for it."""
    if of is None:
        return tuple(value) if type(value) is list else value
    if isinstance(value, Mapping):
        return {name: from_dict(of, item) for name, item in value.items()} if is_table else from_dict(of, value)
    return tuple(from_dict(of, item) for item in value) if isinstance(value, list) else value


def is_utf8(text: str) -> bool:
    """False for text with unpaired surrogates, which Python makes of file names that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
