"""What reproductions laid out for their commands alone, `work/outside-*`, and left behind as they were killed.

Whoever lays something out holds a lock beside it for as long as it counts. Without one it still counts while a run has
not been folded, which may have its outputs in it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import StorageError

if TYPE_CHECKING:
    from mltrack.project import Project

START = "outside-"
LOCK = ".lock"


def claim(top: Path) -> int:
    """Hold a directory that is yet to be made; returns what `remove_claimed` is to be handed. Raises StorageError."""
    while True:
        try:
            top.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(f"{top}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"{top} cannot be made: {error.strerror}.", "Free some space, or make its directory writable."
            ) from error
        with suppress(OSError):  # a filesystem without locks; then only unfolded runs hold it
            fcntl.flock(handle, fcntl.LOCK_SH)
        if is_still(handle, f"{top}{LOCK}"):
            return handle
        os.close(handle)  # somebody swept it in between


def is_still(handle: int, path: str) -> bool:
    """Is an open file the one that lies at a path?"""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def remove_claimed(top: Path, handle: int) -> None:
    """Remove what was laid out, and let go."""
    shutil.rmtree(top, ignore_errors=True)
    with suppress(OSError):
        os.unlink(f"{top}{LOCK}")
    os.close(handle)


def sweep(project: Project) -> int:
    """Remove what dead reproductions left; returns how many. To be called after `reconcile`."""
    from mltrack.operations.running.reconcile import unfinished_runs

    try:
        names = [name for name in os.listdir(project.work) if name.startswith(START)]
    except OSError:
        return 0
    tops = {project.work / name.removesuffix(LOCK) for name in names}
    if not tops or next(unfinished_runs(project), None) is not None:
        return 0
    return sum(map(swept, tops))


def swept(top: Path) -> bool:
    """Remove one, unless its lock is held, or nothing can be removed here."""
    try:
        handle = os.open(f"{top}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    remove_claimed(top, handle)
    return True
