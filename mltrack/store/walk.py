"""What lies below a directory, by looking at names and stat fields only. Nothing is opened but directories."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import NamedTuple

from mltrack.nouns import noun
from mltrack.store.manifest import is_own, link_is_safe
from mltrack.store.statcache import STAT, StatKey

OWN = "belongs to git or mltrack and is not kept"
SPECIAL = "is not a file, directory or link and was not opened"
LEAVES = "is a link that leaves the directory and is not kept"

OWN_FIRST = (b".", b"g", b"G")
"""What the names begin with that may be git's or ours."""


class Seen(NamedTuple):
    """A file as the walk saw it; `path` is relative to the root, `stat` its fields as `STAT` packs them."""

    path: bytes
    stat: bytes
    executable: bool

    @property
    def key(self) -> StatKey:
        return StatKey(*STAT.unpack(self.stat))


@noun
class Stats:
    """What `stat` says of a path and of all files and links below it: equal as long as nothing there changes."""

    listing: bytes
    files: int
    size_bytes: int


NOTHING = Stats(b"", 0, 0)


@dataclass
class Tree:
    """What a walk has found. `size_bytes` is that of the files."""

    files: list[Seen] = field(default_factory=list)
    links: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    """Path, target text, packed fields."""
    empty: list[bytes] = field(default_factory=list)
    problems: list[tuple[bytes, str]] = field(default_factory=list)
    size_bytes: int = 0
    vanished: bool = False
    """Something went away between being listed and being looked at."""

    def stats(self) -> Stats:
        """The digest of every path with its fields, in whatever order they were found."""
        from mltrack.digest import hasher

        lines = [b"%b\0%b%d" % seen for seen in self.files]
        lines += [b"%b\0%b%b" % (path, fields, target) for path, target, fields in self.links]
        lines += [b"%b\0/" % path for path in self.empty]
        lines.sort()
        return Stats(hasher(b"\0\0".join(lines)).digest(), len(self.files), self.size_bytes)


def walk(root: bytes) -> Tree:
    """Everything below `root`. Raises OSError if the root itself cannot be listed."""
    tree = Tree()
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        before = len(tree.files) + len(tree.links) + len(waiting)
        try:
            _list(tree, root, directory, waiting)
        except OSError as error:
            if not directory:
                raise
            _cannot(tree, directory, error)
            continue
        if directory and len(tree.files) + len(tree.links) + len(waiting) == before:
            tree.empty.append(directory)
    return tree


def _list(tree: Tree, root: bytes, directory: bytes, waiting: list[bytes]) -> None:
    """Look at all that lies in a directory. Written for speed: this is what a check for changes costs."""
    prefix = directory + b"/" if directory else b""
    files, pack, regular, size = tree.files, STAT.pack, stat.S_IFREG, 0
    with os.scandir(root + b"/" + directory) as listed:
        for child in listed:
            path = prefix + child.name
            if child.name.startswith(OWN_FIRST) and is_own(child.name):
                tree.problems.append((path, OWN))
                continue
            try:
                if child.is_dir(follow_symlinks=False):
                    waiting.append(path)
                    continue
                found = child.stat(follow_symlinks=False)
                mode = found.st_mode
                fields = pack(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
                if stat.S_IFMT(mode) == regular:
                    files.append(Seen(path, fields, bool(mode & 0o100)))
                    size += found.st_size
                else:
                    _look(tree, path, child, fields, mode)
            except OSError as error:
                _cannot(tree, path, error)
    tree.size_bytes += size


def _look(tree: Tree, path: bytes, child: os.DirEntry[bytes], fields: bytes, mode: int) -> None:
    """Note what is neither a file nor a directory."""
    if not stat.S_ISLNK(mode):
        tree.problems.append((path, SPECIAL))
        return
    target = os.readlink(child.path)
    if link_is_safe(path, target):
        tree.links.append((path, target, fields))
    else:
        tree.problems.append((path, LEAVES))


def _cannot(tree: Tree, path: bytes, error: OSError) -> None:
    if isinstance(error, FileNotFoundError):
        tree.vanished = True
    else:
        tree.problems.append((path, f"cannot be read: {error.strerror}"))
