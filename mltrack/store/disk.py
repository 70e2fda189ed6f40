"""How the store touches the disk: one kind of error, whole-file writes, directories made durable.

Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mltrack.errors import StorageError

_numbers = itertools.count()
_TOKEN = os.urandom(4).hex()

VECTOR = 512
"""Blocks in one call of `writev`; POSIX allows at least 16, Linux and macOS 1024."""

REFUSALS = {
    "ENOSPC": "Free some space and try again; what was finished before is safe.",
    "EDQUOT": "Free some space or raise the quota and try again; what was finished before is safe.",
    "EROFS": "The filesystem is mounted read-only; remount it, or choose another directory.",
    "EACCES": "Give yourself permission to write there, or choose another directory.",
    "EPERM": "Give yourself permission to write there, or choose another directory.",
}


class writing:
    """A context: turns an OSError of the body into a StorageError that names the path it was writing to."""

    def __init__(self, path: Path | str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise refused(self._path, error) from error


def refused(path: Path | str, error: OSError) -> StorageError:
    """The StorageError for a write to `path` that the system refused."""
    import errno

    name = errno.errorcode.get(error.errno or 0, "")
    hint = REFUSALS.get(name, "See whether the disk is healthy and try again.")
    return StorageError(f"Cannot write to {path}: {error.strerror or error}.", hint)


def temporary_beside(path: Path | str) -> str:
    """A new name in the directory of `path`, for a file that will be renamed to it. Unique among live processes."""
    directory = os.fspath(path).rpartition("/")[0] or ("/" if os.fspath(path).startswith("/") else ".")
    return f"{directory}/.mltrack-{os.getpid()}-{_TOKEN}-{next(_numbers)}.tmp"


def write_whole(path: Path | str, blocks: Iterable[bytes], mode: int = 0o666, durable: bool = False) -> None:
    """Write a file that appears under its name only when complete; what was there (also a link) is replaced.

    An error in `blocks` passes through and leaves nothing. With `durable`, file and name survive a power cut.
    """
    temporary = temporary_beside(path)
    try:
        handle = create(temporary, mode)
        try:
            for block in blocks:
                write_all(handle, block)
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
    except BaseException as error:
        remove(temporary)
        if isinstance(error, OSError):
            raise refused(path, error) from error
        raise
    if durable:
        sync_directory(Path(path).parent)


def create(path: str, mode: int) -> int:
    """A new file, open for writing; FileExistsError if anything is there. Never through a link."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def remove(path: str) -> None:
    """Unlink a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def write_all(handle: int, data: bytes | memoryview) -> None:
    """`os.write` until every byte is written."""
    done = os.write(handle, data)
    while done < len(data):
        done += os.write(handle, memoryview(data)[done:])


def write_each(handle: int, blocks: Sequence[bytes | memoryview]) -> None:
    """Write blocks one behind the other without joining them."""
    for start in range(0, len(blocks), VECTOR):
        some = blocks[start : start + VECTOR]
        done = os.writev(handle, some)
        for block in some:
            if done < len(block):
                write_all(handle, memoryview(block)[done:])
            done = max(0, done - len(block))


def begin_sync(handle: int, start: int, size: int) -> None:
    """Have the system begin to write these bytes of a file to the disk; does not wait. A later fsync finds less to do.

    Linux only (sync_file_range(2)); elsewhere, and where it is refused, nothing happens.
    """
    global _sync_file_range
    if _sync_file_range is None:
        import ctypes

        found = getattr(ctypes.CDLL(None), "sync_file_range", None)
        if found is not None:
            found.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
        _sync_file_range = found or (lambda *arguments: 0)
    _sync_file_range(handle, start, size, SYNC_FILE_RANGE_WRITE)


SYNC_FILE_RANGE_WRITE = 2
_sync_file_range: Callable[..., int] | None = None


def sync_directory(path: Path) -> None:
    """Make names that were added to or removed from a directory survive a power cut."""
    with writing(path):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
