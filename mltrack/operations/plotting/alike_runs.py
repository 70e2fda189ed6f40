"""Which runs are alike but for the seed, where the seed may also stand in a params file that is part of the code.

Such a file makes two code trees. They count as one if no other file differs: what the file says is compared as params.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mltrack.compare.alike import likeness
from mltrack.errors import MltrackError

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.project import Project
    from mltrack.records import Run

MOST_TREES = 64
"""Code trees of which the files are compared; those of further runs stay unlike."""
SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg")
"""Of params files that hold nothing but params."""


def alike_runs(project: Project, runs: Sequence[Run]) -> dict[str, str]:
    """Run id -> a text that is the same for runs that are alike but for the seed; its own id where too little is known.

    Reads no code but where trees must be compared, and only what is here already.
    """
    found = {run.id: likeness(run) or run.id for run in runs}
    families: dict[str, dict[str, Run]] = {}
    for run in runs:
        family = likeness(run, with_tree=False)
        if family is not None:
            families.setdefault(family, {}).setdefault(found[run.id], run)
    joined: dict[str, str] = {}
    for by_tree in families.values():
        if len(by_tree) > 1:
            joined |= joined_trees(project, by_tree)
    return {key: joined.get(text, text) for key, text in found.items()}


def joined_trees(project: Project, by_tree: dict[str, Run]) -> dict[str, str]:
    """Likeness -> that of the first run whose code differs from it in params files alone."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from mltrack.snapshot.code import open_trees, scratch_place

    here = {key: run for key, run in by_tree.items() if params_files(run) and is_here(project, run)}
    here = dict(list(here.items())[:MOST_TREES])
    if len(here) < 2:
        return {}
    try:
        with TemporaryDirectory(dir=scratch_place(project.store)) as scratch:
            git_dir = open_trees([run.code for run in here.values()], project.store, Path(scratch))
            return joined_in(git_dir, here)
    except MltrackError:
        return {}  # what cannot be read is not known to be alike


def joined_in(git_dir: Path, here: dict[str, Run]) -> dict[str, str]:
    joined: dict[str, str] = {}
    waiting = list(here.items())
    compared = 0
    while len(waiting) > 1 and compared < MOST_TREES:
        (first, run), *rest = waiting
        compared += len(rest)
        waiting = []
        for key, other in rest:
            if differ_in_params(git_dir, run, other):
                joined[key] = first
            else:
                waiting.append((key, other))
    return joined


def differ_in_params(git_dir: Path, run: Run, other: Run) -> bool:
    """Does no file differ but those that the params of both were read from?"""
    from mltrack.git.patch import changed_names

    known = params_files(run) & params_files(other)
    changes = changed_names(git_dir, str(run.code.tree), str(other.code.tree))
    return all(status == "M" and path in known for status, path in changes)


def params_files(run: Run) -> set[str]:
    """The files whose params the run has, all of them, by their paths below the top of the repository."""
    from mltrack.formats.params import parse_params_option

    declared = [parse_params_option(option) for option in run.declared.get("params", ())]
    in_part = {name for name, keys in declared if keys}
    made = {item.path for item in run.artifacts}
    names = {*run.param_sources.values(), *(name for name, _ in declared)} - in_part - made
    return {run.code.prefix + name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES}


def is_here(project: Project, run: Run) -> bool:
    return bool(run.code.packs) and not project.store.missing(run.code.packs)
