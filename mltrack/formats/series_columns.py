"""A series as columns of numbers: steps, values, times of one metric, as numpy arrays, straight from its text.

`formats/series.py` says what the text is. A million points take a tenth of a second, where a million `Point`s take
two; that is what a plot needs. Pure: opens no file.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from mltrack.digest import canonical_json
from mltrack.formats.number_texts import PAD, floats
from mltrack.nouns import noun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy

    from mltrack.formats.metrics import Point

    Array = numpy.ndarray[Any, Any]

T = TypeVar("T")
COMMA, END = 44, 10
PIECE = 1 << 21
"""Bytes that are looked at together: what stays in a processor's cache is several times as fast."""
BEFORE, BEHIND = bytes(PAD - 1) + b"\n", bytes(PAD)
FEW, THREADS = 4, 2
"""Pieces from which on threads are worth their start, and how many there are."""
COLUMNS = ("steps", "values", "times")


@noun
class Columns:
    """The points of one metric in the order logged. A column that was not asked for is empty.

    `steps` and `times` (seconds since 1970) are NaN where a point has none.
    """

    steps: Array
    values: Array
    times: Array
    ranks: Array | None = None
    """Who logged each; None where none says."""

    def __len__(self) -> int:
        return len(self.values)


def read_columns(blocks: Iterable[bytes], names: Sequence[str], wanted: Sequence[str] = COLUMNS) -> dict[str, Columns]:
    """The points of some metrics of a series that is given in blocks cut anywhere; a name without points is left out.

    `wanted`: which columns; `values` always are. Raises ValueError if the bytes are no series.
    """
    parts: dict[str, list[list[Array]]] = {name: [] for name in names}
    for own in in_turn(lambda piece: Lines.of(piece).all_columns(names, wanted), whole_lines(blocks)):
        for name, found in own.items():
            parts[name].append(found)
    return {name: joined(parts.pop(name)) for name in names if parts[name]}


def in_turn(work: Callable[[bytes], T], pieces: Iterator[bytes]) -> Iterator[T]:
    """What comes of the pieces, in their order; of many, several at once: numpy lets other threads work meanwhile."""
    first = list(islice(pieces, FEW))
    if len(first) < FEW:
        yield from map(work, first)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS) as pool:
        waiting = deque(pool.submit(work, piece) for piece in first)
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            while len(waiting) > 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def columns_of(points: Iterable[Point]) -> Columns:
    """Points that are Python objects already, as those of a live run are."""
    import numpy as np

    known = list(points)
    nan = float("nan")
    ranks = np.array([point.rank or 0 for point in known]) if any(point.rank for point in known) else None
    return Columns(
        np.array([nan if point.step is None else as_float(point.step) for point in known], np.float64),
        np.array([point.value for point in known], np.float64),
        np.array([nan if point.at is None else point.at for point in known], np.float64),
        ranks,
    )


def as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks cut again so that each ends with a line and is neither large nor tiny, with room around for `floats`.

    What comes before is a line end, so that every line begins behind one.
    """
    rest: list[bytes | memoryview] = []
    size = 0
    for block in blocks:
        view = memoryview(block)
        for start in range(0, len(block), PIECE):
            end = min(start + PIECE, len(block))
            cut = block.rfind(b"\n", start, end) + 1
            if not cut or size + end - start < PIECE // 2:
                rest.append(view[start:end])
                size += end - start
                continue
            yield b"".join((BEFORE, *rest, view[start:cut], BEHIND))
            rest, size = [view[cut:end]], end - cut
    last = b"".join(rest)
    if last:
        yield b"".join((BEFORE, last, b"" if last.endswith(b"\n") else b"\n", BEHIND))


def joined(parts: list[list[Array]]) -> Columns:
    """Parts of the columns as one; what some parts lack (ranks) is 0 there."""
    import numpy as np

    steps, values, times = (np.concatenate([part[place] for part in parts]) for place in range(3))
    if all(len(part) == 3 for part in parts):
        return Columns(steps, values, times)
    ranks = [part[3] if len(part) > 3 else np.zeros(len(part[1])) for part in parts]
    return Columns(steps, values, times, np.concatenate(ranks))


class Lines:
    """Some whole lines of a series, and where their fields end."""

    def __init__(self, data: bytes, ends: Array, lines: Array) -> None:
        self.data = data
        self.ends = ends
        """Places of commas and line ends."""
        self.lines = lines
        """Which of `ends` are line ends."""

    @classmethod
    def of(cls, data: bytes) -> Lines:
        """`data`: a piece of `whole_lines`."""
        import numpy as np

        signs = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero((signs == COMMA) | (signs == END))
        return cls(data, ends, np.flatnonzero(signs[ends] == END))

    def all_columns(self, names: Sequence[str], wanted: Sequence[str]) -> dict[str, list[Array]]:
        """Name -> what `columns` gives, for those that have a point here."""
        found = {name: self.columns(name, wanted) for name in names}
        return {name: own for name, own in found.items() if own is not None}

    def columns(self, name: str, wanted: Sequence[str]) -> list[Array] | None:
        """Steps, values, times of a metric, and ranks where there are any. None where it has no point here."""
        import numpy as np

        start = b"[" + canonical_json(name) + b","
        own = self.own(start)
        if not len(own):
            return None
        commas = start.count(b",")
        first = self.lines[own] + commas  # in `ends`: the comma behind the name
        fields = self.lines[own + 1] - first
        if not ((fields == 3) | (fields == 4)).all():
            raise ValueError("not a series: a line holds no point")
        places = [self.ends[first + place] for place in range(3)]
        has_rank = fields == 4
        last = np.where(has_rank, self.ends[first + 3], self.ends[first + 3] - 1)  # before the bracket, without one
        found = [
            self.numbers(places[0], places[1], "steps" in wanted),
            self.numbers(places[1], places[2], True),
            self.numbers(places[2], last, "times" in wanted),
        ]
        if has_rank.any():
            ranks = np.zeros(len(own))
            ranked = np.flatnonzero(has_rank)
            ranks[ranked] = floats(self.data, last[ranked] + 1, self.ends[first[ranked] + 4] - 1)
            found.append(ranks)
        return found

    def numbers(self, before: Array, after: Array, is_wanted: bool) -> Array:
        import numpy as np

        return floats(self.data, before + 1, after) if is_wanted else np.empty(0)

    def own(self, start: bytes) -> Array:
        """Which lines begin so."""
        import numpy as np

        begins = self.ends[self.lines[:-1]] + 1
        padded = start.ljust(-(-len(start) // 8) * 8, b"\0")
        words: Array = np.ndarray((len(self.data) - 7,), "<u8", self.data, strides=(1,))
        found = np.arange(len(begins))
        found = found[begins + len(start) < len(self.data) - PAD]
        for place in range(0, len(start), 8):
            wanted = np.frombuffer(padded, "<u8", 1, place)[0]
            rest = min(8, len(start) - place)
            mask = np.uint64((1 << 8 * rest) - 1)
            found = found[(words[begins[found] + place] & mask) == wanted]
        return found
