"""`mltrack calibrate`: repeat a run's reproduction in one workspace, and keep what that says of its noise.

Code, data and environment are laid out once. Between repetitions the workspace is put back as it was laid out, so that
each sees the same files. Each is a run of its own, whose parent it is of kind `calibrate`; what they come to is an
event `calibration` of the run.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import UsageError
from mltrack.formats.ranked import split_rank
from mltrack.noun_json import to_dict
from mltrack.nouns import noun
from mltrack.operations.judging.repeated import Repeated, calibration_of
from mltrack.operations.keeping import workspaces
from mltrack.operations.repeating.beginning import begin
from mltrack.operations.repeating.repetition import Asked, Repetition
from mltrack.operations.repeating.reproduce import last_words
from mltrack.operations.repeating.workspace import is_outside, place_of
from mltrack.operations.request import Plan, Tell, silent
from mltrack.operations.running.record import record
from mltrack.records import Run, new_id

if TYPE_CHECKING:
    from mltrack.compare.comparators import Finding
    from mltrack.operations.judging.contents import Compare
    from mltrack.operations.repeating.pristine import Pristine
    from mltrack.project import Project
    from mltrack.records import Artifact, Input
    from mltrack.verdicts import Calibration

KIND = "calibrate"
"""What a repetition is to the run that it repeats."""

NOTHING, SEED = "nothing", "seed"
WAYS = (NOTHING, SEED)

LEAST, MOST = 2, 1000
"""Repetitions that can be asked for."""

SHOWN = 2
"""Metrics in the line that is told after each repetition."""

IN_A_ROW = 2
"""Failures one after the other, after which the rest is not tried."""


@noun
class CalibrateRequest:
    """What is to be repeated, how often, and what may differ. `tell` hears how it goes."""

    ref: str
    start: Path
    repetitions: int = 10
    vary: str = NOTHING
    url: str | None = None
    into: Path | None = None
    tell: Tell = silent


@noun
class Calibrated:
    """What `calibrate` came to."""

    then: Run
    """With the new calibration, if there is one."""
    calibration: Calibration | None
    """None where fewer than two repetitions ended as the run did."""
    failed: tuple[Run, ...] = ()
    """Repetitions that ended otherwise: they count for nothing."""
    is_interrupted: bool = False


@dataclass
class Progress:
    """The repetitions so far."""

    asked: int
    worked: list[Run] = field(default_factory=list)
    seeds: list[int | None] = field(default_factory=list)
    failed: list[Run] = field(default_factory=list)
    row: int = 0
    """Failures one after the other."""
    is_interrupted: bool = False
    written: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


def calibrate(request: CalibrateRequest) -> Calibrated:
    """Repeat a run, and keep what that says of its noise.

    Raises NotFound, RemoteError, DataMissing, EnvironmentFailed and others when it cannot begin, UsageError when there
    is no seed to vary. Interrupted, it keeps what two or more repetitions said.
    """
    check(request)
    project, then, top = begin(request.ref, request.start, request.url, request.into, request.tell)
    with project:
        if request.vary == SEED:
            from mltrack.operations.repeating.varying import check_seed

            check_seed(then)
        if top == project.root:  # a clone, made for this
            top = project.work / new_id()
        repetition = Repetition(project, then, top, Asked(request.tell, kind=KIND))
        try:
            progress = repeat(repetition, request)
            return concluded(repetition, request, progress)
        finally:
            repetition.drop()
            remove_own(project, top)


def check(request: CalibrateRequest) -> None:
    if request.vary not in WAYS:
        raise UsageError(f"Nothing called {request.vary!r} can be varied.", f"Use one of: {', '.join(WAYS)}.")
    if not LEAST <= request.repetitions <= MOST:
        raise UsageError(f"{request.repetitions} repetitions cannot be made.", f"Ask for {LEAST} to {MOST}.")


def remove_own(project: Project, top: Path) -> None:
    """A directory of ours goes; one that was named stays as the last repetition left it."""
    from mltrack.operations.keeping.workspaces import is_ours, remove

    if is_ours(project, top):
        remove(top)


def concluded(repetition: Repetition, request: CalibrateRequest, progress: Progress) -> Calibrated:
    """Keep what the repetitions come to."""
    project, then = repetition.project, repetition.then
    failed, runs = tuple(progress.failed), tuple(progress.worked)
    if len(runs) < LEAST:
        return Calibrated(then, None, failed, progress.is_interrupted)
    from mltrack.operations.judging.judging import redacted, rules_for

    request.tell(f"comparing {len(runs)} repetitions")
    repeated = Repeated(then, runs, request.vary, tuple(progress.seeds), progress.written)
    rules = rules_for(project, then)
    calibration = redacted(calibration_of(project, repeated, rules, comparer(project, rules.ignore)))
    project.ledger.add_event("calibration", then.id, to_dict(calibration))
    then = replace(then, calibrations=(*then.calibrations, calibration))
    return Calibrated(then, calibration, failed, progress.is_interrupted)


def comparer(project: Project, ignore: tuple[str, ...] = ()) -> Compare:
    """How two artifacts are compared."""
    from mltrack.operations.judging.evidence import around_of
    from mltrack.operations.judging.judging import compare_artifacts

    def compare(then: Run, now: Run, a: Artifact, b: Artifact) -> Finding:
        return compare_artifacts(project, a, b, around_of(then, now), ignore)

    return compare


def repeat(repetition: Repetition, request: CalibrateRequest) -> Progress:
    """Lay the run out once, and run it again and again."""
    repetition.restore()
    repetition.build()
    plan = repetition.plan()
    # What is read from our own standard input would be there for the first one only.
    request_now = replace(plan.request, quiet=True, name=None)  # the name goes on to mean the run itself
    plan = replace(plan, request=request_now, stdin=plan.stdin or Path(os.devnull))
    progress = Progress(request.repetitions)
    kept = repetition.project.work / new_id()
    held = workspaces.hold(repetition.project, kept)
    try:
        pristine = as_laid_out(repetition, plan, kept)
        for number in range(1, request.repetitions + 1):
            if number > 1 and not laid_out_again(pristine, progress, request.tell):
                break
            seed, plan_now = planned(plan, repetition.then, request.vary, number)
            if not one_more(repetition, plan_now, seed, progress):
                break
    except KeyboardInterrupt:
        progress.is_interrupted = True
    finally:
        workspaces.remove(kept)
        if held is not None:
            os.close(held)
    return progress


def planned(plan: Plan, then: Run, vary: str, number: int) -> tuple[int | None, Plan]:
    """The seed and the plan of a repetition; for another seed a file in the workspace may be edited."""
    if vary != SEED:
        return then.seed, plan
    from mltrack.compare.seeds import seed_of
    from mltrack.operations.repeating.varying import seeded

    return (seed_of(then) or 0) + number, seeded(plan, then, number)


def as_laid_out(repetition: Repetition, plan: Plan, kept: Path) -> Pristine:
    """The workspace, and what the command alone sees outside of it, before the first repetition."""
    from mltrack.operations.repeating.pristine import Pristine

    outside = repetition.outside.way.top
    tops = [repetition.top, *([outside] if outside.exists() else [])]
    return Pristine(repetition.project.store, tops, kept, inputs_at(repetition, plan))


def inputs_at(repetition: Repetition, plan: Plan) -> dict[Path, Input]:
    """Where inputs lie that can be had from the store again."""
    store, outside = repetition.project.store, repetition.outside
    found = {}
    for item in repetition.then.inputs:
        if item.role == "resume" or item.digest is None or item.kind == "url" or store.missing([item.digest]):
            continue
        if not is_outside(item):
            found[place_of(repetition.root, item)] = item
            continue
        places = (plan.place.lies_at(path) for path in outside.targets(item.path))
        found.update({place: item for place in places if place.is_relative_to(outside.way.top)})
    return found


def one_more(repetition: Repetition, plan: Plan, seed: int | None, progress: Progress) -> bool:
    """Run it once more; is it worth to go on?"""
    then, tell, is_first = repetition.then, repetition.tell, not (progress.worked or progress.failed)
    if is_first:
        tell(f"running {' '.join(then.command)}")
    stops: list[bool] = []
    asked = replace(plan.request, when_interrupted=lambda: stops.append(True))
    now = record(repetition.project, replace(plan, request=asked), tell if is_first else silent)
    if stops or (now.status == "interrupted" and then.status != "interrupted"):  # it may have ended well, but early
        progress.is_interrupted = True
        return False
    left = [warning.message for warning in now.warnings if warning.kind == "still-running"]
    if left:
        tell(f"a repetition counts for nothing, because what it left behind may write into the next: {left[0]}")
        return failed_one(progress, now, tell)
    if ended_alike(then, now):
        progress.row = 0
        progress.written = progress.written or written(repetition.root, now)
        progress.worked.append(now)
        progress.seeds.append(seed)
        tell(line(progress))
        return True
    code = f"with exit {now.exit_code}" if now.signal is None else f"by signal {now.signal}"
    tell(f"a repetition {now.status} {code}, which the recorded run did not.{last_words(repetition.project, now)}")
    return failed_one(progress, now, tell)


def failed_one(progress: Progress, run: Run, tell: Tell) -> bool:
    """A repetition counts for nothing; is it worth to go on?"""
    progress.row += 1
    progress.failed.append(run)
    if progress.row == IN_A_ROW:
        tell(f"{IN_A_ROW} repetitions in a row failed or ended otherwise than the recorded run; the rest is not tried")
    return progress.row < IN_A_ROW


def laid_out_again(pristine: Pristine, progress: Progress, tell: Tell) -> bool:
    """Put everything back for the next repetition, and look once more: what the last one left running may write there.
    Is it worth to go on?"""
    pristine.put_back()
    if pristine.is_as_laid_out():
        return True
    tell("what the last repetition left behind still writes into the directory, so that repetition counts for nothing")
    if progress.row == 0:
        progress.seeds.pop()
        failed_one(progress, progress.worked.pop(), tell)
    pristine.put_back()
    return progress.row < IN_A_ROW and pristine.is_as_laid_out()


def ended_alike(then: Run, now: Run) -> bool:
    """Did a repetition end as the run did? Of a run whose end was not seen it is taken that it finished."""
    if then.status in ("lost", "running"):
        return now.status == "finished"
    return (then.status, then.exit_code, then.signal) == (now.status, now.exit_code, now.signal)


def written(root: Path, run: Run) -> dict[str, float]:
    """When the artifacts of a run that has just ended were written, by path: of a directory also the files in it."""
    found: dict[str, float] = {}
    for item in run.artifacts:
        top = os.path.join(root, item.path)
        with suppress(OSError):
            found[item.path] = os.lstat(top).st_mtime
        for directory, _, names in os.walk(top):
            for name in names:
                path = os.path.join(directory, name)
                with suppress(OSError):
                    found[os.path.relpath(path, root)] = os.lstat(path).st_mtime
    return found


def line(progress: Progress) -> str:
    """`3 of 10, acc 0.912 .. 0.917, about 4 min left`."""
    from mltrack.compare.noise.intervals import numbers_of

    runs = progress.worked
    done = len(runs) + len(progress.failed)
    parts = [f"{done} of {progress.asked}"]
    spans = {}
    for name in runs[0].metrics:
        values = numbers_of([run.metrics[name].last for run in runs if name in run.metrics])
        if values and split_rank(name)[1] is None:
            spans[name] = (min(values), max(values))
    noisy = [name for name, (low, high) in spans.items() if low < high] or list(spans)
    for name in noisy[:SHOWN]:
        low, high = spans[name]
        parts.append(f"{name} {low:.6g}" if low == high else f"{name} {low:.6g} .. {high:.6g}")
    left = (time.monotonic() - progress.began) / done * (progress.asked - done)
    if left >= 1:
        parts.append(f"about {f'{left / 60:.0f} min' if left >= 90 else f'{left:.0f} s'} left")
    return ", ".join(parts)
