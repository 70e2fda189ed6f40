"""Arrays of two files, cell against cell, in blocks: the rules of `measuring.py` for many numbers at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding
from mltrack.compare.contents.measuring import Tally, plain, summary
from mltrack.verdicts import Measure

Array = Any
"""A numpy array: numpy is imported only where one is at hand."""

Where = Callable[[int], str]
"""Names the i-th cell of a block."""


AT_ONCE = 1 << 20
"""Cells that are looked at together: where all of them differ, that takes many times their own memory."""


class Cells(Tally):
    """A tally of blocks: one-dimensional arrays of the same length and type, in the machine's order of bytes."""

    def add(self, a: Array, b: Array, where: Where) -> None:
        """Count a block, or a whole array. The fields of structured elements are cells of their own."""
        if a.dtype.names is not None:
            for name in a.dtype.names:
                x, y = a[name], b[name]
                self.add(x.reshape(-1), y.reshape(-1), _field(where, name, x.size // max(len(a), 1)))
            return
        for start in range(0, len(a), AT_ONCE):
            end = start + AT_ONCE
            self._add_block(a[start:end], b[start:end], lambda i, start=start: where(start + i))  # type: ignore[misc]

    def _add_block(self, a: Array, b: Array, where: Where) -> None:
        changed = _changed(a, b)
        self.equal(len(a) - changed.size)
        if not changed.size:
            return
        first = where(int(changed[0]))
        if a.dtype.kind in "biufc":
            self._far(a[changed], b[changed], lambda i: where(int(changed[i])))
        else:
            self.opaque(changed.size, first)

    def opaque(self, changed: int, where: str) -> None:
        """Count changed cells that are no numbers; `where` names the first of them."""
        self._several(changed, ("NaN", "NaN"), where)

    def include(self, measure: Measure, place: str) -> None:
        """Count what another file measured; `place` is its name."""
        self.equal(measure.cells - measure.changed)
        if measure.changed:
            apart = ("NaN" if each is None else each for each in (measure.largest, measure.largest_relative))
            self._several(measure.changed, (next(apart), next(apart)), joined(place, measure.where))

    def _several(self, changed: int, apart: tuple[float | str, float | str], where: str) -> None:
        """Changed cells, by the largest distance among them and the largest relative one."""
        self.equal(changed - 1)
        self.changed += changed - 1
        self.apart(*apart, where, (None, None))

    def _far(self, a: Array, b: Array, where: Where) -> None:
        import numpy as np

        apart = _apart(a, b)
        at = int(np.argmax(apart))  # the first NaN, if there is one
        with np.errstate(all="ignore"):
            relative = apart / np.abs(a.astype(np.complex128 if a.dtype.kind == "c" else np.float64))
        relative[np.isinf(apart)] = np.inf
        self._several(len(a), (_said(apart[at]), _said(relative[int(np.argmax(relative))])), where(at))


def joined(place: str, where: str | None) -> str:
    """`weights` and `[2, 7]` -> `weights[2, 7]`; `log.csv` and `row 3` -> `log.csv, row 3`."""
    if not where:
        return place
    return place + where if where.startswith("[") else f"{place}, {where}"


def measured(cells: Cells, only: str, unit: str = "value") -> Finding:
    """The finding of files with the same cells. `only` says what differs where no cell does."""
    if not cells.changed:
        return Finding(EQUIVALENT, only)
    measure = cells.measure()
    return Finding(DIFFERENT, summary(measure, unit), measure)


def _changed(a: Array, b: Array) -> Array:
    """The places where two blocks differ in their value."""
    import numpy as np

    if a.dtype.kind == "f":
        return np.flatnonzero(~_same(a, b))
    if a.dtype.kind == "c":
        return np.flatnonzero(~(_same(a.real, b.real) & _same(a.imag, b.imag)))
    if a.dtype.kind in "iu":
        return np.flatnonzero(a != b)
    width = a.dtype.itemsize
    x, y = (np.ascontiguousarray(block).view(np.uint8).reshape(len(block), width) for block in (a, b))
    return np.flatnonzero((x != y).any(axis=1))


def _same(a: Array, b: Array) -> Array:
    import numpy as np

    return (a == b) | (np.isnan(a) & np.isnan(b))


def _apart(a: Array, b: Array) -> Array:
    """The absolute differences as float64; NaN where one of the two is NaN."""
    import numpy as np

    kind = a.dtype.kind
    if kind == "b":
        return np.ones(len(a))  # those that differ: a byte that is neither 0 nor 1 is another value, too
    if kind in "iu":  # the wrapped difference of the larger and the smaller is right for 64 bits too
        return (np.maximum(a, b).astype(np.uint64) - np.minimum(a, b).astype(np.uint64)).astype(np.float64)
    narrow, wide = (np.float64, np.longdouble) if kind == "f" else (np.complex128, np.clongdouble)
    kept = wide if a.dtype.itemsize > np.dtype(narrow).itemsize else narrow
    with np.errstate(all="ignore"):
        return np.abs(a.astype(kept) - b.astype(kept)).astype(np.float64)


def _said(value: Any) -> float | str:
    return "NaN" if math.isnan(value) else plain(float(value))


def _field(where: Where, name: str, width: int) -> Where:
    """Names the cells of one field; there are `width` of them in an element."""
    return lambda i: f"{where(i // width)}.{name}" + (f"[{i % width}]" if width > 1 else "")
