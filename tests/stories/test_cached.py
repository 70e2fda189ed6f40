"""A person types `run --cached` instead of `run`, and waits only for what is new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import git_repository, write
from tests.stories.typing import Person

TRAIN = """import sys
lr = open("params.yaml").read()
open("model.bin", "w").write(lr + open("data/a.csv").read())
print("trained")
"""


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    files = {"train.py": TRAIN, "params.yaml": "lr: 0.1\n", ".gitignore": "data/\n"}
    root = git_repository(tmp_path / "work", files)
    write(root, {"data/a.csv": "1\n"})
    return Person(root, command_path)


def ids(person: Person) -> list[str]:
    return [run["id"] for run in person.json("ls")]


def test_the_same_is_taken_and_what_differs_is_said_and_run(person: Person) -> None:
    words = ("run", "--cached", "--params", "params.yaml", "--input", "data")
    command = ("--", "python", "train.py")
    first = person.try_(*words, *command)
    assert "no past run of this command ended well" in first.stderr and first.stdout == "trained\n"
    (person.cwd / "model.bin").unlink()
    again = person.try_(*words, "--tag", "new", *command)
    one, run = ids(person)[0], ids(person)
    assert len(run) == 1 and again.stdout == "", "nothing was run"
    assert f"the same as {one} of just now: nothing was run, 1 output put back" in again.stderr
    assert "not used, as there is no new run: --tag" in again.stderr
    assert (person.cwd / "model.bin").read_text() == "lr: 0.1\n1\n"
    quiet = person.try_(*words, "--quiet", "--json", *command)
    assert json.loads(quiet.stdout)["id"] == one and quiet.stderr == ""
    assert "nothing was run" in person.try_("rerun", "--cached", one).stderr
    changed = person.try_(*words, "--set", "lr=0.2", *command)
    assert f"not taken from {one}: params.lr 0.1 -> 0.2" in changed.stderr and changed.stdout == "trained\n"
    assert "nothing was run" in person.try_(*words, "--set", "lr=0.2", *command).stderr
    assert (person.cwd / "model.bin").read_text() == "lr: 0.1\n1\n", "such a run's outputs are not put here"
    assert len(ids(person)) == 2


def test_a_program_and_a_warm_start_are_taken_too_and_a_pipe_and_a_container_never(person: Person) -> None:
    write(person.cwd, {"count.sh": "wc -c < data/a.csv > model.bin\n"})
    command = ("--", "sh", "count.sh")
    person.type("run", "--cached", *command)
    assert "nothing was run" in person.try_("run", "--cached", *command).stderr
    (one,) = ids(person)
    warm = ("run", "--cached", "--resume-from", one, *command)
    assert "not taken" in person.try_(*warm).stderr
    assert "nothing was run" in person.try_(*warm).stderr
    assert "it reads a pipe" in person.try_("run", "--cached", *command, input=b"typed").stderr
    assert "in a docker container" in person.try_("run", "--cached", "--image", "none", *command).stderr
