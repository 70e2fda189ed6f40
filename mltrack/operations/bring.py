"""Get things out of a run: `checkout` lays out its code and data, `get` writes one of its files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, NotFound, UsageError
from mltrack.nouns import noun
from mltrack.operations.fetch import ensure_here
from mltrack.operations.find import find_run
from mltrack.operations.objects import code_objects, directories_of
from mltrack.operations.request import Tell, silent
from mltrack.operations.workspace import check_empty, lay_out

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Artifact, Input, Run


@noun
class FoundFile:
    """A file or directory of a run, in the store."""

    path: str
    kind: str
    digest: str
    executable: bool = False


def checkout(project: Project, ref: str, into: Path | None, tell: Tell = silent) -> tuple[Run, Path]:
    """Restore the code and the inputs of a run into a new directory; returns it with the run."""
    run = find_run(project, ref)
    top = into or project.work / f"checkout-{run.id}"
    needed = [digest for _, digest in code_objects(run.code, "code")]
    needed += [item.digest for item in run.inputs if item.kept and item.digest]
    ensure_here(project, needed, tell, directories_of(run))
    check_empty(top)  # an earlier checkout may hold a person's work
    try:
        return run, lay_out(project, run, top)
    except BaseException:
        if into is None:
            shutil.rmtree(top, ignore_errors=True)
        raise


def find_file(project: Project, run: Run, path: str) -> FoundFile:
    """The artifact or input of that path, or a file inside one that is a directory. Raises NotFound with near names."""
    items: tuple[Artifact | Input, ...] = (*run.artifacts, *run.inputs)
    for item in items:
        if item.digest is None:
            continue
        if item.path == path.rstrip("/"):
            return FoundFile(item.path, item.kind, item.digest, item.executable)
        if item.kind == "directory" and path.startswith(f"{item.path}/"):
            return inside_directory(project, item.path, item.digest, path)
    from difflib import get_close_matches

    known = [item.path for item in items]
    near = get_close_matches(path, known, 3, 0.3) or known[:5]
    raise NotFound(
        f"{run.id} has no file {path}.", f"It has: {', '.join(near)}" if near else "It has no artifacts or inputs."
    )


def inside_directory(project: Project, directory: str, digest: str, path: str) -> FoundFile:
    import os

    from mltrack.store.checkout import manifest_of

    ensure_here(project, [digest])
    below = os.fsencode(path[len(directory) + 1 :].rstrip("/"))
    for entry in manifest_of(project.store, digest):
        if entry.path == below and entry.digest is not None:
            return FoundFile(path, "link" if entry.kind == "link" else "file", entry.digest, entry.kind == "executable")
    raise NotFound(f"The directory {directory} has no file {os.fsdecode(below)}.", f"Get all of it: {directory}")


def get(project: Project, ref: str, path: str, target: Path | None) -> Path:
    """Write a file or directory of a run to `target` (by default its own name, here). Nothing is written over."""
    from mltrack.store.checkout import restore_path

    run = find_run(project, ref)
    found = find_file(project, run, path)
    bring_file(project, run, found)
    target = target or Path(Path(path).name)
    if target.is_dir() and found.kind != "directory":
        target = target / Path(path).name
    if target.is_symlink() or target.exists():
        raise UsageError(f"{target} is there already.", "Name another place with --output.")
    restore_path(project.store, found.kind, found.digest, target, found.executable)
    return target


def bring_file(project: Project, run: Run, found: FoundFile) -> None:
    """Have a file of a run in the store, from a remote if need be. Raises DataMissing that names it."""
    try:
        ensure_here(project, [found.digest], directories=[found.digest] if found.kind == "directory" else [])
    except DataMissing as error:
        raise type(error)(f"{found.path} of {run.id} is not to be had. {error.message}", error.hint) from error


def read(project: Project, ref: str, path: str) -> bytes:
    """The bytes of a file of a run."""
    run = find_run(project, ref)
    found = find_file(project, run, path)
    bring_file(project, run, found)
    return project.store.get_bytes(found.digest)
