"""Metric points as they are kept: summaries for the ledger, and one text for the store.

The series of a run is canonical JSON lines, one point a line in the order logged: `["loss",3,0.25,1700000000.5]`, that
is name, step or null, value, seconds since 1970 or null; a fifth entry is the rank of the process that logged it, where
that is one of several. NaN and the infinities are the strings "NaN", "Infinity", "-Infinity". Pure: opens no file.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING

from mltrack.digest import canonical_json, plain
from mltrack.formats.metrics import Point
from mltrack.formats.ranked import in_the_first_place, ranked_name
from mltrack.records import MetricSummary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

BATCH = 4096
"""Points that are held at once while a series is written."""

_ODD = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
_NAMES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class Summing:
    """What each metric comes to, in the order of first appearance, while its points come in."""

    def __init__(self, state: Mapping[str, Sequence[Any]] | None = None) -> None:
        """`state`: what an earlier one's `state` said, from where this one goes on."""
        self._found = {
            name: [*(_number(value) for value in item[:3]), item[3], item[4]] for name, item in (state or {}).items()
        }

    def add(self, points: Iterable[Point]) -> None:
        """Take more points."""
        found = self._found
        for name, value, step, _, rank in points:
            if rank:
                name = ranked_name(name, rank)
            known = found.get(name)
            if known is None:
                found[name] = [value, value, value, 1, step]
                continue
            known[0], known[4] = value, step
            known[3] += 1
            if value < known[1] or known[1] != known[1]:
                known[1] = value
            if value > known[2] or known[2] != known[2]:
                known[2] = value

    def summaries(self) -> dict[str, MetricSummary]:
        """`last` and `last_step` are those of the last point. NaN counts, and is the minimum or maximum only where
        there is nothing else. What is not finite is written as in the machine interface. Names: `ranked.py`."""
        return {
            name: MetricSummary(plain(last), plain(low), plain(high), count, last_step)
            for name, (last, low, high, count, last_step) in in_the_first_place(self._found).items()
        }

    def state(self) -> dict[str, list[Any]]:
        """The sums so far as JSON can hold them."""
        return {name: [plain(value) for value in known] for name, known in self._found.items()}


def summarise(points: Iterable[Point]) -> dict[str, MetricSummary]:
    """What each metric comes to; reads the points once."""
    summing = Summing()
    summing.add(points)
    return summing.summaries()


def encode_blocks(points: Iterable[Point], summing: Summing) -> Iterator[bytes]:
    """The points as canonical JSON lines, some thousands a block; they are summed up on their way."""
    rest = iter(points)
    while batch := list(islice(rest, BATCH)):
        summing.add(batch)
        yield encode_series(batch)


def encode_series(points: Iterable[Point]) -> bytes:
    """The points as canonical JSON lines."""
    names: dict[str, str] = {}
    lines: list[str] = []
    for key, value, step, at, rank in points:
        name = names.get(key)
        if name is None:
            name = names[key] = canonical_json(key).decode()
        if rank is not None:
            lines.append(f"[{name},{_text(step)},{_text(value)},{_text(at)},{rank}]\n")
        elif type(step) is int and type(at) is float and value - value == 0 == at - at:  # nearly all of a long series
            lines.append(f"[{name},{step},{value!r},{at!r}]\n")
        else:
            lines.append(f"[{name},{_text(step)},{_text(value)},{_text(at)}]\n")
    return "".join(lines).encode()


def decode_series(data: bytes) -> list[Point]:
    """The points of `encode_series`. Raises ValueError if the bytes are none."""
    return list(_decode(data.splitlines()))


def points_of(data: bytes, name: str) -> list[Point]:
    """The points of one metric. Raises ValueError if the bytes are no series."""
    return list(series_points([data], name))


def series_points(blocks: Iterable[bytes], name: str) -> Iterator[Point]:
    """The points of one metric of a series given in blocks cut anywhere; the lines of others are not decoded."""
    start = b"[" + canonical_json(name) + b","
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from _decode([line for line in lines if line.startswith(start)])
    yield from _decode([rest] if rest.startswith(start) else [])


def all_points(blocks: Iterable[bytes]) -> Iterator[Point]:
    """Every point of a series given in blocks cut anywhere, in the order logged."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from _decode(lines)
    yield from _decode([rest] if rest else [])


def _decode(lines: Sequence[bytes]) -> Iterator[Point]:
    """The points of some lines, which are parsed as one text: that takes half the time."""
    rows = json.loads(b"[%b]" % b",".join(lines))
    if len(rows) != len(lines):
        raise ValueError("not a series: a line holds more than one point")
    for row in rows:
        try:
            name, step, value, at, *rank = row
            yield Point(name, value if type(value) is float else _number(value), _NAMES.get(step, step), at, *rank)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a point of a series: {row!r}") from error


def _number(value: Any) -> float:
    """A number as it was before `plain`. Raises KeyError or TypeError."""
    return _NAMES[value] if isinstance(value, str) else float(value)


def _text(value: float | None) -> str:
    """A number as canonical JSON writes it."""
    if value is None:
        return "null"
    text = repr(value)
    return _ODD.get(text, text)
