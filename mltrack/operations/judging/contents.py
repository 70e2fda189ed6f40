"""The artifacts of a run and of its repetitions, side by side: which content each had, and how far numbers lie apart.

A directory is looked at file by file (`directory/file`), unless it has too many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.compare.comparators import DIFFERENT, IDENTICAL, Finding
from mltrack.compare.noise.intervals import bound, in_common
from mltrack.compare.verdict.outputs import paths_moved
from mltrack.compare.verdict.places import Known
from mltrack.compare.verdict.rules import Rules, is_covered
from mltrack.errors import MltrackError
from mltrack.nouns import noun
from mltrack.records import Artifact, Run
from mltrack.verdicts import Looks, Variation

if TYPE_CHECKING:
    from mltrack.project import Project

Compare = Callable[[Run, Run, Artifact, Artifact], Finding]
"""Two runs, and an artifact of each that means the same -> what they come to."""

MOST_MEMBERS = 1000
"""Files of a directory up to which it is looked at file by file."""

BUDGET = 256 << 20
"""Bytes of one artifact that are compared between repetitions; beyond, other bytes are another content."""


@noun
class Distances:
    """The largest differences between the numbers of files, in the order of the files they belong to."""

    absolute: tuple[float, ...]
    relative: tuple[float, ...] | None
    """None where one of them has none: a zero changed."""


@noun
class Held:
    """One artifact over the recorded run and its repetitions."""

    tokens: tuple[str | None, ...]
    """What stands for its content in each, the recorded run first: a digest; None where it is missing."""
    from_recorded: Distances | None = None
    """Of each repetition to the recorded one; None if not all can be measured."""
    from_first: Distances | None = None
    """Of each repetition but the first to the first."""
    looks: Looks | None = None
    """What the bytes have in common in all of them, where nothing can be measured."""

    def variation(self, content: float) -> Variation:
        """What a calibration keeps of it, with bounds that hold `content` of all further repetitions."""
        recorded, *others = self.tokens
        there = [token for token in others if token is not None]
        facts = Variation(len(set(there)), there.count(recorded) if recorded else 0, len(others) - len(there))
        far = self.from_recorded
        if far is None:
            return replace(facts, looks=self.looks)
        near = self.from_first
        absolute = allowed(far.absolute, near.absolute if near else None, content)
        relative = allowed(far.relative, near.relative if near else None, content) if far.relative else None
        is_whole = absolute is not None and (far.relative is None or relative is not None)
        return replace(
            facts,
            largest=max(far.absolute),
            largest_relative=max(far.relative) if far.relative else None,
            allowed=absolute if is_whole else None,
            allowed_relative=relative if is_whole else None,
        )

    @property
    def is_measured(self) -> bool:
        """Does it vary, in numbers alone?"""
        return self.from_recorded is not None and max(self.from_recorded.absolute) > 0


def allowed(far: Sequence[float], among: Sequence[float] | None, content: float) -> float | None:
    """How far a further repetition may be from the recorded run; None where it is not like them: it is
    further from the first of them than they are from each other."""
    if max(far) == 0:
        return 0.0
    limit = bound(among, content) if among else None
    return None if limit is None or far[0] > limit else bound(far, content)


def hold(project: Project, runs: Sequence[Run], rules: Rules, compare: Compare) -> dict[str, Held]:
    """Every artifact that a verdict would look at, by its recorded path. `runs`: the recorded one, then repetitions."""
    then, *others = runs
    first = outputs_of(project, then, rules)
    sides = [{item.path: item for item in first}]
    for run in others:
        found = outputs_of(project, run, rules)
        moved = paths_moved(first, found, Known.of(then, run))
        sides.append({moved.get(item.path, item.path): item for item in found})
    paths = sorted(set().union(*sides))
    held = {path: compared([(run, side.get(path)) for run, side in zip(runs, sides)], compare) for path in paths}
    return {path: with_looks(project, one, [side.get(path) for side in sides]) for path, one in held.items()}


def with_looks(project: Project, one: Held, items: Sequence[Artifact | None]) -> Held:
    """How the bytes of an artifact looked, if they were always there and never measured."""
    from mltrack.operations.repeating.particulars import looks_of

    there = [item for item in items if item is not None and item.kind == "file"]
    if one.from_recorded is not None or len(there) < len(items):
        return one
    try:
        return replace(one, looks=in_common([looks_of(project.store, item) for item in there]))
    except (MltrackError, OSError):
        return one


def outputs_of(project: Project, run: Run, rules: Rules) -> list[Artifact]:
    """The artifacts of a run, those that are directories file by file."""
    skipped = rules.ignore + (rules.metric_files if run.metrics else ())
    found: list[Artifact] = []
    for item in run.artifacts:
        members = members_of(project, item) if item.kind == "directory" else None
        found += [item] if members is None else members
    return [item for item in found if not is_covered(item.path, skipped)]


def members_of(project: Project, item: Artifact) -> list[Artifact] | None:
    """The files of a directory; None if they are not to be had, or too many."""
    import os

    from mltrack.store.checkout import manifest_of

    if item.files > MOST_MEMBERS:
        return None
    try:
        listed = manifest_of(project.store, item.digest)
    except MltrackError:
        return None
    return [
        Artifact(f"{item.path}/{os.fsdecode(one.path)}", "file", one.digest, one.size or 0)
        for one in listed
        if one.digest is not None
    ]


def compared(items: Sequence[tuple[Run, Artifact | None]], compare: Compare) -> Held:
    """One artifact in the recorded run and in each repetition."""
    find = Findings(compare)
    recorded, *others = items
    classes = [] if recorded[1] is None else [recorded]
    tokens: list[str | None] = [None if recorded[1] is None else recorded[1].digest]
    budget = BUDGET
    for run, item in others:
        if item is None:
            tokens.append(None)
            continue
        near = [one for one in classes if one[1] is not None and one[1].digest == item.digest]
        if not near and budget > 0:
            near = [one for one in classes if find(one, (run, item)).grade != DIFFERENT][:1]
            budget -= item.size_bytes * len(classes)
        if not near:
            classes.append((run, item))
        tokens.append((near or [(run, item)])[0][1].digest)  # type: ignore[union-attr]  # classes hold artifacts
    if None in tokens or len(set(tokens)) == 1:
        zero = (0.0,) * len(others)
        return Held(tuple(tokens), Distances(zero, zero)) if None not in tokens else Held(tuple(tokens))
    first, *rest = others
    return Held(
        tuple(tokens),
        distances([find(recorded, other) for other in others]),
        distances([find(first, other) for other in rest]),
    )


class Findings:
    """Compares two artifacts, each pair once."""

    def __init__(self, compare: Compare) -> None:
        self._compare = compare
        self._known: dict[tuple[str, str], Finding] = {}

    def __call__(self, one: tuple[Run, Artifact | None], other: tuple[Run, Artifact | None]) -> Finding:
        (then, a), (now, b) = one, other
        assert a is not None and b is not None, "only what is there is compared"
        if a.kind != b.kind:
            return Finding(DIFFERENT, "another kind")
        if a.digest == b.digest:
            return Finding(IDENTICAL, "the same bytes")
        key = (a.digest, b.digest)
        if key not in self._known:
            self._known[key] = self._compare(then, now, a, b)
        return self._known[key]


def distances(findings: Sequence[Finding]) -> Distances | None:
    """How far apart the pairs of some findings are; None if one cannot be measured whole."""
    pairs = [measured(one) for one in findings]
    absolute = [one for one, _ in pairs if one is not None]
    relative = [one for _, one in pairs if one is not None]
    if len(absolute) < len(pairs):
        return None
    return Distances(tuple(absolute), tuple(relative) if len(relative) == len(pairs) else None)


def measured(found: Finding) -> tuple[float | None, float | None]:
    if found.grade != DIFFERENT:
        return 0.0, 0.0
    if found.measure is None:
        return None, None
    return finite(found.measure.largest), finite(found.measure.largest_relative)


def finite(difference: float | str | None) -> float | None:
    """A difference, if it is a number that can be one."""
    is_number = isinstance(difference, (int, float)) and math.isfinite(difference)
    return float(difference) if is_number else None  # type: ignore[arg-type]  # it is a number
