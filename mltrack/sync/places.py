"""Where the files of a remote lie: a directory, by plain system calls; anything else, by fsspec.

A place asks only for what every filesystem does rightly: write a whole file, read one, read a range, list, remove.
A file that is not there is FileNotFoundError; all other errors are the library's own, and `remote.py` translates them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple, Protocol

WHOLE_PUTS = {"memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "hf"}
"""Protocols whose put makes a file appear whole or not at all; for the others a file is renamed into place."""


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
        """Every file below a folder, at any depth, by its path below that folder. Without unfinished writes."""


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
        if not self.root.is_dir():
            self.root.mkdir()
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
                        else:
                            stat = entry.stat()
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


class Filesystem:
    """Any filesystem that fsspec knows. Credentials come from the library's own places."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.fs: Any
        # A cached listing would hide what other machines push meanwhile.
        self.fs, self.root = url_to_fs(url, use_listings_cache=False)
        protocol = self.fs.protocol
        self.puts_whole = bool(WHOLE_PUTS & ({protocol} if isinstance(protocol, str) else set(protocol)))

    def path(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}"

    def read(self, path: str) -> bytes:
        return bytes(self.fs.cat_file(self.path(path)))

    def read_range(self, path: str, start: int, length: int) -> bytes:
        data = bytes(self.fs.cat_file(self.path(path), start=start, end=start + length))
        if len(data) > length:  # some clients and servers ignore the range, and give the whole file
            data = data[start : start + length]
        return data

    def write(self, path: str, data: bytes) -> None:
        target = self.path(path)
        if self.puts_whole:
            self.fs.pipe_file(target, data)
            return
        folder, _, name = target.rpartition("/")
        self.fs.makedirs(folder, exist_ok=True)
        partial = f"{folder}/.{name}.{os.urandom(6).hex()}"
        self.fs.pipe_file(partial, data)
        self.fs.mv(partial, target)

    def remove(self, path: str) -> None:
        self.fs.rm_file(self.path(path))

    def list(self, folder: str) -> dict[str, Listed]:
        top = self.path(folder)
        try:
            found = self.fs.find(top, detail=True)
        except FileNotFoundError:
            return {}
        start = len(self.fs._strip_protocol(top)) + 1
        below = {name[start:]: Listed(info.get("size"), modified(info)) for name, info in found.items()}
        return {path: listed for path, listed in below.items() if not path.rpartition("/")[2].startswith(".")}


TIME_FIELDS = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What the filesystems of fsspec call the time of the last write."""


def modified(info: dict[str, Any]) -> float | None:
    """When a file was last written, by the server's clock, in seconds since 1970."""
    from datetime import datetime, timezone

    for name in TIME_FIELDS:
        value = info.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return None


def place_at(url: str) -> Place:
    """The place that a URL, `file://` URL or plain path names."""
    if "://" not in url:
        return Directory(Path(url))
    if url.startswith(("file://", "local://")):
        from urllib.parse import unquote

        return Directory(Path(unquote(url.partition("://")[2])))
    return Filesystem(url)
