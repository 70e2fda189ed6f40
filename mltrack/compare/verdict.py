"""A run and its repetition -> a graded verdict with its reasons. Pure.

Artifacts are compared by path and digest on both sides: missing, extra and renamed ones count. Of a metric the last
value and the number of points are compared; its minimum and maximum follow from points that are not at hand here.
The worst item gives the grade.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from mltrack.compare.changes import Change, content, difference, metric_number, of_files, same_number
from mltrack.compare.differences import diff_runs
from mltrack.compare.places import same_places
from mltrack.formats.ranked import split_rank
from mltrack.nouns import noun
from mltrack.records import Artifact, Input, MetricSummary, Run
from mltrack.verdicts import ArtifactVerdict, Condition, MetricVerdict, Verdict

if TYPE_CHECKING:
    from mltrack.config import Tolerance

IDENTICAL = "identical"
EQUIVALENT = "equivalent"
WITHIN_TOLERANCE = "within tolerance"
WITHIN_NOISE = "within noise"
DIFFERENT = "different"
NOTHING_TO_COMPARE = "nothing to compare"
COULD_NOT_RUN = "could not run"

GRADES = (IDENTICAL, EQUIVALENT, WITHIN_TOLERANCE, WITHIN_NOISE, DIFFERENT, NOTHING_TO_COMPARE, COULD_NOT_RUN)
"""All grades, the best first."""

TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/")


@noun
class Rules:
    """What a project asks of a verdict.

    `tolerance`: metric pattern -> Tolerance; an exact name wins, else the first pattern that fits. `ignore`: patterns
    of metric names and artifact paths that are left out. `metric_files`: patterns of files declared as metrics; they
    are compared as metrics, not as artifacts.
    """

    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    metric_files: tuple[str, ...] = ()


def is_success(grade: str) -> bool:
    """Does a reproduction with this grade hold?"""
    return grade in GRADES[: GRADES.index(DIFFERENT)]


def could_not_run(of: str, phase: str, cause: str) -> Verdict:
    """The verdict on a reproduction of the run `of` that stopped in `phase` because of `cause`."""
    return Verdict(grade=COULD_NOT_RUN, of=of, phase=phase, cause=cause)


def judge(then: Run, now: Run, rules: Rules) -> Verdict:
    """Is the result of `now` that of `then`?"""
    artifacts = judge_artifacts(then, now, rules)
    metrics = judge_metrics(then.metrics, now.metrics, rules)
    outcome = outcome_conditions(then, now)
    grades = [item.grade for item in artifacts] + [item.grade for item in metrics] + [DIFFERENT for _ in outcome]
    return Verdict(
        grade=max(grades, key=GRADES.index) if grades else NOTHING_TO_COMPARE,
        of=then.id,
        artifacts=tuple(artifacts),
        metrics=tuple(metrics),
        conditions=tuple(outcome + conditions(then, now)),
        cause=failure(then, now),
    )


def failure(then: Run, now: Run) -> str | None:
    """What comes before all comparisons: that a command failed. None if neither did, or nobody knows."""
    if then.status in ("lost", "running"):
        return None
    before, after = ending(then), ending(now)
    if after is None:
        return f"the command finished; the original {before}." if before else None
    if before is None:
        return f"the command {after}; the original finished."
    return f"both {after}." if before == after else f"the command {after}; the original {before}."


def ending(run: Run) -> str | None:
    """`failed with exit 1`; None of a run that finished well."""
    if run.status == "finished":
        return None
    if run.status == "interrupted":
        return "was interrupted"
    if run.signal is not None:
        return f"was ended by signal {run.signal}"
    return f"{run.status} with exit {run.exit_code}" if run.exit_code is not None else f"was {run.status}"


def outcome_conditions(then: Run, now: Run) -> list[Condition]:
    """How it ended, if that differs; how a run ended whose supervisor was lost is not known."""
    if then.status in ("lost", "running"):
        return []
    pairs = ((name, getattr(then, name), getattr(now, name)) for name in ("status", "exit_code", "signal"))
    return [Condition(name, before, after) for name, before, after in pairs if before != after]


def judge_artifacts(then: Run, now: Run, rules: Rules) -> list[ArtifactVerdict]:
    """One verdict a path, those that differ first."""
    skipped = rules.ignore + (rules.metric_files if then.metrics or now.metrics else ())
    before = [item for item in then.artifacts if not is_covered(item.path, skipped)]
    after = [item for item in now.artifacts if not is_covered(item.path, skipped)]
    moved = same_places([item.path for item in before], [item.path for item in after])
    after = [replace(item, path=moved.get(item.path, item.path)) for item in after]
    places = {old: new for new, old in moved.items()}
    changes = of_files(before, after)
    changed = {change.what for change in changes}
    same = sorted({item.path for item in before} & {item.path for item in after} - changed)
    judged = [judge_known(change, then, now, places) or judge_file(change) for change in changes]
    return judged + [ArtifactVerdict(path, IDENTICAL, now_at(places.get(path))) for path in same]


def now_at(place: str | None) -> str | None:
    return None if place is None else f"now at {place}: the same place but for a time or a number"


def judge_known(change: Change, then: Run, now: Run, places: Mapping[str, str]) -> ArtifactVerdict | None:
    """The verdict on a file whose bytes differ while what it says is the same, as far as its kind is known."""
    first, second = then.recognised.get(change.what), now.recognised.get(places.get(change.what, change.what))
    if change.kind != "changed" or first is None or first.essence is None or first != second:
        return None
    return ArtifactVerdict(change.what, EQUIVALENT, f"a file of {first.by}: only times or places in it differ")


def judge_file(change: Change) -> ArtifactVerdict:
    """The verdict on an artifact that is not the same on both sides."""
    a, b = change.a, change.b
    if change.kind == "removed":
        return ArtifactVerdict(change.what, DIFFERENT, "missing: the new run did not write it")
    if change.kind == "added":
        return ArtifactVerdict(change.what, DIFFERENT, "extra: the recorded run did not write it")
    if change.kind == "renamed":
        return ArtifactVerdict(change.what, DIFFERENT, f"renamed: the same bytes are now at {b.path}")
    if a.kind != b.kind:
        return ArtifactVerdict(change.what, DIFFERENT, f"was a {a.kind}, is a {b.kind}")
    if content(a)[:2] == content(b)[:2]:
        return ArtifactVerdict(change.what, EQUIVALENT, "the same bytes, but the executable bit differs")
    return ArtifactVerdict(change.what, DIFFERENT, sizes(a, b))


def sizes(a: Artifact, b: Artifact) -> str:
    if a.kind == "directory" and a.files != b.files:
        return f"different content: {a.files:,} files then, {b.files:,} now"
    if a.size_bytes != b.size_bytes:
        return f"different bytes: {a.size_bytes:,} then, {b.size_bytes:,} now"
    return f"different bytes, the same size ({a.size_bytes:,})"


def judge_metrics(
    then: Mapping[str, MetricSummary], now: Mapping[str, MetricSummary], rules: Rules
) -> list[MetricVerdict]:
    """One verdict a metric, and one more, `<name> (points)`, where the number of points differs."""
    found: list[MetricVerdict] = []
    for name in sorted(then.keys() | now.keys()):
        if is_covered(name, rules.ignore) or is_covered(split_rank(name)[0], rules.ignore):
            continue
        a, b = then.get(name), now.get(name)
        if a is None or b is None:
            found.append(MetricVerdict(name, a and a.last, b and b.last, None, DIFFERENT))
            continue
        found.append(judge_number(name, a.last, b.last, rules))
        if a.count != b.count:
            found.append(judge_number(f"{name} (points)", a.count, b.count, rules))
    return sorted(found, key=lambda item: item.grade == IDENTICAL)


def judge_number(name: str, then: Any, now: Any, rules: Rules) -> MetricVerdict:
    before, after = metric_number(then), metric_number(now)
    change = difference(before, after)
    if same_number(before, after):
        grade = IDENTICAL
    elif is_within(before, change, find_tolerance(name, rules.tolerance)):
        grade = WITHIN_TOLERANCE
    else:
        grade = DIFFERENT
    return MetricVerdict(name, then, now, change, grade)


def find_tolerance(name: str, tolerances: Mapping[str, Tolerance]) -> Tolerance | None:
    """The tolerance of exactly this name, else of the first pattern that fits it; a metric's is that of its ranks."""
    names = (name, split_rank(name)[0])
    exact = [tolerances[one] for one in names if one in tolerances]
    fitting = (limit for pattern, limit in tolerances.items() if any(fnmatchcase(one, pattern) for one in names))
    return exact[0] if exact else next(fitting, None)


def is_within(then: float | None, change: float | None, tolerance: Tolerance | None) -> bool:
    """Is a change at most the absolute limit, or the relative one times the recorded value, whichever is wider?"""
    if tolerance is None or then is None or change is None:
        return False
    limit = max(tolerance.abs or 0.0, (tolerance.rel or 0.0) * abs(then))
    # 0.3 - 0.2 is a hair more than 0.1; a limit of 0.1 is meant to allow it.
    return abs(change) <= limit or math.isclose(abs(change), limit, rel_tol=1e-9)


def is_covered(name: str, patterns: Sequence[str]) -> bool:
    """Does a pattern name this metric or path, or (ending in a slash) a directory above it?"""
    return any(
        name == pattern or fnmatchcase(name, pattern) or (pattern.endswith("/") and name.startswith(pattern))
        for pattern in patterns
    )


def conditions(then: Run, now: Run) -> list[Condition]:
    """The circumstances that differ: software, hardware, and anything the repetition should have restored."""
    found = diff_runs(then, now)
    told = [as_condition(change) for change in found.environment if change.what not in ("lockfile", "digest")]
    told += [as_condition(change) for change in found.hardware if not change.what.endswith("memory_bytes")]
    told += [Condition("mltrack", item.a, item.b) for item in found.informative if item.what == "origin.mltrack"]
    told += [as_condition(change, "code.") for change in found.code if change.what.endswith(("tree", "raw"))]
    told += [as_condition(change, "inputs.") for change in found.inputs if is_told(change, then, now)]
    told += [as_condition(change, "params.") for change in found.params]
    told += [as_condition(change) for change in found.command if not is_same_program_elsewhere(change)]
    return told


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
