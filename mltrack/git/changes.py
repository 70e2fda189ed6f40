"""Which files a worktree holds now, and which ignored ones are new: how a run's traces in the project are found.

Reads only. Whoever calls compares `list_files` with `Captured.files`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
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

INSTALLED = PASSED_OVER - {b"venv", b".cache"}
"""Those of them that no program takes for data by their names: a `venv` that is none may be anything."""

STEP_NS = 10**7
"""A filesystem's clock goes in steps, of at most so much."""


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


def list_ignored_changed(repo: Repository, since_ns: int) -> list[bytes]:
    """Ignored files modified at `since_ns` (nanoseconds since 1970) or later, what tools make for themselves apart."""
    output = git(repo, "ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z")
    found: set[bytes] = set()
    for path in output.split(b"\0"):
        if path and not PASSED_OVER.intersection(path.split(b"/")):
            # git names a directory of which everything is ignored, and some of its files again.
            found.update(_changed_below(repo.root, path.rstrip(b"/"), since_ns))
    return sorted(found)


def list_ignored_come(repo: Repository, nested: Iterable[bytes], since_ns: int) -> list[bytes]:
    """Ignored files and directories that came or were changed at `since_ns` or later, by their time of change, which
    no program can set: with older times too, as what is moved, copied or unpacked has. A directory, with a slash behind
    it, is one that was moved here, with what is in it. Those of the `nested` repositories are among them.
    """
    found: set[bytes] = set()
    for top in (b"", *nested):
        inner = find_nested(repo, top) if top else repo
        if inner is None:
            continue
        output = git(inner, "ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z")
        for path in output.split(b"\0"):
            if path and not INSTALLED.intersection(path.split(b"/")):
                _come_below(repo.root, (top + b"/" if top else b"") + path.rstrip(b"/"), since_ns, found)
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


def _come_below(root: Path, path: bytes, since_ns: int, found: set[bytes]) -> None:
    """Add what came at or below an ignored path; links are not followed, and environments not entered."""
    place = os.fsencode(root / os.fsdecode(path))
    try:
        seen = os.lstat(place)
        if git_mode(seen):
            if seen.st_ctime_ns >= since_ns:
                found.add(path)
            return
        if os.path.exists(place + b"/pyvenv.cfg"):
            return
        names = os.listdir(place)
    except OSError:
        return
    if seen.st_ctime_ns >= since_ns and seen.st_ctime_ns > seen.st_mtime_ns + STEP_NS:  # no name came or went: it did
        found.add(path + b"/")
    for name in names:
        if name not in INSTALLED:
            _come_below(root, path + b"/" + name, since_ns, found)


def _changed_below(root: Path, path: bytes, since_ns: int) -> list[bytes]:
    """The changed files at or below an ignored path; links are not followed."""
    place = os.fsencode(root / os.fsdecode(path))
    try:
        seen = os.lstat(place)
        if git_mode(seen):
            is_made = path.endswith((b".pyc", b".pyo"))
            return [path] if seen.st_mtime_ns >= since_ns and not is_made else []
        names = os.listdir(place)
    except OSError:
        return []
    found = []
    for name in names:
        if name not in PASSED_OVER:
            found += _changed_below(root, path + b"/" + name, since_ns)
    return found
