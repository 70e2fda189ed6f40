"""Many runs side by side: what differs between some two of them, the best and the worst, and changes to the baseline."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.differences import SECTIONS, diff_runs
from mltrack.compare.gathering import CIRCUMSTANCES
from mltrack.compare.many import Comparison, Row, compare_runs, to_json, with_noise
from mltrack.compare.noise.intervals import Noted
from mltrack.compare.picking import picked
from mltrack.digest import plain
from mltrack.errors import UsageError
from mltrack.records import Environment, Gpu, Hardware, Run
from tests.compare.samples import artifact, input_file, metric, sample_run
from tests.compare.strategies import runs

few = settings(max_examples=25 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)


def runs_with(*metrics: float | str, name: str = "acc") -> list[Run]:
    return [sample_run(id=f"run{place}", metrics={name: metric(one)}) for place, one in enumerate(metrics)]


def row(comparison: Comparison, field: str) -> Row:
    return next(one for one in comparison.rows if one.field == field)


def test_a_run_beside_itself_has_no_difference() -> None:
    comparison = compare_runs([sample_run()] * 3)
    assert comparison.is_empty and not comparison.differing
    assert {one.section for one in comparison.rows} >= {"params", "metrics", "inputs", "environment", "hardware"}


def test_only_what_differs_is_a_difference_and_a_missing_value_is_one() -> None:
    first, second = (
        sample_run(params={"lr": 0.1, "depth": 3}),
        sample_run(params={"lr": 0.1, "depth": 4, "width": None}),
    )
    found = {one.name: one for one in compare_runs([first, second]).differing}
    assert list(found) == ["depth", "width"]
    assert found["width"].values == (None, None) and found["width"].absent == (0,)


def test_values_of_other_types_are_not_the_same_but_a_metric_is_a_number() -> None:
    values = [True, 1, 1.0, "1"]
    params = compare_runs([sample_run(params={"x": value}) for value in values])
    assert row(params, "params.x").distinct == 4
    assert not row(compare_runs(runs_with(1, 1.0)), "metrics.acc").differs
    assert not row(compare_runs(runs_with("NaN", math.nan)), "metrics.acc").differs


def test_best_and_worst_follow_the_goal_and_ties_share_them() -> None:
    larger = row(compare_runs(runs_with(0.5, 0.9, 0.9, 0.1)), "metrics.acc")
    smaller = row(compare_runs(runs_with(0.5, 0.9, 0.9, 0.1, name="loss")), "metrics.loss")
    unknown = row(compare_runs(runs_with(0.5, 0.9, name="gap")), "metrics.gap")
    told = row(compare_runs(runs_with(0.5, 0.9, name="gap"), goals={"g*": "min"}), "metrics.gap")
    assert (larger.best, larger.worst) == ((1, 2), (3,)) and (smaller.best, smaller.worst) == ((3,), (1, 2))
    assert (unknown.goal, unknown.best) == (None, ()) and (told.goal, told.best, told.worst) == ("min", (0,), (1,))


def test_nan_is_neither_best_nor_worst_and_an_infinite_loss_is_the_worst() -> None:
    found = row(compare_runs(runs_with("NaN", 0.5, "Infinity", 0.4, name="loss")), "metrics.loss")
    assert (found.best, found.worst) == ((3,), (2,))
    assert row(compare_runs(runs_with("NaN", 0.5)), "metrics.acc").best == ()


def test_a_run_that_did_not_finish_is_neither_best_nor_worst_and_one_that_is_better_is_told() -> None:
    some = runs_with(0.8, 0.9, 0.99, 0.1, 0.95)
    ended = [replace(one, status=status) for one, status in zip(some, ("finished",) * 2 + ("failed",) * 3, strict=True)]
    found = row(compare_runs(ended), "metrics.acc")
    assert (found.best, found.worst, found.better, found.none_finished) == ((1,), (0,), (2, 4), False)
    alone = row(compare_runs(ended[1:3]), "metrics.acc")
    assert (alone.best, alone.worst, alone.better) == ((0,), (), (1,))
    none = row(compare_runs(ended[2:]), "metrics.acc")
    assert (none.best, none.worst, none.better, none.none_finished) == ((0,), (1,), (), True)
    assert to_json(compare_runs(ended[1:3]))["rows"][0]["better_unfinished"] == ["run2"]


def test_rows_are_picked_by_any_name_that_says_which() -> None:
    names = ["val/acc", "acc", "val/loss", "train.loss"]
    made = sample_run(params={"lr": 1, "model.depth": 2}, metrics={name: metric(1) for name in names})
    comparison = compare_runs([made])

    def fields(*columns: str, metrics: tuple[str, ...] = ()) -> list[str]:
        return [one.field for one in picked(comparison, columns, metrics)]

    assert fields("depth", "acc", "params.lr", "val/loss") == ["params.lr", "params.model.depth", *fields("acc"),
                                                               *fields("val/loss")]  # fmt: skip
    assert len(fields("metrics")) == 4 and fields("command") == ["command"] and len(fields(metrics=("val/*",))) == 2
    for wrong in ("loss", "dept", ""):
        with pytest.raises(UsageError):
            fields(wrong)


def test_changes_are_against_the_baseline_in_numbers_and_per_cent() -> None:
    found = row(compare_runs(runs_with(0.5, 0.25, "NaN", "Infinity"), baseline=1), "metrics.acc")
    assert found.changes == (0.25, None, None, None)
    assert [found.percent(place) for place in range(4)] == [100.0, None, None, None]
    assert row(compare_runs(runs_with(0, 3)), "metrics.acc").percent(1) is None


def test_what_cannot_be_larger_has_no_change() -> None:
    comparison = compare_runs([sample_run(seed=1, exit_code=0), sample_run(seed=3, exit_code=9)])
    assert row(comparison, "seed").changes == row(comparison, "exit_code").changes == (None, None)


def test_libraries_that_nobody_looked_at_are_no_difference_and_packages_are() -> None:
    told = Environment(digest="b3:1", packages={"numpy": "2.1"}, libraries={"glibc": "2.36"})
    silent = Environment(digest="b3:2", packages={"numpy": "2.2"})
    found = {one.name for one in compare_runs([sample_run(environment=told), sample_run(environment=silent)]).differing}
    assert found == {"packages.numpy"}


def test_gpus_are_one_field_a_fact() -> None:
    eight = sample_run(hardware=Hardware(gpus=(Gpu("H100", 80),) * 8))
    found = row(compare_runs([eight, sample_run(hardware=Hardware())]), "hardware.gpus.name")
    assert found.values == (("H100",) * 8, None)


def test_fields_are_sorted_as_people_count() -> None:
    names = ["layer10", "layer9", "a", "layer1"]
    comparison = compare_runs([sample_run(params=dict.fromkeys(names, 1))])
    assert [one.name for one in comparison.rows if one.section == "params"] == ["a", "layer1", "layer9", "layer10"]


def test_the_baseline_is_one_of_the_runs() -> None:
    for place in (-1, 2):
        with pytest.raises(ValueError, match="one of the runs"):
            compare_runs([sample_run()] * 2, place)


def test_noise_is_told_of_the_metric_and_the_run_that_it_is_known_of() -> None:
    noted = Noted(True, 10, "nothing", 0.1, 0.9, "c1")
    found = with_noise(compare_runs(runs_with(0.5, 0.6, 0.7)), {2: {"acc": noted}})
    assert row(found, "metrics.acc").noise == {2: noted}
    told = next(one for one in to_json(found)["rows"] if one["field"] == "metrics.acc")
    assert told["noise"][:2] == [None, None] and told["noise"][2]["is_inside"]


def test_json_has_an_item_for_each_run_and_can_be_written() -> None:
    found = runs_with(0.5, "NaN", 0.7)
    found[2] = replace(found[2], inputs=(input_file("a", digest=None),), artifacts=(artifact("x\udcff"),))
    comparison = compare_runs(found)
    told = to_json(comparison, comparison.rows)
    json.dumps(plain(told), allow_nan=False)
    assert [one["id"] for one in told["runs"]] == ["run0", "run1", "run2"] and told["baseline"] == "run0"
    assert all(len(one["values"]) == 3 for one in told["rows"])
    acc = next(one for one in told["rows"] if one["field"] == "metrics.acc")
    assert (acc["best"], acc["worst"], acc["goal"]) == (["run2"], ["run0"], "max")
    assert len(to_json(compare_runs(found))["rows"]) + told["equal"] == len(told["rows"])


@few
@given(runs, runs)
def test_two_runs_differ_in_the_sections_in_which_diff_says_so(a: Run, b: Run) -> None:
    """Of metrics only the last point counts here; a file that was renamed is one less and one more."""
    told = diff_runs(a, b)
    found = {one.section for one in compare_runs([a, b]).differing} - {CIRCUMSTANCES}
    for section in set(SECTIONS) - {"metrics", "inputs", "artifacts"}:
        assert (section in found) == bool(getattr(told, section)), section
    assert "metrics" not in found or told.metrics
    assert "artifacts" not in found or told.artifacts or any(one.what == "artifacts" for one in told.informative)


@few
@given(st.lists(runs, min_size=1, max_size=3), st.data())
def test_the_order_of_runs_changes_no_difference(some: list[Run], data: st.DataObject) -> None:
    other = data.draw(st.permutations(some))
    here, there = compare_runs(some), compare_runs(other)
    assert {one.field for one in here.differing} == {one.field for one in there.differing}
    for one in here.rows:
        assert not set(one.best) & set(one.worst) and bool(one.best) >= bool(one.worst)
        assert not set(one.better) & {*one.best, *one.worst}
