"""Columns of numbers straight from the text of a series: the very same that are read point by point."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.formats import series_columns
from mltrack.formats.metrics import Point
from mltrack.formats.series import encode_series
from mltrack.formats.series_columns import Columns, columns_of, read_columns

names = st.sampled_from(["loss", "e", "a,b", 'x"y', "val/äcc", "[x", "a\nb"])
numbers = st.one_of(
    st.floats(),
    st.floats(-10, 10),
    st.integers(-(10**18), 10**18).map(float),
    st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack("d", raw)[0]),
    st.sampled_from([-0.0, 5e-324, 1e22, 1e23, 0.1, 123456789012345.0, 1e-4, 1e-5, 1.7976931348623157e308]),
)
steps = st.none() | st.integers(0, 10**6) | st.integers(-(10**20), 10**20) | numbers
made = st.builds(Point, names, numbers, steps, st.none() | st.floats(0, 2e9), st.none() | st.integers(0, 3))


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    return found.tobytes() == wanted.tobytes() or bool(
        (((found == wanted) & (np.signbit(found) == np.signbit(wanted))) | (np.isnan(found) & np.isnan(wanted))).all()
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(made, max_size=60), st.integers(1, 400))
def test_columns_are_what_the_points_say_bit_by_bit(points: list[Point], cut: int) -> None:
    text = encode_series(points)
    blocks = [text[start : start + cut] for start in range(0, len(text), cut)]
    found = read_columns(blocks, sorted({point.name for point in points} | {"nobody"}))
    assert found.keys() == {point.name for point in points}
    for name, own in found.items():
        wanted = columns_of(point for point in points if point.name == name)
        assert same(own.values, wanted.values) and same(own.steps, wanted.steps) and same(own.times, wanted.times)
        ranks = own.ranks if own.ranks is not None else np.zeros(len(own))
        assert list(ranks) == [point.rank or 0 for point in points if point.name == name]


def test_a_long_series_is_read_by_several_threads_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_columns, "PIECE", 4096)
    points = [Point(f"m{step % 3}", math.sin(step), step, 1.7e9 + step / 7) for step in range(30_000)]
    text = encode_series(points)
    found = read_columns([text[start : start + 10_000] for start in range(0, len(text), 10_000)], ["m0", "m1", "m2"])
    for number in range(3):
        own = found[f"m{number}"]
        assert own.steps.tolist() == list(range(number, 30_000, 3))
        assert own.values.tolist() == [math.sin(step) for step in range(number, 30_000, 3)]


def test_columns_that_nobody_asked_for_are_empty() -> None:
    found = read_columns([encode_series([Point("a", 1.5, 1, 2.0)])], ["a"], ("values",))["a"]
    assert (len(found), found.values.tolist(), len(found.steps), len(found.times)) == (1, [1.5], 0, 0)
    assert isinstance(found, Columns)


@pytest.mark.parametrize("text", [b'["a",1]\n', b'["a",1,2,3,4,5]\n', b'["a",1,x,3]\n'])
def test_what_is_no_series_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        read_columns([text], ["a"])
