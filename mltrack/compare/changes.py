"""One change, and the changes between two mappings, two records or two lists of files.

Equality here is strict: `1`, `1.0` and `True` are three values, because a program may treat them as such; NaN equals
NaN, because a difference is sought, not a sum. Metrics alone are compared as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mltrack.nouns import noun
from mltrack.records import Artifact, Input, MetricSummary

_NAMED_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@noun
class Change:
    """One thing that is not the same in run a and run b.

    `a` and `b` are the values as the run has them (a scalar, an Input, an Artifact, a MetricSummary), None where
    there is none. `kind` is "added" (only b has it), "removed" (only a has it), "changed", "renamed" (a file with the
    same bytes at another path) or "unknown" (an input whose content is not known on at least one side); of a
    package also "rebuilt" (other files under one version) and "moved" (one version from another place).
    """

    what: str
    a: Any
    b: Any
    kind: str

    @property
    def change(self) -> float | None:
        """b - a where both are finite numbers."""
        return difference(self.a, self.b)

    @property
    def percent(self) -> float | None:
        """The change in per cent of the size of a; None where a is zero."""
        change, base = self.change, as_number(self.a)
        if change is None or not base:
            return None
        percent = change / abs(base) * 100
        return percent if math.isfinite(percent) else None


def as_number(value: Any) -> float | int | None:
    """The number that a value is (of a metric, its last point); None for anything else."""
    if isinstance(value, MetricSummary):
        return metric_number(value.last)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def metric_number(value: float | str) -> float | int | None:
    """A point of a metric as a number; JSON had to name some ("NaN", "Infinity", "-Infinity")."""
    return _NAMED_NUMBERS.get(value) if isinstance(value, str) else value


def difference(a: Any, b: Any) -> float | int | None:
    """b - a; None unless both are numbers and the result is finite."""
    first, second = as_number(a), as_number(b)
    if first is None or second is None:
        return None
    try:
        result = second - first
        return result if math.isfinite(result) else None
    except OverflowError:
        return None


def same_number(a: Any, b: Any) -> bool:
    """Are two numbers equal? NaN equals NaN, and a number that JSON had to name equals that number."""
    first = _NAMED_NUMBERS.get(a, a) if isinstance(a, str) else a
    second = _NAMED_NUMBERS.get(b, b) if isinstance(b, str) else b
    return bool(first == second or (first != first and second != second))


def same_summary(a: MetricSummary, b: MetricSummary) -> bool:
    """Do two metrics agree in all that is known of them?"""
    return all(
        same_number(first, second)
        for first, second in (
            (a.last, b.last),
            (a.min, b.min),
            (a.max, b.max),
            (a.count, b.count),
            (a.last_step, b.last_step),
        )
    )


def same_value(a: Any, b: Any) -> bool:
    """Are two recorded values the same, types included? A non-finite number equals the name that JSON gave it."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same_value(value, b[key]) for key, value in a.items())
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_value, a, b))
    if isinstance(a, float) != isinstance(b, float):
        named = a if isinstance(a, str) else b if isinstance(b, str) else None
        return named in _NAMED_NUMBERS and same_number(a, b)
    if isinstance(a, float):
        return same_number(a, b)
    return type(a) is type(b) and bool(a == b)


def kind_of(a: Any, b: Any) -> str:
    if a is None:
        return "added"
    return "removed" if b is None else "changed"


def of_fields(a: Any, b: Any, names: Iterable[str], prefix: str = "") -> list[Change]:
    """The changes between the named attributes of two records."""
    pairs = ((name, getattr(a, name), getattr(b, name)) for name in names)
    return [
        Change(prefix + name, first, second, kind_of(first, second))
        for name, first, second in pairs
        if not same_value(first, second)
    ]


def of_mappings(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    prefix: str = "",
    same: Callable[[Any, Any], bool] = same_value,
) -> list[Change]:
    """The changes between two mappings, by key."""
    found = []
    for key in sorted(a.keys() | b.keys()):
        if key not in b:
            found.append(Change(prefix + key, a[key], None, "removed"))
        elif key not in a:
            found.append(Change(prefix + key, None, b[key], "added"))
        elif not same(a[key], b[key]):
            found.append(Change(prefix + key, a[key], b[key], "changed"))
    return found


def of_files(a: Sequence[Input | Artifact], b: Sequence[Input | Artifact]) -> list[Change]:
    """The changes between two lists of inputs or artifacts, by path; the same bytes at another path are a renaming."""
    before, after = {item.path: item for item in a}, {item.path: item for item in b}
    found = []
    for path in sorted(before.keys() & after.keys()):
        first, second = before[path], after[path]
        if first.kind == second.kind == "url":
            continue  # what the network gave is known of neither
        if first.digest is None or second.digest is None:
            found.append(Change(path, first, second, "unknown"))
        elif content(first) != content(second):
            found.append(Change(path, first, second, "changed"))
    gone = [before[path] for path in sorted(before.keys() - after.keys())]
    new = [after[path] for path in sorted(after.keys() - before.keys())]
    renamed = pair_by_content(gone, new)
    found += [Change(first.path, first, second, "renamed") for first, second in renamed]
    moved = {first.path for first, _ in renamed} | {second.path for _, second in renamed}
    found += [Change(item.path, item, None, "removed") for item in gone if item.path not in moved]
    found += [Change(item.path, None, item, "added") for item in new if item.path not in moved]
    return sorted(found, key=lambda change: change.what)


def content(item: Input | Artifact) -> tuple[str, str | None, bool]:
    """What makes two files or directories the same."""
    return item.kind, item.digest, item.executable


def pair_by_content(
    gone: Sequence[Input | Artifact], new: Sequence[Input | Artifact]
) -> list[tuple[Input | Artifact, Input | Artifact]]:
    """Those of `gone` that turn up in `new` with the same bytes, each used once, in the order given."""
    waiting: dict[Any, list[Input | Artifact]] = {}
    for item in reversed(new):
        waiting.setdefault(content(item), []).append(item)
    pairs = []
    for item in gone:
        candidates = waiting.get(content(item))
        if item.digest is not None and candidates:
            pairs.append((item, candidates.pop()))
    return pairs
