from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.store import chunks
from mltrack.store.chunks import LARGEST, MIB, SINGLE, SMALLEST, cut, split
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))

VECTOR = [
    588426, 1123436, 1135113, 545058, 982086, 804757, 613407, 805071, 170268, 389722, 550546, 654616, 1151541, 555576,
    496335, 1160186, 659785, 496480, 668710, 680344, 2097152, 448601,
]  # fmt: skip
"""Part of the format, see docs/reference/format-store.md: the chunks of BLAKE3's output over b"mltrack", 16 MiB."""


def sizes(data: bytes) -> list[int]:
    return [len(chunk) for chunk in split([data])]


def test_the_cuts_of_the_format_are_pinned():
    assert sizes(noise(16 * MIB)) == VECTOR


def test_zeros_are_cut_at_the_largest_size():
    assert sizes(bytes(5 * MIB)) == [2097152, 2097152, 1048576]


def test_up_to_one_mebibyte_is_one_chunk():
    assert sizes(b"") == [0]
    assert sizes(noise(SINGLE)) == [SINGLE]
    assert sum(sizes(noise(SINGLE + 1))) == SINGLE + 1


def test_every_chunk_but_the_last_has_a_size_within_the_bounds():
    found = sizes(noise(64 * MIB))
    assert all(SMALLEST <= size <= LARGEST for size in found[:-1])
    assert 0.5 * MIB < sum(found) / len(found) < 1.0 * MIB


DATA = noise(24 * MIB, b"stream")
WHOLE = sizes(DATA)


@settings(max_examples=12 * SOAK, deadline=None)
@given(st.lists(st.integers(1, 9 * MIB), max_size=40))
def test_a_stream_is_cut_alike_whatever_its_blocks(lengths: list[int]):
    blocks, at = [], 0
    for length in lengths:
        blocks.append(DATA[at : at + length])
        at += length
    blocks.append(DATA[at:])
    assert [len(chunk) for chunk in split(blocks)] == WHOLE


def test_the_chunks_are_the_stream():
    assert b"".join(split([DATA[:5], DATA[5 : 9 * MIB], DATA[9 * MIB :]])) == DATA


def test_an_uncertain_end_is_left_for_later():
    assert cut(memoryview(DATA)[: LARGEST - 1], last=False) == []
    some = cut(memoryview(DATA), last=False)
    assert some == WHOLE[: len(some)] and len(DATA) - sum(some) < LARGEST


def test_edits_and_insertions_share_nearly_all_chunks():
    """Ten versions of a file, each with 1% edited in the middle and 1% inserted: little more than the new bytes."""
    data = noise(64 * MIB, b"versions")
    part = len(data) // 100
    known: dict[bytes, int] = {}
    total = 0
    for version in range(10):
        if version:
            middle, front = len(data) // 2 + version * part, version * 5 * part
            data = data[:middle] + noise(part, b"edit%d" % version) + data[middle + part :]
            data = data[:front] + noise(part, b"insert%d" % version) + data[front:]
        total += len(data)
        known.update((bytes(chunk[:64]) + bytes(chunk[-64:]), len(chunk)) for chunk in split([data]))
    least = (64 * MIB + 9 * 2 * part) / total
    # At this eighth of the size of the benchmark's file the borders of an edit weigh eight times as much.
    assert sum(known.values()) / total < least + 0.08


def test_the_library_in_use_is_the_compiled_one():
    """Its Python twin would make storing large files slower than the network."""
    assert type(chunks._cutter()).__module__.startswith("pyfastcdc.cy")
