"""Every example of docs/examples, as a reader would use it: twice, compared, pushed, cloned elsewhere, reproduced."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.environments.making import uv
from tests.helpers import git, git_repository
from tests.stories.typing import Person

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "examples"
METRICS = ("--metrics", "metrics.json")
SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))

ROADS = {
    # example -> options of `mltrack run`, the command, names of what it writes
    "digits": ((*METRICS,), "python train.py --C 0.5 --kernel rbf", ["metrics.json", "support_vectors.npy"]),
    "lightgbm": (
        ("--params", "params.yaml", *METRICS, "--input", "data/iris.csv"),
        "python train.py",
        ["metrics.json", "model.txt"],
    ),
    "torch": (("--seed", "3"), "python train.py", ["weights.bin"]),
    "awk": (("--input", "data/iris.csv", *METRICS), "sh pipeline.sh data/iris.csv", ["means.txt", "metrics.json"]),
}


def reader(tmp_path: Path, command_path: str, example: str) -> Person:
    """Somebody who copied an example into a fresh repository and installed what it asks for."""
    project = tmp_path / "first machine" / example
    shutil.copytree(EXAMPLES / example, project)
    (project / ".gitignore").write_text(".venv/\n")
    git_repository(project)
    path = command_path
    if (project / "requirements.txt").exists():
        install(project, str(Path(command_path.split(os.pathsep)[0]) / "python"))
        path = os.pathsep.join([str(project / ".venv" / "bin"), command_path])
    return Person(project, command_path, {"PATH": path})


def install(project: Path, base: str) -> None:
    """The project's `.venv`, from its requirements: by uv, but torch by pip and in the very version that is here.

    A plain `torch` would be the newest for CUDA, of several GB; what was installed here is what pip is set up to find.
    """
    wanted = (project / "requirements.txt").read_text().split()
    if "torch" not in wanted:
        uv("venv", "-q", "--no-project", "--python", base, ".venv", cwd=project)
        uv("pip", "install", "-q", "--python", ".venv/bin/python", "-r", "requirements.txt", cwd=project)
        return
    pinned = [f"{name}=={version(name)}" for name in wanted]
    subprocess.run([base, "-m", "venv", ".venv"], cwd=project, check=True)
    subprocess.run([".venv/bin/python", "-m", "pip", "install", "-q", *pinned], cwd=project, check=True)


def run_twice(person: Person, example: str) -> list[dict[str, Any]]:
    options, command, written = ROADS[example]
    records = []
    for why in ("first", "again"):
        person.type("run", "--why", why, *options, "--", *command.split())
        records.append(person.json("show", "@"))
    assert [[item["path"] for item in record["artifacts"]] for record in records] == [written, written]
    assert [record["status"] for record in records] == ["finished", "finished"]
    assert [record["warnings"] for record in records] == [[], []]
    return records


def other_machine(person: Person, tmp_path: Path, command_path: str) -> Person:
    """Push, then go where only the remote is: project, venv, store and home of the first machine are gone."""
    remote = tmp_path / "remote"
    person.type("remote", "add", "origin", str(remote))
    person.type("push")
    (tmp_path / "first machine").rename(tmp_path / "hidden")
    Path(os.environ["HOME"]).rename(tmp_path / "hidden home")
    place = tmp_path / "second machine"
    (place / "home").mkdir(parents=True)
    nowhere = {name: str(place / "home" / name.lower()) for name in os.environ if name.startswith("XDG_")}
    person = Person(place, command_path, {"HOME": str(place / "home"), **nowhere})
    person.type("clone", str(remote), "clone")
    return Person(place / "clone", command_path, person.variables)


def check_example(tmp_path: Path, command_path: str, example: str) -> dict[str, Any]:
    """The whole road of one example; gives back the first run's record."""
    person = reader(tmp_path, command_path, example)
    first, second = run_twice(person, example)
    assert first["fingerprint"] == second["fingerprint"] is not None
    person.type("diff", "@~1", "@", "--exit-code")
    person = other_machine(person, tmp_path, command_path)
    assert [one["id"] for one in person.json("ls")] == [second["id"], first["id"]]
    done = person.json("reproduce", first["id"])
    assert done["verdict"]["grade"] == "identical"
    assert {item["grade"] for item in done["verdict"]["artifacts"]} == {"identical"}
    compared = {item["path"] for item in done["verdict"]["artifacts"]}
    assert compared == set(ROADS[example][2]), "of metrics.json, what are no metrics"
    assert {item["grade"] for item in done["verdict"]["metrics"]} == {"identical"}
    now = done["run"]
    assert now["environment"]["digest"] == first["environment"]["digest"]
    assert now["code"]["tree"] == first["code"]["tree"]
    assert git(Path(done["directory"]), "rev-parse", "HEAD").decode().strip() == first["code"]["commit"]
    return first


def test_the_digits_example_gives_the_same_elsewhere(tmp_path: Path, command_path: str) -> None:
    record = check_example(tmp_path, command_path, "digits")
    assert record["params"] == {"C": 0.5, "kernel": "rbf"}
    assert record["metrics"]["test.accuracy"]["last"] > 0.9
    assert "scikit-learn" in record["environment"]["packages"]


@pytest.mark.skipif(SOAK == 1, reason="long; MLTRACK_SOAK=2 does it")
def test_the_lightgbm_example_gives_the_same_elsewhere(tmp_path: Path, command_path: str) -> None:
    record = check_example(tmp_path, command_path, "lightgbm")
    assert record["params"]["model.num_leaves"] == 7
    assert record["param_sources"]["model.num_leaves"] == "params.yaml"
    assert record["metrics"]["trees"]["last"] == 90
    assert [item["path"] for item in record["inputs"]] == ["data/iris.csv"]


@pytest.mark.needs("torch")
def test_the_torch_example_gives_the_same_elsewhere(tmp_path: Path, command_path: str) -> None:
    record = check_example(tmp_path, command_path, "torch")
    assert record["seed"] == 3
    assert (record["metrics"]["loss"]["count"], record["metrics"]["loss"]["last_step"]) == (200, 199)


@pytest.mark.needs("awk")
def test_the_awk_example_gives_the_same_elsewhere(tmp_path: Path, command_path: str) -> None:
    record = check_example(tmp_path, command_path, "awk")
    assert record["environment"]["kind"] == "system"
    assert record["metrics"]["accuracy"]["last"] > 0.9
