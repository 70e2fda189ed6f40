"""Files of a worktree as they are on disk: their stat, their bytes, and the object id that git would give the bytes.

Reads only, by paths relative to the root; follows no symbolic link, opens nothing but regular files.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import TracebackType

StatKey = tuple[int, int, int, int, int]
"""(device, inode, size, mtime_ns, ctime_ns)"""

BLOCK = 1 << 20

FILE, EXECUTABLE, LINK, GITLINK = b"100644", b"100755", b"120000", b"160000"


class Unstable(Exception):
    """A file that changed every time it was read."""


def stat_key(found: os.stat_result) -> StatKey:
    """What changes when a file does."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def git_mode(found: os.stat_result) -> bytes:
    """The mode that git's tree gives a file or link; empty for what it cannot hold."""
    if stat.S_ISREG(found.st_mode):
        return EXECUTABLE if found.st_mode & 0o100 else FILE
    return LINK if stat.S_ISLNK(found.st_mode) else b""


class Worktree:
    """One open worktree. Paths are bytes, relative to its root."""

    def __init__(self, root: Path, algorithm: str) -> None:
        """`algorithm` is the repository's object format: sha1 or sha256."""
        self.root = root
        self.algorithm = algorithm
        self.has_attributes = False
        """Is there a .gitattributes in any directory looked into so far?"""
        self._directories: dict[bytes, bool] = {}
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Worktree:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)

    def place(self, path: bytes) -> Path:
        """The absolute path."""
        return self.root / os.fsdecode(path)

    def stat(self, path: bytes) -> os.stat_result | None:
        """The stat of the path itself; None where nothing is there, or only through a symbolic link to a directory."""
        if not self._is_directory(path.rpartition(b"/")[0]):
            return None
        try:
            return os.lstat(path, dir_fd=self._fd)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_directory(self, path: bytes) -> bool:
        known = self._directories.get(path)
        if known is not None:
            return known
        real = True
        if path:
            try:
                real = self._is_directory(path.rpartition(b"/")[0]) and stat.S_ISDIR(
                    os.lstat(path, dir_fd=self._fd).st_mode
                )
            except (FileNotFoundError, NotADirectoryError):
                real = False
        if real and not self.has_attributes:
            self.has_attributes = self._exists(path + b"/.gitattributes" if path else b".gitattributes")
        self._directories[path] = real
        return real

    def _exists(self, path: bytes) -> bool:
        try:
            os.lstat(path, dir_fd=self._fd)
        except OSError:
            return False
        return True

    def read_link(self, path: bytes) -> bytes:
        """The text of a symbolic link."""
        return os.readlink(path, dir_fd=self._fd)

    def read_start(self, path: bytes, length: int) -> bytes:
        """The first bytes of a regular file."""
        fd = self._open(path)
        try:
            return os.read(fd, length)
        finally:
            os.close(fd)

    def raw_id(self, path: bytes, found: os.stat_result) -> tuple[str, StatKey, bytes]:
        """(object id of the raw bytes, stat, mode) of a file or link that was `found` a moment ago.

        A file that changes meanwhile is read again. Raises Unstable after three times, OSError where it cannot be read.
        """
        for _ in range(3):
            if stat.S_ISLNK(found.st_mode):
                text = self.read_link(path)
                return self.blob_id(text), stat_key(found), LINK
            if not stat.S_ISREG(found.st_mode):
                break
            name, after = self._hash(path, found)
            if stat_key(found) == stat_key(after):
                return name, stat_key(found), git_mode(found)
            found = os.lstat(path, dir_fd=self._fd)
        raise Unstable

    def blob_id(self, data: bytes) -> str:
        """The object id of these bytes as a blob."""
        import hashlib

        return hashlib.new(self.algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def lfs_pointer(self, path: bytes) -> bytes:
        """The pointer that git-lfs would make of the file's bytes."""
        import hashlib

        state, size = hashlib.sha256(), 0
        fd = self._open(path)
        try:
            while block := os.read(fd, BLOCK):
                state.update(block)
                size += len(block)
        finally:
            os.close(fd)
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n" % (
            state.hexdigest().encode(),
            size,
        )

    def _open(self, path: bytes) -> int:
        # O_NONBLOCK: a FIFO that took the file's place must not hold us up.
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)

    def _hash(self, path: bytes, found: os.stat_result) -> tuple[str, os.stat_result]:
        import hashlib

        fd = self._open(path)
        try:
            if found.st_size <= BLOCK:
                data = os.read(fd, BLOCK + 1)
                return self.blob_id(data), os.fstat(fd)
            state = hashlib.new(self.algorithm, b"blob %d\0" % found.st_size, usedforsecurity=False)
            while block := os.read(fd, BLOCK):
                state.update(block)
            return state.hexdigest(), os.fstat(fd)
        finally:
            os.close(fd)
