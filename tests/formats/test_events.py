"""Event files, written here by the format's description and by a real writer, and read back."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.formats.events import Events, masked, read_events
from mltrack.formats.metrics import Point


def varint(number: int) -> bytes:
    found = b""
    number &= (1 << 64) - 1
    while number > 0x7F:
        found, number = found + bytes([number & 0x7F | 0x80]), number >> 7
    return found + bytes([number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def event(step: int, value: bytes, at: float = 7.5) -> bytes:
    return b"\x09" + struct.pack("<d", at) + b"\x10" + varint(step) + field(5, field(1, value))


def simple(tag: str, value: float) -> bytes:
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor(tag: str, kind: int, content: bytes, shape: bytes = b"") -> bytes:
    return field(1, tag.encode()) + field(8, b"\x08" + varint(kind) + field(2, shape) + field(4, content))


def event_file(scalars: Iterable[tuple[str, int, float]]) -> bytes:
    """An event file with these scalars: (tag, step, value)."""
    version = b"\x09" + struct.pack("<d", 1.0) + field(3, b"brain.Event:2")
    return record(version) + b"".join(record(event(step, simple(tag, value))) for tag, step, value in scalars)


def test_the_checksum_is_the_one_of_the_format() -> None:
    """CRC-32C of the nine digits is 0xE3069283; the mask rotates it and adds a constant."""
    crc = 0xE3069283
    assert masked(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_scalars_of_both_kinds_are_read_and_everything_else_is_passed_over(tmp_path: Path) -> None:
    large = event(3, tensor("image", 7, b"x" * 100_000))
    histogram = event(3, field(1, b"weights") + field(5, b"\x09" + b"\0" * 8))
    parts = [
        event(1, simple("loss", 0.5)),
        large,
        histogram,
        event(2, tensor("acc", 1, struct.pack("<f", 0.25))),
        event(2, tensor("vector", 1, struct.pack("<ff", 1, 2), field(2, b"\x08\x02"))),
        event(-1, tensor("seen", 9, struct.pack("<q", 12))),
    ]
    (tmp_path / "e").write_bytes(event_file([]) + b"".join(map(record, parts)))
    points = (Point("loss", 0.5, 1, 7.5), Point("acc", 0.25, 2, 7.5), Point("seen", 12.0, -1, 7.5))
    assert read_events(tmp_path / "e") == Events(points, False)
    for kept in (event(1, simple("loss", 0.5)), event(2, tensor("acc", 1, struct.pack("<f", 0.25)))):
        (tmp_path / "e").write_bytes(event_file([]) + record(kept))
        assert read_events(tmp_path / "e").is_all
    for other in (large, histogram):
        (tmp_path / "e").write_bytes(event_file([]) + record(other))
        assert read_events(tmp_path / "e") == Events((), False)


def test_a_file_that_is_cut_off_keeps_what_is_whole_and_a_changed_byte_is_told(tmp_path: Path) -> None:
    whole = event_file([("loss", 1, 0.5), ("loss", 2, 0.25)])
    first = len(event_file([("loss", 1, 0.5)]))
    for end in range(first, len(whole)):
        (tmp_path / "e").write_bytes(whole[:end])
        assert read_events(tmp_path / "e") == Events((Point("loss", 0.5, 1, 7.5),), True)
    for place in range(first, len(whole)):
        (tmp_path / "e").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        events = read_events(tmp_path / "e")
        assert events.points == (Point("loss", 0.5, 1, 7.5),) and events.problem is not None and not events.is_all


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_raise(tmp_path_factory: object, data: bytes, as_record: bool) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "any"  # type: ignore[attr-defined]
    path.write_bytes(record(data) if as_record else data)
    read_events(path)
