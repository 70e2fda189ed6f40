"""Tar streams, made block by block: a build's context, an image to load. Nothing is written to the disk."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from mltrack.errors import EnvironmentFailed

BLOCK = 1 << 20


def tar_of(members: Iterable[tuple[str, Path | bytes]]) -> Iterator[bytes]:
    """A tar of (name, file or bytes), owned by root, with the files' own times. Links stay links.

    Raises EnvironmentFailed if a file goes, or changes its size, on the way.
    """
    for name, content in members:
        member = tarfile.TarInfo(name)
        if isinstance(content, bytes):
            member.size, member.mode = len(content), 0o644
            yield header(member) + content
        else:
            try:
                yield from of_file(member, content)
            except OSError as error:
                raise EnvironmentFailed(f"{content} cannot be read: {error.strerror}.", "Check the file.") from error
        yield b"\0" * (-member.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def of_file(member: tarfile.TarInfo, path: Path) -> Iterator[bytes]:
    found = path.lstat()
    member.mtime, member.mode = int(found.st_mtime), stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
        yield header(member)
        return
    member.size = left = found.st_size
    yield header(member)
    with path.open("rb") as file:
        while left > 0:
            block = file.read(min(BLOCK, left))
            if not block:
                raise EnvironmentFailed(f"{path} changed while it was read.", "Try again.")
            left -= len(block)
            yield block


def header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
