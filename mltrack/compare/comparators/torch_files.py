"""PyTorch's zip files, for `zip_files.py`: the tensors' bytes beside a pickle that is never opened.

All members lie in one directory, named after the file that was saved: it may differ, and so may the id that PyTorch
draws when it saves. Which numbers a storage holds is read off the pickle's opcodes, without running any of them.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, IDENTICAL, Content, Finding
from mltrack.compare.contents.cells import Cells, measured
from mltrack.compare.contents.contents import same_bytes, whole
from mltrack.compare.contents.inner import BLOCK, read_fully
from mltrack.compare.contents.members import Judge
from mltrack.compare.contents.numeric_types import BITS, decoded
from mltrack.nouns import noun

T = TypeVar("T")

LARGEST_PICKLE = 64 << 20

KINDS = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "ComplexFloatStorage": "C64",
}
"""PyTorch's names of storages, of those whose numbers are read."""


def is_torch(names: Iterable[str]) -> bool:
    """Do all members lie in one directory, with a `data.pkl` at its top?"""
    names = list(names)
    tops = {name.partition("/")[0] for name in names}
    return len(tops) == 1 and f"{tops.pop()}/data.pkl" in names


def without_top(members: Mapping[str, T]) -> dict[str, T]:
    """The same by their names below the one directory."""
    return {name.partition("/")[2]: member for name, member in members.items()}


def judge_torch(contents: list[dict[str, Content]], judge: Judge) -> Judge:
    """A judge of the members of two PyTorch files: `contents` are all members of each, without their top."""
    known = cache(lambda: [_storages(each["data.pkl"]) for each in contents])

    def judged(name: str, a: Content, b: Content) -> Finding:
        found = judge(name, a, b) if name != "data.pkl" else _by_bytes(a, b)
        if found.grade == IDENTICAL:
            return found
        if name == ".data/serialization_id":
            return Finding(EQUIVALENT, "only the id of this saving")
        if name.startswith("data/"):
            then, now = (each.get(name.removeprefix("data/")) for each in known())
            measured_one = _measured(a, b, then) if then is not None and then == now else None
            return measured_one or Finding(DIFFERENT, "its bytes differ")
        return found

    return judged


@noun
class Storage:
    """What a pickle says of the bytes of a tensor."""

    kind: str
    """PyTorch's name of their class."""
    tensor: str
    """The key under which the first tensor of it stands; empty where that is not plain."""


def storages(pickle: bytes) -> dict[str, Storage]:
    """Each storage that a pickle refers to by its key, as far as its opcodes tell plainly. None of them is run."""
    found: dict[str, Storage] = {}
    memo: dict[int, Any] = {}
    items: list[Any] = []
    tensor = ""
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name == "MARK":
            items = []
        elif opcode.name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = items[-1] if items else None
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            tensor = _key_before(memo.get(int(argument or 0)), items, tensor)
            items.append(memo.get(int(argument or 0)))
        elif opcode.name == "GLOBAL":
            tensor = _key_before(("global", argument), items, tensor)
            items.append(("global", argument))
        elif opcode.name == "TUPLE":
            items = [tuple(items)]
        elif opcode.name == "BINPERSID":
            _note(items[-1] if items else None, tensor, found)
            items, tensor = [], ""
        else:
            items.append(argument)
    return found


def _key_before(item: Any, items: list[Any], tensor: str) -> str:
    """The text that stands before the function that builds a tensor: its key in a dictionary."""
    if isinstance(item, tuple) and item[0] == "global" and str(item[1]).startswith("torch._utils _rebuild_tensor"):
        return items[-1] if items and isinstance(items[-1], str) else ""
    return tensor


def _note(item: Any, tensor: str, found: dict[str, Storage]) -> None:
    """A reference to a storage: ("storage", class, key, device, length)."""
    if isinstance(item, tuple) and len(item) == 5 and item[0] == "storage" and isinstance(item[1], tuple):
        found.setdefault(str(item[2]), Storage(str(item[1][1]).rpartition(" ")[2], tensor[:80]))


def _storages(pickle: Content) -> dict[str, Storage]:
    """Those whose numbers can be read; none where the opcodes are damaged."""
    try:
        found = storages(whole(pickle, LARGEST_PICKLE))
    except Exception:  # pickletools raises nearly anything; then nothing is measured
        return {}
    return {key: storage for key, storage in found.items() if storage.kind in KINDS}


def _measured(a: Content, b: Content, storage: Storage) -> Finding | None:
    """The finding of two storages; None where their length is not that of such numbers."""
    kind, named = KINDS[storage.kind], f" ({storage.tensor})" if storage.tensor.isprintable() and storage.tensor else ""
    width = BITS[kind] // 8
    if a.size != b.size or a.size % width:
        return None
    cells, at = Cells(), 0
    with a.open() as f, b.open() as g:
        while left := read_fully(f, BLOCK):
            right = read_fully(g, len(left))
            cells.add(decoded(left, kind), decoded(right, kind), lambda i, at=at: f"[{at + i}]{named}")  # type: ignore[misc]
            at += len(left) // width
    return measured(cells, "only the signs of zeros or the bits of NaNs")


def _by_bytes(a: Content, b: Content) -> Finding:
    if same_bytes(a, b):
        return Finding(IDENTICAL, "the same bytes")
    return Finding(DIFFERENT, "this pickle differs, and is never opened")
