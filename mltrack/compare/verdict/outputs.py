"""The artifacts of two runs, in pairs, and what each pair comes to. Pure.

They are paired by path on both sides; missing, extra and renamed ones count. A directory is judged by the files in
it: those that differ are items of their own, and the worst of all is its grade.
What an artifact's content is, the caller finds out (`Evidence`); without evidence its bytes count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace

from mltrack.compare.changes import Change, content, of_files
from mltrack.compare.comparators import Finding
from mltrack.compare.verdict.grades import (
    DIFFERENT,
    EQUIVALENT,
    GRADES,
    IDENTICAL,
    NOTHING_TO_COMPARE,
    WITHIN_NOISE,
    WITHIN_TOLERANCE,
    worst,
)
from mltrack.compare.verdict.places import KNOWN_NOTHING, Known, same_places
from mltrack.compare.verdict.rules import Rules, find_tolerance, is_covered, is_measure_within
from mltrack.nouns import noun
from mltrack.records import Artifact, Run
from mltrack.verdicts import ArtifactVerdict, Calibration, Looks, Measure, MetricVerdict

MOST_MEMBERS = 100
"""Files of one directory that are items of their own; the others are only counted."""

MOST_NAMED = 3


@noun
class Evidence:
    """What is known of artifacts beside their digests. Keys are paths as recorded; a file of a directory is
    `directory/file`."""

    inside: Mapping[str, tuple[tuple[Artifact, ...], tuple[Artifact, ...]]] = field(default_factory=dict)
    """Directory -> the files in it then, and now."""
    findings: Mapping[str, Finding] = field(default_factory=dict)
    """Of a metrics file: what it comes to without the numbers that are metrics."""
    metric_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Metrics file -> the metrics in it, on either side."""
    looks: Mapping[str, tuple[Looks, Looks]] = field(default_factory=dict)
    """How files looked then and now of which nothing could be measured."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Metric -> how far its points lie apart, where any do."""


@noun
class Curve:
    """The points of a metric in two runs: the pair that is furthest apart, where that is, and how far all are."""

    where: str
    then: float | str
    now: float | str
    measure: Measure


NOTHING_KNOWN = Evidence()


@noun
class Pairing:
    """Two lists of artifacts, side by side."""

    changes: tuple[Change, ...]
    same: tuple[str, ...]
    places: Mapping[str, str]
    """Path as recorded -> where the new run has it, if that is another."""


def pair(before: Iterable[Artifact], after: Iterable[Artifact], known: Known = KNOWN_NOTHING) -> Pairing:
    """Which artifacts are the same, and how the others differ; the later ones under the names of the earlier."""
    old, new = list(before), list(after)
    moved = paths_moved(old, new, known)
    new = [replace(item, path=moved.get(item.path, item.path)) for item in new]
    changes = of_files(old, new)
    changed = {change.what for change in changes}
    same = sorted({item.path for item in old} & {item.path for item in new} - changed)
    return Pairing(tuple(changes), tuple(same), {was: now for now, was in moved.items()})


def paths_moved(old: Sequence[Artifact], new: Sequence[Artifact], known: Known) -> dict[str, str]:
    """Path of a later artifact -> where the earlier run had what means the same place."""
    before, after = {item.path: content(item) for item in old}, {item.path: content(item) for item in new}
    return same_places(before, after, known, lambda one, other: before[one] == after[other])


def pair_outputs(then: Run, now: Run, rules: Rules) -> Pairing:
    """The artifacts of two runs that a verdict is about."""
    before = [item for item in then.artifacts if not is_covered(item.path, rules.ignore)]
    after = [item for item in now.artifacts if not is_covered(item.path, rules.ignore)]
    return pair(before, after, Known.of(then, now))


def pair_members(
    members: tuple[Sequence[Artifact], Sequence[Artifact]], then: Run, now: Run, rules: Rules
) -> tuple[Pairing, int]:
    """The files of a directory in pairs, and how many the rules leave out."""
    before, after = ([item for item in side if not is_covered(item.path, rules.ignore)] for side in members)
    left_out = sum(map(len, members)) - len(before) - len(after)
    return pair(before, after, Known.of(then, now)), left_out


def holds_metrics(path: str, then: Run, now: Run, rules: Rules) -> bool:
    """Is it a file declared as metrics, of runs that have any? The numbers in it are compared as those."""
    return bool(then.metrics or now.metrics) and is_covered(path, rules.metric_files)


def to_open(pairing: Pairing) -> list[tuple[Artifact, Artifact]]:
    """Those of the pairs whose content has to be looked at: of one kind, with other bytes."""
    pairs = [(change.a, change.b) for change in pairing.changes if change.kind == "changed"]
    return [(a, b) for a, b in pairs if a.kind == b.kind and a.kind in ("file", "directory") and a.digest != b.digest]


@noun
class Bench:
    """All that the artifacts of two runs are judged by."""

    then: Run
    now: Run
    rules: Rules
    evidence: Evidence = NOTHING_KNOWN
    calibration: Calibration | None = None
    metrics: tuple[MetricVerdict, ...] = ()
    """What the metrics came to: they decide on the numbers of metrics files."""


def judge_outputs(bench: Bench) -> list[ArtifactVerdict]:
    """One verdict an artifact, and one for each file of a directory that differs; those that differ first."""
    pairing = pair_outputs(bench.then, bench.now, bench.rules)
    found: list[ArtifactVerdict] = []
    for change in pairing.changes:
        found += judge_change(change, bench)
    found = [told_where(item, pairing) for item in found]
    return found + [told_where(ArtifactVerdict(path, IDENTICAL), pairing) for path in pairing.same]


def told_where(item: ArtifactVerdict, pairing: Pairing) -> ArtifactVerdict:
    """What the new run has under another name is at best equivalent, and its name is told."""
    place = pairing.places.get(item.path)
    if place is None:
        return item
    words = [item.reason] if item.reason else []
    words.append(f"now at {place}: the same place but for a time, a host or a number")
    return replace(item, grade=worst((item.grade, EQUIVALENT)), reason="; ".join(words))


def judge_change(change: Change, bench: Bench) -> list[ArtifactVerdict]:
    members = bench.evidence.inside.get(change.what)
    if change.kind == "changed" and members is not None and change.a.kind == change.b.kind == "directory":
        return judge_directory(change.what, members, bench)
    return [judge_file(change, bench)]


def judge_directory(
    path: str, members: tuple[Sequence[Artifact], Sequence[Artifact]], bench: Bench
) -> list[ArtifactVerdict]:
    """The directory first, then the files in it that are not identical, the worst first."""
    pairing, left_out = pair_members(members, bench.then, bench.now, bench.rules)
    same = [told_where(ArtifactVerdict(one, IDENTICAL), pairing) for one in pairing.same]
    found = [told_where(judge_file(change, bench), pairing) for change in pairing.changes]
    judged = sorted(found + [item for item in same if item.grade != IDENTICAL], key=badness)
    grades = [item.grade for item in judged] + [IDENTICAL for item in same if item.grade == IDENTICAL]
    if not grades:
        return []  # all of it is left out
    counts = Counter(grades)
    total = len(grades)
    told = [f"{counts[IDENTICAL]:,} of {total:,} file{'' if total == 1 else 's'} identical"]
    told += [f"{counts[one]:,} {one}" for one in GRADES[1:] if counts[one]]
    told += [names for kind in ("missing", "extra", "renamed") if (names := named(kind, judged, path))]
    told += [f"{left_out:,} left out by verdict.ignore"] if left_out else []
    told += [f"{len(judged) - MOST_MEMBERS:,} that differ are not listed"] if len(judged) > MOST_MEMBERS else []
    return [ArtifactVerdict(path, worst(grades), ", ".join(told)), *judged[:MOST_MEMBERS]]


def badness(item: ArtifactVerdict) -> tuple[int, str]:
    return -GRADES.index(item.grade), item.path


def named(kind: str, judged: Sequence[ArtifactVerdict], above: str) -> str | None:
    """`missing: a, b and 3 more`; None where there is none."""
    names = [item.path.removeprefix(f"{above}/") for item in judged if (item.reason or "").startswith(f"{kind}:")]
    if not names:
        return None
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return f"{kind}: {', '.join(names[:MOST_NAMED])}{more}"


def judge_file(change: Change, bench: Bench) -> ArtifactVerdict:
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
    found = bench.evidence.findings.get(change.what)
    if found is None:
        found = Finding(DIFFERENT, sizes(a, b))
    names = bench.evidence.metric_names.get(change.what)
    if names is not None and found.grade != DIFFERENT:
        return by_metrics(change.what, names, bench)
    if found.grade == EQUIVALENT:
        return ArtifactVerdict(change.what, EQUIVALENT, found.reason, found.measure)
    return judge_difference(change.what, found, bench)


def judge_difference(path: str, found: Finding, bench: Bench) -> ArtifactVerdict:
    """The verdict on content that differs: what the rules and the noise allow."""
    measure = found.measure
    if measure is not None and is_measure_within(measure, find_tolerance(path, bench.rules.tolerance)):
        return ArtifactVerdict(path, WITHIN_TOLERANCE, found.reason, measure)
    grade, why = noise_of(path, measure, bench)
    reason = found.reason if why is None else f"{found.reason}; {why}"
    return ArtifactVerdict(path, grade, reason, measure)


def by_metrics(path: str, names: Sequence[str], bench: Bench) -> ArtifactVerdict:
    """A metrics file in which nothing differs but metrics: the worst of them, as far as they count at all."""
    starts = tuple(f"{name} (" for name in names)
    grades = [item.grade for item in bench.metrics if item.name in names or item.name.startswith(starts)]
    return ArtifactVerdict(path, worst([*grades, EQUIVALENT]), "nothing differs in it but numbers that are metrics")


def noise_of(path: str, measure: Measure | None, bench: Bench) -> tuple[str, str | None]:
    """The grade of an artifact that differs, as far as its repetitions excuse it, and a clause that says so."""
    calibration = bench.calibration
    variation = calibration.artifacts.get(path) if calibration is not None else None
    if calibration is None or variation is None or variation.contents < 2:
        return DIFFERENT, None
    from mltrack.compare.noise.intervals import explains, looks_alike, says_nothing

    many = len(calibration.runs)
    if explains(variation, measure):
        return WITHIN_NOISE, f"no further than {many} repetitions lead one to expect"
    if measure is None and variation.looks is not None and variation.looks.is_text and variation.contents == many:
        return DIFFERENT, f"a text that differed in all {many} repetitions too: verdict.ignore would leave it out"
    if measure is None and says_nothing(variation, many) and variation.looks is not None:
        seen = bench.evidence.looks.get(path, (None, None))
        if all(looks_alike(variation.looks, one) for one in seen):
            return NOTHING_TO_COMPARE, f"its bytes differed in all {many} repetitions too: they say nothing"
        return DIFFERENT, f"its bytes differed in all {many} repetitions too, but its size or kind did not"
    return DIFFERENT, None


def sizes(a: Artifact, b: Artifact) -> str:
    if a.kind == "directory" and a.files != b.files:
        return f"different content: {a.files:,} files then, {b.files:,} now"
    if a.size_bytes != b.size_bytes:
        return f"different bytes: {a.size_bytes:,} then, {b.size_bytes:,} now"
    return f"different bytes, the same size ({a.size_bytes:,})"
