"""`mltrack diff`: every difference between two runs, the code as file names and a patch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, MltrackError

if TYPE_CHECKING:
    from mltrack.compare.differences import CodeChange, Differences
    from mltrack.project import Project
    from mltrack.records import Run


def diff(project: Project, ref_a: str, ref_b: str) -> tuple[Run, Run, Differences]:
    """Both runs and what differs, with the code's file names and patch."""
    from mltrack.compare.differences import diff_runs
    from mltrack.operations.find import find_run

    a, b = find_run(project, ref_a), find_run(project, ref_b)
    found = with_noise(project, a, b, with_packages(project, a, b, diff_runs(a, b)))
    if a.code.tree == b.code.tree or a.code.tree is None or b.code.tree is None:
        return a, b, found
    files, patch = code_changes(project, a, b)
    return a, b, replace(found, code_files=files, patch=patch)


def with_noise(project: Project, a: Run, b: Run, found: Differences) -> Differences:
    """The differences with what a calibration of either run, or of one that it repeats, says of the metrics."""
    from mltrack.compare.noise.intervals import between
    from mltrack.operations.repeating.judging import repeated_by

    if not found.metrics:
        return found
    repeated = [run for run in (repeated_by(project, a), repeated_by(project, b)) if run is not None]
    return replace(found, noise=between(a, b, repeated))


def with_packages(project: Project, a: Run, b: Run, found: Differences) -> Differences:
    """The differences with what two locks say of packages of one version, where both locks can be read."""
    from mltrack.compare.differences import explain_lock
    from mltrack.compare.packages import of_packages
    from mltrack.environments import get, packages
    from mltrack.operations.env.kinds import recorded

    if a.environment.kind != b.environment.kind or all(change.what != "lockfile" for change in found.environment):
        return found
    try:
        kind = get(a.environment.kind)
        with recorded(project, a) as first, recorded(project, b) as second:
            changes = of_packages(packages(kind, first), packages(kind, second))
    except MltrackError:
        return found
    return explain_lock(found, changes, a.environment.digest == b.environment.digest)


def code_changes(project: Project, a: Run, b: Run) -> tuple[tuple[CodeChange, ...], str]:
    """Names and patch between the trees of two runs, from the objects in the store alone."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from mltrack.compare.differences import CodeChange
    from mltrack.git.patch import changed_names, patch_text
    from mltrack.operations.fetch import ensure_here
    from mltrack.snapshot.code import open_trees, scratch_place

    try:
        ensure_here(project, [*a.code.packs, *b.code.packs])
    except DataMissing as error:
        raise DataMissing(f"The code of {a.id} or {b.id} is not here: {error}", error.hint) from error
    assert a.code.tree is not None and b.code.tree is not None
    with TemporaryDirectory(dir=scratch_place(project.store)) as scratch:
        git_dir = open_trees([a.code, b.code], project.store, Path(scratch))
        try:
            names = changed_names(git_dir, a.code.tree, b.code.tree)
            return tuple(CodeChange(*change) for change in names), patch_text(git_dir, a.code.tree, b.code.tree)
        except MltrackError as error:
            raise DataMissing(
                f"The code of {a.id} and {b.id} cannot be compared: {error}", "Try: mltrack verify"
            ) from error
