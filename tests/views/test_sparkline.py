from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mltrack.views.sparkline import BARS, GAP, extremes, sparkline
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
    between = extremes([0, 1], [7, NAN])
    assert between == (0, 7)
    assert sparkline([0, 1], 9, between) == "▁▂"


@quick
@given(st.lists(st.floats()), st.integers(1, 40))
def test_any_series_has_a_line_that_fits(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) <= width
    assert set(drawn) <= {*BARS, GAP}
    assert bool(drawn) == any(map(math.isfinite, values))
