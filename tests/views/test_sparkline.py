from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mltrack.views.sparkline import BARS, GAP, Scale, extremes, scale_of, sparkline
from tests.compare.strategies import quick

INF, NAN = math.inf, math.nan


def test_bars_rise_with_the_values() -> None:
    assert sparkline(range(8), 8) == BARS
    assert sparkline(range(800), 8) == BARS


def test_what_is_no_number_leaves_a_gap_and_a_level_line_lies_in_the_middle() -> None:
    assert sparkline([0, NAN, 1, INF], 9) == "▁ █"
    assert sparkline([5, 5], 9) == "▄▄"
    assert sparkline([NAN, -INF], 9) == sparkline([], 9) == ""


def test_lines_on_one_scale_can_be_held_against_each_other() -> None:
    between = scale_of([0, 1], [7, NAN])
    assert between == Scale(0, 7) and extremes([0, 1], [7, NAN]) == (0, 7)
    assert sparkline([0, 1], 9, between) == "▁▂"
    assert scale_of([NAN], []) is None


def test_a_loss_that_falls_steeply_at_first_is_not_flat_afterwards() -> None:
    loss = [2.0 * 0.97**step for step in range(100)]
    drawn = sparkline(loss, 16, scale_of(loss))
    assert drawn == "██▇▇▆▆▅▅▄▄▃▃▂▂▁▁" and len(set(sparkline(loss, 16)[8:])) <= 2
    accuracy = [1 - 0.99 * 0.9**step for step in range(100)]
    assert scale_of(accuracy) == Scale(accuracy[2], accuracy[-3]), "values that lie high are held against zero"


def test_a_spike_leaves_something_of_the_rest() -> None:
    values = [float(step) for step in range(100)]
    assert sparkline([*values[:50], 1e9, *values[50:]], 8, scale_of([*values[:50], 1e9, *values[50:]]))[:4] == "▁▂▃▄"


@quick
@given(st.lists(st.floats()), st.integers(1, 40))
def test_any_series_has_a_line_that_fits(values: list[float], width: int) -> None:
    for drawn in (sparkline(values, width), sparkline(values, width, scale_of(values, [0.5]))):
        assert len(drawn) <= width
        assert set(drawn) <= {*BARS, GAP}
        assert bool(drawn) == any(map(math.isfinite, values))
