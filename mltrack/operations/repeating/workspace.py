"""Copies to work in: a frozen copy of the worktree, or a past run's code and data laid out again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.confine import inside
from mltrack.errors import DataMissing, UsageError
from mltrack.operations.request import Declared, Place
from mltrack.records import Artifact, Input, Run, new_id
from mltrack.snapshot.inputs import expand, name_below

if TYPE_CHECKING:
    from mltrack.project import Project


def isolate(project: Project, place: Place, declared: Declared, edits: Sequence[Any] = ()) -> Place:
    """A copy of the exact tree and the declared inputs, with the edits of `--set` applied to its params files."""
    from mltrack.formats.edits import edit_file
    from mltrack.git.capture import Limits
    from mltrack.operations.running.beside import git_dirs
    from mltrack.operations.running.outputs import output_rule
    from mltrack.snapshot.code import capture_code, drop_refs, keep_code, restore_code

    prefix = os.path.relpath(place.root, place.repository.root)
    limits = Limits(project.config.untracked_limit, project.config.untracked_total)
    rule = output_rule(project, declared, "" if prefix == "." else f"{prefix}/")
    captured = capture_code(place.repository, lambda: project.store, limits, rule)
    known = project.ledger.find_code(captured.code.snapshot)
    code = keep_code(captured.code, git_dirs(captured), project.store, known)
    drop_refs(code, git_dirs(captured))
    top = project.work / new_id()
    restore_code(code, project.store, top)
    root = top / prefix
    root.mkdir(parents=True, exist_ok=True)
    copy_inputs(place.root, root, declared.inputs)
    for edit in edits:
        target = root / edit.path
        target.write_bytes(edit_file(target.read_bytes(), target.suffix, edit.key, edit.text))
    copy = copied_place(root, code)
    return replace(copy, installed_from=place.root, variables={"PYTHONPATH": import_path(place.root, root)})


def import_path(original: Path, copy: Path) -> str:
    """A PYTHONPATH on which the copy's own packages come before those that an editable install of the original has."""
    roots = [copy / "src"] if (original / "src").is_dir() else []
    packaged = any((original / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    roots += [copy] if packaged else []
    return os.pathsep.join([*map(str, roots), *filter(None, [os.environ.get("PYTHONPATH")])])


def copied_place(root: Path, code: Any) -> Place:
    """The Place of a restored copy."""
    from mltrack.git.repository import find_repository

    repository = find_repository(root)
    assert repository is not None, "a restored copy is a repository"
    return Place(root, repository, True, code)


def remove_copy(project: Project, place: Place) -> None:
    """Remove a copy that `isolate` made; its outputs are in the store."""
    below = place.root.relative_to(project.work).parts[0]
    shutil.rmtree(project.work / below, ignore_errors=True)


def copy_inputs(source: Path, target: Path, patterns: Sequence[str]) -> None:
    """Copy declared inputs that lie inside the project and are not part of the copied tree already."""
    for pattern in patterns:
        for place in expand(pattern, source):
            name = name_below(source, place)
            if os.path.isabs(name) or not place.exists():
                continue
            copy = target / name
            if place.is_dir():
                shutil.copytree(place, copy, symlinks=True, dirs_exist_ok=True)
            elif not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(place, copy)


def lay_out(project: Project, run: Run, top: Path) -> Path:
    """Restore a run's code and inputs below `top`; returns the project's root in it.

    Raises DataMissing that names what is not here, UsageError when `top` is not empty.
    """
    from mltrack.confine import inside
    from mltrack.snapshot.code import restore_code

    check_empty(top)
    restore_code(run.code, project.store, top)
    root = inside(top, run.code.prefix.rstrip("/")) if run.code.prefix else top
    root.mkdir(parents=True, exist_ok=True)
    restore_inputs(project, run, root)
    for name in run.declared.get("directories", ()):
        if not os.path.isabs(name):
            inside(root, name.rstrip("/")).mkdir(parents=True, exist_ok=True)
    return root


def check_empty(top: Path) -> None:
    """Nothing of the user's is ever written over: only a `.mltrack/` of ours may be there."""
    if top.exists() and (not top.is_dir() or any(item.name != ".mltrack" for item in top.iterdir())):
        raise UsageError(f"{top} is not an empty directory.", "Choose another directory with --into.")


def restore_inputs(project: Project, run: Run, root: Path) -> None:
    """Put back every recorded input of the project into the copy; those outside of it are for `outside.py`.

    The copy is ours: where the code left another version of an input, or a link to it, that goes.
    """
    from mltrack.store.checkout import Manner, restore_path

    for item in run.inputs:
        if item.role == "resume" or is_outside(item) or is_unknown(item):
            continue
        place = place_of(root, item)
        if is_settled(project, run, item, place):
            continue
        digest = str(item.digest)
        done = restore_path(project.store, item.kind, digest, place, item.executable, Manner(force=True))
        if done.kept_aside is not None:
            remove_any(done.kept_aside)


def place_of(root: Path, item: Input | Artifact) -> Path:
    """Where an input or artifact belongs. Raises Damaged if a hostile record would have it outside of the root."""
    return Path(item.path) if os.path.isabs(item.path) else inside(root, item.path)


def is_outside(item: Input | Artifact) -> bool:
    """Does it lie in another place than the project, or nowhere on a disk?"""
    return item.kind == "url" or os.path.isabs(item.path)


def is_unknown(item: Input | Artifact) -> bool:
    """An input that was found by watching and changed meanwhile; one that was declared stops a reproduction."""
    return item.digest is None and item.found == "observed"


def is_settled(project: Project, run: Run, item: Input | Artifact, place: Path) -> bool:
    """Is an input in its place, and that is all that is needed? False if it is to be restored from the store.

    Raises DataMissing that says why it can neither be found nor restored.
    """
    from mltrack.store.checkout import matches

    if item.digest is None:
        raise DataMissing(
            f"The input {item.path} changed while {run.id} used it, so what it read is not known.",
            "This run cannot be reproduced.",
        )
    if not project.store.missing([item.digest]):
        return False
    if place.exists() and matches(place, item.kind, item.digest):
        return True
    raise DataMissing(f"{item.path} of {run.id} is not here.", not_kept(item))


def remove_any(place: Path) -> None:
    """Remove a file, a link or a directory with all that is in it."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()


def not_kept(item: Input | Artifact) -> str:
    if isinstance(item, Artifact) or item.kept:
        return "Pull it from a remote that has it: mltrack pull --data."
    size = f"{item.size_bytes:,} bytes" if item.size_bytes is not None else "of unknown size"
    return (
        f"It was over data.keep_limit ({size}), so only its digest {item.digest} was recorded; put it there yourself."
    )


def remove_recorded_artifacts(run: Run, root: Path) -> None:
    """Before a reproduction: what the old run made must not be there, or it would match though nothing wrote it."""
    inputs = {item.path for item in run.inputs}
    for artifact in run.artifacts:
        if artifact.path in inputs or artifact.found == "logged" or is_outside(artifact):
            continue
        place = inside(root, artifact.path)
        if os.path.lexists(place) and not is_from_before(artifact, place):
            remove_any(place)


def is_from_before(artifact: Artifact, place: Path) -> bool:
    """Is it a file of the code that the old run changed? It found it as it is here, and may need it so."""
    from mltrack.store.keep import keep_path

    if artifact.kind != "file" or place.is_symlink() or not place.is_file():
        return False
    return keep_path(place, None).digest != artifact.digest
