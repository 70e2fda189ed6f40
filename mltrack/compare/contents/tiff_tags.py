"""What a TIFF says beside its pixels: georeferences, units, descriptions. All of it counts but what `FREE` names.

The tags are read off the bytes, for decoders pass over types that they do not know.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from mltrack.compare.comparators import LARGEST_IN_MEMORY, Unreadable
from mltrack.compare.contents.inner import read_fully
from mltrack.nouns import noun

EXIF, GPS = 34665, 34853
SUB_FILES = 330
BELOW = {EXIF: "Exif", GPS: "GPS", 40965: "interoperability"}
"""Tags whose value is the place of more tags."""

FREE = frozenset(
    {259, 317, 266, 284, 292, 293}  # compression, prediction, order of bits, planes, options of fax
    | {273, 278, 279, 322, 323, 324, 325, 288, 289}  # strips, tiles, free space
    | {347, *range(512, 522)}  # tables of JPEG, which decode to the pixels
    | {305, 306, 36867, 36868, 36880, 36881, 36882, 37520, 37521, 37522}  # the writer, and when it wrote
)
SHORT, LONG = 3, 4
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}
"""type -> bytes of a unit that is turned around where the order of bytes is another; fractions are two units."""

Tag = tuple[int, int, bytes]
"""Type, count, and the value, low byte first."""


@noun
class _Directory:
    tags: dict[str, Tag]
    following: int
    """Where the next frame's tags stand; 0 after the last."""


def frame_tags(file: BinaryIO, frames: int) -> list[dict[str, Tag]]:
    """Of each frame, by `TAG` or `Exif TAG`. Raises Unreadable for what is not known to be all that there is."""
    file.seek(0)
    head = read_fully(file, 8)
    order = "<" if head.startswith(b"II") else ">"
    at = struct.unpack(order + "I", head[4:])[0]
    found: list[dict[str, Tag]] = []
    while at and len(found) < frames:
        directory = _read(file, order, at)
        found.append(directory.tags)
        at = directory.following
    if at or len(found) < frames:
        raise Unreadable("its frames are not those that its tags tell of")
    return found


def _read(file: BinaryIO, order: str, at: int, prefix: str = "") -> _Directory:
    file.seek(at)
    count = struct.unpack(order + "H", _exactly(file, 2))[0]
    entries, following = _exactly(file, 12 * count), _exactly(file, 4)
    tags: dict[str, Tag] = {}
    for start in range(0, len(entries), 12):
        number, kind, many = struct.unpack(order + "HHI", entries[start : start + 8])
        name = f"{prefix}tag {number}"
        if number == SUB_FILES:
            raise Unreadable("it holds images within images")
        if kind not in WIDTHS or name in tags:
            raise Unreadable(f"its {name} is of an unknown type, or stands twice")
        if number in FREE:
            continue
        if number in BELOW:
            if prefix or kind != 4 or many != 1:
                raise Unreadable(f"its {name} leads to no tags")
            place = struct.unpack(order + "I", entries[start + 8 : start + 12])[0]
            tags |= _read(file, order, place, f"{BELOW[number]} ").tags
            continue
        value = _value(file, order, (kind, many), entries[start + 8 : start + 12])
        tags[name] = (LONG, many, _widened(value)) if kind == SHORT else (kind, many, value)
    return _Directory(tags, struct.unpack(order + "I", following)[0])


def _value(file: BinaryIO, order: str, kind: tuple[int, int], inline: bytes) -> bytes:
    width = WIDTHS[kind[0]]
    size = kind[1] * width * (2 if kind[0] in (5, 10) else 1)
    if size > LARGEST_IN_MEMORY:
        raise Unreadable("one of its tags is too long")
    if size > 4:
        file.seek(struct.unpack(order + "I", inline)[0])
    data = _exactly(file, size) if size > 4 else inline[:size]
    if order == "<" or width == 1:
        return data
    import numpy as np

    return np.frombuffer(data, f">u{width}").astype(f"<u{width}").tobytes()


def _widened(value: bytes) -> bytes:
    """Numbers of 16 bits as 32: writers take the one or the other for the same number."""
    import numpy as np

    return np.frombuffer(value, "<u2").astype("<u4").tobytes()


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = read_fully(file, size)
    if len(data) < size:
        raise Unreadable("it is cut off")
    return data


def first_difference(a: dict[str, Tag], b: dict[str, Tag]) -> str | None:
    """The first tag that is not the same, for a person."""
    return next((name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)), None)
