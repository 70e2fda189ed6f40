"""The live view: it fits any screen, tells what matters, and survives odd values."""

from __future__ import annotations

import io
import json
import math
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.formats.metrics import Point
from mltrack.live.outputlog import LogLine
from mltrack.operations.watch import TRAIL, MetricNow, Pace, Scene, Trail
from mltrack.views import watch
from mltrack.views.text import cell_width
from mltrack.views.watch import frame, output_lines, scene_line, sparkline, tell
from tests.compare.samples import input_file, metric, sample_run

METRICS = tuple(MetricNow(f"loss{place}", metric(0.25, 100), (3.0, 2.0, 1.0), 12.34) for place in range(30))
SAMPLES = {
    "cpu_percent": (100.0, 180.0),
    "memory_bytes": (1e9, 2e9),
    "processes": (3.0,),
    "gpu0.percent": (93.0,),
    "gpu0.memory_bytes": (1e10,),
}
OUTPUT = tuple(LogLine(float(place), "o", b"line %d " % place + b"x" * 300, True) for place in range(100))


def scene(metrics: int = 2, output: int = 3) -> Scene:
    run = sample_run(status="running", inputs=(input_file("data.csv"),), command=("python", "x" * 300))
    return Scene(run, 80.0, METRICS[:metrics], SAMPLES, OUTPUT[:output])


@settings(max_examples=150, deadline=None)
@given(st.integers(20, 250), st.integers(8, 80), st.integers(0, 30), st.integers(0, 100))
def test_a_frame_fills_a_screen_and_no_more(width: int, height: int, metrics: int, output: int) -> None:
    lines = frame(scene(metrics, output), width, height, False).split("\n")
    assert len(lines) == height
    assert lines[-1].startswith("q leaves")
    assert all(cell_width(line) <= max(width, 60) for line in lines[1:-1])  # the title is cut by the terminal
    if output and height >= 24:
        assert any(f"line {output - 1} " in line for line in lines)


def test_a_frame_tells_what_matters() -> None:
    text = frame(scene(), 100, 30, False)
    assert "running for 1 min 20 s, step 99, 12.3 steps/s" in text
    assert "loss0" in text and "█" in text
    assert (
        "CPU 180 % ▁█" in text and "memory 1.9 GiB" in text and "GPU 0 93 %, 9.3 GiB" in text and "3 processes" in text
    )
    assert "1 input, 3.3 MiB" in text


def test_a_frame_holds_no_escape_sequence_of_the_command() -> None:
    shown = Scene(sample_run(status="running"), 1.0, (), {}, (LogLine(0.0, "o", b"a\x1b[2Jb\x07\x1b]0;t\x07c", True),))
    text = frame(shown, 80, 20, False)
    assert "\x1b" not in text and "\x07" not in text and "ab\\x07c" in text


def test_the_output_is_lines_as_a_terminal_shows_them() -> None:
    records = [
        LogLine(0.0, "o", b"one ", False),
        LogLine(0.0, "e", b"1/3\r", False),
        LogLine(0.0, "o", b"line", True),
        LogLine(0.0, "e", b"2/3", True),
    ]
    assert output_lines([records[0], records[2], records[3]]) == ["one line", "2/3"]
    assert output_lines(records[1:2]) == ["1/3"]


@settings(max_examples=200)
@given(st.lists(st.floats(), max_size=300), st.integers(0, 60))
def test_a_sparkline_takes_any_values(values: list[float], width: int) -> None:
    assert len(sparkline(values, width)) == min(width, len(values))


def test_a_sparkline_rises_and_falls_with_its_values() -> None:
    assert sparkline([0.0, 7.0, 0.0], 3) == "▁█▁"
    assert sparkline([1.0, 1.0], 2) == "▁▁"
    assert sparkline([0.0, math.nan, 1.0], 3) == "▁ █"
    assert sparkline([-1.7e308, 1.7e308], 2) == "▁█"


def test_a_trail_spans_a_whole_life_in_bounded_room() -> None:
    trail = Trail()
    for value in range(100_000):
        trail.add(float(value))
    assert TRAIL / 2 <= len(trail.values) <= TRAIL
    assert trail.values == sorted(trail.values)
    assert trail.values[0] < 2000 and trail.values[-1] > 98_000


def test_a_pace_is_of_the_last_moments_and_begins_anew_with_the_steps() -> None:
    pace = Pace()
    for step in range(100):
        pace.add(Point("a", 0.0, step, step * 0.5))
    assert pace.rate() == 2.0
    pace.add(Point("a", 0.0, 0, 100.0))
    assert pace.rate() is None
    pace.add(Point("a", 0.0, 10, 101.0))
    assert pace.rate() == 10.0
    pace.add(Point("a", 0.0, None, 102.0))
    pace.add(Point("a", 0.0, 20, None))
    assert pace.rate() == 10.0


def test_a_pipe_gets_a_line_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([replace(scene(0), is_behind=True), scene(1), scene(1), scene(2), None])
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(watch, "EVERY_S", 0)
    assert tell(lambda: next(looks), as_json=False)
    assert out.getvalue().splitlines() == [scene_line(scene(1)), scene_line(scene(2))]


def test_json_lines_are_json_whatever_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = MetricNow("loss", metric("NaN"), (math.nan,), math.inf)
    looks = iter([Scene(sample_run(status="running"), None, (odd,), {"cpu_percent": (math.nan,)}), None])
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(watch, "EVERY_S", 0)
    assert tell(lambda: next(looks), as_json=True)
    found = json.loads(out.getvalue(), parse_constant=lambda word: pytest.fail(word))
    assert found["metrics"]["loss"]["last"] == "NaN" and found["resources"] == {"cpu_percent": "NaN"}
