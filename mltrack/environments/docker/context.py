"""The context of a build: the files that a Dockerfile may copy, as a tree that can be kept, and sent again.

`.dockerignore` holds (`NAME.dockerignore` beside a Dockerfile NAME comes first). `.git` and `.mltrack` are never part
of it; empty directories neither, as a kept tree has none: a build must see the same today and when it is repeated.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.digest import digest_json, from_raw, hasher
from mltrack.environments.docker.tarring import BLOCK
from mltrack.errors import EnvironmentFailed

if TYPE_CHECKING:
    from mltrack.environments import Tree
    from mltrack.environments.docker.settings import Build

IGNORE = ".dockerignore"
NEVER = (".git", "**/.git", ".mltrack", "**/.mltrack")
"""Directories that change with every commit or run; a `.git` is never laid out again either."""


def find_context(build: Build) -> dict[str, Path]:
    """The files of a context: path with slashes -> where it is, in order. Raises EnvironmentFailed."""
    from mltrack.environments.docker.engine import ignored

    try:
        names = ignored(str(build.context), patterns_of(build), build.dockerfile)
    except (OSError, ValueError) as error:
        raise EnvironmentFailed(f"The build's context {build.context} cannot be read: {error}.", "Check it.") from error
    tree = {}
    for name in sorted(names):
        path = build.context / name
        mode = mode_of(path)
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            tree[name.replace(os.sep, "/")] = path
    return tree


def patterns_of(build: Build) -> list[str]:
    """The patterns of the ignore file that counts, and ours, which nothing takes back."""
    lines: list[str] = []
    for name in (f"{build.dockerfile}{IGNORE}", IGNORE):
        place = build.context / name
        if place.is_file():
            lines = place.read_text("utf-8-sig", "surrogateescape").splitlines()
            break
    own = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [*own, *NEVER]


def mode_of(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def digest_of(tree: Tree) -> str:
    """The digest of names, kinds and contents. Raises EnvironmentFailed if a file cannot be read."""
    try:
        return digest_json([[name, *identity(path)] for name, path in sorted(tree.items())])
    except OSError as error:
        raise EnvironmentFailed(f"The build's context cannot be read: {error}.", "Check the file.") from error


def identity(path: Path) -> tuple[str, str]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", os.readlink(path)
    state = hasher()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return "executable" if mode & stat.S_IXUSR else "file", from_raw(state.digest())


def to_keep(tree: Tree) -> dict[str, Path]:
    """What of a context may be kept, and go to a remote: what git tracks, and what it does not ignore and has no name
    that says secret. Outside of git only the names count."""
    from mltrack.git.exclusions import may_hold_secrets

    worktrees: dict[Path, tuple[set[str], set[str]]] = {}
    kept = {}
    for name, path in tree.items():
        is_kept = not may_hold_secrets(os.fsencode(name))
        root = next((place for place in path.parents if os.path.lexists(place / ".git")), None)
        if root is not None:
            tracked, others = worktrees.get(root) or worktrees.setdefault(root, listed(root))
            below = path.relative_to(root).as_posix()
            is_kept = below in tracked or (is_kept and below in others)
        if is_kept:
            kept[name] = path
    return kept


def listed(root: Path) -> tuple[set[str], set[str]]:
    """(files of a worktree that git tracks, others that it does not ignore); none where git does not work."""
    from mltrack.errors import MltrackError
    from mltrack.git.repository import ask, find_repository, together

    try:
        repo = find_repository(root)
        if repo is None:
            return set(), set()
        words = ("ls-files", "-z")
        outputs = together(ask(repo, *words, "--cached"), ask(repo, *words, "--others", "--exclude-standard"))
    except MltrackError:
        return set(), set()
    tracked, others = ({os.fsdecode(name) for name in output.split(b"\0")} for output in outputs)
    return tracked, others


def counted(files: int) -> str:
    """`1 file`, `2 files`."""
    return f"{files} file{'s' if files > 1 else ''}"


def size_of(tree: Tree) -> int:
    """Bytes of its files."""
    return sum(path.lstat().st_size for path in tree.values() if not path.is_symlink())


def tree_below(place: Path) -> dict[str, Path]:
    """A context that was laid out again."""
    return dict(sorted(walk(place)))


def walk(place: Path) -> Iterator[tuple[str, Path]]:
    for directory, folders, files in os.walk(place):
        for name in (*files, *(folder for folder in folders if os.path.islink(os.path.join(directory, folder)))):
            path = Path(directory, name)
            yield path.relative_to(place).as_posix(), path
