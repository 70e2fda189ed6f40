"""TensorBoard's event files: the scalars in them, read without TensorFlow.

A file is TFRecords (length, its CRC, data, its CRC) that each hold an `Event` in protobuf's wire format. Only the
scalars are decoded: TensorFlow 1's and PyTorch's `simple_value`, and TensorFlow 2's tensor of one number. A record
larger than a scalar can be is skipped over; a torn or damaged end ends the file.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from mltrack.formats.metrics import Point
from mltrack.nouns import noun

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 4096
"""Bytes of a record that may hold scalars; images and histograms have more."""

_POLYNOMIAL = 0x82F63B78
_TABLE: list[int] = []
_NUMBERS = {1: ("<f", 4), 2: ("<d", 8), 3: ("<i", 4), 9: ("<q", 8)}
"""TensorFlow's DataType of a tensor -> how one number of it is packed."""


class Damage(Exception):
    """A record that is not what its checksum says, or no record."""


@noun
class Events:
    """What an event file holds."""

    points: tuple[Point, ...]
    is_all: bool
    """There is nothing in it but scalars."""
    problem: str | None = None
    """What is wrong with its end."""


def read_events(path: Path) -> Events:
    """The scalars of an event file in their order. Raises OSError."""
    points: list[Point] = []
    is_all = True
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("it is no regular file")
    with open(path, "rb") as file:
        try:
            for data in records(file):
                found, is_plain = scalars(data) if data is not None else ([], False)
                points += found
                is_all = is_all and is_plain
        except Damage as error:
            return Events(tuple(points), False, str(error))
    return Events(tuple(points), is_all)


def records(file: IO[bytes]) -> Iterator[bytes | None]:
    """The records of a file, None for a large one. Raises Damage; a last one that was cut off is only the end."""
    while True:
        head = file.read(12)
        if len(head) < 12:
            return
        length, checksum = struct.unpack("<QI", head)
        if masked(head[:8]) != checksum:
            raise Damage(f"a record at byte {file.tell() - 12} is damaged")
        if length > LARGEST:
            file.seek(length + 4, 1)
            yield None
            continue
        data, tail = file.read(length), file.read(4)
        if len(tail) < 4:
            return
        if masked(data) != struct.unpack("<I", tail)[0]:
            raise Damage(f"a record at byte {file.tell() - 16 - length} is damaged")
        yield data


def masked(data: bytes) -> int:
    """The CRC-32C as TFRecords keep it."""
    crc = 0xFFFFFFFF
    table = _TABLE or make_table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def make_table() -> list[int]:
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ _POLYNOMIAL if value & 1 else value >> 1
        _TABLE.append(value)
    return _TABLE


def scalars(event: bytes) -> tuple[list[Point], bool]:
    """The scalars of one Event, and whether it holds nothing else.

    Its fields: 1 wall_time (double), 2 step, 3 the format's version, 5 summary (1 value: 1 tag, 2 simple, 8 tensor).
    """
    at: float | None = None
    step = 0
    found: list[tuple[str, float]] = []
    is_all = True
    for number, value in fields(event):
        if number == 1 and isinstance(value, bytes) and len(value) == 8:
            at = float(struct.unpack("<d", value)[0])
        elif number == 2 and isinstance(value, int):
            step = value if value < 1 << 63 else value - (1 << 64)
        elif number == 5 and isinstance(value, bytes):
            values = [scalar_in(item) for inner, item in fields(value) if inner == 1]
            found += [scalar for scalar in values if scalar is not None]
            is_all = is_all and None not in values
        elif number != 3:
            is_all = False
    return [Point(tag, value, step, at) for tag, value in found], is_all


def scalar_in(summary: int | bytes) -> tuple[str, float] | None:
    """(tag, value) of one value of a summary, if it is a scalar."""
    if isinstance(summary, int):
        return None
    tag = ""
    value: float | None = None
    for number, item in fields(summary):
        if not isinstance(item, bytes):
            continue
        if number == 1:
            tag = item.decode(errors="replace")
        elif number == 2 and len(item) == 4:
            value = float(struct.unpack("<f", item)[0])
        elif number == 8:
            value = tensor_number(item)
    return (tag, value) if tag and value is not None else None


def tensor_number(tensor: bytes) -> float | None:
    """The number of a tensor of one number: fields 1 dtype, 2 shape, 4 content, 5 float_val, 6 double_val."""
    kind, content = 0, b""
    for number, item in fields(tensor):
        if number == 1 and isinstance(item, int):
            kind = item
        elif number == 2 and item != b"":
            return None  # it has dimensions
        elif number in (4, 5, 6) and isinstance(item, bytes):
            content = item
    form, size = _NUMBERS.get(kind, ("", -1))
    return float(struct.unpack(form, content)[0]) if len(content) == size else None


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, its varint or bytes) of a protobuf message. Raises Damage."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise Damage("a record is no event")
        if at + length > len(message):
            raise Damage("a record is no event")
        yield key >> 3, message[at : at + length]
        at += length


def varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a place, and the place after it. Raises Damage."""
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise Damage("a record is no event")
