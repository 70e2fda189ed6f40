"""Metrics that several ranks log: their names, their sums, their points."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.formats.metrics import Point, read_journal
from mltrack.formats.ranked import MOST_RANKS, in_ranks, in_the_first_place, of_rank, ranked_name, split_rank
from mltrack.formats.series import Summing, decode_series, encode_series, summarise
from tests.formats.soak import examples

NAMES = st.text("ab[]=rank31.", max_size=8)


@settings(max_examples=examples(100))
@given(NAMES, st.integers(0, 10**6))
def test_a_ranked_name_is_taken_apart_again(name: str, rank: int) -> None:
    assert split_rank(ranked_name(name, rank)) == (name, rank)


@pytest.mark.parametrize(
    "name", ["loss", "loss[rank=]", "loss[rank=-1]", "loss[rank=3", "loss[rank=x]", "[rank", "", "a]"]
)
def test_other_names_have_no_rank(name: str) -> None:
    assert split_rank(name) == (name, None)


def test_rank_0_has_the_plain_name_and_others_their_own() -> None:
    points = [Point("loss", float(rank), 1, None, rank) for rank in (2, 0, 1)] + [Point("loss", 9.0, 2)]
    found = summarise(points)
    assert {name: item.last for name, item in found.items()} == {"loss": 9.0, "loss[rank=1]": 1.0, "loss[rank=2]": 2.0}
    assert found["loss"].count == 2


def test_a_metric_that_only_the_last_stage_knows_has_the_plain_name() -> None:
    points = [Point("loss", 0.5, 1, None, 7), Point("other", 1.0, 1, None, 0)]
    assert list(summarise(points)) == ["loss", "other"]
    assert of_rank(points[:1], None) == points[:1]


def test_of_a_thousand_ranks_the_lowest_are_summed_up_and_all_points_kept() -> None:
    points = [Point("loss", float(rank), 1, None, rank) for rank in reversed(range(1000))]
    found = summarise(points)
    assert set(found) == {"loss"} | {ranked_name("loss", rank) for rank in range(1, MOST_RANKS + 1)}
    assert decode_series(encode_series(points)) == points
    assert of_rank(points, 900) == [points[99]]


def test_sums_go_on_where_earlier_ones_stopped() -> None:
    points = [Point("loss", float(value), value, None, value % 3) for value in range(30)]
    first = Summing()
    first.add(points[:11])
    then = Summing(json.loads(json.dumps(first.state())))
    then.add(points[11:])
    assert then.summaries() == summarise(points)


def test_a_line_of_the_journal_may_name_its_rank(tmp_path: Path) -> None:
    lines = ['{"rank": 3, "loss": 1}', '{"rank": 3.0, "loss": 2}', '{"rank": -1}', '{"rank": true}', '{"rank": "x"}']
    (tmp_path / "m.jsonl").write_text("\n".join(lines) + "\n")
    assert list(read_journal(tmp_path / "m.jsonl")) == [
        Point("loss", 1.0, rank=3),
        Point("rank", 3.0),
        Point("loss", 2.0),
        Point("rank", -1.0),
        Point("rank", 1.0),
    ]


def test_the_first_of_each_group_is_the_one_with_the_plain_name() -> None:
    named = in_the_first_place({"a[rank=4]": 4, "a[rank=2]": 2, "b": 0, "b[rank=1]": 1})
    assert named == {"a": 2, "a[rank=4]": 4, "b": 0, "b[rank=1]": 1}
    assert in_ranks(named) == {"a": [(None, 2), (4, 4)], "b": [(None, 0), (1, 1)]}
