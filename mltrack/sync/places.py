"""Where the files of a remote lie: a directory, by plain system calls; anything else, in the modules `places_...`.

A place asks only for what every filesystem does rightly: write a whole file, read one, read a range, list, remove.
A file that is not there is FileNotFoundError; all other errors are the library's own, and `troubles.py` tells them
apart. A place is used by many threads at once, and by the process that opened it only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Protocol

KINDS = {
    **dict.fromkeys(("s3", "s3a"), ("buckets", "S3")),
    **dict.fromkeys(("gs", "gcs"), ("buckets", "Gcs")),
    **dict.fromkeys(("az", "abfs", "abfss"), ("buckets", "Azure")),
    **dict.fromkeys(("http", "https"), ("web", "Web")),
    **dict.fromkeys(("webdav", "webdavs", "dav", "davs"), ("web", "Dav")),
    **dict.fromkeys(("sftp", "ssh"), ("sftp", "Sftp")),
}
"""Scheme -> the module `places_...` and the class in it; all others are opened as fsspec does."""


class Listed(NamedTuple):
    """What a listing says of a file; None where the filesystem does not tell. `modified`: its own clock, seconds."""

    size: int | None
    modified: float | None


class Place(Protocol):
    def read(self, path: str) -> bytes: ...

    def read_range(self, path: str, start: int, length: int) -> bytes: ...

    def write(self, path: str, data: bytes) -> None:
        """Whole or not at all, replacing what is there; durable when it returns, where that can be had."""

    def remove(self, path: str) -> None:
        """Remove a file; FileNotFoundError if there is none, where the filesystem tells."""

    def list(self, folder: str) -> dict[str, Listed]:
        """Every file below a folder, at any depth, by its path below that folder. Without unfinished writes.

        A folder that is not there is empty.
        """


class Directory:
    """A directory of this machine, or one that is mounted. Its parent must be there: an unmounted disk is no place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def read_range(self, path: str, start: int, length: int) -> bytes:
        with (self.root / path).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def write(self, path: str, data: bytes) -> None:
        self.root.mkdir(exist_ok=True)
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def list(self, folder: str) -> dict[str, Listed]:
        found: dict[str, Listed] = {}
        top = str(self.root / folder)
        pending = [top]
        while pending:
            try:
                with os.scandir(pending.pop()) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue  # unfinished writes
                        if entry.is_dir():
                            pending.append(entry.path)
                            continue
                        try:
                            stat = entry.stat()
                        except FileNotFoundError:
                            continue  # removed meanwhile
                        found[entry.path[len(top) + 1 :]] = Listed(stat.st_size, stat.st_mtime)
            except FileNotFoundError:
                continue
        if not found and not self.root.is_dir():
            os.stat(self.root.parent)
        return found


def sync_directory(path: Path) -> None:
    """Make a rename in it durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def place_at(url: str) -> Place:
    """The place that a URL, `file://` URL or plain path names. The library that it needs is imported here."""
    scheme, _, rest = url.partition("://") if "://" in url else ("file", "", url)
    scheme = scheme.lower()
    if scheme in ("file", "local"):
        from urllib.parse import unquote

        return Directory(Path(unquote(rest) if "://" in url else url))
    from importlib import import_module

    module, name = KINDS.get(scheme, ("fsspec", "Filesystem"))
    place: Place = getattr(import_module(f"mltrack.sync.places_{module}"), name)(url)
    return place
