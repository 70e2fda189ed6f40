"""Paths that hold the time of a run, or a number that counts up, mean the same place in the next run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.comparators import Finding
from mltrack.compare.verdict.judge import judge
from mltrack.compare.verdict.outputs import Evidence
from mltrack.compare.verdict.places import Known, Traces, same_places, seconds, shape
from mltrack.compare.verdict.rules import Rules
from mltrack.records import Environment
from tests.compare.samples import artifact, sample_run


def at(one: str, other: str, lasting: float = 60.0, zones: tuple[int, ...] = (0,)) -> Known:
    """Two runs that started at these times."""
    starts = (seconds(one), seconds(other))
    assert None not in starts
    return Known(*(Traces((), start, start + lasting, zones) for start in starts if start is not None))


JANUARY = at("2026-01-02T10:30:00Z", "2026-01-03T11:45:00Z")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("outputs/2026-01-02/10-30-01/model.bin", "outputs/2026-01-03/11-45-00/model.bin"),
        ("multirun/2026-01-02/10-30-00/0/a", "multirun/2026-01-03/11-45-30/0/a"),
        ("logs/ppo/CartPole-v1_3/progress.csv", "logs/ppo/CartPole-v1_1/progress.csv"),
        ("lightning_logs/version_12/metrics.csv", "lightning_logs/version_0/metrics.csv"),
        ("runs/Jan02_10-30-00_here/events.out.tfevents.1767349805.here.12.0",
         "runs/Jan03_11-45-04_my_box/events.out.tfevents.1767440705.my_box.7.1"),
        ("out/20260102T103000/x", "out/20260103T114501/x"),
        ("log_1767349805.txt", "log_1767440705.txt"),
        ("at_10-30-59.txt", "at_11-45-59.txt"),
        ("report-20260102_1030.md", "report-20260103_1145.md"),
        ("report-20260102.md", "report-20260103.md"),
    ],
)  # fmt: skip
def test_a_time_or_a_counter_is_not_part_of_the_place(one: str, other: str) -> None:
    assert same_places([one, "same"], ["same", other], JANUARY) == {other: one}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("subject_1/m", "subject_0/m"), ("t_07-08-09/m", "t_03-04-05/m"), ("grid_08_16_64/m", "grid_08_16_32/m"),
        ("chr5/m", "chr1/m"), ("client_3/m", "client_0/m"), ("class_7/m", "class_0/m"), ("5/m", "1/m"),
        ("train_2019/m", "train_2020/m"), ("v01.02.03/m", "v01.02.04/m"), ("core_1000", "core_2000"),
        ("out/2026-01-01/m", "out/2026-01-05/m"), ("a/2026-01-02/07-30-00/m", "a/2026-01-03/11-45-00/m"),
        ("log_1767000000.txt", "log_1767440705.txt"), ("version_3/m", "version_4/m"), ("x_29-61-00", "x_29-62-00"),
    ],
)  # fmt: skip
def test_what_is_no_time_of_the_run_and_counts_up_by_no_framework_is_a_name(one: str, other: str) -> None:
    assert same_places([one], [other], JANUARY) == {}


def test_times_of_one_path_are_all_in_universal_time_or_all_in_the_zone_of_the_run() -> None:
    known = at("2026-01-02T10:30:00Z", "2026-01-03T11:45:00Z", zones=(0, 3600))
    assert same_places(["a/2026-01-02/11-30-05/m"], ["a/2026-01-03/11-45-05/m"], known)
    assert same_places(["a/11-30-05/10-30-05/m"], ["a/12-45-05/12-45-05/m"], known) == {}
    assert same_places(["a/2026-01-02/11-30-05/m"], ["a/2026-01-03/11-45-05/m"], JANUARY) == {}
    berlin = sample_run(origin={"time_zone": "Europe/Berlin"}, environment=Environment())
    assert Traces.of(berlin).zones == (0, 3600)
    assert Traces.of(replace(berlin, origin={"time_zone": "No/Where"})).zones == (0,)


def test_nobody_knows_whose_a_time_is_where_nobody_knows_when_the_run_ran() -> None:
    assert same_places(["outputs/2026-01-02/m"], ["outputs/2026-01-03/m"]) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [("model_1.pt", "model_2.pt"), ("a/epoch=3.ckpt", "a/epoch=4.ckpt"), ("a/x", "b/x"), ("v10-2.bin", "v10-3.bin")],
)
def test_another_name_is_another_place(one: str, other: str) -> None:
    assert same_places([one], [other]) == {}


def test_several_go_in_their_order_and_only_if_both_have_as_many() -> None:
    first = [f"runs/2026-01-02/{job}/m" for job in range(12)]
    second = [f"runs/2026-01-03/{job}/m" for job in range(12)]
    assert same_places(first, second, JANUARY) == dict(zip(second, first))
    assert same_places(first, second[:-1], JANUARY) == dict(zip(second[:-1], first)), "each job is called by its number"
    first, second = (["v/version_2/m", "v/version_3/m"], ["v/version_0/m", "v/version_1/m"])
    assert same_places(first, second) == dict(zip(second, first))
    assert same_places(first, second[:-1]) == {}


@given(st.lists(st.text("ab12-_./", min_size=1, max_size=12), unique=True))
def test_a_run_is_in_the_same_places_as_itself(paths: list[str]) -> None:
    assert same_places(paths, paths) == {}
    assert all(shape(shape(path)) == shape(path) for path in paths)


def test_the_verdict_compares_such_files_and_says_where_they_are() -> None:
    old, new = "outputs/2026-11-21/01-02-04", "outputs/2026-11-22/08-00-00"
    then = sample_run(metrics={}, artifacts=(artifact(f"{old}/model", "m"), artifact(f"{old}/log", "1")))
    now = replace(then, artifacts=(artifact(f"{new}/model", "m"), artifact(f"{new}/log", "2")),
                  started_at="2026-11-22T08:00:00Z")  # fmt: skip
    verdict = judge(then, now, Rules())
    grades = {item.path: item.grade for item in verdict.artifacts}
    assert grades == {f"{old}/model": "equivalent", f"{old}/log": "different"}, "another name is never identical"
    assert all(f"now at {new}" in (item.reason or "") for item in verdict.artifacts)
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
    known = at("2026-01-02T10:30:00Z", "2027-01-02T00:00:00Z", 86400.0)
    assert same_places(old, new, known) == {}
    assert same_places(old, new, known, is_same=lambda one, other: one == old[1]) == {new[0]: old[1]}


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


def test_a_counter_begins_again_where_its_name_counts() -> None:
    assert not same_places(["logs/version_7/m"], ["logs/version_8/m"])
    assert same_places(["runs/exp4/m"], ["runs/exp1/m"])
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
