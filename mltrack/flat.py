"""One run as one row: its JSON -> a flat table of scalars, whose names are those of the query language.

CSV, Parquet and data frames are made of such rows. What a run may have several of is one text: words joined, or JSON.
Nothing here reads or writes a file, and a document may be any mapping in the shape of the machine interface.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mltrack.digest import canonical_json, plain

Scalar = str | int | float | bool | None

NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Numbers that JSON cannot say, by the texts that stand for them in records."""

SUMMARIES = ("min", "max", "count", "last_step")
"""What a metric has beside its last value."""

PARTS = (*SUMMARIES, "last")

FACTS: Mapping[str, tuple[str, ...]] = {
    **{
        name: tuple(name.split("."))
        for name in (
            "id", "name", "experiment", "status", "command", "cwd", "exit_code", "signal", "seed",
            "created_at", "started_at", "finished_at", "duration_s", "user", "host", "why", "tags", "notes",
            "fingerprint", "code.commit", "code.branch", "code.dirty", "code.snapshot", "code.tree", "code.origin",
            "code.changed", "environment.digest", "environment.kind", "environment.python", "environment.interpreter",
            "environment.lockfile", "environment.image.reference", "environment.image.digest",
            "hardware.cpu", "hardware.cores", "hardware.memory_bytes", "hardware.gpus.name", "hardware.os",
            "hardware.kernel", "hardware.machine",
            "inputs.path", "inputs.digest", "inputs.size_bytes",
            "artifacts.path", "artifacts.digest", "artifacts.size_bytes",
            "resources.peak_memory_bytes", "resources.cpu_seconds", "parent.kind", "parent.run",
        )
    },
    "verdict": ("verdict", "grade"),
    "preflight": ("preflight", "grade"),
    "warnings.kind": ("warnings", "kind"),
    "record_digest": ("record_digest",),
}  # fmt: skip
"""Every row has these, in this order, and behind them its params and metrics."""

LISTS = frozenset(name for name in FACTS if name.startswith(("inputs.", "artifacts.", "hardware.gpus.", "warnings.")))
"""Facts of a list of objects: a JSON list with one value an object."""

TIMES = frozenset(("created_at", "started_at", "finished_at"))


def flat(document: Mapping[str, Any], *, summaries: bool = False) -> dict[str, Scalar]:
    """A run's JSON, as `ls --json` gives it, as one row: `id`, `code.commit`, `params.lr`, `metrics.loss` ...

    A metric is its last value; with `summaries` also `metrics.loss.min`, `.max`, `.count`, `.last_step`. What is
    missing is None; numbers that JSON cannot say are floats. `command` is one line of a shell, `tags` have ", " between
    them, each note is a line, other lists and tables are JSON.
    """
    row: dict[str, Scalar] = {name: fact(document, name, path) for name, path in FACTS.items()}
    for name, value in (document.get("params") or {}).items():
        row[f"params.{name}"] = scalar_of(value)
    for name, summary in (document.get("metrics") or {}).items():
        full = metric_name(name)
        row[full] = scalar_of(summary.get("last"))
        if summaries:
            row.update({f"{full}.{part}": scalar_of(summary.get(part)) for part in SUMMARIES})
    return row


def row_names(document: Mapping[str, Any]) -> Iterator[str]:
    """The names that `flat` gives a row of this document beside FACTS."""
    for name in document.get("params") or ():
        yield f"params.{name}"
    for name in document.get("metrics") or ():
        yield metric_name(name)


def names_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of all columns of some rows: the facts first, then every param and every metric, each as it came up."""
    found: dict[str, None] = dict.fromkeys(FACTS)
    for row in rows:
        found.update(dict.fromkeys(row))
    params = [name for name in found if name.startswith("params.")]
    metrics = [name for name in found if name.startswith("metrics.")]
    return [*(name for name in found if not name.startswith(("params.", "metrics."))), *params, *metrics]


def metric_name(name: str) -> str:
    """`loss` -> `metrics.loss`; a name that ends like the part of a summary is quoted: `metrics."val.max"`."""
    head, dot, end = name.rpartition(".")
    return f"metrics.{quoted(name) if dot and head and end in PARTS else name}"


def ends_of(name: str) -> list[str]:
    """`model.encoder.depth` -> depth, encoder.depth, model.encoder.depth; a part of a summary stays with its metric."""
    breaks = [place for place, sign in enumerate(name) if sign in "./" and name[place + 1 :].strip("./")]
    ends = [name[place + 1 :] for place in reversed(breaks)]
    return [end for end in ends if end not in PARTS] + [name]


def quoted(name: str) -> str:
    """A name in quotes, as the query language takes it, whatever it is."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def fact(document: Mapping[str, Any], name: str, path: Sequence[str]) -> Scalar:
    """One of FACTS of a run."""
    value: Any = document
    if name in LISTS:
        *way, last = path
        for word in way:
            value = value.get(word) if isinstance(value, (dict, Mapping)) else None
        found = [item.get(last) for item in value or ()]
        return json_text(found) if found else None
    for word in path:
        value = value.get(word) if isinstance(value, (dict, Mapping)) else None
    if value is None or isinstance(value, (str, int, float)):
        return value
    if not value:
        return None
    if name == "command":
        return shlex.join(value)
    return ", ".join(value) if name == "tags" else "\n".join(value) if name == "notes" else json_text(value)


def scalar_of(value: Any) -> Scalar:
    """The value of a param or metric; a list or table is canonical JSON, `"NaN"` is the number."""
    if isinstance(value, str):
        return NOT_FINITE.get(value, value)
    return value if value is None or isinstance(value, (bool, int, float)) else json_text(value)


def text(value: Any) -> str:
    """A value exactly, as a text: `true`, `NaN`, `Infinity`, JSON for lists and tables."""
    if isinstance(value, str):
        return value if value.isascii() else str(plain(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(plain(value))
    return json_text(value)


def json_text(value: Any) -> str:
    return canonical_json(value).decode()
