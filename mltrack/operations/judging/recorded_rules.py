"""What the settings in a recorded tree said of a verdict: for a project that has none of its own, as on a second
machine. Only the rules of the verdict are taken from there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.config import PROJECT_FILE, Config, merge, read_settings

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run


def recorded_rules(project: Project, run: Run) -> Config | None:
    """The verdict's settings in the tree of a run that was recorded elsewhere; None where it has none.

    Raises DataMissing, ConfigError.
    """
    if run.code.tree is None or run.origin.get("replica") == project.ledger.replica:
        return None
    from tempfile import TemporaryDirectory

    from mltrack.git.repository import git, object_store
    from mltrack.operations.fetch import ensure_here
    from mltrack.snapshot.code import open_trees, scratch_place

    ensure_here(project, run.code.packs)
    with TemporaryDirectory(dir=scratch_place(project.store)) as scratch:
        repo = object_store(open_trees([run.code], project.store, Path(scratch)))
        path = f"{run.code.prefix}/{PROJECT_FILE}" if run.code.prefix else PROJECT_FILE
        entry = git(repo, "ls-tree", run.code.tree, "--", path).split()
        if entry[1:2] != [b"blob"]:
            return None
        kept = Path(scratch, PROJECT_FILE)
        kept.write_bytes(git(repo, "cat-file", "blob", entry[2].decode()))
        table = read_settings(kept)
    rules = {key: value for key, value in table.items() if key == "verdict" or key.startswith("verdict.")}
    return merge(Config(), rules, PROJECT_FILE) if rules else None
