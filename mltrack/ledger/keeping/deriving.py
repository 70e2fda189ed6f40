"""What a sealed record says, as the rows that answer questions about it. Pure: no table is opened here.

A record is checked, its packages are cut out, and its values become plain tuples of texts and numbers, which may also
be made in another process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from mltrack.digest import digest_bytes, hasher
from mltrack.errors import MltrackError
from mltrack.ledger.keeping.members import Known
from mltrack.ledger.keeping.shape import canonical, canonical_value, check_shape, checked_record
from mltrack.ledger.tables import ARTIFACT_COLUMNS, RUN_COLUMNS, SHARED

LARGEST = 1 << 63
ENVIRONMENT = b'"environment":'
PACKAGES = b'"packages":'
KEY_SIZE = 16

Row = tuple[Any, ...]

NOTHING: Mapping[str, Any] = {}

Fact = tuple[bytes, Row]
"""A row that runs share: a key that stands for its values, and these."""


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


def prepared(data: bytes, known: Known | None = None, digest: str | None = None) -> Prepared:
    """Check a sealed record and derive its rows. `known`: what other records had alike, which is read and checked once;
    `digest`: of the record, where somebody has just taken it.

    Raises Damaged, FormatTooNew.
    """
    found = None if known is None else by_what_is_known(data, known)
    if found is None:
        document = checked_record(data)
        found = (*without_packages(data, document), document["id"], derive(document))
        if known is not None:
            known.learn(data, document)
    text, packages, at, id, derived = found
    return Prepared(digest or digest_bytes(data), id, text, packages, at, derived)


def plain_tuple(one: Prepared) -> Row:
    """A prepared record of nothing but tuples, lists, texts, bytes and numbers, to go from process to process."""
    return (*one[:5], tuple(one.derived), one.dictionary)


def from_plain_tuple(row: Row) -> Prepared:
    digest, id, text, packages, at, derived, dictionary = row
    return Prepared(digest, id, text, packages, at, Derived(*derived), dictionary)


def by_what_is_known(data: bytes, known: Known) -> tuple[bytes, bytes | None, int | None, str, Derived] | None:
    """The text, packages, their place, id and rows of a record; None where it is to be read as a whole."""
    cut = known.cut(data)
    if cut is None:
        return None
    try:
        document = canonical_value(cut.text)
        if not cut.is_proved_by(document):
            return None
        check_shape(document)
    except MltrackError:  # what is wrong is told of the whole
        return None
    known.learn(data, document, cut)
    if cut.at is not None and cut.packages is not None:
        text, packages, at = cut_out(data, cut.packages, cut.at)
    elif "environment" in cut.made:
        text, packages, at = data, None, None
    else:
        text, packages, at = without_packages(data, document)
    return text, packages, at, document["id"], derive(document, cut.made)


def cut_out(data: bytes, packages: bytes, at: int) -> tuple[bytes, bytes | None, int | None]:
    return data[:at] + b"{}" + data[at + len(packages) :], packages, at


def without_packages(data: bytes, document: Mapping[str, Any]) -> tuple[bytes, bytes | None, int | None]:
    """A record without its packages, these, and where they stood; as it is, where it has none."""
    found = document["environment"].get("packages") if "environment" in document else None
    if not found:
        return data, None, None
    packages = canonical(found)
    # Should the same words stand elsewhere first, they are cut there: put back, they are the same bytes.
    return cut_out(data, packages, data.find(PACKAGES + packages, data.find(ENVIRONMENT)) + len(PACKAGES))


def derive(document: Mapping[str, Any], made: Mapping[str, Any] = NOTHING) -> Derived:
    """The rows that a sealed record alone decides; `made` are those of members that are not in the document."""
    of = {name: made[name] if name in made else make(document.get(name)) for name, make in MAKERS.items()}
    return Derived(
        run_columns(document),
        (of["command"], of["code"], of["environment"], of["hardware"]),
        param_rows(document.get("params", {}), of["param_sources"]),
        list(map(metric_row, document.get("metrics", {}).items())),
        of["inputs"],
        of["artifacts"],
        list(dict.fromkeys(document.get("tags", ()))),
        list(document.get("notes", ())),
        of["warnings"],
    )


def param_rows(params: Mapping[str, Any], sources: Mapping[str, str]) -> list[Row]:
    """Name, value, type, source."""
    return [
        (name, value, "float", sources.get(name))
        if value.__class__ is float
        else (name, *typed(value), sources.get(name))
        for name, value in params.items()
    ]


def metric_row(item: tuple[str, Mapping[str, Any]]) -> Row:
    """Name, last, min, max, count, last_step."""
    name, metric = item
    last, low, high = metric["last"], metric["min"], metric["max"]
    count, step = metric["count"], metric.get("last_step")
    if (
        last.__class__ is low.__class__ is high.__class__ is float
        and 0 <= count < LARGEST
        and 0 <= (step or 0) < LARGEST
    ):
        return (name, last, low, high, count, step)
    return (name, small(last), small(low), small(high), small(count), small(step))


def run_columns(document: Mapping[str, Any]) -> Row:
    """Values of RUN_COLUMNS."""
    parent, resources = document.get("parent") or {}, document.get("resources") or {}
    replica = (document.get("origin") or {}).get("replica")
    values = {
        **document,
        "created_at": document.get("created_at") or "",
        "parent_kind": parent.get("kind"),
        "parent_run": parent.get("run"),
        "replica": replica if isinstance(replica, str) else None,
        "peak_memory_bytes": resources.get("peak_memory_bytes"),
        "cpu_seconds": resources.get("cpu_seconds"),
        "preflight": (document.get("preflight") or {}).get("grade"),
    }
    return tuple([small(value) if value.__class__ is int else value for value in map(values.get, RUN_COLUMNS)])


def artifact_rows(artifacts: Sequence[Mapping[str, Any]] | None) -> list[Row]:
    return [values_of(item, ARTIFACT_COLUMNS) for item in artifacts or ()]


def input_facts(inputs: Sequence[Mapping[str, Any]] | None) -> list[Fact]:
    return [fact(values_of(item, SHARED["input"])) for item in inputs or ()]


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
    return (hasher(json.dumps(values).encode()).digest()[:KEY_SIZE], values)


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


MAKERS: Mapping[str, Callable[[Any], Any]] = {
    "artifacts": artifact_rows,
    "code": lambda code: fact(code_values(code or {})),
    "command": command_fact,
    "environment": lambda environment: fact(environment_values(environment or {})),
    "hardware": lambda hardware: fact(hardware_values(hardware or {})),
    "inputs": input_facts,
    "param_sources": lambda sources: sources or {},
    "warnings": json_text,
}
"""What is derived of members of a record that many records have alike."""


def nothing_known() -> Known:
    """For `prepared`, of many records that come one after the other."""
    return Known(MAKERS)
