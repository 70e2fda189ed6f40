"""Which runs are alive, and folding those that are not.

Every command that reads or writes runs begins here. A run directory whose lock is free and whose command is gone is
folded: as it ended, when its outcome was written; as lost otherwise. A run on another host or in another pid
namespace is left alone: it cannot be judged from here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.errors import StorageError
from mltrack.noun_json import from_dict
from mltrack.operations.keeping.objects import named_objects
from mltrack.operations.running.foresight import with_preflight
from mltrack.operations.running.ranks import ranks_so_far, with_ranks
from mltrack.operations.running.seal import seal
from mltrack.records import CodeState, Environment, Hardware, Input, Log, Run, Warning
from mltrack.redact import Redactor
from mltrack.snapshot.code import drop_refs, keep_code, nested_git_dirs

if TYPE_CHECKING:
    from mltrack.live.rundir import RunDir
    from mltrack.project import Project

ALIVE, GONE, UNKNOWN = "alive", "gone", "unknown"


def reconcile(project: Project) -> list[Run]:
    """Fold the runs that nobody folded. Returns the runs that are still alive (or cannot be told), newest first."""
    try:
        names = sorted(os.listdir(project.runs))
    except FileNotFoundError:
        return []
    running: list[Run] = []
    for name in names:
        run = judge(project, name)
        if run is not None:
            running.append(run)
    return sorted(running, key=lambda run: run.created_at, reverse=True)


def judge(project: Project, name: str) -> Run | None:
    """The live run of that directory; None when it was folded, by us or by somebody else, or never started.

    One that has ended and cannot be folded, as the disk is full or read-only, is shown as its directory tells it: who
    only reads needs no room.
    """
    from mltrack.live.rundir import RunDir

    rundir = RunDir(project.runs / name)
    state = life_of(rundir)
    why_not: StorageError | None = None
    if state == GONE and rundir.try_lock():
        try:
            fold(project, rundir)
            return None
        except StorageError as error:
            why_not = error
        finally:
            rundir.unlock()
    start = rundir.read("start")
    if start is None:
        return None
    run = running_view(start, rundir, state)
    return run if why_not is None else replace(run, warnings=(*run.warnings, not_recorded(rundir, why_not)))


def not_recorded(rundir: RunDir, why: StorageError) -> Warning:
    ended = (rundir.read("outcome") or {}).get("status")
    how = f"It has ended ({ended})" if ended else "It has ended, and how is not known"
    return Warning(
        "not-recorded",
        f"{how}, and its record could not be written: {why.message} The next command that can write it does so.",
    )


def unfinished_runs(project: Project) -> Iterator[Run]:
    """What the run directories name so far, alive or not. Folds nothing, judges nothing, writes nothing."""
    from mltrack.live.rundir import RunDir

    try:
        names = [name for name in os.listdir(project.runs) if not name.startswith(".")]
    except FileNotFoundError:
        return
    for name in names:
        rundir = RunDir(project.runs / name)
        start = rundir.read("start")
        if start is not None:
            yield with_beside(from_dict(Run, start["run"]), rundir)


def life_of(rundir: RunDir) -> str:
    """Is the run of this directory alive?"""
    from mltrack.live.process import is_alive

    if rundir.is_locked_by_other():
        return ALIVE
    facts = rundir.read("process")
    alive = is_alive(facts) if facts is not None else False
    return UNKNOWN if alive is None else ALIVE if alive else GONE


def running_view(start: Mapping[str, Any], rundir: RunDir, state: str) -> Run:
    """A live run as its directory tells it, but for its metrics: `series.with_metrics` adds them."""
    run = with_beside(from_dict(Run, start["run"]), rundir)
    process = rundir.read("process") or {}
    notes = [
        Warning(
            "not-from-here", "It runs on another machine or in another container; its end cannot be told from here."
        )
    ]
    return replace(
        run,
        started_at=started_at(process),
        ranks=ranks_so_far(rundir),
        origin={**run.origin, "process": process},
        warnings=run.warnings + (tuple(notes) if state == UNKNOWN else ()),
    )


def started_at(process: Mapping[str, Any]) -> str | None:
    from mltrack.operations.running.record import timestamp

    return timestamp(process["started_at"]) if process.get("started_at") else None


def with_beside(run: Run, rundir: RunDir) -> Run:
    """The run with what had been gathered beside its command."""
    facts = rundir.read("beside")
    if facts is None:
        return run
    return replace(
        run,
        environment=from_dict(Environment, facts["environment"]),
        hardware=from_dict(Hardware, facts["hardware"]),
        code=from_dict(CodeState, facts["code"]),
        inputs=tuple(from_dict(Input, item) for item in facts["inputs"]),
        warnings=run.warnings + tuple(from_dict(Warning, item) for item in facts["warnings"]),
    )


def fold(project: Project, rundir: RunDir) -> None:
    """Seal what a dead run left in its directory. Idempotent; the caller holds the directory's lock."""
    from mltrack.operations.observing.sampling import keep_samples

    start = rundir.read("start")
    if start is None or rundir.read("process") is None:
        if rundir.path.exists():
            rundir.remove()  # it never came to the start of its command
        return
    opening = from_dict(Run, start["run"])
    if opening.id not in project.ledger.ids():
        run = with_beside(opening, rundir)
        run = with_code(project, run, start)
        run = with_journals(project, run, rundir)
        run = observed_late(project, run, rundir)
        run = with_ranks(project.store, run, rundir, Redactor(os.environ))
        directories = code_directories(project, run, start)
        run = without_lost(project, run)
        run = with_outcome(run, rundir)
        run = replace(run, resources=keep_samples(run.resources, rundir, project.store, run.hardware.gpus))
        seal(project, with_preflight(project, run), rundir)
        if run.code.packs:
            drop_refs(run.code, directories)
    else:
        rundir.remove()


def with_code(project: Project, run: Run, start: Mapping[str, Any]) -> Run:
    """Pack the snapshot's objects, if that was not done while the run lived."""
    from mltrack.errors import MltrackError

    if run.code.packs or run.code.snapshot is None:
        return run
    try:
        directories = code_directories(project, run, start)
        code = keep_code(run.code, directories, project.store, project.ledger.find_code(run.code.snapshot))
    except (MltrackError, OSError) as error:
        lost = Warning("code-incomplete", f"The code could not be kept: {error}")
        return replace(run, warnings=(*run.warnings, lost))
    return replace(run, code=code)


def without_lost(project: Project, run: Run) -> Run:
    """The run without what it had put, but what never came to the disk, as that was full; a warning says so."""
    lost = project.store.missing([digest for _, digest in named_objects(run)])
    lockfile, inputs = run.environment.lockfile, run.inputs
    warnings = []
    if lockfile in lost:
        lockfile = None
        warnings.append(Warning("environment-incomplete", "The lock of the environment could not be kept."))
    for item in inputs:
        if item.kept and item.digest in lost:
            warnings.append(Warning("inputs-incomplete", f"The input {item.path} could not be kept."))
    return replace(
        run,
        environment=replace(run.environment, lockfile=lockfile),
        inputs=tuple(replace(item, kept=item.kept and item.digest not in lost) for item in inputs),
        warnings=(*run.warnings, *warnings),
    )


def code_directories(project: Project, run: Run, start: Mapping[str, Any]) -> dict[str, Path]:
    """The git directories in which the snapshot was made, nested ones too."""
    from mltrack.git.repository import find_repository, private_repository

    root = Path(start["root"])
    repository = find_repository(root) or private_repository(root, project.state / "code.git")
    return nested_git_dirs(repository, run.code)


def with_journals(project: Project, run: Run, rundir: RunDir) -> Run:
    from mltrack.collect.artifacts import keep_artifacts, logged
    from mltrack.operations.running.collect import collect_journals
    from mltrack.operations.series import keep_points, points_of_output

    collected = collect_journals(project, rundir)
    began = float((rundir.read("process") or {}).get("started_at") or 0.0)
    printed = points_of_output(rundir, run.declared.get("stdout", ()), began)
    metrics, series = keep_points(project.store, chain(collected.points, printed))
    artifacts, warnings = keep_artifacts(logged(rundir.artifacts), project.store, project.stat_cache)
    return replace(
        run,
        params={**run.params, **collected.params},
        metrics=metrics,
        series=series,
        log=collected.log,
        artifacts=tuple(artifacts),
        warnings=(*run.warnings, *warnings),
    )


def observed_late(project: Project, run: Run, rundir: RunDir) -> Run:
    """The run with what its processes told of the files that they read and wrote."""
    from mltrack.operations.observing.late import with_observed

    try:
        return with_observed(project, run, rundir)
    except Exception as error:  # what stands there was written by others, and a run must be folded all the same
        text = Redactor(os.environ).text(f"What it read and wrote could not be told: {type(error).__name__}: {error}.")
        return replace(run, warnings=(*run.warnings, Warning("observation-incomplete", text)))


def with_outcome(run: Run, rundir: RunDir) -> Run:
    """Status and times: as the supervisor wrote them, or lost."""
    from mltrack.operations.running.finish import resources_of
    from mltrack.operations.running.record import timestamp

    outcome, process, used = rundir.read("outcome"), rundir.read("process") or {}, rundir.read("usage") or {}
    if outcome is None:
        last = max(
            (path.stat().st_mtime for path in (rundir.output, rundir.metrics, rundir.samples) if path.exists()),
            default=None,
        )
        gone = Warning("lost", "mltrack was killed while it watched this run; how the command ended is not known.")
        finished = timestamp(last) if last is not None else None
        return replace(
            run, status="lost", started_at=started_at(process), finished_at=finished, warnings=(*run.warnings, gone)
        )
    late = Warning("folded-late", "mltrack was killed before it collected the artifacts: only those seen are kept.")
    return replace(
        run,
        status=outcome["status"],
        exit_code=outcome["exit_code"],
        signal=outcome["signal"],
        started_at=timestamp(outcome["started_at"]),
        finished_at=timestamp(outcome["finished_at"]),
        duration_s=outcome["duration_s"],
        resources=resources_of(outcome.get("peak_memory_bytes"), outcome.get("cpu_seconds"), used),
        log=replace(run.log, truncated=True) if isinstance(run.log, Log) and outcome.get("log_truncated") else run.log,
        warnings=(*run.warnings, late),
    )
