"""The preloaded library: where it lies, which programs it can be loaded into, and the variables that load it.

All of it is on the path to a command's start: a program is looked at by a few reads of its first bytes. It is not
for a command that runs in a container: its files are other ones.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

NAME = "preload.so"
WATCHED = "MLTRACK_WATCHED"
"""Set by the library to the id of the process that it is in, so that the hook leaves the files of that one to it."""
NOBODY = "0000000000"
HEAD = 1024
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DT_NEEDED, DT_STRTAB = 1, 5
STARTERS = frozenset(
    ("singularity", "apptainer", "bwrap", "proot", "systemd-nspawn", "enroot", "ch-run", "schroot", "udocker")
)
"""They start programs in another root, where the loader would not find the library and say so."""
SANITIZERS = (b"libasan.", b"libtsan.", b"libclang_rt.")
"""They insist on being loaded before everything else, and end the program otherwise."""


def find() -> Path | None:
    """The library that was built when mltrack was installed; None where there was no compiler."""
    place = Path(__file__).with_name(NAME)
    return place if place.is_file() else None


def variables(library: Path, current: Mapping[str, str]) -> dict[str, str]:
    """What loads the library into a command, behind what the user loads (`LD_PRELOAD` of `current`)."""
    users = current.get("LD_PRELOAD", "").rstrip(": ")
    return {"LD_PRELOAD": f"{users}:{library}" if users else str(library), WATCHED: NOBODY}


def usable(program: str, library: Path) -> str | None:
    """Why the library cannot be in a program, given by its path; None if it can.

    A script is looked at by its interpreter. What cannot be read is taken for usable: the loader will say nothing.
    """
    if any(mark in str(library) for mark in " :"):
        return "the path of mltrack's library has a blank or a colon, which LD_PRELOAD cannot name"
    if os.path.basename(program) in STARTERS:
        return "it starts programs in another root"
    try:
        return _why_not(os.fsencode(program), os.fsencode(library), True)
    except (OSError, ValueError, IndexError):
        return None


def _why_not(program: bytes, library: bytes, may_be_script: bool) -> str | None:
    fd = os.open(program, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        head = os.pread(fd, HEAD, 0) if stat.S_ISREG(found.st_mode) else b""
        if head[:2] == b"#!" and may_be_script:
            interpreter = head[2:].split(b"\n", 1)[0].split()
            return _why_not(interpreter[0], library, False) if interpreter else None
        if head[:4] != b"\x7fELF":
            return None
        if _is_privileged(found):
            return "it runs with another user's rights (set-uid)"
        return _why_not_elf(fd, head, library)
    finally:
        os.close(fd)


def _is_privileged(found: os.stat_result) -> bool:
    return bool(found.st_mode & stat.S_ISUID and found.st_uid != os.getuid()) or bool(
        found.st_mode & stat.S_ISGID and found.st_mode & stat.S_IXGRP and found.st_gid != os.getgid()
    )


def _why_not_elf(fd: int, head: bytes, library: bytes) -> str | None:
    own = _head_of(library)
    if head[4:6] != own[4:6] or head[18:20] != own[18:20]:  # word size, byte order, machine
        return "it is built for another architecture"
    if len(head) < 64 or head[4] != 2:  # torn, or of a machine of 32 bits: nobody has seen one of those train
        return None
    segments = _segments(head)
    interpreter = [one for one in segments if one[0] == PT_INTERP]
    if not interpreter:
        return "it is statically linked"
    if b"musl" in os.pread(fd, interpreter[0][3], interpreter[0][1]):
        return "it uses another C library (musl)"
    if any(os.pread(fd, 16, one[1])[12:] == b"Go\0\0" for one in segments if one[0] == PT_NOTE):
        return "it is written in Go, which asks the system without the C library"
    if any(name.startswith(SANITIZERS) for name in _needed(fd, segments)):
        return "it is built with a sanitizer"
    return None


def _head_of(library: bytes) -> bytes:
    fd = os.open(library, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, 64, 0)
    finally:
        os.close(fd)


def _segments(head: bytes) -> list[tuple[int, int, int, int]]:
    """(type, offset, address, size in the file) of the segments of a 64-bit program, by its first bytes."""
    from struct import unpack_from

    order = "<" if head[5] == 1 else ">"
    (at,), size, count = unpack_from(f"{order}Q", head, 32), *unpack_from(f"{order}HH", head, 54)
    found = []
    for number in range(min(count, (len(head) - at) // size if size >= 56 else 0)):
        kind, _, offset, address, _, bytes_there = unpack_from(f"{order}IIQQQQ", head, at + number * size)
        found.append((kind, offset, address, bytes_there))
    return found


def _needed(fd: int, segments: list[tuple[int, int, int, int]]) -> list[bytes]:
    """The names of the first shared objects that a 64-bit program asks for."""
    from struct import iter_unpack

    dynamic = next((one for one in segments if one[0] == PT_DYNAMIC), None)
    if dynamic is None:
        return []
    block = os.pread(fd, min(dynamic[3], 4096) // 16 * 16, dynamic[1])
    entries: list[tuple[int, int]] = list(iter_unpack("@QQ", block))
    address = next((value for tag, value in entries if tag == DT_STRTAB), 0)
    for kind, offset, base, size in segments:
        if kind == PT_LOAD and base <= address < base + size:
            start = address - base + offset
            names = [value for tag, value in entries if tag == DT_NEEDED][:12]
            return [os.pread(fd, 64, start + value).split(b"\0", 1)[0] for value in names]
    return []
