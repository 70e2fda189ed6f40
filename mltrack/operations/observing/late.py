"""The observation of a run from its directory alone: while it is alive, or after its supervisor was killed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.operations.observing.surroundings import Scene
from mltrack.records import Run, Warning

if TYPE_CHECKING:
    from mltrack.live.rundir import RunDir
    from mltrack.project import Project


def scene_of_directory(project: Project, rundir: RunDir, run: Run) -> Scene | None:
    """The scene of a run by what its directory says; None if that says too little."""
    from mltrack.git.repository import find_repository, private_repository
    from mltrack.operations.request import Place
    from mltrack.redact import Redactor

    start = rundir.read("start")
    if start is None or not os.path.isdir(start.get("root", "")):
        return None
    root = Path(start["root"])
    repository = find_repository(root) or private_repository(root, project.state / "code.git")
    variables = {**os.environ, "HOME": str(run.origin.get("home") or os.path.expanduser("~"))}
    declared = tuple(os.path.normpath(root / item.path) for item in run.inputs if item.found == "declared")
    outside = {seen: Path(here) for seen, here in start.get("outside", {}).items()}
    place = Place(root, repository, bool(start.get("copy")), outside=outside, names=start.get("names", {}))
    contained = run.environment.kind == "docker"
    return Scene(project, rundir, place, run, variables, Redactor(os.environ), declared, contained)


def with_observed(project: Project, run: Run, rundir: RunDir) -> Run:
    """A dead run with the inputs and artifacts that its journal tells of, their bytes kept as far as they are there."""
    from mltrack.collect.artifacts import keep_artifacts, without_overlap
    from mltrack.operations.observing.artifacts import made_late, within_limit
    from mltrack.operations.observing.observed import inputs_of, observation_of, warnings_of
    from mltrack.operations.observing.watcher import Watcher

    if not rundir.observed.is_dir():
        return run
    scene = scene_of_directory(project, rundir, run)
    if scene is None:
        return run
    outcome = rundir.read("outcome") or {}
    is_traced = (rundir.observed / "trace.txt").exists()
    finished = outcome.get("finished_at")
    last = max((path.stat().st_mtime for path in rundir.observed.iterdir()), default=0.0)
    ended = Watcher(scene, is_traced=is_traced).conclude(int((finished or last) * 1e9))
    inputs = inputs_of(ended, run.inputs)
    written, warnings = made_late(ended)
    written, over = within_limit(without_overlap(written), project.config.artifact_limit)
    artifacts, problems = keep_artifacts(written, project.store, project.stat_cache)
    known = {item.path for item in run.artifacts}
    artifacts = [item for item in artifacts if item.path not in known]
    warnings += [*over, *problems, *warnings_of(ended, run.inputs, inputs, False)]
    warnings += [changed(item.path) for item in inputs if item.changed_during_run]
    return replace(
        run,
        inputs=(*run.inputs, *inputs),
        artifacts=tuple(sorted((*run.artifacts, *artifacts), key=lambda item: item.path)),
        observation=observation_of(ended, artifacts),
        warnings=(*run.warnings, *warnings),
    )


def changed(path: str) -> Warning:
    return Warning("input-changed", f"The input {path} changed while the run used it.")
