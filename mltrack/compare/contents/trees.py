"""Two trees of plain values (dicts, lists, scalars), as JSON, YAML and TOML are read, leaf by leaf.

The order of keys says nothing. Numbers are measured, strings compared by `volatile.py`, a changed type is a change.
Nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding
from mltrack.compare.comparators.text import shown
from mltrack.compare.contents.durations import remedy
from mltrack.compare.contents.measuring import Tally, summary
from mltrack.compare.contents.volatile import Volatile

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around

_LEAVES = (float, int, str, bool, type(None))
_NAMED = 3
"""Keys that a reason names."""


class Typed(str):
    """Text that its format takes for something else: a date of TOML, a plain `yes` in YAML. It equals no bare text."""


class Walk:
    """Compares trees one after another; all of one file go through one walk."""

    def __init__(self, around: Around, lines: bool = False) -> None:
        """`lines`: are the strings lines of what was printed?"""
        self.around = around
        self.volatile = Volatile(around, lines)
        self.tally = Tally()
        self.shapes: list[str] = []
        """Where keys or elements came or went: the first of them."""
        self.more_shapes = 0
        self.left_out: dict[str, None] = {}
        """Keys that the project leaves out, in their order."""

    def compare(self, a: Any, b: Any, where: str = "") -> None:
        """Walk through two trees; `where` is the path to them. Not recursive: a tree may be deep."""
        waiting: list[Iterator[tuple[Any, Any, str]]] = [iter([(a, b, where)])]
        while waiting:
            pair = next(waiting[-1], None)
            if pair is None:
                waiting.pop()
                continue
            one, other, at = pair
            if isinstance(one, dict) and isinstance(other, dict):
                waiting.append(self._mappings(one, other, at))
            elif isinstance(one, list) and isinstance(other, list):
                waiting.append(self._lists(one, other, at))
            else:
                self._leaf(one, other, at)

    def _mappings(self, a: dict[str, Any], b: dict[str, Any], at: str) -> Iterator[tuple[Any, Any, str]]:
        left_out = self._left_out({**a, **b}, at) if self.around.ignore else set()
        for keys, told in ((a.keys() - b.keys() - left_out, "gone"), (b.keys() - a.keys() - left_out, "new")):
            for key in sorted(keys)[:_NAMED]:
                self._shape(f"{below(at, key)} is {told}")
            self.more_shapes += max(len(keys) - _NAMED, 0)
        yield from ((a[key], b[key], below(at, key)) for key in a if key in b and key not in left_out)

    def _left_out(self, keys: Iterable[str], at: str) -> set[str]:
        found = {
            key for key in keys if is_named(self.around.ignore, key) or is_named(self.around.ignore, below(at, key))
        }
        self.left_out |= dict.fromkeys(sorted(found))
        return found

    def _shape(self, told: str) -> None:
        if len(self.shapes) < _NAMED:
            self.shapes.append(told)
        else:
            self.more_shapes += 1

    def _lists(self, a: Sequence[Any], b: Sequence[Any], at: str) -> Iterator[tuple[Any, Any, str]]:
        if len(a) != len(b):
            self._shape(f"{at or 'the list'} had {len(a):,} elements, has {len(b):,}")
        for i, (one, other) in enumerate(zip(a, b)):
            if type(one) is type(other) and type(one) in _LEAVES and one == other:
                self.tally.equal()  # paths are made up only for what differs: a list may have millions of numbers
            else:
                yield one, other, f"{at}[{i}]"

    def _leaf(self, a: Any, b: Any, at: str) -> None:
        at = at or "the value"
        if is_number(a) and is_number(b):
            if a != b and self.volatile.are_labelled(label_of(at), repr(a), repr(b)):
                self.tally.equal()
            else:
                self.tally.numbers(a, b, at)
        elif type(a) is type(b) and (a == b or (isinstance(a, str) and self._alike(a, b, at))):
            self.tally.equal()
        else:
            self.tally.others(a, b, at)

    def _alike(self, a: str, b: str, at: str) -> bool:
        return self.volatile.alike(a, b) or self.volatile.are_labelled(label_of(at), a, b)

    def finding(self, others: str = "the order of keys or the layout differs") -> Finding:
        """What they come to; `others` says what differs in the bytes where no value does."""
        if self.shapes:
            more = f" and {self.more_shapes:,} more" if self.more_shapes else ""
            changed = f"; {summary(self.tally.measure())}" if self.tally.changed else ""
            return Finding(DIFFERENT, f"{', '.join(self.shapes)}{more}{changed}")
        if self.tally.changed:
            measure = self.tally.measure()
            return Finding(DIFFERENT, changes(self.tally) + remedy(self.around, label_of(measure.where or "")), measure)
        passed = [self.volatile.told()] if self.volatile.kinds else []
        passed += [excused(self.left_out)] if self.left_out else []
        return Finding(EQUIVALENT, "; ".join(passed) or f"only {others}, no value")


def excused(names: Iterable[str]) -> str:
    """What to say of keys or columns that the project leaves out."""
    found = list(names)
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"verdict.ignore leaves out {', '.join(found[:_NAMED])}{more}"


def is_named(patterns: Sequence[str], name: str) -> bool:
    """Do the project's patterns of keys or columns name this one?"""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def changes(tally: Tally, unit: str = "value") -> str:
    """What differs, with the recorded and the new value where one is no number."""
    told = summary(tally.measure(), unit)
    if isinstance(tally.largest, float):
        return told
    one, other = (shown(value if isinstance(value, str) else repr(value)) for value in tally.pair)
    kinds = f"{', another type' if one == other else ''}"
    return f"{told}: {one} then, {other} now{kinds}"


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def below(at: str, key: str) -> str:
    """The path of a key: `model.lr`, `model["a key"]`."""
    name = key if key.isidentifier() else None
    if name is None:
        return f"{at}[{shown(key)}]"
    return f"{at}.{name}" if at else name


def label_of(at: str) -> str:
    """The last key of a path, which may say what a value is: `start_time` of `jobs[2].start_time`."""
    return at.split("[")[-1].strip('"]') if at.endswith('"]') else at.rpartition(".")[2].partition("[")[0]
