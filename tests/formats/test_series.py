"""Summaries and the stored series."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import canonical_json, digest_bytes
from mltrack.formats.metrics import Point
from mltrack.formats.ranked import of_rank, split_rank
from mltrack.formats.series import decode_series, encode_series, points_of, summarise
from mltrack.records import MetricSummary
from tests.formats.soak import examples

NUMBERS = st.floats()
POINTS = st.lists(
    st.builds(
        Point,
        st.sampled_from(["loss", "val.acc", "é", 'a"b', "a,b", "los", ""]),
        NUMBERS,
        st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        st.one_of(st.none(), st.integers(0, 3)),
    ),
    max_size=12,
)


def test_a_summary_tells_last_least_greatest_and_count() -> None:
    found = summarise([Point("a", 2.0, 0), Point("b", 1.0), Point("a", 3.0, 1), Point("a", 1.0, 5), Point("a", 2.5, 4)])
    assert found == {"a": MetricSummary(2.5, 1.0, 3.0, 4, 4), "b": MetricSummary(1.0, 1.0, 1.0, 1, None)}
    assert list(found) == ["a", "b"]


def test_nan_counts_and_is_never_least_or_greatest() -> None:
    nan = math.nan
    assert summarise([Point("a", nan, 0), Point("a", 1.0, 1), Point("a", nan, 2)])["a"] == MetricSummary(
        "NaN", 1.0, 1.0, 3, 2
    )
    assert summarise([Point("a", nan), Point("a", nan)])["a"] == MetricSummary("NaN", "NaN", "NaN", 2)
    assert summarise([Point("a", math.inf), Point("a", 1.0)])["a"] == MetricSummary(1.0, 1.0, "Infinity", 2)


def test_a_summary_reads_its_points_once() -> None:
    def stream() -> Iterator[Point]:
        for step in range(1000):
            yield Point("a", float(step), step)

    assert summarise(stream())["a"] == MetricSummary(999.0, 0.0, 999.0, 1000, 999)


@settings(max_examples=examples(200))
@given(POINTS)
def test_a_series_reads_back_and_is_canonical(points: list[Point]) -> None:
    data = encode_series(points)
    assert repr(decode_series(data)) == repr(points)
    assert encode_series(decode_series(data)) == data
    for line, point in zip(data.splitlines(), points, strict=True):
        assert line == canonical_json(
            [point.name, point.step, point.value, point.at, *([] if point.rank is None else [point.rank])]
        )
    for name in {point.name for point in points} | {"none"}:
        assert repr(points_of(data, name)) == repr([point for point in points if point.name == name])


@settings(max_examples=examples(100))
@given(POINTS)
def test_a_summary_agrees_with_its_points(points: list[Point]) -> None:
    summaries = summarise(points)
    assert {split_rank(name)[0] for name in summaries} == {point.name for point in points}
    for ranked, summary in summaries.items():
        name, rank = split_rank(ranked)
        mine = of_rank([point for point in points if point.name == name], rank)
        values = [point.value for point in mine]
        real = [value for value in values if not math.isnan(value)]
        assert summary.count == len(values)
        assert [summary.min, summary.max] == json.loads(
            canonical_json([min(real, default=math.nan), max(real, default=math.nan)])
        )
        assert summary.last_step == mine[-1].step


def test_the_digest_of_a_known_series_is_pinned() -> None:
    data = encode_series([Point("loss", 0.25, 3, 1700000000.5), Point("é", math.nan), Point("acc", 1.0, 0.5)])
    assert data == '["loss",3,0.25,1700000000.5]\n["é",null,"NaN",null]\n["acc",0.5,1.0,null]\n'.encode()
    assert digest_bytes(data) == "b3:701a0e6884c5ec33aad23876dbc77546d21e240627740f6da7dabc8424c66e82"


@pytest.mark.parametrize("data", [b"x\n", b'["a",1]\n', b'["a",1,"odd",null]\n', b'["a",1,null,null]\n'])
def test_bytes_that_are_no_series_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_series(data)
