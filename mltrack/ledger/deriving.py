"""What a sealed record says, as the rows that answer questions about it. Pure: no table is opened here.

A record is checked, its packages are cut out, and its values become plain tuples of texts and numbers, which may also
be made in another process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from mltrack.digest import digest_bytes, hasher
from mltrack.ledger.shape import canonical, checked_record
from mltrack.ledger.tables import ARTIFACT_COLUMNS, RUN_COLUMNS, SHARED

LARGEST = 1 << 63
PACKAGES = b'"packages":'
KEY_SIZE = 16
FLOAT = frozenset((float,))
MOST_KNOWN = 200
"""Different sets of packages that are remembered as whole and sound while records are read."""

SAME = frozenset(RUN_COLUMNS).difference(
    ("created_at", "parent_kind", "parent_run", "replica", "peak_memory_bytes", "cpu_seconds", "preflight")
)
"""Columns of a run that have the name of their field."""

Row = tuple[Any, ...]


class Fact(NamedTuple):
    """A row that runs share: `key` stands for its values."""

    key: bytes
    values: Row


class Derived(NamedTuple):
    """The rows of one record; names are still texts."""

    run: Row
    facts: tuple[Fact, ...]
    """Its command, code, environment and hardware."""
    params: list[Row]
    metrics: list[Row]
    inputs: list[Fact]
    artifacts: list[Row]
    tags: list[str]
    notes: list[str]
    warnings: str | None


class Prepared(NamedTuple):
    """A record that was found to be one, and its rows."""

    digest: str
    id: str
    text: bytes
    """Without the packages, which stood at `at`."""
    packages: bytes | None
    at: int | None
    derived: Derived
    dictionary: int | None = None
    """`text` is packed already, with this one."""


FACTS = ("command", "code", "environment", "hardware")


def prepared(data: bytes, known: dict[bytes, Any]) -> Prepared:
    """Check a sealed record and derive its rows. `known` holds packages that were met before, whose check is spared.

    Raises Damaged, FormatTooNew.
    """
    text, packages, at, document = parted(data, known)
    return Prepared(digest_bytes(data), document["id"], text, packages, at, derive(document))


def plain_tuple(one: Prepared) -> Row:
    """A prepared record of nothing but tuples, lists, texts, bytes and numbers, to go from process to process."""
    derived = one.derived
    facts, inputs = (list(map(tuple, rows)) for rows in (derived.facts, derived.inputs))
    return (*one[:5], (derived.run, facts, *derived[2:4], inputs, *derived[5:]), one.dictionary)


def from_plain_tuple(row: Row) -> Prepared:
    digest, id, text, packages, at, (run, facts, params, metrics, inputs, *rest), dictionary = row
    derived = Derived(run, tuple(map(Fact._make, facts)), params, metrics, list(map(Fact._make, inputs)), *rest)
    return Prepared(digest, id, text, packages, at, derived, dictionary)


def parted(data: bytes, known: dict[bytes, Any]) -> tuple[bytes, bytes | None, int | None, dict[str, Any]]:
    """The record without its packages, these, where they stood, and its value without them."""
    begin = data.find(PACKAGES + b"{")
    if begin >= 0 and data.find(PACKAGES + b"{", begin + 1) < 0:
        at = begin + len(PACKAGES)
        packages = data[at : data.find(b"}", at) + 1]
        if packages in known:
            text = data[:at] + b"{}" + data[at + len(packages) :]
            document = checked_record(text)
            if document["environment"].get("packages") == {}:  # so these are the words that were cut
                return text, packages, at, document
    document = checked_record(data)
    text, cut, place = without_packages(data, document)
    if cut is not None and len(known) < MOST_KNOWN and b"}" not in cut[:-1]:
        known[cut] = None
    return text, cut, place, document


def without_packages(data: bytes, document: Mapping[str, Any]) -> tuple[bytes, bytes | None, int | None]:
    """A record without its packages, these, and where they stood; as it is, where it has none."""
    found = document["environment"].get("packages") if "environment" in document else None
    if not found:
        return data, None, None
    packages = canonical(found)
    # Should the same words stand elsewhere first, they are cut there: put back, they are the same bytes.
    at = data.find(PACKAGES + packages) + len(PACKAGES)
    return data[:at] + b"{}" + data[at + len(packages) :], packages, at


def derive(document: Mapping[str, Any]) -> Derived:
    """The rows that a sealed record alone decides."""
    code, environment = document.get("code") or {}, document.get("environment") or {}
    sources = document.get("param_sources", {})
    warnings = document.get("warnings")
    return Derived(
        run_columns(document),
        (
            command_fact(document["command"]),
            fact(code_values(code)),
            fact(environment_values(environment)),
            fact(hardware_values(document.get("hardware") or {})),
        ),
        [(name, *typed(value), sources.get(name)) for name, value in document.get("params", {}).items()],
        list(map(metric_row, document.get("metrics", {}).items())),
        [fact(values_of(item, SHARED["input"])) for item in document.get("inputs", ())],
        [values_of(item, ARTIFACT_COLUMNS) for item in document.get("artifacts", ())],
        list(dict.fromkeys(document.get("tags", ()))),
        list(document.get("notes", ())),
        json_text(warnings),
    )


def metric_row(item: tuple[str, Mapping[str, Any]]) -> Row:
    """Name, last, min, max, count, last_step."""
    name, metric = item
    row = (name, metric["last"], metric["min"], metric["max"], metric["count"], metric.get("last_step"))
    is_small = FLOAT.issuperset(map(type, row[1:4])) and 0 <= row[4] < LARGEST and 0 <= (row[5] or 0) < LARGEST
    return row if is_small else (name, *map(small, row[1:]))


def run_columns(document: Mapping[str, Any]) -> Row:
    """Values of RUN_COLUMNS."""
    parent, resources = document.get("parent") or {}, document.get("resources") or {}
    replica = (document.get("origin") or {}).get("replica")
    other = {
        "created_at": document.get("created_at") or "",
        "parent_kind": parent.get("kind"),
        "parent_run": parent.get("run"),
        "replica": replica if isinstance(replica, str) else None,
        "peak_memory_bytes": small(resources.get("peak_memory_bytes")),
        "cpu_seconds": resources.get("cpu_seconds"),
        "preflight": (document.get("preflight") or {}).get("grade"),
    }
    return tuple([small(document.get(name)) if name in SAME else other[name] for name in RUN_COLUMNS])


def command_fact(words: list[str]) -> Fact:
    return fact((canonical(words).decode(), " ".join(words)))


def code_values(code: Mapping[str, Any]) -> Row:
    plain = [code.get(name) for name in ("commit", "branch", "dirty", "snapshot", "tree", "origin")]
    return (*plain, json_text(code.get("changed")))


def environment_values(environment: Mapping[str, Any]) -> Row:
    image = environment.get("image") or {}
    return (
        *[environment.get(name) for name in ("digest", "kind", "python", "interpreter", "lockfile")],
        *[image.get(name) for name in ("id", "digest", "reference")],
        *[json_text(environment.get(name)) for name in ("variables", "libraries", "imported")],
    )


def hardware_values(hardware: Mapping[str, Any]) -> Row:
    plain = [small(hardware.get(name)) for name in SHARED["hardware"] if name != "gpus"]
    return (*plain, json_text(hardware.get("gpus")))


def json_text(value: Any) -> str | None:
    """A list or table as JSON; None for an empty one."""
    return canonical(value).decode() if value else None


@lru_cache(maxsize=2000)
def fact(values: Row) -> Fact:
    return Fact(hasher(json.dumps(values).encode()).digest()[:KEY_SIZE], values)


def values_of(item: Mapping[str, Any], columns: tuple[str, ...]) -> Row:
    return tuple([small(item.get(name)) for name in columns])


def typed(value: Any) -> tuple[Any, str]:
    """A parameter's value as SQL holds it, and its type: `int float bool str null json`."""
    if isinstance(value, (dict, list)):
        return canonical(value).decode(), "json"
    return small(value), "null" if value is None else type(value).__name__


def small(value: Any) -> Any:
    """SQLite's integers have 64 bits; of a larger one the nearest float is kept, so that it compares as a number."""
    if not isinstance(value, int) or -LARGEST <= value < LARGEST:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
