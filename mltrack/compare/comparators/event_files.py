"""TensorBoard's event files: what they hold, tag by tag. When each point was written may differ.

Scalars are measured. Of everything else (images, histograms, graphs, hyperparameters) the bytes must be the same but
for the times that hyperparameters note. A file that was cut off or damaged is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding, Unreadable
from mltrack.compare.contents.measuring import Tally, summary
from mltrack.formats.events import Damage, fields, masked, scalar_in

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "when each point was written, and how the points of different tags follow one another"

LARGEST = 64 << 20
"""Bytes of one record."""
_CHECKED = 4096
"""Bytes of a record whose checksum is looked at: in Python it takes long, and all bytes are compared anyway."""
_MOST = 10_000_000
"""Points of a file, which are held in memory."""

_TIMES = {9: {1: {2: {3: {5: None}, 4: {2: None}}}}}
"""Where hyperparameters note when a session began and ended: a value's metadata, plug-in, content, session, time."""
_NOTHING = b"[]"

Series = dict[str, list[tuple[int, "float | str"]]]
"""Tag -> its points: the step, and a number or the digest of something else."""


def fits(name: str, head: bytes) -> bool:
    if "tfevents" not in name.rpartition("/")[2] or len(head) < 12:
        return False
    return bool(masked(head[:8]) == struct.unpack("<I", head[8:12])[0])


def compare(a: Content, b: Content, around: Around) -> Finding:
    first, second = series(a), series(b)
    if first.keys() != second.keys():
        gone, new = sorted(first.keys() - second.keys()), sorted(second.keys() - first.keys())
        told = [f"{named(tags)} {verb}" for tags, verb in ((gone, "gone"), (new, "new")) if tags]
        return Finding(DIFFERENT, f"other tags: {', '.join(told)}")
    tally = Tally()
    others: list[str] = []
    for tag, points in first.items():
        steps, now = [step for step, _ in points], [step for step, _ in second[tag]]
        if steps != now:
            counts = f"{len(steps):,} points then, {len(now):,} now" if len(steps) != len(now) else "other steps"
            return Finding(DIFFERENT, f"{tag}: {counts}")
        for (step, one), (_, other) in zip(points, second[tag]):
            if isinstance(one, float) and isinstance(other, float):
                tally.numbers(one, other, f"{tag} at step {step}")
            elif one != other:
                others.append(f"{tag} at step {step}")
    return finding(tally, others)


def finding(tally: Tally, others: list[str]) -> Finding:
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        numbers = f"; {summary(tally.measure(), 'scalar')}" if tally.changed else ""
        return Finding(DIFFERENT, f"what is no scalar differs: {others[0]}{more}{numbers}")
    if tally.changed:
        return Finding(DIFFERENT, summary(tally.measure(), "scalar"), tally.measure())
    return Finding(EQUIVALENT, "only when the points were written differs")


def named(tags: list[str]) -> str:
    return ", ".join(tags[:3]) + (
        f" and {len(tags) - 3:,} more are" if len(tags) > 3 else " is" if len(tags) == 1 else " are"
    )


def series(content: Content) -> Series:
    """All that an event file holds but times. Raises Unreadable."""
    found: Series = {}
    count = 0
    with content.open() as file:
        try:
            for record in records(file, content.size):
                for tag, step, value in values(record):
                    count += 1
                    if count > _MOST:
                        raise Unreadable(f"it has more than {_MOST:,} points, which is what is compared")
                    found.setdefault(tag, []).append((step, value))
        except Damage as error:
            raise Unreadable(f"it is no event file that is read: {error}") from error
    return found


def records(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The records of a file. Raises Damage, for a file that was cut off too."""
    while head := file.read(12):
        if len(head) < 12 or masked(head[:8]) != struct.unpack("<I", head[8:])[0]:
            raise Damage("a record is damaged or cut off")
        length = struct.unpack("<Q", head[:8])[0]
        if length > min(LARGEST, size):
            raise Damage("a record is cut off, or larger than what is compared")
        data, tail = file.read(length), file.read(4)
        if len(data) < length or len(tail) < 4:
            raise Damage("a record is cut off")
        if length <= _CHECKED and masked(data) != struct.unpack("<I", tail)[0]:
            raise Damage("a record is damaged")
        yield data


def values(event: bytes) -> Iterator[tuple[str, int, float | str]]:
    """(tag, step, value) of what an Event holds: 1 wall_time, 2 step, 5 summary (1 value). Raises Damage."""
    parts = list(fields(event))
    step = next((value for number, value in parts if number == 2 and isinstance(value, int)), 0)
    step = step if step < 1 << 63 else step - (1 << 64)
    for number, value in parts:
        if number == 5 and isinstance(value, bytes):
            for inner, item in fields(value):
                yield from ((tag, step, found) for tag, found in in_value(inner, item))
        elif number not in (1, 2):
            yield f"event field {number}", step, digest(value)


def in_value(number: int, item: int | bytes) -> Iterator[tuple[str, float | str]]:
    """(tag, scalar) of a value of a summary, else (tag, digest); of a scalar's description too."""
    if number != 1 or isinstance(item, int):
        yield f"summary field {number}", digest(item)
        return
    scalar = scalar_in(item)
    if scalar is None:
        yield tag_of(item), digest(without(item, _TIMES if b"_hparams_/session_" in item else {}))
        return
    yield scalar
    about = without(item, dict.fromkeys((1, 2, 8)))
    if about != _NOTHING:
        yield f"{scalar[0]} (description)", digest(about)


def digest(value: int | bytes) -> str:
    from mltrack.digest import digest_bytes

    return digest_bytes(value) if isinstance(value, bytes) else str(value)


def tag_of(value: bytes) -> str:
    """The tag of a value of a summary: its field 1."""
    for number, item in fields(value):
        if number == 1 and isinstance(item, bytes):
            return item.decode(errors="replace")
    return "no tag"


def without(message: bytes, dropped: Mapping[int, Any]) -> bytes:
    """What stands for a message without some of its fields: None drops one, a mapping goes into it. Raises Damage."""
    parts: list[tuple[int, int | bytes]] = []
    for number, item in fields(message):
        inner = dropped.get(number, {})
        if inner is not None:
            parts.append((number, without(item, inner) if inner and isinstance(item, bytes) else item))
    return repr(parts).encode()
