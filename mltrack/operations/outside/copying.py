"""Small files of the user's directories as copies in ours, where a command writes: it can replace and remove those.

A file that is bound is a mount, over which nothing can be renamed. Also which directories are to be one view. Reads
what is there, writes below a place of ours only.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mltrack.errors import StorageError

COPY_LIMIT = 16 << 20
"""Bytes of a file up to which it is copied, where it cannot be cloned at no cost."""

COPY_TOTAL = 256 << 20
"""Bytes of all such copies of a reproduction."""


@dataclass
class Copying:
    """What may still be copied."""

    room: int = COPY_TOTAL
    wanted: set[str] = field(default_factory=set)
    """Files that the command changes: copied whatever their size."""

    def copied(self, old: str, new: Path) -> bool:
        """Copy a file to where nothing is, with its mode and times; False if it has to be bound instead.

        Raises StorageError if one that the command changes cannot be copied.
        """
        try:
            fields = os.lstat(old)
            if not stat.S_ISREG(fields.st_mode) or (is_secret(old) and old not in self.wanted):
                return False
            if not cloned(old, new):
                if not self.has_room(old, fields.st_size):
                    return False
                shutil.copy2(old, new, follow_symlinks=False)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            if old in self.wanted:
                raise StorageError(f"{old}, which the command changes, cannot be copied: {error.strerror}.") from error
            return False
        return True

    def has_room(self, path: str, size: int) -> bool:
        """Is there room for a copy? Then there is less from now on."""
        if path in self.wanted:
            return True
        if size > min(COPY_LIMIT, self.room):
            return False
        self.room -= size
        return True


def is_secret(path: str) -> bool:
    """Does its name say that it holds passwords or keys? Of those there is no second copy on the disk."""
    from mltrack.git.exclusions import may_hold_secrets

    return may_hold_secrets(os.fsencode(os.path.basename(path)))


def cloned(old: str, new: Path) -> bool:
    """Make a file that shares the blocks of another; False, and nothing is there, where the disk cannot."""
    from mltrack.store.reflink import clone

    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        done = clone(old, handle)
    except OSError:
        done = False
    finally:
        os.close(handle)
    if done:
        shutil.copystat(old, new, follow_symlinks=False)
    else:
        os.unlink(new)
    return done


def on_one_disk(directories: Sequence[str]) -> list[list[str]]:
    """The groups of those between which a file could be renamed: on one disk, and not in different directories of the
    root."""
    groups: dict[tuple[int, str], list[str]] = {}
    for directory in directories:
        parts = PurePosixPath(directory).parts
        if len(parts) > 1:
            groups.setdefault((os.stat(directory).st_dev, parts[1]), []).append(directory)
    return [group for group in groups.values() if len(group) > 1]
