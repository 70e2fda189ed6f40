"""Smoothing, thinning and bands, against the plainest way to compute them; likeness of runs but for the seed."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.alike import likeness, seeding, unseeded
from mltrack.compare.curves import band, exponential, smoothed, student, thinned, windowed
from tests.compare.samples import sample_run

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300)


@settings(max_examples=30, deadline=None)
@given(values, st.floats(0, 0.999))
def test_the_exponential_mean_is_that_of_the_recurrence(ys: list[float], weight: float) -> None:
    state, total, wanted = 0.0, 0.0, []
    for value in ys:
        state, total = weight * state + (1 - weight) * value, weight * total + (1 - weight)
        wanted.append(state / total)
    assert np.allclose(exponential(np.array(ys), weight), wanted, rtol=1e-9, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(values, st.integers(1, 20))
def test_a_window_is_the_mean_of_neighbours(ys: list[float], width: int) -> None:
    wanted = [mean(ys[max(0, at - (width - 1) // 2) : at + width // 2 + 1]) for at in range(len(ys))]
    assert np.allclose(windowed(np.array(ys), width), wanted, rtol=1e-9, atol=1e-5)


def test_smoothing_leaves_gaps_where_they_are() -> None:
    found = smoothed(np.array([1.0, math.nan, 3.0, math.inf, 5.0]), 3)
    assert np.isnan(found).tolist() == [False, True, False, True, False]
    assert found[[0, 2, 4]].tolist() == [2, 3, 4]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 60), st.booleans(), st.booleans())
def test_no_peak_is_hidden_by_thinning(seed: int, columns: int, is_log: bool, is_sorted: bool) -> None:
    random = np.random.default_rng(seed)
    size = 5000
    xs = np.cumsum(random.random(size)) + 1 if is_sorted else random.random(size) + 1
    ys, others = random.normal(size=size), random.normal(size=size)
    ys[random.integers(0, size, 50)] = np.nan
    kept = thinned(xs, [ys, others], columns, is_log)
    assert kept.tolist() == sorted(set(kept.tolist())) and len(kept) <= columns * 8 + 8
    assert {np.nanargmax(ys), np.nanargmin(ys), others.argmax(), others.argmin()} <= set(kept.tolist())
    places = np.log(xs) if is_log else xs
    cells = ((places - places[0]) * (columns / (places[-1] - places[0]))).astype(int)
    for cell in np.unique(cells) if is_sorted else ():
        own = ys[cells == cell]
        if np.isfinite(own).any():
            drawn = ys[kept[cells[kept] == cell]]
            assert np.nanmax(drawn) == np.nanmax(own) and np.nanmin(drawn) == np.nanmin(own)


def test_few_points_are_all_kept_and_long_gaps_stay() -> None:
    xs = np.arange(10.0)
    assert thinned(xs, [xs], 1000).tolist() == list(range(10))
    ys = np.sin(np.arange(10_000.0))
    ys[4000:6000] = np.nan
    kept = thinned(np.arange(10_000.0), [ys], 10)
    assert np.isnan(ys[kept]).any()


@pytest.mark.parametrize(
    ("degrees", "wanted"),
    [(1, 12.7062047), (2, 4.3026527), (3, 3.1824463), (4, 2.7764451), (9, 2.2621572), (30, 2.0422725), (99, 1.9842170)],
)
def test_student_is_as_in_the_tables(degrees: int, wanted: float) -> None:
    assert student(degrees, 0.95) == pytest.approx(wanted, abs=1e-7)


def test_a_band_is_the_mean_and_its_interval_of_confidence() -> None:
    xs = np.arange(4.0)
    rows = [[1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 2.0, 4.5], [1.0, 3.5, 7.0, 1.0]]
    found = band([(xs, np.array(row)) for row in rows])
    assert found is not None
    for at in range(4):
        own = [row[at] for row in rows]
        reach = 4.302652729911275 * stdev(own) / math.sqrt(3)
        assert [part[at] for part in found[1:]] == pytest.approx([mean(own), mean(own) - reach, mean(own) + reach])


def test_runs_of_other_steps_are_compared_where_all_of_them_are() -> None:
    found = band([(np.array([0.0, 2.0, 4.0]), np.array([0.0, 2.0, 4.0])), (np.arange(1.0, 4), np.arange(1.0, 4))])
    assert found is not None and found[0].tolist() == [1, 2, 3] and found[1].tolist() == [1, 2, 3]
    assert band([(np.array([0.0]), np.array([1.0])), (np.array([5.0]), np.array([1.0]))]) is None
    assert band([(np.array([0.0]), np.array([1.0]))]) is None


def test_runs_are_alike_whose_seed_alone_differs() -> None:
    run = sample_run(command=("python", "train.py", "--seed", "1", "--lr=2"), params={"lr": 2, "train.seed": 1}, seed=1)
    run = replace(run, inputs=())
    other = replace(
        run, command=("python", "train.py", "--seed", "7", "--lr=2"), params={"lr": 2, "train.seed": 7}, seed=7
    )
    assert likeness(run) is not None and likeness(run) == likeness(replace(other, id="another", host="elsewhere"))
    assert likeness(run) != likeness(replace(other, params={"lr": 3, "train.seed": 7}))
    assert likeness(run) != likeness(replace(other, code=replace(run.code, tree="0" * 40)))
    assert likeness(run) != likeness(replace(other, command=("python", "other.py", "--seed", "7", "--lr=2")))
    assert likeness(replace(run, environment=replace(run.environment, digest=None))) is None


def test_only_the_values_of_seeds_are_taken_out_of_a_command() -> None:
    assert unseeded(["a.py", "--seed=3", "model.seed=4", "--random-state", "5", "seed", "6"]) == [
        "a.py", ["--seed", "3"][0].lstrip("-"), "model.seed", "random-state", "", "seed", "6",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1.7e308, 1e200, 1e-200, 5e-320])
def test_values_at_the_ends_of_what_a_float_holds_are_reckoned_with_in_silence(size: float) -> None:
    ys = np.array([size, -size, size, size / 2])
    with np.errstate(all="raise", under="ignore"):
        for by in (0.9, 3):
            found = smoothed(ys, by)
            assert np.isfinite(found).all() and abs(found).max() <= size and found[-1] > size / 8
        made = band([(np.arange(4.0), ys), (np.arange(4.0), ys / 2)])
    assert made is not None and all(np.isfinite(part).all() for part in made)
    assert made[1] / size == pytest.approx([0.75, -0.75, 0.75, 0.375], rel=1e-3)


def test_a_repeat_is_told_from_another_seed() -> None:
    run = replace(sample_run(), seed=None, command=("python", "train.py"), params={"lr": 1})
    assert seeding(run) is None
    seeds = [
        replace(run, seed=1),
        replace(run, params={"seed": 1}),
        replace(run, command=("python", "t.py", "--seed=1")),
    ]
    assert len({seeding(one) for one in seeds}) == 3 and None not in map(seeding, seeds)
