"""Paths that hold the time of a run, or a number that counts up, mean the same place in the next run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.places import same_places, shape
from mltrack.compare.verdict import Rules, judge
from mltrack.records import Recognised
from tests.compare.samples import artifact, digest, sample_run


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
    old, new = "outputs/2026-01-02/10-30-00", "outputs/2026-01-03/08-00-00"
    then = sample_run(metrics={}, artifacts=(artifact(f"{old}/model", "m"), artifact(f"{old}/log", "1")))
    now = replace(then, artifacts=(artifact(f"{new}/model", "m"), artifact(f"{new}/log", "2")))
    verdict = judge(then, now, Rules())
    grades = {item.path: item.grade for item in verdict.artifacts}
    assert grades == {f"{old}/model": "identical", f"{old}/log": "different"}
    then = replace(then, recognised={f"{old}/log": Recognised("hydra", digest("same"))})
    now = replace(now, recognised={f"{new}/log": Recognised("hydra", digest("same"))})
    assert judge(then, now, Rules()).grade == "equivalent"
    now = replace(now, recognised={f"{new}/log": Recognised("hydra", digest("other"))})
    assert judge(then, now, Rules()).grade == "different"
