"""Opens the contents of two runs' artifacts side by side, from the store, and has them compared.

What the recorded side lacks here is fetched from a remote, up to `verdict.compare_limit`. What cannot be had, is
damaged or takes too long counts as different, with the reason said. Nothing is judged here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, IDENTICAL, Around, Finding, Side, Unreadable
from mltrack.compare.verdict.conditions import zone_of
from mltrack.compare.verdict.outputs import Evidence, holds_metrics, pair_members, pair_outputs, sizes, to_open
from mltrack.compare.verdict.places import Traces
from mltrack.compare.verdict.rules import keys_left_out
from mltrack.errors import DataMissing, MltrackError
from mltrack.records import Artifact, Run
from mltrack.verdicts import Looks, Measure

if TYPE_CHECKING:
    from mltrack.compare.comparators import Content
    from mltrack.compare.verdict.rules import Rules
    from mltrack.project import Project

ONE_S = 120.0
ALL_S = 600.0
"""Seconds after which the comparison of one file, and of all of a verdict, is given up: a file may be made to take
for ever."""

MOST_FILES = 10_000
"""Files that are opened for one verdict."""

LONGEST = 1000
"""Characters of a reason that are kept."""

SHARED = ("/", "/usr", "/usr/local", "/opt", "/opt/local", "/opt/homebrew")
"""Below these lies too much else to stand for an environment."""


@dataclass
class Comparing:
    """The comparisons of one verdict: what may still be fetched, in bytes, and for how long it may go on."""

    project: Project
    around: Around
    limit: int
    ends_at: float = field(default_factory=lambda: time.monotonic() + ALL_S)
    opened: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    """Digest of what could not be had -> why."""
    ignore: tuple[str, ...] = ()
    """What the project leaves out; of that `path#key` is for comparators."""

    def compare(self, a: Artifact, b: Artifact) -> Finding:
        """Two files: what their contents come to."""
        return self.told(a, b, lambda: self.compared(a.path, self.content(a), self.content(b)))

    def told(self, a: Artifact, b: Artifact, find: Callable[[], Finding]) -> Finding:
        """What two files come to by a comparison that may fail."""
        why = self.refused.get(a.digest) or self.refused.get(b.digest)
        self.opened += 1
        if why is None and (self.opened > MOST_FILES or time.monotonic() > self.ends_at):
            why = "too much differs to compare it all"
        if why is not None:
            return not_compared(a, b, why)
        try:
            return find()
        except Unreadable as error:
            return not_compared(a, b, str(error))
        except MltrackError as error:
            return not_compared(a, b, error.message.rstrip("."))
        except Exception as error:  # whatever a plug-in gives: the run is over, and its verdict is given
            return not_compared(a, b, f"it could not be compared ({type(error).__name__})")

    def compared(self, path: str, a: Content, b: Content, name: str | None = None) -> Finding:
        """What two contents come to; `path` is that of the recorded one, `name` tells the format.

        Raises Unreadable where it takes too long, and whatever a plug-in raises.
        """
        from mltrack.compare.contents.finding import compare_contents
        from mltrack.compare.contents.time_limit import within

        seconds = min(ONE_S, self.ends_at - time.monotonic())
        around = replace(self.around, ignore=keys_left_out(path, self.ignore))
        return checked(within(seconds, lambda: compare_contents(name or PurePosixPath(path).name, a, b, around)))

    def content(self, item: Artifact) -> Content:
        """The bytes of a file in the store. Raises DataMissing."""
        from mltrack.store.reading import StoredContent

        store = self.project.store
        return StoredContent(store, item.digest, store.size(item.digest), until(time.monotonic() + ONE_S))

    def have(self, items: Iterable[Artifact]) -> None:
        """Fetch those that are not here, the small ones first, as far as the limit goes."""
        known = {item.digest: item for item in items}
        missing = self.project.store.missing(known)
        wanted = sorted((known[digest] for digest in missing), key=lambda item: item.size_bytes)
        asked = []
        for item in wanted:
            if item.size_bytes > self.limit:
                self.refused[item.digest] = "it is not here, and larger than verdict.compare_limit lets be fetched"
                continue
            self.limit -= max(item.size_bytes, 0)
            asked.append(item.digest)
        if asked:
            self.fetch(asked)

    def fetch(self, digests: Sequence[str]) -> None:
        from mltrack.operations.fetch import bring

        try:
            bring(self.project, digests)
        except (MltrackError, OSError) as error:
            told = error.hint if isinstance(error, DataMissing) else str(error)
            why = f"it is neither here nor on a remote ({told})" if told else "it is neither here nor on a remote"
            lacking = self.project.store.missing(digests)
            self.refused |= dict.fromkeys(lacking, why.replace("\n", " ").rstrip("."))


def checked(found: Finding) -> Finding:
    """A finding of plain values, as JSON can hold them, whoever made it. What is none raises anything."""
    if found.grade not in (IDENTICAL, EQUIVALENT, DIFFERENT):
        raise ValueError(f"no grade of a comparator: {found.grade!r}")
    one = found.measure
    measure = one and Measure(
        int(one.cells),
        int(one.changed),
        bare(one.largest),
        bare(one.largest_relative),
        one.where and str(one.where)[:LONGEST],
    )
    return Finding(found.grade, str(found.reason)[:LONGEST], measure)


def bare(number: float | str | None) -> float | str | None:
    return number if number is None or isinstance(number, str) else float(number)


def until(moment: float) -> Callable[[], None]:
    """A check that ends a reading at that moment of the monotonic clock; in threads that hear no alarm."""

    from mltrack.compare.contents.time_limit import TOO_LONG

    def check() -> None:
        if time.monotonic() > moment:
            raise Unreadable(TOO_LONG)

    return check


def not_compared(a: Artifact, b: Artifact, why: str) -> Finding:
    return Finding(DIFFERENT, f"{sizes(a, b)}; not compared: {why}")


def evidence_of(comparing: Comparing, then: Run, now: Run, rules: Rules) -> Evidence:
    """What the contents of all artifacts come to that differ between two runs."""
    pairs = to_open(pair_outputs(then, now, rules))
    directories = [(a, b) for a, b in pairs if a.kind == "directory"]
    files = [(a, b) for a, b in pairs if a.kind == "file"]
    comparing.have([*(a for a, _ in pairs), *(b for _, b in pairs)])
    inside = {}
    findings: dict[str, Finding] = {}
    for a, b in directories:
        try:
            members = members_of(comparing, a, a.path), members_of(comparing, b, a.path)
        except (MltrackError, Unreadable) as error:
            findings[a.path] = not_compared(a, b, str(error).rstrip("."))
            continue
        inside[a.path] = members
        files += to_open(pair_members(members, then, now, rules)[0])
    comparing.have([*(a for a, _ in files), *(b for _, b in files)])
    of_metrics = [pair for pair in files if holds_metrics(pair[0].path, then, now, rules)]
    findings |= {a.path: comparing.compare(a, b) for a, b in files if (a, b) not in of_metrics}
    names: dict[str, tuple[str, ...]] = {}
    for a, b in of_metrics:
        findings[a.path], names[a.path] = metrics_file(comparing, a, b)
    unmeasured = [(a, b) for a, b in files if findings[a.path].grade == DIFFERENT and findings[a.path].measure is None]
    looks = {a.path: both for a, b in unmeasured if (both := both_look(comparing, a, b)) is not None}
    return Evidence(inside, findings, names, looks)


def metrics_file(comparing: Comparing, a: Artifact, b: Artifact) -> tuple[Finding, tuple[str, ...]]:
    """What two metrics files come to beside their metrics, and the names of those."""
    from mltrack.compare.contents.contents import whole
    from mltrack.operations.repeating.particulars import beside_metrics

    names: tuple[str, ...] = ()

    def find() -> Finding:
        nonlocal names
        data = whole(comparing.content(a)), whole(comparing.content(b))
        found, names = beside_metrics(a.path, *data, lambda x, y: comparing.compared(a.path, x, y, "rest.json"))
        return found if found.grade != DIFFERENT else Finding(DIFFERENT, f"beside its metrics: {found.reason}")

    return comparing.told(a, b, find), names


def both_look(comparing: Comparing, a: Artifact, b: Artifact) -> tuple[Looks, Looks] | None:
    """How two files look; None where one is not to be had."""
    from mltrack.operations.repeating.particulars import looks_of

    try:
        return looks_of(comparing.project.store, a), looks_of(comparing.project.store, b)
    except (MltrackError, OSError):
        return None


def members_of(comparing: Comparing, item: Artifact, above: str) -> tuple[Artifact, ...]:
    """What a directory holds, as artifacts below the path `above`. Raises DataMissing, Damaged, Unreadable."""
    from mltrack.store.checkout import manifest_of

    if item.digest in comparing.refused:
        raise Unreadable(comparing.refused[item.digest])
    return tuple(
        Artifact(
            f"{above}/{os.fsdecode(entry.path)}",
            "file" if entry.kind == "executable" else entry.kind,
            entry.digest or "",
            entry.size,
            executable=entry.kind == "executable",
        )
        for entry in manifest_of(comparing.project.store, item.digest)
    )


def around_of(then: Run, now: Run) -> Around:
    """Where the two sides were written, as far as their records tell."""
    from mltrack.operations.outside.moves import recorded_place

    def side(run: Run) -> Side:
        places = [(recorded_place(run, name), "project") for name in ("workspace", "root")]
        here = os.path.expanduser("~") if run.host == os.uname().nodename else None  # a repetition records the old home
        homes = [(place, "home") for place in (recorded_place(run, "home"), here)]
        return side_of(run, [*places, *homes, (prefix_of(run), "environment")])

    return Around(side(then), side(now))


def prefix_of(run: Run) -> str | None:
    """The directory of the run's environment, which messages of its packages name; None where it is shared by all."""
    interpreter = PurePosixPath(run.environment.interpreter or "")
    if len(interpreter.parts) < 3 or interpreter.parent.name != "bin":
        return None
    place = interpreter.parent.parent
    root = run.origin.get("root")
    if not place.is_absolute() and isinstance(root, str):
        place = PurePosixPath(root, place)
    return str(place) if place.is_absolute() and str(place) not in SHARED else None


def side_of(run: Run, places: Sequence[tuple[str | None, str]]) -> Side:
    """The side of a run with these directories and what each of them is; the first that is said of one counts."""
    kinds = {place: kind for place, kind in reversed(places) if place and place != "/"}
    roots = tuple(sorted(kinds, key=len, reverse=True))
    traces = Traces.of(run)
    of_each = tuple(kinds[root] for root in roots)
    return Side(roots, traces.hosts, traces.start, traces.end, zone_of(run), of_each)
