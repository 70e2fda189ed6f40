"""The circumstances in which two runs differ, for whoever asks why the result does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mltrack.compare.changes import Change
from mltrack.compare.differences import LIBRARIES, diff_runs
from mltrack.environments.numbers import LOCAL
from mltrack.records import Input, Run
from mltrack.verdicts import Condition

TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/")


def conditions(then: Run, now: Run) -> list[Condition]:
    """The circumstances that differ: software, hardware, and anything the repetition should have restored; first those
    that are most likely to have moved the result."""
    found = diff_runs(then, now)
    told = [as_condition(change) for change in found.environment if change.what not in ("lockfile", "digest")]
    told += [as_condition(change) for change in found.hardware if not change.what.endswith("memory_bytes")]
    told += [Condition("mltrack", item.a, item.b) for item in found.informative if item.what == "origin.mltrack"]
    told += [as_condition(change, "code.") for change in found.code if change.what.endswith(("tree", "raw"))]
    told += [as_condition(change, "inputs.") for change in found.inputs if is_told(change, then, now)]
    told += [as_condition(change, "params.") for change in found.params]
    told += [as_condition(change) for change in found.command if not is_same_program_elsewhere(change)]
    return in_order(with_habits(told, then, now))


def with_habits(told: Iterable[Condition], then: Run, now: Run) -> Iterator[Condition]:
    """With the time zones that counted, instead of the variable that may have chosen them, and the umasks."""
    before, after = zone_of(then), zone_of(now)
    is_known = before is not None and after is not None
    yield from (item for item in told if item.what != ZONE_VARIABLE or not is_known)
    if is_known and before != after:
        yield Condition("time_zone", before, after)
    masks = then.origin.get("umask"), now.origin.get("umask")
    if all(masks) and masks[0] != masks[1] and not (then.environment.image or now.environment.image):
        yield Condition("umask", *masks)


def zone_of(run: Run) -> str | None:
    """The time zone that a run had; None where that is not known: a container has one of its own."""
    if run.environment.image is not None:
        return None
    zone = run.environment.variables.get("TZ", "").lstrip(":") or run.origin.get("time_zone")
    return None if zone is None else "UTC" if zone in UTC else str(zone)


WEIGHTS = (
    ("command", "cwd", "seed", "code.", "params.", "inputs.", "input", "network", "params"),
    ("packages.", "trees.", "kind", "image.", "python", "options.", "lockfile", "digest"),
    ("gpus.", LIBRARIES, "cpu_flags", "cpu_id", "cpu", "machine"),
    ("cores", "cpu_limit", "variables.", "time_zone", "locale"),
    ("physical_cores", "memory_limit_bytes", "mltrack", "os", "kernel", "umask"),
)
"""What circumstances are called, or begin with; the first are the likeliest to move numbers."""

ZONE_VARIABLE = "variables.TZ"
UTC = ("UTC", "UTC0", "Etc/UTC", "UCT", "Etc/UCT", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu")

LOCALE = tuple(f"variables.{name}" for name in LOCAL)


def in_order(told: Iterable[Condition]) -> list[Condition]:
    """Circumstances, the likeliest to have moved the result first."""
    return sorted(told, key=lambda item: weight(item.what))


def weight(what: str) -> int:
    """Where in the order a circumstance stands; one that is not known stands with what should have been restored."""
    if what.startswith(LOCALE):
        return len(WEIGHTS) - 1
    for place, names in enumerate(WEIGHTS):
        if any(what == name or (name.endswith((".", "_")) and what.startswith(name)) for name in names):
            return place
    return 1


def is_told(change: Change, then: Run, now: Run) -> bool:
    """Is it a circumstance that an input differs? One that was only observed must have been there for both to see."""
    sides = [item for item in (change.a, change.b) if item is not None]
    if any(item.found != "observed" or item.kind == "url" for item in sides):
        return True
    if change.kind not in ("added", "removed"):
        return change.kind != "renamed"
    if not all(run.observation is not None and run.observation.complete for run in (then, now)):
        return False
    path, (own, other) = change.what, (now, then) if change.kind == "added" else (then, now)
    if path.startswith(TEMPORARY) or any(item.path == path for item in own.artifacts):
        return False  # it is written anew each time
    return not any(is_one_of(path, item.path) for item in other.inputs)


def is_one_of(path: str, other: str) -> bool:
    """Is one of the two below the other? Many files of a directory are one input, and a few are not."""
    return path.startswith(f"{other}/") or other.startswith(f"{path}/")


def as_condition(change: Change, prefix: str = "") -> Condition:
    if change.what == "cpu_flags":
        return Condition(change.what, ", ".join(change.a or ()) or None, ", ".join(change.b or ()) or None)
    return Condition(prefix + change.what, identity(change.a), identity(change.b))


def identity(value: Any) -> Any:
    return value.digest if isinstance(value, Input) else value


def is_same_program_elsewhere(change: Change) -> bool:
    """A repetition starts the same program from its own environment: another directory, the same name."""
    if change.what != "command" or not change.a or not change.b:
        return False
    return [base_name(change.a), *change.a[1:]] == [base_name(change.b), *change.b[1:]]


def base_name(words: Sequence[str]) -> str:
    return words[0].rsplit("/", 1)[-1]
