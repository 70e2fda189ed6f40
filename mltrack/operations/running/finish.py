"""The end of a run: collect what it made, assemble the record, seal it, remove the run directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.errors import MltrackError
from mltrack.operations.observing.lingering import still_running
from mltrack.operations.request import Recording
from mltrack.operations.running.basis import basis_of
from mltrack.operations.running.beside import Beside, git_dirs
from mltrack.operations.running.collect import Collected, collect
from mltrack.operations.running.edited import KIND
from mltrack.operations.running.foresight import with_preflight
from mltrack.operations.running.outputs import artifact_paths, own_output, remember
from mltrack.operations.running.params import without_unread
from mltrack.operations.running.ranks import with_ranks
from mltrack.operations.running.seal import PATIENCE, seal
from mltrack.operations.running.told import with_told
from mltrack.operations.series import keep_points
from mltrack.records import Resources, Run, Warning
from mltrack.snapshot.code import drop_refs
from mltrack.snapshot.fingerprint import fingerprint

if TYPE_CHECKING:
    from mltrack.executors import Outcome


def finish(recording: Recording, beside: Beside, outcome: Outcome) -> Run:
    """Seal the record of a run whose command has ended, and remove its run directory."""
    from mltrack.operations.observing.sampling import keep_samples

    project = recording.project
    beside.look_again()
    collected = collect(recording, outcome, beside.observed)
    run = assemble(recording, beside, collected)
    if recording.started is None:  # else its processes are the container's, and end with it
        told = beside.watcher.fold.processes if beside.watcher is not None else ()
        run = replace(run, warnings=(*run.warnings, *still_running(recording.rundir, told)))
    if beside.observed is not None:
        run = with_observation(run, beside, outcome.exit_code == 0)
    run = with_ranks(project.store, run, recording.rundir, recording.redactor)
    run = replace(
        run,
        **outcome_fields(outcome, recording.rundir.read("usage") or {}),
        fingerprint=None if is_edited(run) else fingerprint(basis_of(recording, run), project.key),
    )
    run = replace(run, resources=keep_samples(run.resources, recording.rundir, project.store, run.hardware.gpus))
    run = with_preflight(project, run, recording)
    sealed = seal(project, run, recording.rundir, PATIENCE)
    if beside.code.packs:  # the store is the keeper now
        drop_refs(beside.code, git_dirs(recording.captured))
    read = {item.path for item in run.inputs}
    created = [
        item.path for item in run.artifacts if os.fsencode(item.path) not in recording.before and item.path not in read
    ]
    if not recording.plan.place.is_copy:
        created += own_output(project.root) - artifact_paths(project)
        if created:
            remember(project, created)
    return sealed


def assemble(recording: Recording, beside: Beside, collected: Collected) -> Run:
    """The opening record with all that was learned since."""
    opening = recording.opening
    environment, told = with_told(beside.environment, beside.tops, recording.rundir.path, recording.redactor)
    metrics, series = keep_points(recording.project.store, collected.points)
    logged = recording.redactor.params(collected.params)
    found = collected.found
    wrote = recording.redactor.params(found.params) if found else {}
    return replace(
        opening,
        code=beside.code,
        environment=environment,
        hardware=beside.hardware,
        inputs=(*beside.inputs, *beside.found),
        params={**wrote, **opening.params, **logged},
        param_sources={
            **(found.sources if found else {}),
            **opening.param_sources,
            **dict.fromkeys(logged, "logged"),
        },
        recognised=found.files if found else {},
        artifacts=tuple(collected.artifacts),
        metrics=metrics,
        series=series,
        log=collected.log,
        warnings=(
            *opening.warnings,
            *beside.environment_warnings,
            *told,
            *beside.warnings,
            *changed_inputs(beside),
            *collected.warnings,
        ),
    )


def is_edited(run: Run) -> bool:
    """Was its code edited by somebody else while it was at work? Then nobody knows which it used."""
    return any(warning.kind == KIND for warning in run.warnings)


def changed_inputs(beside: Beside) -> list[Warning]:
    return [
        Warning("input-changed", f"The input {item.path} changed while the run used it.")
        for item in (*beside.inputs, *beside.found)
        if item.changed_during_run
    ]


def with_observation(run: Run, beside: Beside, is_success: bool) -> Run:
    """The run with how it was watched; what fails of that costs nothing else of the run."""
    try:
        return with_all_seen(run, beside, is_success)
    except (MltrackError, OSError):
        raise
    except Exception as error:
        text = f"What the command read and wrote could not be told: {type(error).__name__}: {error}."
        told = Warning("observation-incomplete", beside.recording.redactor.text(text))
        return replace(run, warnings=(*run.warnings, told))


def with_all_seen(run: Run, beside: Beside, is_success: bool) -> Run:
    """The run with how it was watched, the listing of paths in the store, and what is to be said of both."""
    from mltrack.operations.observing.observed import directories_of, observation_of, warnings_of

    ended = beside.observed
    assert ended is not None
    if ended.is_complete:
        read = {item.path for item in ended.placed if item.seen.reads or item.seen.is_read_first}
        run = without_unread(beside.recording.plan, run, read)
    directories = dict.fromkeys((*run.declared.get("directories", ()), *directories_of(ended)))
    told = warnings_of(ended, beside.inputs, beside.found, is_success)
    return replace(
        run,
        observation=observation_of(ended, run.artifacts),
        declared={**run.declared, "directories": tuple(directories)},
        warnings=(*run.warnings, *told),
    )


def outcome_fields(outcome: Outcome, used: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run that its outcome fills. `used`: what an environment that was entered says it used."""
    from mltrack.operations.running.record import timestamp

    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "started_at": timestamp(outcome.started_at),
        "finished_at": timestamp(outcome.finished_at),
        "duration_s": round(outcome.duration_s, 6),
        "resources": resources_of(outcome.peak_memory_bytes, outcome.cpu_seconds, used),
    }


def resources_of(memory: int | None, cpu: float | None, used: Mapping[str, Any]) -> Resources:
    """What the command used: in a container by what that says, for the process here only hands bytes on."""
    if not used:
        return Resources(memory, cpu)
    peak, seconds = used.get("peak_memory_bytes"), used.get("cpu_seconds")
    return Resources(
        peak if isinstance(peak, int) else None, float(seconds) if isinstance(seconds, (int, float)) else None
    )
