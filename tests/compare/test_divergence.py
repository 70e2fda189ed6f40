"""Where two runs first went apart."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.noise.divergence import earliest, first_artifact, first_metric
from mltrack.formats.metrics import Point
from mltrack.verdicts import Divergence

RUNS = ("a", "b")


def logged(*values: float, name: str = "loss", start: int = 0) -> list[Point]:
    return [Point(name, value, step, at=float(step)) for step, value in enumerate(values, start)]


def apart(then: list[Point], now: list[Point]) -> tuple[str, object, object, object] | None:
    found = first_metric(then, now, RUNS)
    return None if found is None else (found.what, found.step, found.then, found.now)


def test_the_first_step_that_differs_is_named_with_both_values() -> None:
    assert apart(logged(1, 2, 3, 4), logged(1, 2, 3.5, 9)) == ("loss", 2, 3, 3.5)
    assert apart(logged(1, 2), logged(1, 2)) is None


def test_times_are_no_difference_and_nan_equals_nan() -> None:
    nan = float("nan")
    assert apart([Point("x", nan, 0, at=1.0)], [Point("x", nan, 0, at=2.0)]) is None
    assert apart([Point("x", nan, 0)], [Point("x", 1.0, 0)]) == ("x", 0, "NaN", 1.0)
    assert apart([Point("x", 1.0, nan)], [Point("x", 1.0, nan)]) is None
    assert apart([Point("x", 1.0, nan)], [Point("x", 2.0, nan)]) == ("x", None, 1.0, 2.0)


def test_a_point_that_only_one_run_has_is_where_they_went_apart() -> None:
    assert apart(logged(1, 2, 3), logged(1, 2)) == ("loss", 2, 3, None)
    assert apart(logged(1, 2), logged(1, 2, 3)) == ("loss", 2, None, 3)
    assert apart([Point("x", 1.0, 0), Point("x", 1.0, 2)], [Point("x", 1.0, 0), Point("x", 1.0, 1)]) == (
        "x",
        1,
        None,
        1.0,
    )
    assert apart(logged(1), []) == ("loss", 0, 1, None)


def test_of_several_metrics_the_one_that_was_logged_first_counts_whatever_its_steps_count() -> None:
    """An epoch is a small number, and comes after thousands of iterations."""
    then = [Point("loss", 1.0, 1000), Point("loss", 2.0, 2000), Point("acc", 0.5, 1)]
    now = [Point("loss", 1.0, 1000), Point("loss", 2.5, 2000), Point("acc", 0.6, 1)]
    assert apart(then, now) == ("loss", 2000, 2.0, 2.5)


def test_ranks_are_series_of_their_own_in_whatever_order_they_came() -> None:
    then = [Point("loss", 1.0, 0, rank=0), Point("loss", 5.0, 0, rank=1), Point("loss", 2.0, 1, rank=1)]
    now = [Point("loss", 5.0, 0, rank=1), Point("loss", 2.0, 1, rank=1), Point("loss", 1.0, 0, rank=0)]
    assert apart(then, now) is None
    assert apart(then, [*now[:1], Point("loss", 3.0, 1, rank=1), now[2]]) == ("loss[rank=1]", 1, 2.0, 3.0)


def test_points_without_steps_go_by_their_order_and_ignored_metrics_are_not_looked_at() -> None:
    then, now = [Point("t", 1.0), Point("x", 1.0)], [Point("t", 2.0), Point("x", 3.0)]
    assert apart(then, now) == ("t", None, 1.0, 2.0)
    found = first_metric(then, now, RUNS, lambda name: name == "t")
    assert found is not None and found.what == "x"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_both_ways_of_comparing_find_the_same_step(one: list[int], other: list[int]) -> None:
    there, back = apart(logged(*one), logged(*other)), apart(logged(*other), logged(*one))
    assert (there is None) == (back is None) == (one == other)
    if there is not None and back is not None:
        assert (there[1], there[2], there[3]) == (back[1], back[3], back[2])


def test_the_artifact_that_was_written_first_is_named() -> None:
    then, now = {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "c": "y"}
    found = first_artifact(then, now, {"b": 20.0, "c": 10.0}, RUNS)
    assert found == Divergence("artifact", "c", None, "3", "y", RUNS)
    unknown = first_artifact(then, {"a": "1"}, {"c": 10.0}, RUNS)
    assert unknown is not None and (unknown.what, unknown.now) == ("c", None)
    assert first_artifact(then, then, {}, RUNS) is None


def test_of_several_repetitions_the_one_that_went_apart_earliest_is_told() -> None:
    late, early = Divergence("metric", "x", 9), Divergence("metric", "x", 3)
    assert earliest([None, late, early]) == early
    assert earliest([None, Divergence("metric", "y")]) == Divergence("metric", "y")
    assert earliest([]) is None
