"""Comparator of safetensors files: tensors by name, streamed; the order of the header and its metadata may differ."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Around, Content, Finding, Unreadable
from mltrack.compare.comparators.arrays import place
from mltrack.compare.contents.cells import Cells
from mltrack.compare.contents.inner import BLOCK, careful, read_fully, refusing, seekable
from mltrack.compare.contents.measuring import summary
from mltrack.compare.contents.numeric_types import BITS, decoded
from mltrack.nouns import noun

WHAT = "the order of tensors, and the metadata in the header"

LONGEST_HEADER = 100_000_000
"""Bytes; what the format's own reader allows."""


@noun
class Tensor:
    kind: str
    shape: tuple[int, ...]
    start: int
    """In bytes from the beginning of the file, as `end`."""
    end: int


def fits(name: str, head: bytes) -> bool:
    """By name, or where a header of a plausible length begins as one."""
    plausible = 2 <= int.from_bytes(head[:8], "little") <= LONGEST_HEADER
    return name.lower().endswith(".safetensors") or (plausible and head[8:10] == b'{"' and b'"data_offsets"' in head)


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Tensor against tensor, by name."""
    a, b = seekable(a, around.depth), seekable(b, around.depth)
    with careful(a.open) as f, careful(b.open) as g:
        (then, told_then), (now, told_now) = read_header(f, a.size), read_header(g, b.size)
        if gone := then.keys() ^ now.keys():
            return Finding(DIFFERENT, f"{len(gone)} of its tensors are on one side only: {min(gone)!r}")
        for name, tensor in then.items():
            other = now[name]
            if (tensor.kind, tensor.shape) != (other.kind, other.shape):
                before, after = (f"{each.kind} {list(each.shape)}" for each in (tensor, other))
                return Finding(DIFFERENT, f"its tensor {name!r} is {after}, and was {before}")
        cells, differing = Cells(), 0
        for name, tensor in sorted(then.items(), key=lambda item: item[1].start):
            differing += add_tensor(cells, (f, g), (tensor, now[name]), name)
    if cells.changed:
        measure = cells.measure()
        return Finding(DIFFERENT, f"{differing} of {len(then)} tensors differ: {summary(measure)}", measure)
    return Finding(EQUIVALENT, _only(told_then, told_now))


def read_header(file: BinaryIO, size: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Its tensors by name, and its metadata. Raises Unreadable where the tensors do not cover the rest exactly."""
    length = int.from_bytes(read_fully(file, 8), "little")
    if not 2 <= length <= min(LONGEST_HEADER, size - 8):
        raise Unreadable("its header is longer than the file")
    text = read_fully(file, length)
    header = refusing(lambda: json.loads(text, object_pairs_hook=_once))
    if not isinstance(header, dict):
        raise Unreadable("its header is no object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise Unreadable("its metadata is no object")
    tensors = refusing(lambda: {name: _tensor(said, 8 + length) for name, said in header.items()})
    at = 8 + length
    for tensor in sorted(tensors.values(), key=lambda each: (each.start, each.end)):
        if tensor.start != at:
            raise Unreadable("its tensors overlap, or leave gaps")
        at = tensor.end
    if at != size:
        raise Unreadable("its tensors do not end where the file does")
    return tensors, metadata


def _tensor(said: dict[str, Any], base: int) -> Tensor:
    kind, shape, (start, end) = said["dtype"], tuple(said["shape"]), said["data_offsets"]
    whole = all(type(number) is int and number >= 0 for number in (*shape, start, end))
    if set(said) != {"dtype", "shape", "data_offsets"} or kind not in BITS or not whole:
        raise Unreadable(f"it holds a tensor of an unknown kind: {str(kind)[:20]!r}")
    bits = BITS[kind]
    for length in shape:
        bits *= length
    if bits != 8 * (end - start):
        raise Unreadable("a tensor's length is not what its shape says")
    return Tensor(kind, shape, base + start, base + end)


def add_tensor(cells: Cells, files: tuple[BinaryIO, BinaryIO], pair: tuple[Tensor, Tensor], name: str) -> bool:
    """Count one tensor; does it differ?"""
    before = cells.changed
    size, bits = pair[0].end - pair[0].start, BITS[pair[0].kind]
    for file, tensor in zip(files, pair):
        file.seek(tensor.start)
    for at in range(0, size, BLOCK):
        count = min(BLOCK, size - at)
        left, right = (read_fully(file, count) for file in files)
        if min(len(left), len(right)) < count:
            raise Unreadable("it is cut off")
        first = at * 8 // bits
        if left == right:
            cells.equal(count * 8 // bits)
        elif bits < 8:
            cells.equal(count * 8 // bits - 1)  # cells of less than a byte are not counted one by one
            cells.opaque(1, name)
        else:
            x, y = (decoded(data, pair[0].kind) for data in (left, right))
            cells.add(x, y, lambda i, first=first: name + place(first + i, pair[0].shape))  # type: ignore[misc]
    return cells.changed > before


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Unreadable("its header names a key twice")
    return dict(pairs)


def _only(then: dict[str, Any], now: dict[str, Any]) -> str:
    told = sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key))
    if told:
        return f"only its metadata differs ({', '.join(repr(key) for key in told[:3])})"
    return "only the layout of its header and the order of its tensors differ"
