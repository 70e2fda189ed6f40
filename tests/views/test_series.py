from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mltrack.views.series import ROWS, series_page
from mltrack.views.text import cell_width
from tests.compare.strategies import points, quick


@quick
@given(st.lists(st.tuples(st.none() | st.integers() | st.floats(), points), max_size=20), st.integers(20, 150))
def test_any_points_are_drawn_without_an_error(values: list[tuple[object, float | str]], width: int) -> None:
    text = series_page("loss", values).render(width, False)
    assert text.startswith("loss  ")
    text.encode()


def test_a_plot_shows_its_scales_and_fits() -> None:
    lines = (
        series_page("loss", [(step, 1 / (step + 1)) for step in range(200)]).render(80, False).rstrip("\n").split("\n")
    )
    assert lines[0] == "loss  200 points"
    assert lines[1].startswith("1.0 ┤") and lines[ROWS - 2].startswith("0.0 ┤")
    assert lines[-1].split() == ["0", "50", "100", "150", "step"]
    assert len(lines) == ROWS + 1 and all(cell_width(line) <= 80 for line in lines)


def test_a_flat_metric_is_one_line_in_the_middle() -> None:
    lines = series_page("acc", [(0, 5.0), (1, 5.0)]).render(80, False).split("\n")
    assert [line[0] for line in lines[1:ROWS]].count("5") == 1


def test_points_without_steps_are_drawn_in_their_order() -> None:
    assert "points\n" in series_page("acc", [(None, 5.0), (1, 6.0)]).render(80, False)


def test_points_that_are_no_number_are_counted_not_drawn() -> None:
    assert "1 point not drawn: no finite number." in series_page("l", [(0, "NaN"), (1, 2.0)]).render(80, False)
    for odd in ("a word", 10**400):
        assert "1 point not drawn" in series_page("l", [(0, odd), (1, 2.0)]).render(80, False)
    assert series_page("l", [(0, math.inf)]).render(80, False) == "l  1 point\n1 point not drawn: no finite number.\n"


def test_a_pipe_gets_one_point_a_line() -> None:
    assert series_page("l", [(0, 0.1), (1, "NaN"), (None, 2)]).render(None, False) == "0\t0.1\n1\tNaN\nnull\t2\n"
