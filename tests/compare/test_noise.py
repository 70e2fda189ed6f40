"""What repetitions say of the noise of metrics and artifacts, and how often that is wrong."""

from __future__ import annotations

import json
import math
import os
import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mltrack.compare.noise.intervals import (
    best,
    between,
    bound,
    explains,
    holds,
    in_common,
    interval,
    is_constant,
    is_steady,
    is_within,
    looks_alike,
    says_nothing,
    share,
    spread,
    spreads,
)
from mltrack.digest import canonical_json, plain
from mltrack.ledger.keeping.shape import misfit
from mltrack.noun_json import from_dict, to_dict
from mltrack.verdicts import Calibration, Looks, Measure, Spread, Variation
from mltrack.views.calibration import plot
from tests.benchmarks import noise as simulation
from tests.compare.samples import metric, sample_run

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
EXAMPLES = settings(max_examples=100 * SOAK, deadline=None)
numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
samples = st.lists(numbers, min_size=2, max_size=30)


@EXAMPLES
@given(samples)
def test_an_interval_holds_the_mean_and_grows_with_what_is_asked_of_it(values: list[float]) -> None:
    low, high = interval(values)
    mean = math.fsum(values) / len(values)
    slack = 1e-9 * (1 + abs(mean))
    assert low - slack <= mean <= high + slack
    if len(set(values)) == 1:
        assert low == high == values[0]
        return
    for content, confidence in ((0.99, 0.95), (0.95, 0.99)):
        wider = interval(values, content, confidence)
        assert wider[0] < low and high < wider[1]


@EXAMPLES
@given(samples, st.floats(0.001, 1000), numbers)
def test_an_interval_moves_and_stretches_with_its_values(values: list[float], scale: float, shift: float) -> None:
    moved = [value * scale + shift for value in values]
    assume((len(set(values)) == 1) == (len(set(moved)) == 1))
    size = max(map(abs, [*moved, shift, 1.0]))
    for one, other in zip(interval(values), interval(moved), strict=True):
        assert other == pytest.approx(one * scale + shift, abs=1e-6 * size)


@EXAMPLES
@given(st.lists(numbers, min_size=5, max_size=30))
def test_of_five_or_more_repetitions_none_lies_outside_of_its_own_interval(values: list[float]) -> None:
    """No value is further than (n-1)/sqrt(n) deviations from the mean; the factor is larger up to n = 10."""
    known = spread(values[:10])
    slack = 1e-9 * max(map(abs, values))
    assert known.low is not None and known.high is not None
    assert all(known.low - slack <= value <= known.high + slack for value in values[:10])


def test_what_all_repetitions_gave_is_all_that_holds() -> None:
    known = spread([0.91, 0.91, 0.91])
    assert (known.mean, known.deviation, known.low, known.high) == (0.91, 0, 0.91, 0.91)
    assert holds(known, 0.91) and not holds(known, math.nextafter(0.91, 1))


def test_both_values_must_hold() -> None:
    known = spread([1.0, 1.1, 0.9, 1.05, 0.95])
    assert is_within(known, 1.0, 1.02)
    assert not is_within(known, 1.0, 9.0) and not is_within(known, 9.0, 1.0) and not is_within(known, 9.0, 9.0)


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity"])
def test_a_metric_that_sometimes_is_no_number_has_no_interval(odd: str) -> None:
    some = spread([0.1, odd, 0.2, 0.15])
    assert (some.low, some.high, some.mean) == (None, None, None)
    assert not holds(some, 0.15) and not holds(some, odd)
    always = spread([odd, odd])
    assert always.low is None and holds(always, odd) and not holds(always, 0.1)


def test_a_repetition_without_the_metric_says_nothing_of_its_value() -> None:
    some = spread([1.0, None, 1.1, None, 0.9])
    assert (some.values, some.missing) == ((1.0, 1.1, 0.9), 2)
    assert (some.low, some.high) == interval([1.0, 1.1, 0.9])
    assert not holds(some, None)
    for values in ([None, None], [1.0, None], [], [1.0]):
        few = spread(values)
        assert few.low is None and not holds(few, 1.0)


def test_huge_and_tiny_values_neither_overflow_nor_vanish() -> None:
    assert spread([1e308, -1e308]).low is None, "an interval that no number can say is none"
    assert not holds(spread([1e308, -1e308]), 0.0)
    tiny = spread([1e-310, 2e-310, 3e-310])
    assert tiny.deviation is not None and 0 < tiny.deviation < 1e-309 and holds(tiny, 2e-310)
    assert spread([10**400, 1.0]).low is None, "an integer that no float can say"
    whole = spread([10**17, 10**17 + 64, 10**17 - 64])
    assert whole.deviation == pytest.approx(64)


def test_metrics_judged_together_each_get_a_larger_content() -> None:
    rows = [{"a": float(i), "b": float(i), "same": 1.0} for i in range(5)]
    both, content = spreads(rows)
    assert content == share(2) == 0.975
    assert (both["a"].low, both["a"].high) == interval([0, 1, 2, 3, 4], 0.975)
    assert (both["same"].low, both["same"].high) == (1.0, 1.0)
    alone, content = spreads([{"a": row["a"]} for row in rows])
    assert content == 0.95 and alone["a"].high is not None and both["a"].high is not None
    assert alone["a"].high < both["a"].high
    assert spreads(rows, others=2)[1] == share(4)
    assert spreads([{}, {}]) == ({}, 0.95)


# -- artifacts


def test_the_numbers_of_an_artifact_may_differ_a_little_more_than_they_did() -> None:
    differences = [0.010, 0.012, 0.009, 0.011, 0.010]
    limit = bound(differences)
    assert limit is not None and max(differences) < limit < 2 * max(differences)
    assert bound([0.0, 0.0]) == 0 and bound([0.3, 0.3]) == 0.3
    few = [0.02, 0.0001, 0.012, 0.007, 0.0, 0.004]
    assert bound(few) < 5 * max(few), "small differences by chance do not excuse large ones"
    for nothing in ([], [0.1], [0.1, math.inf], [0.1, math.nan]):
        assert bound(nothing) is None


def test_both_the_absolute_and_the_relative_difference_must_be_noise() -> None:
    known = Variation(5, 0, 0, 0.1, 0.01, allowed=0.2, allowed_relative=0.02)
    assert explains(known, Measure(4, 1, 0.2, 0.02))
    assert not explains(known, Measure(4, 1, 0.21, 0.02)) and not explains(known, Measure(4, 1, 0.2, 0.021))
    assert not explains(known, Measure(4, 1, 0.2, "Infinity")) and not explains(known, Measure(4, 1, 0.2, None))
    assert not explains(known, Measure(4, 1, "NaN", 0.01)) and not explains(known, None)
    assert not explains(replace(known, missing=1), Measure(4, 1, 0.1, 0.01)) and not explains(None, Measure(4, 1, 0.1))
    around_zero = replace(known, largest_relative=None, allowed_relative=None)
    assert explains(around_zero, Measure(4, 1, 0.2, "Infinity"))


def test_what_says_nothing_is_of_the_size_and_the_kind_that_the_repetitions_had() -> None:
    seen = in_common([Looks(1000, 1000, "800495"), Looks(1010, 1010, "800496")])
    assert seen == Looks(1000, 1010, "8004")
    assert looks_alike(seen, Looks(1050, 1050, "8004ff"))
    for other in (Looks(0, 0), Looks(1050, 1050, "8104"), Looks(5000, 5000, "8004"), Looks(500, 500, "8004"),
                  Looks(1000, 1000, "8004", is_text=True), None):  # fmt: skip
        assert not looks_alike(seen, other)


def test_the_calibration_with_the_most_repetitions_counts_and_of_equals_the_newest() -> None:
    def one(name: str, many: int) -> Calibration:
        return Calibration(name, "x", "nothing", ("r",) * many, (None,) * many, None, "", 0.95, 0.95)

    known = [one("a", 10), one("b", 10), one("c", 2)]
    assert [found.id for found in (best(known, "nothing"), best(known[2:], "nothing")) if found] == ["b", "c"]
    assert best(known, "seed") is None


def test_bytes_say_nothing_only_if_they_were_others_every_time() -> None:
    every = Variation(contents=10, as_recorded=0, looks=Looks(100, 120, "8004"))
    assert says_nothing(every, 10)
    assert not says_nothing(replace(every, looks=None), 10) and not says_nothing(replace(every, looks=Looks(0, 9)), 10)
    assert not says_nothing(replace(every, looks=Looks(100, 120, "", is_text=True)), 10)
    assert not says_nothing(every, 11) and not says_nothing(replace(every, contents=9), 10)
    assert not says_nothing(replace(every, as_recorded=1), 10) and not says_nothing(replace(every, missing=1), 10)
    assert not says_nothing(replace(every, largest=0.1), 10), "what can be measured says something"
    assert not says_nothing(Variation(2, 0), 2), "two repetitions are too few to say so"
    assert is_steady(Variation(1, 0), 10) and is_steady(Variation(0, 0, 10), 10)
    assert not is_steady(Variation(1, 9, 1), 10) and not is_steady(every, 10)


# -- two runs


def calibration(vary: str, values: list[float]) -> Calibration:
    return Calibration(
        id=f"c-{vary}", of="x", vary=vary, runs=tuple("abc"), seeds=(), host=None, at="", confidence=0.95, content=0.95,
        metrics={"loss": spread(values)},
    )  # fmt: skip


def test_a_difference_between_runs_is_held_against_the_noise_of_either_or_of_what_they_repeat() -> None:
    known = calibration("nothing", [0.50, 0.51, 0.49])
    a = replace(sample_run(), metrics={"loss": metric(0.5)}, calibrations=(known,))
    b = replace(a, id="b", metrics={"loss": metric(0.52)}, calibrations=())
    far = replace(b, metrics={"loss": metric(0.8)})
    bare = replace(a, calibrations=())
    for one, other, repeated in ((a, b, ()), (b, a, ()), (b, bare, (a,))):
        (noted,) = between(one, other, repeated).values()
        assert (noted.is_inside, noted.repetitions, noted.calibration) == (True, 3, "c-nothing")
    assert not between(a, far)["loss"].is_inside
    assert between(a, a) == {} and between(b, bare) == {}


def test_the_noise_of_seeds_excuses_nothing_between_runs_of_one_seed() -> None:
    wide, narrow = calibration("seed", [0.4, 0.5, 0.6]), calibration("nothing", [0.50, 0.51, 0.49])
    a = replace(sample_run(), seed=1, metrics={"loss": metric(0.5)}, calibrations=(narrow, wide))
    b = replace(a, id="b", metrics={"loss": metric(0.9)}, calibrations=())
    assert between(a, b)["loss"].vary == "nothing"
    assert between(a, replace(b, seed=2))["loss"].vary == "seed"
    assert between(a, replace(b, params={"lr": 9}))["loss"].vary == "seed"
    assert between(replace(a, calibrations=(wide,)), b) == {}


# -- how often it is wrong: `make bench` prints all of it (tests/benchmarks/noise.py)


def rates(n: int, shift: float, draws: int, seed: int) -> float:
    """How often a new normal value, moved by `shift` deviations, is within the noise of n repetitions."""
    source = random.Random(seed)
    found = 0
    for _ in range(draws):
        known = spread([source.gauss(0, 1) for _ in range(n)])
        found += is_within(known, source.gauss(0, 1), source.gauss(shift, 1))
    return found / draws


def test_noise_is_seldom_called_a_change_and_a_change_of_five_deviations_is_seen() -> None:
    draws = 2000 * SOAK
    assert 0.94 < rates(10, 0, draws, seed=1) < 0.995, "the same experiment"
    assert rates(20, 5, draws, seed=2) < 0.05, "a change of five deviations"
    assert rates(3, 3, draws, seed=3) > 0.9, "of three repetitions nothing can be said"


@pytest.mark.parametrize("name", ["normal", "uniform", "bimodal", "discrete"])
def test_the_rates_hold_for_other_distributions_and_the_naive_rules_do_not(name: str) -> None:
    """The table of `make bench`, shorter."""
    found = simulation.rates(simulation.distributions()[name], 10, 5, 2000 * SOAK)
    alarms = {rule: values[0] for rule, values in found.items()}
    assert alarms["mltrack"] < 0.05 < 0.3 < alarms["mean ± 2 sd"]
    assert found["mltrack"][-1] < 0.5, "five deviations"


def test_heavy_tails_and_skew_err_on_the_strict_side() -> None:
    for name in ("t3", "lognormal"):
        (strict, *_) = simulation.rates(simulation.distributions()[name], 10, 1, 4000)["mltrack"]
        assert 0.03 < strict < 0.15


def test_files_of_numbers_have_the_same_rates() -> None:
    draw = simulation.distributions()["normal"]
    for cells in (1, 100):
        same, *_, far = simulation.artifact_rates(draw, 10, cells, 2000)["mltrack"]
        assert 0.01 < same < 0.10 and far < 0.25


def test_a_spread_without_values_is_steady_and_holds_nothing() -> None:
    assert not holds(Spread(()), 1.0)


odd_values = st.one_of(st.floats(), st.none()).map(lambda value: None if value is None else plain(value))


@EXAMPLES
@given(st.lists(st.fixed_dictionaries({"a": odd_values, "b": odd_values}), min_size=2, max_size=6))
def test_whatever_was_measured_can_be_kept_and_read_back(rows: list[dict[str, float | str | None]]) -> None:
    logged = [{name: value for name, value in row.items() if value is not None} for row in rows]
    metrics, content = spreads(logged)
    known = replace(calibration("nothing", [1.0, 2.0]), metrics=metrics, content=content)
    kept = json.loads(canonical_json(to_dict(known)))
    assert misfit(Calibration, kept) is None
    assert from_dict(Calibration, kept) == known
    for name, one in metrics.items():
        for value in (*one.values, 0.0, "NaN", None):
            assert holds(one, value) in (True, False)
        assert plot(one, one.values[0]) if one.low is not None and not is_constant(one) else name
