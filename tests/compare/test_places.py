"""Paths that hold the time of a run, or a number that counts up, mean the same place in the next run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.comparators import Finding
from mltrack.compare.verdict.judge import judge
from mltrack.compare.verdict.outputs import Evidence
from mltrack.compare.verdict.places import Known, Traces, same_places, shape
from mltrack.compare.verdict.rules import Rules
from tests.compare.samples import artifact, sample_run


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("outputs/2026-01-02/10-30-00/model.bin", "outputs/2027-12-31/23-59-59/model.bin"),
        ("multirun/2026-01-02/10-30-00/0/a", "multirun/2026-01-03/11-30-00/0/a"),
        ("logs/ppo/CartPole-v1_3/progress.csv", "logs/ppo/CartPole-v1_1/progress.csv"),
        ("lightning_logs/version_12/metrics.csv", "lightning_logs/version_0/metrics.csv"),
        ("runs/Nov21_12-00-00_here/events.out.tfevents.1763729999.here.12.0",
         "runs/Dec01_02-03-04_my_box/events.out.tfevents.1763730000.my_box.7.1"),
        ("out/20260102T103000/x", "out/20270102T103001/x"),
        ("log_1763729999.txt", "log_1763730000.txt"),
    ],
)  # fmt: skip
def test_a_time_or_a_counter_is_not_part_of_the_place(one: str, other: str) -> None:
    assert same_places([one, "same"], ["same", other]) == {other: one}


@pytest.mark.parametrize(
    ("one", "other"),
    [("model_1.pt", "model_2.pt"), ("a/epoch=3.ckpt", "a/epoch=4.ckpt"), ("a/x", "b/x"), ("v10-2.bin", "v10-3.bin")],
)
def test_another_name_is_another_place(one: str, other: str) -> None:
    assert same_places([one], [other]) == {}


def test_several_go_in_their_order_and_only_if_both_have_as_many() -> None:
    first = [f"runs/2026-01-02/{job}/m" for job in range(12)]
    second = [f"runs/2026-01-03/{job}/m" for job in range(12)]
    assert same_places(first, second) == dict(zip(second, first))
    assert same_places(first, second[:-1]) == {}


@given(st.lists(st.text("ab12-_./", min_size=1, max_size=12), unique=True))
def test_a_run_is_in_the_same_places_as_itself(paths: list[str]) -> None:
    assert same_places(paths, paths) == {}
    assert all(shape(shape(path)) == shape(path) for path in paths)


def test_the_verdict_compares_such_files_and_says_where_they_are() -> None:
    old, new = "outputs/2026-11-21/10-30-00", "outputs/2026-11-22/08-00-00"
    then = sample_run(metrics={}, artifacts=(artifact(f"{old}/model", "m"), artifact(f"{old}/log", "1")))
    now = replace(then, artifacts=(artifact(f"{new}/model", "m"), artifact(f"{new}/log", "2")))
    verdict = judge(then, now, Rules())
    grades = {item.path: item.grade for item in verdict.artifacts}
    assert grades == {f"{old}/model": "identical", f"{old}/log": "different"}
    said = Evidence(findings={f"{old}/log": Finding("equivalent", "only times in it differ")})
    assert judge(then, now, Rules(), said).grade == "equivalent"


def test_a_date_on_which_the_run_did_not_run_is_part_of_the_name() -> None:
    then = sample_run(metrics={}, artifacts=(artifact("report_2019-01-01.csv", "r"),))
    now = replace(then, artifacts=(artifact("report_2020-01-01.csv", "r"),))
    assert judge(then, now, Rules()).grade == "different"
    known = Known(Traces((), 1.6e9, 1.6e9), Traces((), 1.7e9, 1.7e9))
    assert same_places(["log_1600000001.txt"], ["log_1700000009.txt"], known)
    assert not same_places(["log_1500000001.txt"], ["log_1700000009.txt"], known)


def test_a_host_is_no_part_of_a_place_where_both_are_known() -> None:
    known = Known(Traces(("bench-1.example.org", "bench-1")), Traces(("laptop",)))
    old = ["out/bench-1/a.log", "b.bench-1.example.org.log", "c-bench-12.log", "laptop.txt"]
    new = ["out/laptop/a.log", "b.laptop.log", "c-laptop2.log", "other.txt"]
    assert same_places(old, new, known) == dict(zip(new[:2], old[:2]))
    assert same_places(old, new) == {}


def test_a_number_is_a_process_id_only_behind_a_word_that_says_so() -> None:
    old = ["worker-12345.log", "core.4711", "nohup.321.out", "model-1000.pt", "step_12345.bin"]
    new = ["worker-23456.log", "core.815", "nohup.9876.out", "model-2000.pt", "step_23456.bin"]
    assert same_places(old, new) == dict(zip(new[:3], old[:3]))


def test_of_several_processes_only_those_go_together_whose_content_is_the_same() -> None:
    old, new = ["w/worker-101.log", "w/worker-102.log"], ["w/worker-909.log", "w/worker-910.log"]
    assert same_places(old, new) == {}
    crossed = {(old[0], new[1])}
    assert same_places(old, new, is_same=lambda one, other: (one, other) in crossed) == {new[1]: old[0], new[0]: old[1]}
    assert same_places(old, new[:1]) == {}
    assert same_places(old, new[:1], is_same=lambda one, other: one == old[1]) == {new[0]: old[1]}


def test_of_unequal_numbers_only_what_is_certain_is_paired() -> None:
    old = ["out/20260102/a", "out/20260103/a"]
    new = ["out/20270102/a"]
    assert same_places(old, new) == {}
    assert same_places(old, new, is_same=lambda one, other: one == old[1]) == {new[0]: old[1]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fold_5/model", "fold_6/model"),
        ("seed_1/m", "seed_2/m"),
        ("lr_10/m", "lr_20/m"),
        ("wandb/run-20260102_103000-abc123xy/files/x", "wandb/run-20260102_113000-zz9988qq/files/x"),
        ("worker-1.log", "worker-2.log"),
    ],
)
def test_what_may_be_another_thing_is_not_paired(one: str, other: str) -> None:
    assert same_places([one], [other]) == {}


def test_a_counter_begins_again_or_goes_on_where_its_name_counts() -> None:
    assert same_places(["logs/version_7/m"], ["logs/version_8/m"])
    assert same_places(["runs/train/m", "runs/train2/m"], ["runs/train/m", "runs/train3/m"])
    assert same_places(["logs/Ant-v4_7/m"], ["logs/Ant-v4_1/m"])
    assert not same_places(["fold_5/m"], ["fold_1/m"])


NAMES = st.lists(st.text("ab12-_./", min_size=1, max_size=12), unique=True)


@given(NAMES, NAMES, st.booleans())
def test_each_place_is_paired_once_and_only_with_one_of_its_shape(
    before: list[str], after: list[str], same: bool
) -> None:
    pairs = same_places(before, after, is_same=lambda old, new: same)
    assert set(pairs) <= set(after) - set(before)
    assert set(pairs.values()) <= set(before) - set(after)
    assert len(set(pairs.values())) == len(pairs)
    assert all(shape(new) == shape(old) for new, old in pairs.items())
