"""Comparator of NumPy's .npy files: their values, streamed; the order in memory and of bytes may differ.

Object arrays hold pickles and are never opened.
"""

from __future__ import annotations

import ast
from typing import Any, BinaryIO

from mltrack.compare.comparators import (
    DIFFERENT,
    LARGEST_IN_MEMORY,
    Around,
    Content,
    Finding,
    Unreadable,
)
from mltrack.compare.contents.cells import Array, Cells, measured
from mltrack.compare.contents.inner import BLOCK, careful, read_fully, refusing
from mltrack.nouns import noun

WHAT = "the order of an array in memory and of its bytes, and its header's layout"

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 1 << 20

ONLY_LAYOUT = "only its header is laid out differently"
ONLY_BITS = "only the signs of zeros or the bits of NaNs differ"


@noun
class Header:
    """What a .npy file says of itself. `kind` is its numpy.dtype."""

    kind: Any
    shape: tuple[int, ...]
    fortran: bool
    start: int
    """Where the values begin."""

    @property
    def cells(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count


def fits(name: str, head: bytes) -> bool:
    """A .npy file is known by its first bytes."""
    return head.startswith(MAGIC)


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Value against value, where shape and type are the same."""
    with careful(a.open) as f, careful(b.open) as g:
        then, now = read_header(f, a.size), read_header(g, b.size)
        if then.shape != now.shape:
            return Finding(DIFFERENT, f"its shape is {now.shape}, and was {then.shape}")
        if then.kind.newbyteorder("=") != now.kind.newbyteorder("="):
            return Finding(DIFFERENT, f"its values are {now.kind}, and were {then.kind}")
        if then.kind == now.kind and then.fortran == now.fortran:
            return stream(f, g, then)
        return rearranged(f, g, then, now)


def read_header(file: BinaryIO, size: int) -> Header:
    """The header of a .npy file of `size` bytes. Raises Unreadable; what numpy could not read without a pickle, too."""
    start = read_fully(file, 8)
    version = start[6:]
    width = 2 if version == b"\1\0" else 4
    if not start.startswith(MAGIC) or version not in (b"\1\0", b"\2\0", b"\3\0"):
        raise Unreadable("it is no .npy file of a known version")
    length = int.from_bytes(read_fully(file, width), "little")
    if length > LONGEST_HEADER:
        raise Unreadable("its header is too long")
    text = read_fully(file, length)
    if len(text) < length:
        raise Unreadable("it is cut off")
    header = refusing(lambda: _parsed(text.decode("utf-8" if version == b"\3\0" else "latin-1"), 8 + width + length))
    if header.start + header.cells * header.kind.itemsize != size:
        raise Unreadable("its length is not what its header says")
    return header


def _parsed(text: str, start: int) -> Header:
    from numpy.lib.format import descr_to_dtype

    said = ast.literal_eval(text.strip(" \n"))
    if not isinstance(said, dict) or set(said) != {"descr", "fortran_order", "shape"}:
        raise Unreadable("its header is not one of a .npy file")
    shape, fortran = said["shape"], said["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise Unreadable("its shape is not one of an array")
    kind = descr_to_dtype(said["descr"])
    if kind.hasobject:
        raise Unreadable("it holds Python objects as a pickle, which is never opened")
    if not kind.itemsize or not isinstance(fortran, bool):
        raise Unreadable("its type is not one of an array")
    return Header(kind, shape, fortran and len(shape) > 1, start)


def stream(f: BinaryIO, g: BinaryIO, header: Header) -> Finding:
    """Both in the same order of the same type: block against block, from where the values begin."""
    import numpy as np

    cells, kind = Cells(), header.kind
    native, order = kind.newbyteorder("="), "F" if header.fortran else "C"
    at, step = 0, max(BLOCK // kind.itemsize, 1)
    same_bits = True
    while at < header.cells:
        count = min(step, header.cells - at)
        left, right = (read_fully(file, count * kind.itemsize) for file in (f, g))
        if min(len(left), len(right)) < count * kind.itemsize:
            raise Unreadable("it is cut off")
        if left == right:
            cells.equal(count * cells_in(kind))
        else:
            same_bits = False
            x, y = (np.frombuffer(data, kind).astype(native, copy=False) for data in (left, right))
            cells.add(x, y, lambda i, at=at: place(at + i, header.shape, order))  # type: ignore[misc]
        at += count
    return measured(cells, ONLY_LAYOUT if same_bits else ONLY_BITS)


def rearranged(f: BinaryIO, g: BinaryIO, then: Header, now: Header) -> Finding:
    """In another order in memory, or of bytes: in memory as a whole, where it fits."""
    import numpy as np

    if then.cells * then.kind.itemsize > LARGEST_IN_MEMORY:
        raise Unreadable("its values are in another order, and too many to be put in one")
    arrays: list[Array] = []
    for file, header in ((f, then), (g, now)):
        data = np.frombuffer(read_fully(file, header.cells * header.kind.itemsize), header.kind)
        shaped = data.reshape(header.shape, order="F" if header.fortran else "C")
        arrays.append(np.ascontiguousarray(shaped).reshape(-1).astype(header.kind.newbyteorder("=")))
    cells = Cells()
    cells.add(arrays[0], arrays[1], lambda i: place(i, then.shape, "C"))
    return measured(cells, "only the order of its values in memory differs")


def place(flat: int, shape: tuple[int, ...], order: str = "C") -> str:
    """The cell with a number in memory: `[2, 7]`."""
    index = []
    for length in shape if order == "F" else reversed(shape):
        flat, rest = divmod(flat, length)
        index.append(rest)
    return str(index if order == "F" else index[::-1])


def cells_in(kind: Any) -> int:
    """How many cells an element of a numpy.dtype has."""
    if kind.subdtype is not None:
        base, shape = kind.subdtype
        count = cells_in(base)
        for length in shape:
            count *= length
        return count
    if kind.names is None:
        return 1
    return sum(cells_in(kind[name]) for name in kind.names)
