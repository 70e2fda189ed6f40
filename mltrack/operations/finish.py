"""The end of a run: collect what it made, assemble the record, seal it, remove the run directory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.operations.beside import Beside, git_dirs, without_inside
from mltrack.operations.collect import Collected, collect
from mltrack.operations.outputs import remember
from mltrack.operations.request import Recording
from mltrack.operations.seal import seal
from mltrack.operations.told import with_told
from mltrack.records import Resources, Run, Warning
from mltrack.snapshot.code import drop_refs
from mltrack.snapshot.fingerprint import Basis, fingerprint

if TYPE_CHECKING:
    from mltrack.executors import Outcome
    from mltrack.formats.metrics import Point
    from mltrack.project import Project


def finish(recording: Recording, beside: Beside, outcome: Outcome) -> Run:
    """Seal the record of a run whose command has ended, and remove its run directory."""
    project = recording.project
    beside.look_again()
    collected = collect(recording, outcome)
    run = assemble(recording, beside, collected)
    run = replace(
        run,
        **outcome_fields(outcome, recording.rundir.read("usage") or {}),
        fingerprint=fingerprint(basis_of(recording, run), project.key),
    )
    sealed = seal(project, run, recording.rundir)
    if beside.code.packs:  # the store is the keeper now
        drop_refs(beside.code, git_dirs(recording.captured))
    created = [item.path for item in run.artifacts if os.fsencode(item.path) not in recording.before]
    if created and not recording.plan.place.is_copy:
        remember(project, created)
    return sealed


def basis_of(recording: Recording, run: Run) -> Basis:
    stdin = next((item.digest for item in run.inputs if item.role == "stdin"), None)
    variables = without_inside(recording.variables)
    return Basis(
        recording.plan.command, run.cwd, stdin, run.code, run.environment, run.inputs, run.params, run.seed, variables
    )


def assemble(recording: Recording, beside: Beside, collected: Collected) -> Run:
    """The opening record with all that was learned since."""
    from mltrack.formats.series import summarise

    opening = recording.opening
    environment, told = with_told(beside.environment, beside.tops, recording.rundir.path, recording.redactor)
    logged = recording.redactor.params(collected.params)
    return replace(
        opening,
        code=beside.code,
        environment=environment,
        hardware=beside.hardware,
        inputs=tuple(beside.inputs),
        params={**opening.params, **logged},
        param_sources={**opening.param_sources, **dict.fromkeys(logged, "logged")},
        artifacts=tuple(collected.artifacts),
        metrics=summarise(collected.points),
        series=keep_series(recording.project, collected.points),
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


def changed_inputs(beside: Beside) -> list[Warning]:
    return [
        Warning("input-changed", f"The input {item.path} changed while the run used it.")
        for item in beside.inputs
        if item.changed_during_run
    ]


def outcome_fields(outcome: Outcome, used: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run that its outcome fills. `used`: what an environment that was entered says it used."""
    from mltrack.operations.record import timestamp

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


def keep_series(project: Project, points: Sequence[Point]) -> str | None:
    """Store the metric points; their digest, or None when there are none."""
    if not points:
        return None
    from mltrack.formats.series import encode_series

    return project.store.put_bytes(encode_series(points))
