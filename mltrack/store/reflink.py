"""Clones of files: a second file that shares the blocks of the first until one of them is written to (FICLONE).

Btrfs, XFS, bcachefs, OCFS2, and NFS 4.2 in front of one of them can do it; ext4 and tmpfs cannot.
"""

from __future__ import annotations

import os

from mltrack.store.disk import create, remove, temporary_beside

FICLONE = 0x40049409
"""`_IOW(0x94, 9, int)`, from linux/fs.h."""


def clone(source: str, target: int) -> bool:
    """Make an open, empty file a clone of another; False if the filesystem cannot. Linux only."""
    import fcntl

    handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.ioctl(target, FICLONE, handle)
    except OSError as error:
        import errno

        if error.errno in (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM):
            return False
        raise
    finally:
        os.close(handle)
    return True


def can_clone(source: str, target: str) -> bool:
    """Can a file in the directory `source` be cloned into the directory `target`? Tried with an empty file in each."""
    here, there = (temporary_beside(f"{directory}/probe") for directory in (source, target))
    try:
        os.close(create(here, 0o600))
        handle = create(there, 0o600)
        try:
            return clone(here, handle)
        finally:
            os.close(handle)
    except OSError:
        return False
    finally:
        remove(here)
        remove(there)
