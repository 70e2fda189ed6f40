"""Projects that were written without mltrack in mind: run with nothing declared, pushed, lost, reproduced elsewhere.

Each is a directory of `projects/`. Its data is made here, where git ignores it or outside of the project, and is gone,
as the project and the home directory are, before the reproduction begins.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest

from mltrack.nouns import noun
from tests.environments.making import uv
from tests.helpers import git_repository
from tests.stories.typing import Person

PROJECTS = Path(__file__).resolve().parent / "projects"
LONG = pytest.mark.skipif(int(os.environ.get("MLTRACK_SOAK", "1")) < 2, reason="installs much: runs under make soak")

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "the", "dog", "ran", "to", "it", "by", "night")


def text(place: Path) -> None:
    chance = random.Random(5)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("\n".join(" ".join(chance.choice(WORDS) for _ in range(8)) for _ in range(200)))


def points(place: Path) -> None:
    chance = random.Random(6)
    place.parent.mkdir(parents=True, exist_ok=True)
    rows = [(number, 3 * number + chance.gauss(0, 1)) for number in range(1, 25)]
    place.write_text("".join(f"{x},{y:.4f}\n" for x, y in rows))


def chars(root: Path) -> None:
    text(root / "data/rhymes/input.txt")
    subprocess.run(["python3", "data/rhymes/prepare.py"], cwd=root, check=True)


def boosting(root: Path) -> None:
    points(root / "data/train.csv")
    points(root / "data/valid.csv")


def zoo(root: Path) -> None:
    """Somebody trained before, so that the next log folder is number 2."""
    (root / "logs/q/Corridor-v0_1").mkdir(parents=True)


@noun
class Story:
    """What is typed in a project, and what mltrack is to find by itself."""

    command: str
    """`{outside}` is a directory beside the project."""
    make: Callable[[Path], None]
    params: Mapping[str, Any] = field(default_factory=dict)
    """Some of them: name -> [value, source]."""
    metrics: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    """Some of them; a time in a name stands as `*`."""
    grade: str = "identical"


STORIES = {
    "chars": Story(
        "python train.py config/small.py --batch_size=8",
        chars,
        {"smoothing": [0.5, "config/small.py"], "max_steps": [300, "config/small.py"], "batch_size": [8, "argv"]},
        ("val_loss",),
        ("data/rhymes/meta.json", "data/rhymes/train.bin", "data/rhymes/val.bin"),
        ("out-small/ckpt.json", "out-small/progress.csv"),
    ),
    "boosting": Story(
        "python boost.py config=train.conf num_trees=5",
        boosting,
        {"learning_rate": [0.3, "train.conf"], "objective": ["regression", "train.conf"], "num_trees": [5, "argv"]},
        ("valid.l2",),
        ("data/train.csv", "data/valid.csv"),
        ("model.txt", "results.json"),
    ),
    "zoo": Story(
        "python train.py --algo q --conf-file hyperparams/q.yml --seed 3",
        zoo,
        {"Corridor-v0.alpha": [0.2, "hyperparams/q.yml"], "seed": [3, "argv"]},
        ("rollout/ep_rew_mean",),
        (),
        ("logs/q/Corridor-v0_2/best_model.pkl", "logs/q/Corridor-v0_2/progress.csv"),
    ),
    "hydra": Story(
        "python train.py model=big lr=0.05",
        lambda root: points(root / "data/points.csv"),
        {
            "lr": [0.05, "argv"], "seed": [3, "hydra"], "epochs": [5, "hydra"], "model.width": [64, "hydra"],
            "model": ["big", "argv"],
        },
        ("slope",),
        ("data/points.csv",),
        ("outputs/*/*/.hydra/config.yaml", "outputs/*/*/model.json", "outputs/*/*/train.log"),
        "equivalent",
    ),
    "r": Story(
        "Rscript train.R 10",
        lambda root: points(root / "data/points.csv"),
        {},
        ("slope", "spread"),
        ("data/points.csv",),
        ("results/metrics.json", "results/model.rds"),
    ),
    "cpp": Story(
        "make -j2 STEPS=20 DATA={outside}/points.csv",
        lambda root: points(root.parent / "data" / "points.csv"),
        {"STEPS": [20, "argv"]},
        (),
        ("{outside}/points.csv",),
        ("fit", "model.txt"),
    ),
    "notebook": Story(
        "papermill train.ipynb out.ipynb -p rate 0.25",
        lambda root: points(root / "data/points.csv"),
        {"rate": [0.25, "papermill"], "rounds": [3, "papermill"]},
        ("slope",),
        ("data/points.csv",),
        ("metrics.json", "out.ipynb"),
        "equivalent",
    ),
    "dvc": Story(
        "dvc repro",
        lambda root: points(root / "data/points.csv"),
        {"split.every": [4, "dvc"], "train.rate": [0.5, "dvc"]},
        ("slope",),
        ("data/points.csv",),
        ("data/train.csv", "dvc.lock", "model.txt", "quality.json"),
    ),
}  # fmt: skip


def owner(tmp_path: Path, command_path: str, name: str) -> Person:
    """Somebody who has the project in a repository, its data where it belongs, and what it needs in `.venv`."""
    root = tmp_path / "first-machine" / "work"
    shutil.copytree(PROJECTS / name, root)
    path = command_path
    if (root / "requirements.txt").exists():
        base = str(Path(command_path.split(os.pathsep)[0]) / "python")
        uv("venv", "-q", "--no-project", "--python", base, ".venv", cwd=root)
        uv("pip", "install", "-q", "--python", ".venv/bin/python", "-r", "requirements.txt", cwd=root)
        path = os.pathsep.join([str(root / ".venv" / "bin"), command_path])
    if name == "dvc":
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        subprocess.run([root / ".venv/bin/dvc", "init", "-q"], cwd=root, check=True)
    git_repository(root)
    STORIES[name].make(root)
    return Person(root, command_path, {"PATH": path})


def shown(path: str) -> str:
    """A path with `*` for the directories that Hydra names by the time."""
    parts = path.split("/")
    return "/".join(["outputs", "*", "*", *parts[3:]]) if parts[0] == "outputs" else path


@pytest.mark.parametrize(
    "name",
    [
        "chars",
        "boosting",
        "zoo",
        "hydra",
        pytest.param("r", marks=pytest.mark.needs("Rscript")),
        pytest.param("cpp", marks=pytest.mark.needs("c++")),
        pytest.param("notebook", marks=LONG),
        pytest.param("dvc", marks=LONG),
    ],
)
def test_a_project_that_knows_nothing_of_mltrack_comes_back(tmp_path: Path, command_path: str, name: str) -> None:
    story, person = STORIES[name], owner(tmp_path, command_path, name)
    outside = str(tmp_path / "first-machine" / "data")
    person.type("run", "--", *(word.format(outside=outside) for word in story.command.split()))
    record = person.json("show", "@")
    found = {key: [value, record["param_sources"][key]] for key, value in record["params"].items()}
    assert {key: found.get(key) for key in story.params} == story.params
    assert set(story.metrics) <= set(record["metrics"])
    assert {item["path"] for item in record["inputs"]} == {path.format(outside=outside) for path in story.inputs}
    assert set(story.artifacts) <= {shown(item["path"]) for item in record["artifacts"]}
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    (tmp_path / "first-machine").rename(tmp_path / "lost")
    Path(os.environ["HOME"]).rename(tmp_path / "lost home")
    again = reproduced(tmp_path, command_path, record["id"])
    assert again["verdict"]["grade"] == story.grade, again["verdict"]
    params = {item["what"] for item in again["verdict"]["conditions"] if item["what"].startswith("params")}
    assert not params, "the copy finds the same params"


def reproduced(tmp_path: Path, command_path: str, run: str) -> Any:
    """What `reproduce` tells on a machine that has nothing but the remote."""
    place = tmp_path / "second machine"
    home = place / "home"
    home.mkdir(parents=True)
    variables = {
        "HOME": str(home),
        **{name: str(home / name.lower()) for name in os.environ if name.startswith("XDG_")},
    }
    person = Person(place, command_path, variables)
    done = person.try_("reproduce", run, "--from", str(tmp_path / "remote"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
