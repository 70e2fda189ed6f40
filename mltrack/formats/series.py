"""Metric points as they are kept: summaries for the ledger, and one text for the store.

The series of a run is canonical JSON lines, one point a line in the order logged: `["loss",3,0.25,1700000000.5]`, that
is name, step or null, value, seconds since 1970 or null. NaN and the infinities are the strings "NaN", "Infinity",
"-Infinity". Pure; nothing here opens a file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mltrack.digest import canonical_json, plain
from mltrack.formats.metrics import Point
from mltrack.records import MetricSummary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_ODD = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
_NAMES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def summarise(points: Iterable[Point]) -> dict[str, MetricSummary]:
    """What each metric comes to, in the order of first appearance; reads the points once.

    `last` and `last_step` are those of the last point. NaN counts, and is the minimum or maximum only where there is
    nothing else. What is not finite is written as in the machine interface.
    """
    found: dict[str, list[Any]] = {}
    for point in points:
        value = point.value
        state = found.get(point.name)
        if state is None:
            found[point.name] = [value, value, value, 1, point.step]
            continue
        state[0], state[4] = value, point.step
        state[3] += 1
        if value < state[1] or state[1] != state[1]:
            state[1] = value
        if value > state[2] or state[2] != state[2]:
            state[2] = value
    return {
        name: MetricSummary(plain(last), plain(low), plain(high), count, last_step)
        for name, (last, low, high, count, last_step) in found.items()
    }


def encode_series(points: Iterable[Point]) -> bytes:
    """The points as canonical JSON lines."""
    names: dict[str, str] = {}
    lines: list[str] = []
    for point in points:
        name = names.get(point.name)
        if name is None:
            name = names[point.name] = canonical_json(point.name).decode()
        lines.append(f"[{name},{_text(point.step)},{_text(point.value)},{_text(point.at)}]\n")
    return "".join(lines).encode()


def decode_series(data: bytes) -> list[Point]:
    """The points of `encode_series`. Raises ValueError if the bytes are none."""
    return list(_decode(data.splitlines()))


def points_of(data: bytes, name: str) -> list[Point]:
    """The points of one metric; the lines of others are not decoded."""
    start = b"[" + canonical_json(name) + b","
    return list(_decode(line for line in data.split(b"\n") if line.startswith(start)))


def _decode(lines: Iterable[bytes]) -> Iterator[Point]:
    for line in lines:
        try:
            name, step, value, at = json.loads(line)
            number = _NAMES[value] if isinstance(value, str) else float(value)
            yield Point(name, number, _NAMES.get(step, step), at)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a point of a series: {line!r}") from error


def _text(value: float | None) -> str:
    """A number as canonical JSON writes it."""
    if value is None:
        return "null"
    text = repr(value)
    return _ODD.get(text, text)
