"""Locks on open files that processes take in turns, also over a network.

Two locks are taken: an flock, and a lock of the whole range (F_OFD_SETLK). Over NFS the first becomes the second, so
that a client and a process on the server itself, where the files are local, see each other only by the second. Both
belong to the open file: a process that was forked shares them, and closing another descriptor does not end them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from mltrack.errors import StorageError

_RANGE = struct.Struct("hhqqi4x")
"""`struct flock` of 64-bit Linux: type, whence, start, length, pid."""


def lock_file(handle: int, wait: bool, shared: bool = False) -> bool:
    """Lock an open file; False if another holds it and we do not wait. For an exclusive lock it is open for writing.

    Raises StorageError where the filesystem has no locks.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        if not _lock_range(handle, fcntl.F_RDLCK if shared else fcntl.F_WRLCK, wait):
            fcntl.flock(handle, fcntl.LOCK_UN)
            return False
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.ESTALE and not wait:
            return False  # NFS: another machine removed the file after we had opened it
        raise no_locks(handle, error) from error
    return True


def unlock_file(handle: int) -> None:
    """Give up the lock for all who share it."""
    _lock_range(handle, fcntl.F_UNLCK, True)
    fcntl.flock(handle, fcntl.LOCK_UN)


def _lock_range(handle: int, kind: int, wait: bool) -> bool:
    """False if another holds it. Where there are no such locks (macOS, or an old kernel), flock alone has to do."""
    command = getattr(fcntl, "F_OFD_SETLKW" if wait else "F_OFD_SETLK", None)
    if command is None:
        return True
    try:
        fcntl.fcntl(handle, command, _RANGE.pack(kind, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return True


def no_locks(handle: int, error: OSError) -> StorageError:
    return StorageError(
        f"A file of .mltrack/ cannot be locked: {error.strerror or error}.",
        "This filesystem has no working locks (Lustre: mount with -o flock). See `mltrack doctor`.",
    )


PROBE = """
import fcntl, sys
free = []
for name in ("flock", "lockf"):
    with open(sys.argv[1], "r+b") as file:
        try:
            getattr(fcntl, name)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(name)
        except OSError:
            pass
print(*free)
"""
"""What another process does to a file that is locked: prints the locks that it got all the same."""


def locks_hold(directory: str) -> bool:
    """Does a lock on a file there keep out another process, both ours and the sort that SQLite takes? Tried for real.

    Raises StorageError where there are no locks at all.
    """
    import subprocess
    import sys

    from mltrack.store.disk import create, remove, temporary_beside, writing

    place = temporary_beside(f"{directory}/lock")
    with writing(place):
        handle = create(place, 0o600)
    try:
        lock_file(handle, wait=False)
        done = subprocess.run([sys.executable, "-c", PROBE, place], capture_output=True, text=True)
        return done.returncode == 0 and not done.stdout.strip()
    finally:
        os.close(handle)
        remove(place)
