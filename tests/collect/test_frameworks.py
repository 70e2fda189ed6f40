"""What frameworks wrote is read as it stands on the disk, and nothing that stands there can break a run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.collect.frameworks import FAMILY, Found, distinguish, find_facts, left_behind, unless_known
from mltrack.config import FRAMEWORKS
from mltrack.formats.metrics import Point
from tests.formats.test_events import event_file
from tests.helpers import write

HYDRA = {
    ".hydra/config.yaml": "seed: 3\nlr: 0.01\nmodel:\n  name: big\n  depth: 5\nepochs: ${model.depth}\nout: ${oc.env:OUT}\n",
    ".hydra/overrides.yaml": "- model=big\n- lr=0.01\n",
    ".hydra/hydra.yaml": (
        "hydra:\n  mode: RUN\n  overrides: {task: [model=big, lr=0.01]}\n"
        "  runtime: {cwd: /home/a, output_dir: /home/a/out, choices: {model: big, hydra/launcher: basic, db: null}}\n"
    ),
    "train.log": "[2026-01-02 10:11:12,345][__main__][INFO] - loss 0.5\n",
}
DVC = {
    "dvc.yaml": (
        "stages:\n  prepare: {cmd: p, outs: [data/train.csv]}\n  other: {cmd: o}\n"
        "  train:\n    foreach: [1, 2]\n    do:\n      wdir: sub\n      cmd: t\n"
        "      metrics:\n        - scores-${item}.json: {cache: false}\nmetrics: [all.yaml]\n"
    ),
    "dvc.lock": (
        "schema: '2.0'\nstages:\n  prepare:\n    params: {params.yaml: {prepare.split: 0.2}}\n"
        "    outs: [{path: data/train.csv, md5: a}]\n"
        "  other:\n    params: {params.yaml: {other: 1}}\n"
        "  train@1:\n    deps: [{path: data, md5: b}]\n    params: {params.yaml: {train.lr: 0.1}, conf.json: {train.lr: 3}}\n"
    ),
    "sub/scores-1.json": '{"auc": 0.5}',
    "sub/other.json": '{"auc": 0.1}',
    "all.yaml": "f1: 0.25\n",
}
NOTEBOOK: dict[str, Any] = {
    "metadata": {"papermill": {"parameters": {"alpha": 0.25, "net": {"depth": 2}}, "start_time": "2026-01-02"}},
    "cells": [
        {"cell_type": "markdown", "source": "# Title"},
        {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ["alpha = 0.5\n", "rounds = 3"]},
        {"cell_type": "code", "source": "1/0", "outputs": [{"output_type": "error", "ename": "ZeroDivisionError"}]},
    ],
}
HPARAMS = "hidden: 8\nopt: !!python/object:os.system {a: 1}\n_instantiator: lightning.cli\n"
STATE = {
    "log_history": [
        {"loss": 2.0, "epoch": 1.0, "step": 10},
        {"eval_loss": 1.5, "epoch": 1.0, "step": 10},
        {"train_runtime": 3.5, "step": 10},
    ]
}


def found(root: Path, files: Mapping[str, str | bytes], command: str = "python train.py", cwd: str = ".") -> Found:
    write(root, files)
    return find_facts(left_behind(lambda path: root / path, cwd, command.split(), files))


def below(directory: str, files: Mapping[str, str | bytes]) -> dict[str, str | bytes]:
    return {f"{directory}/{name}": text for name, text in files.items()}


def last(facts: Found) -> dict[str, float]:
    return {point.name: point.value for point in facts.points}


def test_the_setting_knows_every_member() -> None:
    assert {*FRAMEWORKS} == {"config", *FAMILY}


# -- Hydra


def test_hydras_composed_config_is_the_runs_params(tmp_path: Path) -> None:
    facts = found(tmp_path, below("outputs/2026-01-02/10-11-12", HYDRA))
    assert facts.params == {
        "seed": 3, "lr": 0.01, "model": "big", "model.name": "big", "model.depth": 5, "epochs": 5,
        "out": "${oc.env:OUT}",
    }  # fmt: skip
    assert set(facts.sources.values()) == {"hydra"}
    assert not facts.warnings


def test_a_sweep_shares_what_its_jobs_share_and_lists_the_rest_in_their_order(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"multirun/a/multirun.yaml": "hydra: {}\n"}
    for job in range(11):
        files |= below(f"multirun/a/{job}", HYDRA)
        files[f"multirun/a/{job}/.hydra/config.yaml"] = f"seed: 3\nlr: {job}\n"
        files[f"multirun/a/{job}/metrics.json"] = f'{{"loss": {job}}}'
    facts = found(tmp_path, files)
    assert facts.params["seed"] == 3 and facts.params["lr"] == list(range(11))
    assert last(facts) == {f"{job}/loss": job for job in range(11)}


# -- Lightning


def test_lightnings_saved_config_is_told_from_any_other_by_its_header(tmp_path: Path) -> None:
    files = {
        "lightning_logs/version_0/config.yaml": "# lightning.pytorch==2.5.0\nseed_everything: 7\ntrainer: {max_epochs: 3}\n",
        "lightning_logs/version_0/hparams.yaml": HPARAMS,
        "lightning_logs/version_0/metrics.csv": "epoch,step,train_loss,val_loss\n0,9,0.5,\n0,9,,0.75\n",
        "elsewhere/config.yaml": "not: mine\n",
    }
    facts = found(tmp_path, files)
    assert facts.params == {"seed_everything": 7, "trainer.max_epochs": 3}
    assert Point("train_loss", 0.5, 9) in facts.points and Point("val_loss", 0.75, 9) in facts.points


def test_without_a_saved_config_the_saved_hyperparameters_count(tmp_path: Path) -> None:
    facts = found(tmp_path, {"lightning_logs/version_0/hparams.yaml": HPARAMS, "hparams.yaml": "not: mine\n"})
    assert facts.params == {"hidden": 8, "opt.a": 1}


# -- notebooks


def test_an_executed_notebook_tells_its_parameters_and_its_failed_cells(tmp_path: Path) -> None:
    facts = found(tmp_path, {"out.ipynb": json.dumps(NOTEBOOK)}, "papermill in.ipynb out.ipynb")
    assert facts.params == {"alpha": 0.25, "net.depth": 2, "rounds": 3}
    assert [warning.message for warning in facts.warnings] == ["out.ipynb: cell 2 failed."]


def test_a_notebook_that_somebody_saved_while_the_run_went_on_is_none_of_its_params(tmp_path: Path) -> None:
    notebook = json.dumps({**NOTEBOOK, "metadata": {}})
    assert not found(tmp_path, {"other.ipynb": notebook}).params
    assert found(tmp_path, {"x.ipynb": notebook}, "jupyter nbconvert --execute x.ipynb").params == {
        "alpha": 0.5,
        "rounds": 3,
    }


# -- DVC


@pytest.mark.parametrize("cwd", [".", "pipeline"])
def test_a_pipelines_params_and_metrics_are_those_that_it_declares(tmp_path: Path, cwd: str) -> None:
    files: Mapping[str, str | bytes] = DVC if cwd == "." else below(cwd, DVC)
    facts = found(tmp_path, files, "dvc repro -f", cwd)
    assert facts.params == {"prepare.split": 0.2, "other": 1, "params.train.lr": 0.1, "conf.train.lr": 3}
    assert last(facts) == {"auc": 0.5, "f1": 0.25}
    assert not found(tmp_path, files, "python train.py", cwd).params


@pytest.mark.parametrize(
    "command", ["dvc repro train", "dvc --cd . repro -s dvc.yaml:train", "dvc exp run -S lr=1 train"]
)
def test_of_a_pipeline_only_the_stages_that_were_asked_for_and_what_they_need_count(
    tmp_path: Path, command: str
) -> None:
    assert set(found(tmp_path, DVC, command).params) == {"prepare.split", "params.train.lr", "conf.train.lr"}


# -- files by their names


def test_the_longest_history_of_a_trainer_counts_and_its_results_add_what_it_lacks(tmp_path: Path) -> None:
    short = {"log_history": STATE["log_history"][:1]}
    files = {
        "out/trainer_state.json": json.dumps(STATE),
        "out/checkpoint-5/trainer_state.json": json.dumps(short),
        "out/all_results.json": '{"eval_loss": 99, "predict_accuracy": 0.5}',
        "out/eval_results.json": '{"eval_loss": 99}',
    }
    facts = found(tmp_path, files)
    assert Point("loss", 2.0, 10) in facts.points
    assert last(facts) == {
        "loss": 2.0, "epoch": 1.0, "eval_loss": 1.5, "train_runtime": 3.5, "predict_accuracy": 0.5
    }  # fmt: skip


def test_a_progress_file_counts_by_the_steps_of_its_environment(tmp_path: Path) -> None:
    text = "rollout/ep_rew_mean,time/fps,time/total_timesteps\n20.5,100,2048\n,101,4096\n"
    facts = found(tmp_path, {"logs/ppo/CartPole-v1_1/progress.csv": text})
    assert facts.points == (
        Point("rollout/ep_rew_mean", 20.5, 2048),
        Point("time/fps", 100.0, 2048),
        Point("time/fps", 101.0, 4096),
    )


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("scores.csv", "cls,p_spam\nham,0.1\nspam,0.9\n", set()),
        ("scores.jsonl", '{"y_true": 1, "score": 0.5}\n{"y_true": 0, "score": 0.25}\n', set()),
        ("scores.json", '[{"score": 0.5}, {"score": 0.25}]', set()),
        ("results.csv", "y_true,y_pred\n1,1\n0,1\n", set()),
        ("scores.csv", "epoch,acc\n1,0.5\n2,0.75\n", {"acc"}),
        ("scores.json", '{"auc": 0.5}', {"auc"}),
        ("scores.csv", "auc,f1\n0.5,0.25\n", {"auc", "f1"}),
        ("results.csv", "epoch, metrics/mAP50\n1, 0.5\n2, 0.75\n", {"metrics/mAP50"}),
        ("results.csv", "fold,acc\n0,0.5\n1,0.75\n", {"fold", "acc"}),
        ("history.csv", "loss,val_loss\n1,2\n0.5,1\n", {"loss", "val_loss"}),
        ("metrics.csv", "step,train_loss,val_loss\n1,2,\n1,,1\n", {"train_loss", "val_loss"}),
    ],
)
def test_a_table_of_samples_is_no_series_of_metrics(tmp_path: Path, name: str, text: str, names: set[str]) -> None:
    facts = found(tmp_path, {name: text})
    assert {point.name for point in facts.points} == names
    assert set(facts.files) == ({name} if names else set())


def test_one_name_in_several_files_is_told_by_what_differs_in_their_paths(tmp_path: Path) -> None:
    files = {
        "a/fold0/metrics.json": '{"loss": 1, "only": 3}',
        "a/fold1/metrics.json": '{"loss": 2}',
    }
    assert last(found(tmp_path, files)) == {"fold0/loss": 1, "only": 3, "fold1/loss": 2}
    assert distinguish(["metrics.json", "x/metrics.json"]) == {"metrics.json": "", "x/metrics.json": "x"}
    assert distinguish(["o/metrics.json", "o/scores.json"]) == {"o/metrics.json": "metrics", "o/scores.json": "scores"}
    assert len(set(distinguish(["o/metrics.json", "o/metrics.csv"]).values())) == 2


paths = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), unique=True, min_size=1)


@given(paths)
def test_what_tells_files_apart_is_never_the_same_for_two(names: list[str]) -> None:
    assert len(set(distinguish(names).values())) == len(names)


def test_event_files_are_metrics_and_keep_their_steps(tmp_path: Path) -> None:
    files = {
        "runs/x/train/events.out.tfevents.1": event_file([("loss", 1, 0.5), ("loss", 2, 0.25)]),
        "runs/x/validation/events.out.tfevents.1": event_file([("loss", 1, 0.75)]),
        "runs/x/events.out.tfevents.1": event_file([("lr", 1, 0.125)])[:-2],
    }
    facts = found(tmp_path, files)
    assert [(point.name, point.step, point.value) for point in facts.points] == [
        ("train/loss", 1, 0.5),
        ("train/loss", 2, 0.25),
        ("validation/loss", 1, 0.75),
    ]


def test_a_metric_that_was_logged_is_not_mixed_with_one_that_was_found() -> None:
    logged = [Point("loss", 1.0, 1), Point("loss", 0.5, 2)]
    assert list(unless_known(logged, [Point("loss", 9.0), Point("auc", 0.7)])) == [*logged, Point("auc", 0.7)]


def test_far_too_many_names_are_data_and_no_params(tmp_path: Path) -> None:
    config = "".join(f"p{number}: {number}\n" for number in range(1001))
    facts = found(tmp_path, {**below("o", HYDRA), "o/.hydra/config.yaml": config, "metrics.json": json.dumps(
        {f"m{number}": number for number in range(1001)})})  # fmt: skip
    assert not facts.params and not facts.points
    assert [warning.kind for warning in facts.warnings] == ["framework-too-much"] * 2


# -- what is damaged

NAMES = [*below("o", HYDRA), *DVC, "out.ipynb", "out/trainer_state.json", "out/all_results.json", "metrics.csv",
         "version_0/hparams.yaml", "version_0/config.yaml", "events.out.tfevents.1", "progress.jsonl"]  # fmt: skip
GOOD: dict[str, str | bytes] = {
    **below("o", HYDRA), **DVC, "out.ipynb": json.dumps(NOTEBOOK), "out/trainer_state.json": json.dumps(STATE),
    "events.out.tfevents.1": event_file([("loss", 1, 0.5)]), "metrics.csv": "step,loss\n1,2\n",
    "version_0/config.yaml": "# lightning==2\na: 1\n",
}  # fmt: skip
ODD = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"[]", b"{}", b"null", b"3", b'"a"', b"- 1\n- 2", b"stages: 3", b"stages: {train: 5}", b"a: [", b"[" * 9999]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(
            ["cells", "metadata", "papermill", "parameters", "log_history", "stages", "params", "metrics", "outs",
             "deps", "path", "hydra", "runtime", "choices", "outputs", "tags", "source", "step", "a"]), inner, max_size=4),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip


@settings(max_examples=60 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)
@given(st.data())
def test_nothing_in_a_file_can_raise(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("odd")
    files = dict(GOOD)
    for name in data.draw(st.lists(st.sampled_from(NAMES), max_size=6, unique=True)):
        files[name] = data.draw(ODD)
    facts = found(root, files, data.draw(st.sampled_from(["dvc repro", "papermill a b", "python train.py"])))
    assert facts.sources.keys() == facts.params.keys()
    assert not [warning for warning in facts.warnings if "Error" in warning.message]


def test_files_that_are_gone_or_are_pipes_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.json")
    left = left_behind(lambda path: tmp_path / path, ".", ["x"], ["metrics.json", "gone/progress.csv", "a.tfevents.1"])
    os.mkfifo(tmp_path / "a.tfevents.1")
    facts = find_facts(left)
    assert not facts.points and len(facts.warnings) == 3
