"""Comparator of tar archives: members by name, links as links. Read from front to back, one digest a member."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from typing import BinaryIO, cast

from mltrack.compare.comparators import DIFFERENT, IDENTICAL, Around, Content, Finding, Unreadable
from mltrack.compare.contents.inner import BLOCK, Budget, Inner, budget_of, careful, read_fully, refusing, seekable
from mltrack.compare.contents.members import MOST, by_contents, compare_members
from mltrack.digest import hasher
from mltrack.nouns import noun

WHAT = "times, owners and order in a tar; what each member's own format lets differ"

_UNTOLD = {"path", "linkpath", "size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"}
"""Extended fields that say what is compared elsewhere, or may differ."""


@noun
class Member:
    """One member: what of it counts, and where its bytes are."""

    counts: tuple[object, ...]
    """Its type, mode, link, device and extended attributes."""
    digest: bytes
    start: int
    size: int
    plain: bool
    """Do its bytes stand in one piece?"""


def fits(name: str, head: bytes) -> bool:
    """By the magic of POSIX and GNU tar."""
    return head[257:262] == b"ustar"


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Member against member."""
    a, b = at_hand(a, around.depth), at_hand(b, around.depth)
    then, now = read_members(a), read_members(b)
    for name in sorted(then.keys() & now.keys()):
        if then[name].counts != now[name].counts:
            return Finding(DIFFERENT, f"the type, mode, link or attributes of its member {name!r} differ")
    contents = by_contents(around)

    def judge(name: str, left: Content, right: Content) -> Finding:
        if then[name].digest == now[name].digest:
            return Finding(IDENTICAL, "the same bytes")
        if not (then[name].plain and now[name].plain):
            return Finding(DIFFERENT, "its bytes differ")
        return contents(name, left, right)

    inside = [_contents(content, members) for content, members in ((a, then), (b, now))]
    return compare_members(inside[0], inside[1], judge, "only times, owners or the order in the tar differ")


def at_hand(content: Content, depth: int) -> Content:
    """In memory where it is compressed and small enough; a large one is unpacked again for each member that differs."""
    try:
        return seekable(content, depth)
    except Unreadable:
        return content


def read_members(content: Content) -> dict[str, Member]:
    """Its members by name. Raises Unreadable where it is cut off, names one twice, or holds more than its members."""
    found: dict[str, Member] = {}
    with careful(content.open) as file:
        archive = refusing(lambda: tarfile.TarFile(fileobj=file, errorlevel=2))
        while info := refusing(archive.next):
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            name = info.name.removeprefix("./")
            if name in found:
                raise Unreadable(f"it has several members of the name {name!r}")
            if len(found) >= MOST:
                raise Unreadable(f"it has more than {MOST:,} members")
            found[name] = _member(archive, info)
        _check_end(file, archive.offset)
    return found


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    state = hasher()
    data = refusing(lambda: archive.extractfile(info)) if info.isreg() else None
    if data is not None:
        with data:
            while block := refusing(lambda: data.read(BLOCK)):
                state.update(block)
    extended = tuple(sorted((key, value) for key, value in info.pax_headers.items() if key not in _UNTOLD))
    sort = tarfile.REGTYPE if info.isreg() else info.type
    device = (info.devmajor, info.devminor) if info.isdev() else ()
    counts = (sort, info.mode & 0o7777, info.linkname, device, extended)
    return Member(counts, state.digest(), info.offset_data, info.size, info.isreg() and not info.issparse())


def _check_end(file: BinaryIO, at: int) -> None:
    """Only zeros may follow the last member, and some must: tarfile takes a damaged header for the end."""
    file.seek(at)
    block = read_fully(file, BLOCK)
    if len(block) < 2 * tarfile.BLOCKSIZE:
        raise Unreadable("it is cut off")
    while block:
        if len(block) % tarfile.BLOCKSIZE:
            raise Unreadable("it is cut off")
        if block.strip(b"\0"):
            raise Unreadable("other bytes follow its members")
        block = read_fully(file, BLOCK)


def _contents(content: Content, members: Mapping[str, Member]) -> dict[str, Content]:
    budget = budget_of(content)
    return {name: _content(content, member, budget) for name, member in members.items()}


def _content(content: Content, member: Member, budget: Budget) -> Content:
    return Inner(lambda: cast(BinaryIO, Part(content.open(), member.start, member.size)), budget, member.size)


class Part:
    """Reads a part of a file."""

    def __init__(self, source: BinaryIO, start: int, size: int) -> None:
        self._source, self._start, self._size, self._at = source, start, size, 0
        source.seek(start)

    def read(self, size: int) -> bytes:
        data = read_fully(self._source, min(size, self._size - self._at))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, min({0: 0, 1: self._at, 2: self._size}[whence] + offset, self._size))
        self._source.seek(self._start + self._at)
        return self._at

    def close(self) -> None:
        self._source.close()
