"""Where a run's params come from before its command starts, and which source counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mltrack.config import load_config
from mltrack.errors import ConfigError
from mltrack.operations.request import Declared, Place, Plan, RunRequest
from mltrack.operations.running.params import params_of, unnamed_file, with_unnamed, without_unread
from mltrack.records import SCHEMA, Run, new_id
from tests.helpers import write

FILES = {
    "params.yaml": "lr: 0.5\nseed: 1\n",
    "sub/conf.yaml": "lr: 0.1\nnet: {depth: 2}\n",
    "sub/other.toml": "lr = 0.2\nwidth = 3\n",
    "secrets.yaml": "lr: 9\n",
}


def found(root: Path, command: str, *declared: str, frameworks: tuple[str, ...] = (), cwd: str = ".") -> dict[str, Any]:
    """Name -> [value, source]."""
    write(root, FILES)
    words = tuple(command.split())
    place = Place(root, None)  # type: ignore[arg-type]  # nothing here asks git
    plan = Plan(RunRequest(words, root), place, words, words, cwd, Declared(params=declared))
    params, sources = params_of(plan, frameworks)
    return {name: [value, sources[name]] for name, value in params.items()}


def test_a_config_that_the_command_names_is_read_where_the_command_finds_it(tmp_path: Path) -> None:
    named = found(tmp_path, "python train.py --config conf.yaml --seed=3", cwd="sub")
    assert named == {
        "lr": [0.1, "sub/conf.yaml"],
        "net.depth": [2, "sub/conf.yaml"],
        "config": ["conf.yaml", "argv"],
        "seed": [3, "argv"],
    }
    assert "net.depth" not in found(tmp_path, "python train.py --config conf.yaml")
    assert "net.depth" in found(tmp_path, f"python train.py --config {tmp_path}/sub/conf.yaml", cwd="elsewhere")


def test_arguments_beat_configs_and_a_declared_file_keeps_its_names(tmp_path: Path) -> None:
    named = found(tmp_path, "python train.py sub/conf.yaml lr=7", "params.yaml")
    assert named["lr"] == [7, "argv"] and named["conf.lr"] == [0.1, "sub/conf.yaml"]
    named = found(tmp_path, "python train.py sub/conf.yaml", "params.yaml")
    assert named["lr"] == [0.5, "params.yaml"] and named["conf.lr"] == [0.1, "sub/conf.yaml"]
    named = found(tmp_path, "python train.py sub/conf.yaml", "sub/conf.yaml")
    assert set(named) == {"lr", "net.depth"}, "a declared file that is named too is read once"


def test_two_configs_with_one_name_are_both_qualified(tmp_path: Path) -> None:
    named = found(tmp_path, "python train.py --config sub/conf.yaml --config sub/other.toml")
    assert (named["conf.lr"][0], named["other.lr"][0], named["width"][0]) == (0.1, 0.2, 3)


def test_files_that_may_hold_secrets_are_not_opened(tmp_path: Path) -> None:
    assert "lr" not in found(tmp_path, "python train.py --config secrets.yaml")


@pytest.mark.parametrize(
    ("setting", "reads"), [((), True), (("config",), True), (("hydra",), False), (("off",), False)]
)
def test_a_setting_says_whose_files_are_read(tmp_path: Path, setting: tuple[str, ...], reads: bool) -> None:
    assert ("net.depth" in found(tmp_path, "python train.py sub/conf.yaml", frameworks=setting)) == reads


def test_the_setting_is_a_list_of_known_names_or_off(tmp_path: Path) -> None:
    def frameworks(text: str, **variables: str) -> tuple[str, ...]:
        write(tmp_path, {"mltrack.yaml": text})
        return load_config(tmp_path, {"HOME": str(tmp_path), **variables}).frameworks

    assert frameworks("frameworks: off\n") == ("off",)
    assert frameworks("frameworks: [hydra, results]\n") == ("hydra", "results")
    assert frameworks("", MLTRACK_CONFIG_FRAMEWORKS="hydra,dvc") == ("hydra", "dvc")
    with pytest.raises(ConfigError):
        frameworks("frameworks: [tensorflow]\n")


def plan_of(root: Path, command: str, *declared: str) -> Plan:
    write(root, FILES)
    words = tuple(command.split())
    place = Place(root, None)  # type: ignore[arg-type]  # nothing here asks git
    return Plan(RunRequest(words, root), place, words, words, ".", Declared(params=declared))


def test_params_yaml_at_the_root_need_not_be_named(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "python train.py --lr 7")
    params, sources = with_unnamed(plan, (), *params_of(plan))
    assert params == {"lr": 7, "seed": 1} and sources == {"lr": "argv", "seed": "params.yaml"}
    assert with_unnamed(plan, ("off",), {}, {}) == ({}, {})
    other = plan_of(tmp_path, "python train.py", "sub/conf.yaml")
    params, sources = with_unnamed(other, (), *params_of(other))
    assert params["lr"] == 0.1 and (params["params.lr"], sources["params.lr"]) == (0.5, "params.yaml")
    for named in (plan_of(tmp_path, "python train.py", "params.yaml:lr"), plan_of(tmp_path, "a.py --conf params.yaml")):
        assert unnamed_file(named) is None


def test_params_yaml_that_nobody_read_is_taken_out_again(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "python train.py --lr 7")
    params, sources = with_unnamed(plan, (), *params_of(plan))
    run = Run(SCHEMA, new_id(), None, None, "running", ("x",), ".", params=params, param_sources=sources)
    assert without_unread(plan, run, {str(tmp_path / "params.yaml")}) == run
    assert without_unread(plan, run, {"/other"}).params == {"lr": 7}
