"""Another seed reaches the command by the means by which the recorded one did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrack.compare.seeds import seed_of, seed_params
from mltrack.errors import UsageError
from mltrack.operations.repeating.varying import check_seed, seeded
from mltrack.operations.request import Declared, Place, Plan, RunRequest
from mltrack.records import Artifact, Run
from tests.compare.samples import sample_run
from tests.helpers import write

BARE = replace(sample_run(), params={}, param_sources={}, seed=None, artifacts=())


def with_params(**params: tuple[Any, str]) -> Run:
    values = {name: value for name, (value, _) in params.items()}
    return replace(BARE, params=values, param_sources={name: source for name, (_, source) in params.items()})


def plan(root: Path, *command: str, **set_params: object) -> Plan:
    request = RunRequest(command, root, seed=None)
    place = Place(root, None)  # type: ignore[arg-type]  # nothing here asks git
    argv = ("/elsewhere/bin/python", *command[1:])
    return Plan(request, place, command, argv, ".", Declared(), set_params)


@pytest.mark.parametrize(
    ("words", "name", "changed"),
    [
        (("python", "t.py", "--seed", "7", "--lr", "1"), "seed", ("python", "t.py", "--seed", "10", "--lr", "1")),
        (("python", "t.py", "--seed=7"), "seed", ("python", "t.py", "--seed=10")),
        (("python", "t.py", "train.seed=7"), "train.seed", ("python", "t.py", "train.seed=10")),
        (("python", "t.py", "--random-state", "7"), "random-state", ("python", "t.py", "--random-state", "10")),
    ],
)
def test_a_seed_in_the_command_is_changed_there(
    tmp_path: Path, words: tuple[str, ...], name: str, changed: tuple[str, ...]
) -> None:
    run = with_params(**{name: (7, "argv")})
    found = seeded(plan(tmp_path, *words), run, 3)
    assert found.command == changed
    assert found.argv == ("/elsewhere/bin/python", *changed[1:])
    assert seed_of(run) == 7


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("params.yaml", "lr: 1\ntrain:\n  seed: 7  # the seed\n", "train.seed"),
        ("conf/a.toml", "seed = 7\nlr = 1\n", "seed"),
        ("conf/a.json", '{"seed": 7}', "a.seed"),
        ("conf/a.json", '{"seed": 7}', "conf/a.json:seed"),
    ],
)
def test_a_seed_in_a_params_file_is_changed_there_and_nothing_else(
    tmp_path: Path, path: str, text: str, name: str
) -> None:
    write(tmp_path, {path: text})
    before = plan(tmp_path, "python", "t.py")
    assert seeded(before, with_params(**{name: (7, path)}), 1) == before
    assert (tmp_path / path).read_text() == text.replace("7", "8")


def test_every_seed_of_a_run_is_varied_together(tmp_path: Path) -> None:
    write(tmp_path, {"params.json": json.dumps({"seed": 1})})
    run = replace(with_params(seed=(1, "params.json"), manual_seed=(5, "--set")), seed=100)
    found = seeded(plan(tmp_path, "python", "t.py", "--manual_seed", "5", manual_seed=5), run, 2)
    assert found.request.seed == 102 and found.command == ("python", "t.py", "--manual_seed", "7")
    assert found.set_params == {"manual_seed": 7}
    assert json.loads((tmp_path / "params.json").read_text()) == {"seed": 3}
    assert seed_of(run) == 100


def test_what_is_no_seed_or_cannot_be_set_is_left_alone() -> None:
    run = with_params(
        seed=("abc", "argv"), seeds=(1, "argv"), random_state=(True, "argv"), rng_seed=(1, "logged"),
        manual_seed=(1, "outputs/config.yaml"), lr=(3, "argv"),
    )  # fmt: skip
    made = Artifact("outputs/config.yaml", "file", "b3:1", 1)
    assert seed_params(replace(run, artifacts=(made,))) == {}
    with pytest.raises(UsageError, match="no seed that could be varied"):
        check_seed(replace(run, artifacts=(made,)))
    check_seed(replace(BARE, seed=0))


def test_a_record_cannot_have_a_file_edited_outside_of_the_workspace(tmp_path: Path) -> None:
    write(tmp_path, {"outside.json": '{"seed": 1}'})
    root = tmp_path / "work"
    root.mkdir()
    hostile = with_params(seed=(1, "../outside.json"))
    with pytest.raises(Exception, match="outside"):
        seeded(plan(root, "t"), hostile, 1)
    assert (tmp_path / "outside.json").read_text() == '{"seed": 1}'
    assert seed_params(with_params(seed=(1, str(tmp_path / "outside.json")))) == {}
