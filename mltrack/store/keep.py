"""A file, directory or link -> its digest, and its bytes in the store, in one read.

What changes while it is read has no digest: the fields of the path and of the open file are compared before and
after, and what was written a moment ago is read twice. Only regular files are opened; what else lies there is listed,
never silently missing.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import NotFound
from mltrack.nouns import noun
from mltrack.progress import Progress, expect
from mltrack.store.statcache import STAT, StatKey, stat_key
from mltrack.store.walk import LEAVES, NOTHING, SPECIAL, Seen, Stats, walk

if TYPE_CHECKING:
    from mltrack.store.objects import Store
    from mltrack.store.statcache import StatCache

RACY_NS = 2 * 10**9
"""Longer than one `write` takes, and than the step of any filesystem's clock."""

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@noun
class Kept:
    """What became of a path. `kind` is "file", "directory" or "link".

    `digest` is null if the path changed while it was read (`changed`), or could not be read (see `problems`: path
    relative to the directory, and reason). `kept` says that the store holds every byte that `digest` names.
    """

    kind: str
    digest: str | None
    size_bytes: int
    files: int
    executable: bool = False
    changed: bool = False
    kept: bool = False
    problems: tuple[tuple[str, str], ...] = ()


class Changed(Exception):
    """The file is not what it was a moment ago."""


def keep_path(
    path: Path,
    store: Store | None,
    cache: StatCache | None = None,
    *,
    expected: Stats | None = None,
    progress: Progress | None = None,
) -> Kept:
    """The digest of what lies at `path`; its bytes are put into `store`, if there is one (flushing is the caller's).

    With `cache`, a file whose fields are known there is not read again. With `expected` (from `stat_path`) anything
    that differs from it counts as changed. `progress` is told of bytes as they are done. Raises NotFound if nothing
    is there, StorageError if the store cannot be written.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"There is nothing at {path}.", "Check the path.")
    if stat.S_ISDIR(found.st_mode):
        from mltrack.store.trees import keep_tree

        return keep_tree(path, store, cache, expected, progress)
    if expected is not None and expected != _stats_of(found):
        return Kept("link" if stat.S_ISLNK(found.st_mode) else "file", None, found.st_size, 1, changed=True)
    if stat.S_ISLNK(found.st_mode):
        return _keep_link(path, store)
    if not stat.S_ISREG(found.st_mode):
        return Kept("file", None, 0, 0, problems=(("", SPECIAL),))
    return _keep_file(path, Seen(b"", STAT.pack(*stat_key(found)), bool(found.st_mode & 0o100)), store, cache, progress)


def stat_path(path: Path) -> Stats:
    """What `stat` says of a file or link, or of all files and links below a directory.

    Cheap: nothing is opened. Raises NotFound if nothing is there.
    """
    try:
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            return walk(os.fsencode(path)).stats()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"There is nothing at {path}.", "Check the path.")
    except PermissionError:
        return NOTHING
    return _stats_of(found)


def stat_files(path: Path) -> dict[bytes, StatKey]:
    """The fields of a file or link (`{b"": key}`), or of each file and link below a directory, by relative path.

    Raises NotFound if nothing is there.
    """
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            return {b"": stat_key(found)}
        tree = walk(os.fsencode(path))
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"There is nothing at {path}.", "Check the path.")
    except PermissionError:
        return {}
    keys = {seen.path: seen.key for seen in tree.files}
    return keys | {path: StatKey(*STAT.unpack(fields)) for path, _, fields in tree.links}


def _stats_of(found: os.stat_result) -> Stats:
    return Stats(STAT.pack(*stat_key(found)), 1, found.st_size)


def _keep_link(path: Path, store: Store | None) -> Kept:
    from mltrack.digest import digest_bytes
    from mltrack.store.manifest import link_is_safe

    target = os.readlink(os.fsencode(path))
    digest = digest_bytes(target) if store is None else store.put_bytes(target)
    problems = () if link_is_safe(b"link", target) else (("", LEAVES),)
    return Kept("link", digest, len(target), 1, kept=store is not None, problems=problems)


def _keep_file(path: Path, seen: Seen, store: Store | None, cache: StatCache | None, progress: Progress | None) -> Kept:
    place, key = os.fsencode(path.absolute()), seen.key
    when = cache.now_ns() if cache is not None else 0
    digest = cache.lookup(place, key) if cache is not None else None
    if digest is None or (store is not None and not store.has(digest, hold=True)):
        expect(progress, key.size)
        try:
            digest = digest_file(place, key, store, progress)
        except Changed:
            return Kept("file", None, key.size, 1, seen.executable, changed=True)
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            return Kept("file", None, key.size, 1, seen.executable, problems=(("", reason),))
        if cache is not None:
            cache.record(place, key, digest, when)
    elif progress is not None:
        expect(progress, key.size)
        progress(key.size)
    return Kept("file", digest, key.size, 1, seen.executable, kept=store is not None)


def digest_file(path: bytes, key: StatKey, store: Store | None, progress: Progress | None = None) -> str:
    """The digest of a regular file that has these fields before and after. Raises Changed, or OSError."""
    from mltrack.store.chunks import SINGLE

    if key.size <= SINGLE:
        from mltrack.digest import digest_bytes

        data = read_small(path, STAT.pack(*key))
        if progress is not None:
            progress(len(data))
        return digest_bytes(data) if store is None else store.put_bytes(data)
    from mltrack.store.ingest import digest_stream

    def read_into(space: memoryview) -> int:
        size = os.readv(handle, [space])
        if progress is not None:
            progress(size)
        return size

    with opened(path, key) as handle:
        digest, size = digest_stream(read_into, key.size) if store is None else store.put_from(read_into)
    if size != key.size:
        raise Changed
    if is_racy(key):
        progress = None
        with opened(path, key) as handle:
            if digest_stream(read_into, key.size)[0] != digest:
                raise Changed
    return digest


def read_small(path: bytes, fields: bytes) -> bytes:
    """All bytes of a regular file that has these packed fields before and after. Raises Changed, or OSError."""
    key = STAT.unpack(fields)
    data = _read_once(path, key)
    if len(data) != key[2] or (time.time_ns() - key[4] < RACY_NS and _read_once(path, key) != data):
        raise Changed
    return data


def _read_once(path: bytes, key: tuple[int, ...]) -> bytes:
    """One read. The fields of the open file are asked after it: they prove that nothing came before or between.

    Replacing the file under its name touches its own fields too, so the path need not be asked again.
    """
    handle = _open(path)
    try:
        size = key[2]
        data = os.read(handle, size + 1)
        while len(data) < size and (more := os.read(handle, size + 1 - len(data))):
            data += more
        found = os.fstat(handle)
    finally:
        os.close(handle)
    if not _same(found, key):
        raise Changed
    return data


def _open(path: bytes) -> int:
    """A regular file, open for reading. Raises Changed if something else has taken its place, or OSError."""
    try:
        return os.open(path, READ_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        raise Changed
    except OSError as error:
        import errno

        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link or a socket has taken its place
            raise Changed
        raise


def is_racy(key: StatKey) -> bool:
    """Was the file written so lately that the write may still be going on?

    The kernel sets the time when a write begins, so while a long one goes on the fields do not change any more and
    say nothing. Such a file is read a second time, which shows whether it stands still.
    """
    return time.time_ns() - key.ctime_ns < RACY_NS


def _same(found: os.stat_result, key: tuple[int, ...]) -> bool:
    return key == (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class opened:
    """A context: a regular file, open for reading; raises Changed unless its fields are `key` at both ends.

    At the start the open file is asked, at the end the path: the same inode with the same fields, so it is the file
    that the path named all the while.
    """

    def __init__(self, path: bytes, key: StatKey) -> None:
        self._path = path
        self._key = key

    def __enter__(self) -> int:
        self._handle = _open(self._path)
        if not _same(os.fstat(self._handle), self._key):
            os.close(self._handle)
            raise Changed
        return self._handle

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        os.close(self._handle)
        if kind is None:
            try:
                same = _same(os.lstat(self._path), self._key)
            except FileNotFoundError:
                same = False
            if not same:
                raise Changed
