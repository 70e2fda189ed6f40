"""What the tests of git/ share: a capture in one call, a round trip through the store, and what must not change."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mltrack.git.capture import Captured, Limits
from mltrack.git.repository import Repository, find_repository
from mltrack.records import CodeState
from mltrack.snapshot.code import capture_code, keep_code, restore_code
from mltrack.store.objects import Store
from tests.helpers import git, tree_of

LIMITS = Limits(10 << 20, 100 << 20)


def nothing_is_output(path: bytes) -> bool:
    return False


def capture_at(
    root: Path,
    store: Path,
    limits: Limits = LIMITS,
    is_output: Callable[[bytes], bool] = nothing_is_output,
    repo: Repository | None = None,
) -> Captured:
    """Capture the repository that `root` is in; raw files go to a store at `store`."""
    found = repo or find_repository(root)
    assert found is not None
    with Store.open(store) as opened:
        return capture_code(found, lambda: opened, limits, is_output)


@dataclass(frozen=True)
class Trip:
    captured: Captured
    code: CodeState
    """With its packs in the store."""
    target: Path
    """Where it was restored."""


def round_trip(root: Path, tmp: Path, limits: Limits = LIMITS, repo: Repository | None = None) -> Trip:
    """Capture, keep and restore; proves that nothing of the user's changed meanwhile."""
    store, target = tmp / "kept" / "store", tmp / "restored"
    store.parent.mkdir(exist_ok=True)
    if repo is not None:
        captured = capture_at(root, store, limits, repo=repo)
    else:
        with untouched(root):
            captured = capture_at(root, store, limits)
    with Store.open(store) as opened:
        code = keep_code(captured.code, dict(captured.objects), opened, [])
        restore_code(code, opened, target)
    return Trip(captured, code, target)


def files_of(root: Path) -> dict[bytes, tuple[str, bytes]]:
    """Like `tree_of`; a submodule's `.git` may be a file or a directory."""
    return {path: item for path, item in tree_of(root).items() if path.rpartition(b"/")[2] != b".git"}


@contextmanager
def untouched(root: Path) -> Iterator[None]:
    """Proves that index, HEAD, refs, stash, configuration, hooks, worktree and status are byte for byte as before."""
    before = _user_state(root)
    yield
    assert _user_state(root) == before


def _user_state(root: Path) -> dict[str, object]:
    git_dir = Path(os.fsdecode(git(root, "rev-parse", "--absolute-git-dir").rstrip(b"\n")))
    common = Path(os.fsdecode(git(root, "rev-parse", "--path-format=absolute", "--git-common-dir").rstrip(b"\n")))
    refs = git(root, "for-each-ref", "--format=%(objectname) %(refname)")
    files = [git_dir / "index", git_dir / "HEAD", common / "config", common / "packed-refs", common / "logs" / "HEAD"]
    return {
        "files": {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files if file.exists()},
        "refs": [line for line in refs.splitlines() if b" refs/mltrack/" not in line],
        "stash": git(root, "stash", "list"),
        "status": git(root, "--no-optional-locks", "status", "--porcelain=v2", "-z", "-uall"),
        "git_dir": sorted(item.name for item in git_dir.iterdir()),
        "worktree": tree_of(root),
    }


def changed_paths(root: Path) -> set[bytes]:
    """Git's own opinion of what differs from HEAD, whether staged or not."""
    output = git(root, "status", "--porcelain", "-z", "-uall", "--no-renames", "--ignore-submodules=dirty")
    return {line[3:] for line in output.split(b"\0") if line}


def ids(tree: Path, commit: str) -> dict[bytes, tuple[bytes, bytes]]:
    """Path -> (mode, id) of a commit's tree."""
    lines = [line.partition(b"\t") for line in git(tree, "ls-tree", "-r", "-z", commit).split(b"\0") if line]
    return {path: (facts.split(b" ")[0], facts.split(b" ")[2]) for facts, _, path in lines}
