"""Which files a worktree holds now, and which ignored ones are new: how a run's traces in the project are found.

Reads only. Whoever calls compares `list_files` with `Captured.files`.
"""

from __future__ import annotations

import os
from pathlib import Path

from mltrack.errors import MltrackError
from mltrack.git.exclusions import is_ours
from mltrack.git.repository import Repository, ask, find_repository, git, together
from mltrack.git.worktree import GITLINK, StatKey, Worktree, git_mode, stat_key

PASSED_OVER = frozenset(
    os.fsencode(name)
    for name in (
        *("__pycache__", ".git", ".mltrack", ".venv", "venv", "node_modules", ".tox", ".nox", ".eggs"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints", ".hypothesis", ".cache", ".DS_Store"),
    )
)
"""Directories and files that tools make for themselves, never a result."""


def list_files(repo: Repository) -> dict[bytes, StatKey]:
    """Every tracked or untracked file that is not ignored and is there now, nested repositories included."""
    tracked, untracked = together(
        ask(repo, "ls-files", "-s", "-z"), ask(repo, "ls-files", "-o", "--exclude-standard", "-z")
    )
    found: dict[bytes, StatKey] = {}
    nested: set[bytes] = set()
    with Worktree(repo.root, "sha1") as work:
        for line in tracked.split(b"\0"):
            facts, _, path = line.partition(b"\t")
            if facts.startswith(GITLINK):
                nested.add(path)
            elif path and not is_ours(path):
                _note(work, path, found)
        for path in untracked.split(b"\0"):
            if path.endswith(b"/"):
                nested.add(path[:-1])
            elif path and not is_ours(path):
                _note(work, path, found)
    for path in sorted(nested):
        inner = find_nested(repo, path)
        if inner is not None:
            found.update((path + b"/" + name, key) for name, key in list_files(inner).items())
    return found


def list_ignored_changed(repo: Repository, since_ns: int, moved_too: bool = False) -> list[bytes]:
    """Ignored files modified at `since_ns` (nanoseconds since 1970) or later, what tools make for themselves apart.

    With `moved_too` also those that keep an older time, as what is moved, copied or unpacked may do.
    """
    output = git(repo, "ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z")
    found: set[bytes] = set()
    for path in output.split(b"\0"):
        if path and not PASSED_OVER.intersection(path.split(b"/")):
            # git names a directory of which everything is ignored, and some of its files again.
            found.update(_changed_below(repo.root, path.rstrip(b"/"), since_ns, moved_too))
    return sorted(found)


def find_nested(repo: Repository, path: bytes) -> Repository | None:
    """The repository whose worktree is the directory `path`, or None; one that git will not open counts as none."""
    place = repo.root / os.fsdecode(path)
    if not os.path.lexists(place / ".git"):
        return None
    try:
        inner = find_repository(place)
    except MltrackError:
        return None
    return inner if inner is not None and inner.root.samefile(place) else None


def _note(work: Worktree, path: bytes, found: dict[bytes, StatKey]) -> None:
    try:
        seen = work.stat(path)
    except OSError:
        return
    if seen is not None and git_mode(seen):
        found[path] = stat_key(seen)


def _changed_below(root: Path, path: bytes, since_ns: int, moved_too: bool) -> list[bytes]:
    """The changed files at or below an ignored path; links are not followed."""
    place = os.fsencode(root / os.fsdecode(path))
    try:
        seen = os.lstat(place)
        if git_mode(seen):
            is_made = path.endswith((b".pyc", b".pyo"))
            at_ns = max(seen.st_mtime_ns, seen.st_ctime_ns) if moved_too else seen.st_mtime_ns
            return [path] if at_ns >= since_ns and not is_made else []
        names = os.listdir(place)
    except OSError:
        return []
    found = []
    for name in names:
        if name not in PASSED_OVER:
            found += _changed_below(root, path + b"/" + name, since_ns, moved_too)
    return found
