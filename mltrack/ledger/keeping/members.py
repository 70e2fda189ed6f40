"""Members of a record that many records have alike, cut out of its bytes before it is parsed.

The environment, the hardware or the code of a record stand word for word in those before it. What was read and checked
once is known by its bytes; only the rest of a record is parsed, with a word in the place of what was cut.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from mltrack.ledger.keeping.shape import canonical

MOST = 200
"""Values of a member that are remembered."""

PACKAGES = b'"packages":'

HERE = "here something was cut"
WORD = canonical(HERE)


class Member(NamedTuple):
    """A key of a record, the key that follows it there, and an empty value that has its shape."""

    name: str
    key: bytes
    following: bytes
    empty: Any
    within: str | None = None
    """The member that it is a member of."""

    def holder(self, document: dict[str, Any]) -> dict[str, Any]:
        """The object that it is a member of."""
        found = document if self.within is None else document.get(self.within)
        return found if found.__class__ is dict else {}


def member(name: str, following: str, empty: Any, within: str | None = None) -> Member:
    return Member(name, f'"{name}":'.encode(), f',"{following}":'.encode(), empty, within)


MEMBERS = (
    member("artifacts", "code", []),
    member("code", "command", {}),
    member("environment", "exit_code", {}),
    member("packages", "python", {}, within="environment"),
    member("hardware", "host", {}),
    member("inputs", "log", []),
    member("param_sources", "params", {}),
)
"""In the order in which they stand in a record; one within another is cut where that one is not known."""

LONG = tuple(sorted((*(one for one in MEMBERS if one.within is None), member("resources", "schema", {}))))
"""Those that a list of runs may do without, in the order in which they stand in a record."""


def without(text: bytes, names: Collection[str]) -> bytes:
    """A record's text with a word in the place of some of `LONG`; `is_without` says whether that went well."""
    rest: list[bytes] = []
    end = 0
    for one in LONG:
        if one.name in names:
            start, stop = place(text, one, end)
            if stop > 0:
                rest += (text[end:start], WORD)
                end = stop
    rest.append(text[end:])
    return b"".join(rest)


def is_without(document: Mapping[str, Any], names: Collection[str]) -> bool:
    """Was what stands in the places of these members the whole of them?"""
    return all(one.name not in names or document.get(one.name, HERE) == HERE for one in LONG)


class Value(NamedTuple):
    """What a member's bytes say."""

    made: Any
    """What is derived of it."""
    packages: bytes | None = None
    """Of an environment: the packages in it, and where they stand in its bytes."""
    at: int = 0


class Cut(NamedTuple):
    """A record without the members that are known."""

    text: bytes
    made: Mapping[str, Any]
    """What is derived of these, by their names."""
    packages: bytes | None
    at: int | None
    """Where the packages stand in the whole record."""
    members: tuple[Member, ...]

    def is_proved_by(self, document: dict[str, Any]) -> bool:
        """Given the value of `text`, which is canonical: do its own members stand where something was cut? If so they
        are empty from now on.

        Each has the word that says so, and the word stands there as often as there are members: so these are their
        places, and with what was cut in them the record is canonical too.
        """
        if self.text.count(WORD) != len(self.members):
            return False
        for one in self.members:
            holder = one.holder(document)
            if holder.get(one.name) != HERE:
                return False
            holder[one.name] = one.empty.copy()
        return True


class Known:
    """The members that were met while records were read. `makers` derive something of a member's value."""

    def __init__(self, makers: Mapping[str, Callable[[Any], Any]]) -> None:
        self.makers = makers
        self.values: dict[str, dict[bytes, Value]] = {one.name: {} for one in MEMBERS}
        self.hits: dict[str, int] = dict.fromkeys(self.values, 0)

    def cut(self, data: bytes) -> Cut | None:
        """A record without what is known of it; None where nothing is."""
        end, rest, members = 0, [], []
        made: dict[str, Any] = {}
        packages, at = None, None
        for one in MEMBERS:
            values = self.values[one.name]
            if not values or one.within in made:
                continue
            start, stop = place(data, one, end)
            value = values.get(data[start:stop]) if stop > 0 else None
            if value is None:
                continue
            self.hits[one.name] += 1
            made[one.name] = value.made
            members.append(one)
            if value.packages is not None:
                packages, at = value.packages, start + value.at
            rest.append(data[end:start])
            rest.append(WORD)
            end = stop
        if not members:
            return None
        rest.append(data[end:])
        return Cut(b"".join(rest), made, packages, at, tuple(members))

    def learn(self, data: bytes, document: dict[str, Any], cut: Cut | None = None) -> None:
        """Remember the members of a record that was found to be one, beside those that were cut out of it."""
        made: Collection[str] = () if cut is None else cut.made
        for one in MEMBERS:
            if one.name in made or one.within in made or not self.has_room(one.name):
                continue
            value = one.holder(document).get(one.name)
            if value and cut is not None and "packages" in made and one.name == "environment":
                value = {**value, "packages": json.loads(cut.packages or b"{}")}
            start, stop = place(data, one, 0)
            if not value or stop <= 0 or canonical(value) != data[start:stop]:
                continue
            self.values[one.name][data[start:stop]] = self.value(one.name, value, data[start:stop])

    def value(self, name: str, value: Any, text: bytes) -> Value:
        if name == "packages":
            return Value(None, text)
        packages = value.get("packages") if name == "environment" else None
        words = canonical(packages) if packages else None
        at = 0 if words is None else text.find(PACKAGES + words) + len(PACKAGES)
        return Value(self.makers[name](value), words, at)

    def has_room(self, name: str) -> bool:
        """False for a member that is another in every record; one that changes now and then is learnt again."""
        values = self.values[name]
        if len(values) >= MOST and self.hits[name] > 2 * MOST:
            values.clear()
            self.hits[name] = 0
        return len(values) < MOST


def place(data: bytes, one: Member, after: int) -> tuple[int, int]:
    """Where the value of a member may stand; the end is -1 where it does not."""
    start = data.find(one.key, after) + len(one.key)
    return start, data.find(one.following, start) if start >= len(one.key) else -1
