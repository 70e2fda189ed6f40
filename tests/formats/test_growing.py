"""Journals and series that are read while they grow, in parts, and by the million."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.formats.metrics import BLOCK, Point, read_journal
from mltrack.formats.series import Summing, encode_blocks, encode_series, series_points, summarise
from tests.formats.soak import examples
from tests.formats.test_series import POINTS


def test_a_growing_journal_is_read_from_where_the_last_look_came_to(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":0,"a":1.0}\n{"step":1,"a":2')
    first = read_journal(path, growing=True)
    assert list(first) == [Point("a", 1.0, 0)]
    assert first.offset == 19 and first.junk == 0
    with path.open("ab") as file:
        file.write(b'.0}\n{"step":2,"a":3.0}\n')
    second = read_journal(path, first.offset, growing=True)
    assert list(second) == [Point("a", 2.0, 1), Point("a", 3.0, 2)]
    assert second.offset == path.stat().st_size


def test_lines_that_only_together_are_json_are_junk(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"a":[1\n{"x":2}]}\n{"b":1},{"c":2}\n{"d":1}\n[{"e":1}]\n')
    journal = read_journal(path)
    assert list(journal) == [Point("d", 1.0)]
    assert journal.junk == 4


def test_one_bad_line_among_thousands_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "t": 1.5, "a": step / 2}) for step in range(2 * BLOCK // 30)]
    lines[100] = '{"step": 1'
    path.write_text("\n".join(lines))
    journal = read_journal(path)
    assert [point.step for point in journal] == [step for step in range(len(lines)) if step != 100]
    assert journal.junk == 1


@settings(max_examples=examples(100))
@given(POINTS, st.integers(0, 12))
def test_a_summary_goes_on_where_its_state_was_written_down(points: list[Point], cut: int) -> None:
    first = Summing()
    first.add(points[:cut])
    second = Summing(json.loads(json.dumps(first.state())))
    second.add(points[cut:])
    assert repr(second.summaries()) == repr(summarise(points))


@settings(max_examples=examples(100))
@given(POINTS, st.integers(1, 60))
def test_a_series_is_read_from_blocks_cut_anywhere(points: list[Point], size: int) -> None:
    data = encode_series(points)
    blocks = [data[place : place + size] for place in range(0, len(data), size)]
    for name in {point.name for point in points} | {"none"}:
        assert repr(list(series_points(blocks, name))) == repr([point for point in points if point.name == name])


def test_points_are_encoded_and_summed_in_one_pass() -> None:
    points = [Point(f"m{step % 3}", step / 7, step, 1.7e9 + step) for step in range(10_000)]
    summing = Summing()
    blocks = list(encode_blocks(iter(points), summing))
    assert len(blocks) > 1 and b"".join(blocks) == encode_series(points)
    assert summing.summaries() == summarise(points)
