from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from mltrack.compare.many import Comparison, Row, compare_runs
from mltrack.compare.telling import by_say, main_metric, scatter_of
from mltrack.records import Run
from tests.compare.samples import metric, sample_run


def compared(params: list[dict[str, Any]], accuracies: list[float | str]) -> Comparison:
    runs: list[Run] = [
        replace(sample_run(), id=f"{place:016d}", seed=None, params=one, metrics={"acc": metric(accuracy)})
        for place, (one, accuracy) in enumerate(zip(params, accuracies))
    ]
    return compare_runs(runs)


def main(comparison: Comparison) -> Row:
    found = main_metric(comparison)
    assert found is not None
    return found


def test_a_param_that_decides_comes_before_one_that_does_not() -> None:
    params = [{"model": "ab"[n % 2], "other": "xy"[n // 2 % 2]} for n in range(8)]
    found = compared(params, [n % 2 + 0.01 * n for n in range(8)])
    ranked = by_say(found, main(found))
    assert [row.name for _, row in ranked] == ["model", "other"]
    assert ranked[0][0] > 0.99 and ranked[1][0] < 0.01


def test_the_share_of_the_variance_is_that_of_a_hand_computed_example() -> None:
    # groups (1, 3) and (5, 7): mean 4, between 2*(2-4)^2 + 2*(6-4)^2 = 16, in all 9 + 1 + 1 + 9 = 20
    found = compared([{"m": "a"}, {"m": "a"}, {"m": "b"}, {"m": "b"}], [1.0, 3.0, 5.0, 7.0])
    ((share, row),) = by_say(found, main(found))
    assert share == pytest.approx(0.8)
    assert row.name == "m"


def test_a_param_of_many_numbers_is_ranked() -> None:
    found = compared([{"lr": 10.0**-n} for n in range(6)], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    ((share, row),) = by_say(found, main(found))
    assert share == pytest.approx(1.0)
    plot = scatter_of(found, row, main(found))
    assert plot is not None and plot.x.is_log and len(plot.dots) == 6


def test_what_is_not_finite_or_missing_says_nothing() -> None:
    params: list[dict[str, Any]] = [{"m": "a"}, {"m": "a"}, {"m": "b"}, {"m": "b"}, {"m": "b"}, {}]
    found = compared(params, ["NaN", 1.0, 2.0, "Infinity", 3.0, 4.0])
    assert by_say(found, main(found)) == []


def test_a_run_that_failed_and_a_seed_say_nothing() -> None:
    found = compared([{"m": "ab"[n % 2], "seed": n, "train.seed": n} for n in range(5)], [1.0, 2.0, 1.1, 2.1, 99.0])
    runs = [replace(run, status="failed" if place == 4 else "finished") for place, run in enumerate(found.runs)]
    found = compare_runs(runs)
    ((share, row),) = by_say(found, main(found))
    assert row.name == "m" and share > 0.9
    plot = scatter_of(found, row, main(found))
    assert plot is not None and [dot.y for dot in plot.dots] == [1.0, 2.0, 1.1, 2.1]


def test_of_fewer_than_four_runs_nothing_is_said() -> None:
    assert main_metric(compared([{"m": n} for n in range(3)], [0.1, 0.2, 0.3])) is None


def test_huge_and_tiny_values_do_not_overflow() -> None:
    found = compared(
        [{"m": "ab"[n % 2], "k": 10**400 + n} for n in range(6)], [1e308 if n % 2 else -1e308 for n in range(6)]
    )
    ranked = by_say(found, main(found))
    assert ranked[0][1].name == "m" and math.isfinite(ranked[0][0])


def test_a_param_of_mixed_kinds_is_drawn_as_names() -> None:
    found = compared([{"m": value} for value in (1, "a", 1, "a", True, 1)], [0.1, 0.2, 0.1, 0.2, 0.3, 0.1])
    row = next(row for row in found.differing if row.name == "m")
    plot = scatter_of(found, row, main(found))
    assert plot is not None and {dot.x for dot in plot.dots} == {"1", "a", "True"}
