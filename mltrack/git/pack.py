"""A snapshot's objects as one git pack: exactly what is not already in packs that are kept.

Commits go in by id, trees and blobs by walking trees. Never put a commit after `--not`: git then ignores
`--no-walk` and drops objects, and a checkout fails.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mltrack.errors import DataMissing, MltrackError
from mltrack.git.capture import REFS
from mltrack.git.repository import Repository, answers, ask, git, object_store
from mltrack.records import CodeState


def write_pack(git_dir: Path, code: CodeState, known_trees: Sequence[str], target: Path) -> bool:
    """Write the objects of `code.snapshot` and `code.commit` to the pack file `target`; False if there are none.

    What is reachable from `known_trees` (tree ids, or `<commit>^{tree}`) is left to the packs that hold those; where
    this repository no longer has them, everything goes in. Raises DataMissing where an object is not here any more.
    """
    if code.snapshot is None:
        return False
    repo = object_store(git_dir)
    trees = _trees(code)
    known = [tree for tree in known_trees if tree] if _has_all(repo, known_trees) else []
    everything, missing = _reachable(repo, trees)
    unexplained = missing - _excused(repo, code, missing)
    if unexplained:
        raise DataMissing(
            f"The repository lacks objects of the snapshot {code.snapshot}: {', '.join(sorted(unexplained)[:3])}.",
            "Check the repository with `git fsck`.",
        )
    held = set(_reachable(repo, known)[0]) if known else set()
    wanted = _commits(code) + [item for item in everything if item not in held]
    base = target.parent / f"{target.name}.{os.getpid()}"
    name = git(repo, "pack-objects", "-q", os.fspath(base), input="".join(f"{item}\n" for item in wanted).encode())
    made = f"{base}-{name.decode().strip()}"
    Path(f"{made}.pack").replace(target)
    for suffix in ("idx", "rev"):
        Path(f"{made}.{suffix}").unlink(missing_ok=True)
    return True


def drop_ref(git_dir: Path, snapshot: str) -> None:
    """Take away the ref of a snapshot that the store now keeps. Nothing happens if it is gone."""
    git(object_store(git_dir), "update-ref", "-d", REFS + snapshot)


def missing_objects(git_dir: Path, code: CodeState) -> list[str]:
    """The objects of this code state (nested ones apart) that are not in the repository; a complete one has none."""
    if code.snapshot is None:
        return []
    repo = object_store(git_dir)
    commits = _commits(code)
    lines = git(repo, "cat-file", "--batch-check", input="".join(f"{item}\n" for item in commits).encode())
    lost = [line.split(b" ")[0].decode() for line in lines.splitlines() if line.endswith(b" missing")]
    if lost:
        return lost
    missing = _reachable(repo, _trees(code))[1]
    return sorted(missing - _excused(repo, code, missing))


def _trees(code: CodeState) -> list[str]:
    return [f"{commit}^{{tree}}" for commit in _commits(code)]


def _commits(code: CodeState) -> list[str]:
    return [commit for commit in (code.snapshot, code.commit) if commit is not None]


def _reachable(repo: Repository, trees: Sequence[str]) -> tuple[list[str], set[str]]:
    """(the objects of these trees in git's order, those of them that are not here)"""
    output = git(repo, "rev-list", "--objects", "--no-walk", "--no-object-names", "--missing=print", *trees).decode()
    lines = output.split()
    return [line for line in lines if line[0] != "?"], {line[1:] for line in lines if line[0] == "?"}


def _has_all(repo: Repository, names: Sequence[str]) -> bool:
    output = git(repo, "cat-file", "--batch-check", input="".join(f"{name}\n" for name in names).encode())
    return all(b" tree " in line for line in output.splitlines())


def _excused(repo: Repository, code: CodeState, missing: set[str]) -> set[str]:
    """Those missing objects that need not be here: HEAD's blobs in a partial clone, and what was left out as such."""
    if not missing:
        return set()
    left_out = {os.fsencode(item.path) for item in code.left_out}
    output = git(repo, "ls-tree", "-r", "-z", f"{code.snapshot}")
    named = [line.partition(b"\t") for line in output.split(b"\0") if line]
    needed = {facts.split(b" ")[2].decode() for facts, _, path in named if path not in left_out}
    return missing - needed


def index_pack(git_dir: Path, pack: Path) -> None:
    """Add a pack file to a repository; every object in it is checked against its id.

    Raises MltrackError where it is not a whole pack.
    """
    repo = object_store(git_dir)
    with pack.open("rb") as file:
        answer = answers(ask(repo, "index-pack", "--stdin", input=file))[0]
    if answer.error is not None:
        raise MltrackError(f"A git pack cannot be read: {answer.error}.", "Run `mltrack verify`.")
