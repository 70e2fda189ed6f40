"""Comparator of zip archives, and of all that is one: .npz, .keras, PyTorch's .pt, .xlsx, .docx, wheels, jars.

Members are compared by name, each as a file of its own. What they hold is streamed; encrypted members, names that
occur twice and bytes that belong to no member are refused.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Mapping
from typing import BinaryIO, cast

from mltrack.compare.comparators import DIFFERENT, Around, Content, Finding, Unreadable
from mltrack.compare.comparators.torch_files import is_torch, judge_torch, without_top
from mltrack.compare.contents.inner import (
    READ_AGAIN,
    Budget,
    Inner,
    budget_of,
    careful,
    read_fully,
    refusing,
    seekable,
)
from mltrack.compare.contents.members import MOST, by_contents, compare_members

WHAT = "times, order, compression, attributes and comments of a zip; what each member's own format lets differ"

_HEADER, _END = 30, 22
_DESCRIPTOR = 24
"""Bytes, at most, that may follow a member's data and repeat its sizes."""


def fits(name: str, head: bytes) -> bool:
    """By the first bytes; an empty zip is only an end."""
    return head[:4] in (b"PK\3\4", b"PK\5\6")


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Member against member."""
    a, b = seekable(a, around.depth), seekable(b, around.depth)
    with careful(a.open) as f, careful(b.open) as g:
        left, right = opened(f, a.size), opened(g, b.size)
        then, now = members(left, f, a.size), members(right, g, b.size)
        others = ["comments"] if left.comment != right.comment else []
        judge = by_contents(around)
        contents = [_contents(each, infos, budget_of(file)) for each, infos, file in ((left, then, a), (right, now, b))]
        if is_torch(then) and is_torch(now):
            then, now = without_top(then), without_top(now)
            contents = [without_top(each) for each in contents]
            others += ["the name of the directory"] if left.namelist()[0] != right.namelist()[0] else []
            judge = judge_torch(contents, judge)
        for name in then.keys() & now.keys():
            if _type(then[name]) != _type(now[name]):
                return Finding(DIFFERENT, f"the member {name!r} is a link or a directory on one side only")
        return compare_members(contents[0], contents[1], judge, only_in(then, now, others))


def opened(file: BinaryIO, size: int) -> zipfile.ZipFile:
    """A zip that nothing follows. Raises Unreadable."""
    archive: zipfile.ZipFile = refusing(lambda: zipfile.ZipFile(file))
    file.seek(size - _END - len(archive.comment))
    end = read_fully(file, _END)
    if not end.startswith(b"PK\5\6") or int.from_bytes(end[20:22], "little") != len(archive.comment):
        raise Unreadable("bytes follow the end of the zip")
    return archive


def members(archive: zipfile.ZipFile, file: BinaryIO, size: int) -> dict[str, zipfile.ZipInfo]:
    """Its members by name. Raises Unreadable where they are not all that the file holds."""
    infos = archive.infolist()
    if len(infos) > MOST:
        raise Unreadable(f"it has more than {MOST:,} members")
    if any(info.flag_bits & 1 for info in infos):
        raise Unreadable("it is encrypted")
    named = {info.filename: info for info in infos}
    if len(named) < len(infos):
        raise Unreadable("it has several members of one name")
    if sum(info.file_size for info in infos) > Budget(size).left // READ_AGAIN:
        raise Unreadable("it unpacks to far more than its size")
    _check_covered(sorted(infos, key=lambda info: info.header_offset), file, archive.start_dir)
    return named


def _check_covered(infos: list[zipfile.ZipInfo], file: BinaryIO, end: int) -> None:
    """Every byte in front of the directory belongs to one member."""
    at = slack = 0
    for info in infos:
        if not at <= info.header_offset <= at + slack:
            raise Unreadable("its members overlap, or bytes lie between them")
        file.seek(info.header_offset)
        header = read_fully(file, _HEADER)
        if len(header) < _HEADER:
            raise Unreadable("it is cut off")
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        at = info.header_offset + _HEADER + names + info.compress_size
        slack = _DESCRIPTOR if info.flag_bits & 8 else 0
    if not at <= end <= at + slack:
        raise Unreadable("bytes lie in front of its directory that are no members")


def only_in(then: Mapping[str, zipfile.ZipInfo], now: Mapping[str, zipfile.ZipInfo], others: list[str]) -> str:
    """What differs in the archives themselves, as a clause; `others` were found elsewhere."""
    pairs = [(info, now[name]) for name, info in then.items() if name in now]
    what = {
        "times": any(info.date_time != other.date_time or info.extra != other.extra for info, other in pairs),
        "the order": [*then] != [*now],
        "the compression": any(
            (info.compress_type, info.compress_size) != (other.compress_type, other.compress_size)
            for info, other in pairs
        ),
        "attributes": any(info.external_attr != other.external_attr for info, other in pairs),
        "comments": any(info.comment != other.comment for info, other in pairs),
    }
    told = list(dict.fromkeys([*(name for name, differs in what.items() if differs), *others])) or ["headers"]
    verb = "differs" if len(told) == 1 and told[0].startswith("the ") else "differ"
    return f"only {', '.join(told[:-1])}{' and ' if told[1:] else ''}{told[-1]} in the zip {verb}"


def _contents(archive: zipfile.ZipFile, infos: Mapping[str, zipfile.ZipInfo], budget: Budget) -> dict[str, Content]:
    return {
        name: Inner(lambda info=info: cast(BinaryIO, archive.open(info)), budget, info.file_size)  # type: ignore[misc]
        for name, info in infos.items()
    }


def _type(info: zipfile.ZipInfo) -> tuple[bool, bool]:
    return stat.S_ISLNK(info.external_attr >> 16), info.is_dir()
