"""A warm start: the artifacts of an earlier run, laid out for the new one in `$MLTRACK_RESUME`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.snapshot.inputs import FoundInput

if TYPE_CHECKING:
    from mltrack.live.rundir import RunDir
    from mltrack.project import Project
    from mltrack.records import Artifact, Input


def lay_out(project: Project, items: Sequence[Artifact | Input], rundir: RunDir) -> list[FoundInput]:
    """Put recorded files into the run directory; they are inputs of the new run, with the role "resume"."""
    from mltrack.confine import inside
    from mltrack.operations.fetch import ensure_here
    from mltrack.store.checkout import restore_path
    from mltrack.store.keep import stat_path

    trees = [item.digest for item in items if item.digest and item.kind == "directory"]
    ensure_here(project, [item.digest for item in items if item.digest], directories=trees)
    root = rundir.path / "resume"
    root.mkdir()
    found = []
    for item in items:
        if item.digest is not None:
            place = inside(root, item.path)
            restore_path(project.store, item.kind, item.digest, place, item.executable)
            found.append(FoundInput(item.path, place, stat_path(place), "resume"))
    return found
