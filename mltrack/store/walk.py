"""What lies below a directory, by looking at names and stat fields only. Nothing is opened but directories."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import NamedTuple

from mltrack.store.manifest import is_own, link_is_safe
from mltrack.store.statcache import StatKey

OWN = "belongs to git or mltrack and is not kept"
SPECIAL = "is not a file, directory or link and was not opened"
LEAVES = "is a link that leaves the directory and is not kept"


class Seen(NamedTuple):
    """A file as the walk saw it; `path` is relative to the root."""

    path: bytes
    key: StatKey
    executable: bool


@dataclass
class Tree:
    """What a walk has found."""

    files: list[Seen] = field(default_factory=list)
    links: list[tuple[bytes, bytes, StatKey]] = field(default_factory=list)
    """Path, target text, fields."""
    empty: list[bytes] = field(default_factory=list)
    problems: list[tuple[bytes, str]] = field(default_factory=list)
    vanished: bool = False
    """Something went away between being listed and being looked at."""

    def keys(self) -> dict[bytes, StatKey]:
        """Path -> fields of all files and links."""
        found = {seen.path: seen.key for seen in self.files}
        found.update((path, key) for path, _, key in self.links)
        return found


def walk(root: bytes) -> Tree:
    """Everything below `root`. Raises OSError if the root itself cannot be listed."""
    tree = Tree()
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(root + b"/" + directory) as listed:
                children = list(listed)
        except OSError as error:
            if not directory:
                raise
            _cannot(tree, directory, error)
            continue
        prefix = directory + b"/" if directory else b""
        before = len(tree.files) + len(tree.links) + len(waiting)
        for child in children:
            _look(tree, prefix + child.name, child, waiting)
        if directory and len(tree.files) + len(tree.links) + len(waiting) == before:
            tree.empty.append(directory)
    return tree


def _look(tree: Tree, path: bytes, child: os.DirEntry[bytes], waiting: list[bytes]) -> None:
    if is_own(child.name):
        tree.problems.append((path, OWN))
        return
    try:
        if child.is_dir(follow_symlinks=False):
            waiting.append(path)
            return
        found = child.stat(follow_symlinks=False)
        key = StatKey(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if stat.S_ISREG(found.st_mode):
            tree.files.append(Seen(path, key, bool(found.st_mode & 0o100)))
        elif stat.S_ISLNK(found.st_mode):
            target = os.readlink(child.path)
            if link_is_safe(path, target):
                tree.links.append((path, target, key))
            else:
                tree.problems.append((path, LEAVES))
        else:
            tree.problems.append((path, SPECIAL))
    except OSError as error:
        _cannot(tree, path, error)


def _cannot(tree: Tree, path: bytes, error: OSError) -> None:
    if isinstance(error, FileNotFoundError):
        tree.vanished = True
    else:
        tree.problems.append((path, f"cannot be read: {error.strerror}"))
