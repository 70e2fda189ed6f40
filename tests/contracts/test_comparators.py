"""What every comparator keeps to. A new one adds pairs to the samples, and passes all of this.

Comparators of plug-ins that are installed are among them: this suite runs from outside too.
"""

from __future__ import annotations

import os
import pickle
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack import plugins
from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, IDENTICAL, Finding, Unreadable
from mltrack.compare.contents.contents import Held, head_of
from mltrack.compare.contents.finding import compare_contents, find_comparator
from tests.compare.comparators import samples, samples_binary, samples_outside
from tests.compare.comparators.samples import AROUND, SWAPPED, Sample

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
GRADES = {IDENTICAL, EQUIVALENT, DIFFERENT}
NAMES = plugins.names("comparators")
NAMED = ["a.npy", "a.npz", "a.json", "a.csv", "a.yaml", "a.xml", "a.ipynb", "a.zip", "a.tar", "a.gz", "a.pdf", "a.png",
         "a.parquet", "a.safetensors", "a.toml", "a.jsonl", "events.out.tfevents.1.a", "a.txt", "a"]  # fmt: skip
NEVER_EQUIVALENT = {"pickle"}
"""Formats that let nothing differ."""


@cache
def pairs() -> list[Sample]:
    """All pairs; made when they are first asked for, for matplotlib and pyarrow take long to import."""
    # R's objects are always compressed: this is what their comparator is handed by that of gzip.
    one, again, other = (samples_binary.rds(4, minor, data) for minor, data in ((2, b"1"), (3, b"1"), (3, b"2")))
    inner = [("m.rds", one, again, EQUIVALENT), ("m.rds", again, other, DIFFERENT)]
    return [*samples.samples(), *samples_binary.samples(), *samples_outside.samples(NAMES), *inner]


def of(sample: Sample) -> ModuleType:
    found = find_comparator(sample[0], sample[1])
    assert found is not None
    return found


def compared(name: str, a: bytes, b: bytes, swapped: bool = False) -> Finding:
    return compare_contents(name, Held(a), Held(b), SWAPPED if swapped else AROUND)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_three_names(name: str) -> None:
    module = plugins.load("comparators", name)
    assert isinstance(module.WHAT, str) and module.WHAT
    assert module.__doc__
    assert callable(module.fits) and callable(module.compare)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_pairs_of_both_grades(name: str) -> None:
    grades = {grade for known, grade in readers() if known == name}
    assert DIFFERENT in grades, "a pair of the same format that really differs"
    assert EQUIVALENT in grades or name in NEVER_EQUIVALENT


@cache
def readers() -> list[tuple[str | None, str]]:
    """(the first comparator that fits both files and can read them, the grade) of each pair."""
    return [(reader_of(name, a, b), grade) for name, a, b, grade in pairs()]


def reader_of(name: str, a: bytes, b: bytes) -> str | None:
    for known in [*(one for one in NAMES if one != "text"), "text"]:
        module = plugins.load("comparators", known)
        if all(module.fits(name, head_of(Held(data))) for data in (a, b)):
            try:
                module.compare(Held(a), Held(b), AROUND)
            except Unreadable:
                continue
            return known
    return None


def test_every_pair_comes_to_its_grade_with_a_reason_in_one_line() -> None:
    for name, a, b, grade in pairs():
        found = compared(name, a, b)
        assert found.grade == grade, (name, found)
        assert found.reason.isprintable() and not found.reason.endswith("."), (name, found)


def test_the_grade_is_the_same_the_other_way_round() -> None:
    for name, a, b, grade in pairs():
        there, back = compared(name, a, b), compared(name, b, a, swapped=True)
        assert back.grade == grade, (name, back)
        assert (there.measure is None) == (back.measure is None), name
        if there.measure is not None and back.measure is not None:
            assert there.measure.changed == back.measure.changed, name
            assert there.measure.largest == back.measure.largest, name


def test_the_same_bytes_are_identical() -> None:
    for name, a, b, grade in pairs():
        assert compared(name, a, a).grade == IDENTICAL
        try:
            assert of((name, a, b, grade)).compare(Held(a), Held(a), AROUND).grade != DIFFERENT, name
        except Unreadable:
            continue


def test_a_measure_says_how_much_differs_and_where() -> None:
    for name, a, b, _ in pairs():
        found = compared(name, a, b)
        if found.measure is not None and found.grade == DIFFERENT:
            assert 0 < found.measure.changed <= found.measure.cells, (name, found)
            assert found.measure.largest is not None and found.measure.where, (name, found)
        if found.measure is not None and found.grade == EQUIVALENT:
            assert found.measure.changed == 0, (name, found)


@settings(max_examples=20 * SOAK, deadline=None)
@given(st.data())
def test_a_file_that_was_cut_off_is_never_the_same(data: st.DataObject) -> None:
    name, a, *_ = data.draw(st.sampled_from(pairs()))
    filled = len(a.rstrip(b"\0"))
    cut = a[: data.draw(st.integers(filled // 10, filled * 6 // 10))]
    assert compared(name, a, cut).grade == DIFFERENT
    assert compared(name, cut, a, swapped=True).grade == DIFFERENT


@settings(max_examples=80 * SOAK, deadline=None)
@given(st.data())
def test_damage_is_never_an_error(data: st.DataObject) -> None:
    name, a, b, _ = data.draw(st.sampled_from(pairs()))
    broken = bytearray(data.draw(st.sampled_from((a, b))))
    for place in data.draw(st.lists(st.integers(0, len(broken) - 1), min_size=1, max_size=4)):
        broken[place] ^= 1 << data.draw(st.integers(0, 7))
    check_quiet(name, a, bytes(broken))


@settings(max_examples=40 * SOAK, deadline=None)
@given(st.data())
def test_what_was_put_in_or_taken_out_is_never_an_error(data: st.DataObject) -> None:
    name, a, *_ = data.draw(st.sampled_from(pairs()))
    place = data.draw(st.integers(0, len(a)))
    changed = a[:place] + data.draw(st.binary(max_size=40)) + a[place + data.draw(st.integers(0, 40)) :]
    check_quiet(name, a, changed)


@settings(max_examples=40 * SOAK, deadline=None)
@given(st.sampled_from(NAMED), st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_at_all_are_never_an_error_and_not_the_same(name: str, a: bytes, b: bytes) -> None:
    check_quiet(name, a, b)


def check_quiet(name: str, a: bytes, b: bytes) -> None:
    """Each comparator by itself gives a finding or `Unreadable`; together they give a finding that is symmetric."""
    for known in NAMES:
        module = plugins.load("comparators", known)
        if all(module.fits(name, data[:4096]) for data in (a, b)):
            try:
                assert module.compare(Held(a), Held(b), AROUND).grade in GRADES
            except Unreadable as error:
                assert str(error)
    found = compared(name, a, b)
    assert found.grade in GRADES
    assert (found.grade == IDENTICAL) == (a == b)
    assert "failed with" not in found.reason
    assert compared(name, b, a, swapped=True).grade == found.grade


class Endless:
    """A large content that is nowhere: a beginning, then one block again and again."""

    def __init__(self, size: int, head: bytes, block: bytes, last: bytes = b"") -> None:
        self.size, self.parts = size, (head, block, last)

    def open(self) -> BinaryIO:
        return Repeating(self.size, *self.parts)  # type: ignore[return-value]


class Repeating:
    def __init__(self, size: int, head: bytes, block: bytes, last: bytes) -> None:
        self.left, self.waiting, self.block, self.last = size, head, block, last
        self.closed = False

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Repeating:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        while len(self.waiting) < size and self.left > 0:
            self.waiting += self.block
            self.left -= len(self.block)
            if self.left <= 0:
                self.waiting += self.last
        found, self.waiting = self.waiting[:size], self.waiting[size:]
        return found

    read1 = read

    def readline(self, limit: int = -1) -> bytes:
        if b"\n" not in self.waiting:
            self.waiting += self.read(1 << 16)
        end = self.waiting.find(b"\n") + 1 or len(self.waiting)
        found, self.waiting = self.waiting[:end], self.waiting[end:]
        return found


@pytest.mark.parametrize(
    ("name", "head", "block"),
    [
        ("train.log", b"begin\n", b"epoch 1 loss 0.25 on /srv/project %s\n" % (b"x" * 200) * 100),
        ("table.csv", b"step,loss,name\n", b"1,0.25,%s\n" % (b"x" * 200) * 100),
        ("lines.jsonl", b'{"a": 1}\n', b'{"step": 1, "loss": 0.25, "name": "%s"}\n' % (b"x" * 200) * 100),
    ],
)
def test_a_large_file_is_read_in_little_memory(name: str, head: bytes, block: bytes) -> None:
    size = (3 << 19) * min(SOAK, 50)
    a, b = Endless(size, head, block), Endless(size, head, block, block.replace(b"25", b"26"))
    compare_contents(name, Held(head), Held(head + block), AROUND)  # what is imported is not counted
    tracemalloc.start()
    try:
        found = plugins.load("comparators", "text").compare(a, b, AROUND) if name.endswith(".log") else None
        found = found or find_comparator(name, head).compare(a, b, AROUND)  # type: ignore[union-attr]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.grade == DIFFERENT
    assert peak < 1 << 20


WATCHED = {"on": False, "seen": []}


def watch(event: str, args: tuple[Any, ...]) -> None:
    if not WATCHED["on"]:
        return
    writes = event == "open" and isinstance(args[1], str) and any(mark in args[1] for mark in "wax+")
    if writes or event.startswith(
        ("socket.", "pickle.", "tempfile.", "subprocess.", "os.system", "os.exec", "shutil.")
    ):
        WATCHED["seen"].append((event, args))  # type: ignore[attr-defined]


@contextmanager
def watched() -> Iterator[list[Any]]:
    """What is done meanwhile that a comparator must not do. An audit hook cannot be taken out, only be made deaf."""
    if "hook" not in WATCHED:
        WATCHED["hook"] = True
        sys.addaudithook(watch)
    WATCHED.update(on=True, seen=[])
    try:
        yield WATCHED["seen"]  # type: ignore[misc]
    finally:
        WATCHED["on"] = False


def test_nothing_is_written_asked_of_the_network_or_unpickled() -> None:
    with watched() as seen:
        for name, a, b, _ in pairs():
            compared(name, a, b)
    assert seen == []


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    with watched() as seen:
        (tmp_path / "x").write_text("x")
        pickle.loads(pickle.dumps(Path("x")))
    assert {event for event, _ in seen} >= {"open", "pickle.find_class"}


class Bomb:
    def __init__(self, place: str) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.place, "w")


@pytest.mark.parametrize("name", [*NAMED, "m.pkl", "m.pt", "m.joblib"])
def test_a_pickle_is_never_opened(name: str, tmp_path: Path) -> None:
    place = tmp_path / "executed"
    for protocol in (0, 2, 5):
        bomb = pickle.dumps(Bomb(str(place)), protocol)
        assert compared(name, bomb, bomb.replace(b"executed", b"EXECUTED")).grade == DIFFERENT
    assert not place.exists()


def test_an_array_of_pickles_is_never_opened(tmp_path: Path) -> None:
    import io

    import numpy

    made = io.BytesIO()
    numpy.save(made, numpy.array([Bomb(str(tmp_path / "executed"))], dtype=object), allow_pickle=True)
    inner = made.getvalue()
    packed = io.BytesIO()
    numpy.savez(packed, a=numpy.array([Bomb(str(tmp_path / "executed"))], dtype=object))
    for name, data in (("a.npy", inner), ("a.npz", packed.getvalue())):
        assert compared(name, data, data[:-1] + b"x").grade == DIFFERENT
    assert not (tmp_path / "executed").exists()
