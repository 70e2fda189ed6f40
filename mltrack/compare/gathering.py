"""Many runs -> columns: what each run has of each field, by sections, and when a field counts as different. Pure.

What counts is what `differences` counts between two runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from mltrack.compare.changes import metric_number, same_number, same_value
from mltrack.compare.differences import (
    gpu_facts,
    identity_of,
    image_of,
    left_out,
    nested_states,
    own_code,
    variables,
)
from mltrack.nouns import noun
from mltrack.records import Hardware, Run

CIRCUMSTANCES = "circumstances"
"""The section of what always differs or computes nothing; shown last."""

DIGITS = re.compile(r"([0-9]+)")

Table = Mapping[str, Mapping[int, Any]]
"""Name of a field -> place of a run -> what that run has."""

Same = Callable[[Mapping[int, Any], int], bool]


def differ(known: Mapping[int, Any], count: int) -> bool:
    """Is a value missing, or not the same in all?"""
    return len(known) < count or mixed(known, same_value)


def differ_in_number(known: Mapping[int, Any], count: int) -> bool:
    return len(known) < count or mixed(known, same_number)


def differ_where_known(known: Mapping[int, Any], count: int) -> bool:
    """For what nobody may have looked at: only two known values differ."""
    return mixed(known, same_value)


def never(known: Mapping[int, Any], count: int) -> bool:
    return False


def mixed(known: Mapping[int, Any], same: Callable[[Any, Any], bool]) -> bool:
    """Are two of the values not the same?"""
    values = iter(known.values())
    first = next(values, None)
    if type(first) is str:  # as most are; thousands of runs are compared in a fraction of the time
        return any(value != first or type(value) is not str for value in values)
    return any(value is not first and not same(first, value) for value in values)


@noun
class Fields:
    """Fields of one kind: what each run has of each, and when they differ."""

    columns: Table
    same: Same = differ
    is_sorted: bool = True

    def names(self) -> list[str]:
        return sorted(self.columns, key=in_order) if self.is_sorted else list(self.columns)


def in_order(name: str) -> list[tuple[int, str]]:
    """Sorts `layer10` behind `layer9`."""
    if name.isalpha():
        return [(0, name)]
    return [(int(part), "") if part.isdecimal() and len(part) < 20 else (0, part) for part in DIGITS.split(name)]


def sections(runs: Sequence[Run]) -> Iterable[tuple[str, Sequence[Fields]]]:
    """The sections in the order of `diff`, the circumstances last."""
    code, aside = of_code(runs)
    yield "command", [attributes(runs, ("command", "cwd", "seed"))]
    yield "code", code
    yield "environment", of_environments(runs)
    yield "hardware", of_hardware(runs)
    yield "inputs", [Fields(gathered({i.path: i.digest for i in run.inputs if i.kind != "url"} for run in runs))]
    yield "params", [Fields(gathered(run.params for run in runs))]
    metrics = ({name: metric_number(one.last) for name, one in run.metrics.items()} for run in runs)
    yield "metrics", [Fields(gathered(metrics), differ_in_number)]
    yield "artifacts", [Fields(gathered({item.path: item.digest for item in run.artifacts} for run in runs))]
    yield "outcome", [attributes(runs, ("status", "exit_code", "signal"))]
    yield CIRCUMSTANCES, [*aside, of_circumstances(runs)]


def gathered(mappings: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, Any]]:
    """Mappings of one run each, turned round."""
    columns: dict[str, dict[int, Any]] = {}
    for place, mapping in enumerate(mappings):
        for name, value in mapping.items():
            column = columns.get(name)
            if column is None:
                columns[name] = {place: value}
            else:
                column[place] = value
    return columns


def attributes(things: Sequence[Any], names: Iterable[str], same: Same = differ) -> Fields:
    """Attributes of runs, or of a part of each; None is none."""
    columns = {}
    for name in names:
        known = {place: getattr(thing, name) for place, thing in enumerate(things)}
        columns[name] = {place: value for place, value in known.items() if value is not None}
    return Fields({name: known for name, known in columns.items() if known}, same, is_sorted=False)


def of_code(runs: Sequence[Run]) -> tuple[list[Fields], list[Fields]]:
    """Trees, here and in nested repositories, with what belongs to them; and what is aside where the trees are the
    same: the commit that they were seen from, and git's opinion of it."""
    states = [dict(nested_states(run.code)) for run in runs]
    paths = sorted({path for state in states for path in state})
    code: list[Fields] = []
    aside: list[Fields] = []
    for path in paths:
        prefix = f"{path}: " if path else ""
        found = [state.get(path) for state in states]
        trees = {place: one.tree for place, one in enumerate(found) if one is not None and one.tree is not None}
        moved = differ(trees, len(runs))
        seen = gathered(facts(one, ("commit", "dirty"), prefix) for one in found)
        code.append(Fields(gathered(facts(one, ("tree", "raw", "prefix"), prefix) for one in found), is_sorted=False))
        if moved:
            code.append(Fields(seen, is_sorted=False))
        else:
            aside.append(Fields({f"code.{name}": known for name, known in seen.items()}, is_sorted=False))
        kept = ({} if one is None else left_out(one) for one in found)
        code.append(Fields({f"{prefix}left_out.{name}": known for name, known in gathered(kept).items()}))
    return code, aside


def facts(thing: Any, names: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """Some attributes of a thing that may not be there, as a mapping of what is known and not empty."""
    if thing is None:
        return {}
    return {prefix + name: getattr(thing, name) for name in names if getattr(thing, name) not in (None, "")}


def of_environments(runs: Sequence[Run]) -> list[Fields]:
    """As `differences.of_environments` counts: the lockfile and the digest only where nothing else tells."""
    seen = [run.environment for run in runs]
    images = gathered({f"image.{name}": value for name, value in image_of(one).items()} for one in seen)
    is_one_image = not differ({place: identity_of(one) for place, one in enumerate(seen)}, len(seen))
    found = [
        attributes(seen, ("kind", "python")),
        Fields(images, never if is_one_image else differ),
        Fields(gathered({f"options.{name}": value for name, value in one.options.items()} for one in seen)),
        Fields(gathered({f"packages.{name}": value for name, value in one.packages.items()} for one in seen)),
        Fields(
            gathered({f"libraries.{name}": value for name, value in one.libraries.items()} for one in seen),
            differ_where_known,
        ),
        Fields(
            gathered({f"variables.{name}": v for name, v in variables(one, volatile=False).items()} for one in seen)
        ),
        Fields(gathered({f"trees.{name}": value for name, value in own_code(one).items()} for one in seen)),
    ]
    is_told = any(part.same(known, len(runs)) for part in found[:4] for known in part.columns.values())
    is_same = not differ({place: one.digest for place, one in enumerate(seen)}, len(seen))
    return [*found, attributes(seen, ("lockfile", "digest"), never if is_told or is_same else differ)]


def of_hardware(runs: Sequence[Run]) -> list[Fields]:
    seen = [run.hardware for run in runs]
    names = [item.name for item in fields(Hardware) if item.name not in ("gpus", "cpu_flags")]
    flags = gathered({"cpu_flags": one.cpu_flags} if one.cpu_flags else {} for one in seen)
    return [attributes(seen, names), Fields(flags, differ_where_known), Fields(gathered(map(of_gpus, seen)))]


def of_gpus(hardware: Hardware) -> dict[str, Any]:
    """Each fact of the GPUs as a list with one item for each that is known."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, value in gpu_facts(hardware).items():
        fact = f"gpus.{name.rpartition('.')[2]}"
        found[fact] = (*found.get(fact, ()), value)
    return found


def of_circumstances(runs: Sequence[Run]) -> Fields:
    """What differs between any two runs, or computes nothing."""
    return Fields(gathered(map(circumstances, runs)), is_sorted=False)


def circumstances(run: Run) -> dict[str, Any]:
    """What is known of a run besides what it computed."""
    found = facts(run, ("duration_s", "experiment", "why", "user", "host"))
    found |= {name: value for name, value in (("tags", run.tags), ("notes", run.notes)) if value}
    found |= facts(run.resources, ("peak_memory_bytes", "cpu_seconds"), "resources.")
    found |= facts(run.code, ("branch", "origin"), "code.")
    found |= facts(run.parent, ("kind", "run"), "parent.")
    return found
