"""Whether a program uses random numbers and seeds them, by the text of its own files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.snapshot.randomness import Program, Randomness, look
from tests.helpers import write


def look_at(
    root: Path, files: dict[str, str], *command: str, cwd: str = ".", prefix: str = "", most: int = 50
) -> Randomness:
    write(root, files)
    listed = frozenset(os.fsencode(prefix + name) for name in files)
    return look(Program(str(root), cwd, command, listed, prefix), most)


@pytest.mark.parametrize(
    ("text", "unseeded"),
    [
        ("import random\nprint(random.random())", True),
        ("import random\nrandom.seed(1)\n", False),
        ("import random\n# random.seed(1)\nrandom.shuffle(x)", True),
        ("import random\nrandom.seed()\nrandom.gauss(0, 1)", True),
        ("import numpy as np\nnp.random.default_rng()", True),
        ("import numpy as np\nnp.random.default_rng(3)", False),
        ("import torch\ntorch.manual_seed(args.seed)", False),
        ("import torch\nmodel = torch.nn.Linear(2, 2)", True),
        ("from sklearn.model_selection import train_test_split\ntrain_test_split(x)", True),
        ("from sklearn.model_selection import train_test_split\ntrain_test_split(x, random_state=1)", False),
        ("from sklearn.model_selection import train_test_split\ntrain_test_split(x, random_state=None)", True),
        ("import json, os, random\nrandom.choice(x)", True),
        ("from random import choice", True),
        ('"""Nothing here is random. Really."""', False),
        ("import csv\nprint(1)", False),
        ("", False),
    ],
)
def test_a_script_is_read_for_random_numbers_and_seeds(tmp_path: Path, text: str, unseeded: bool) -> None:
    found = look_at(tmp_path, {"train.py": text}, "python", "train.py")
    assert found.unseeded_in == ("train.py" if unseeded else None)


@pytest.mark.parametrize(
    ("statement", "module"),
    [
        ("import model", "model.py"),
        ("import os, model", "model.py"),
        ("from model import Net", "model.py"),
        ("from lib.model import Net", "lib/model.py"),
        ("from lib import (model)", "lib/model.py"),
        ("    import lib.model as m", "lib/model.py"),
        ("from . import model", "model.py"),
        ("from .lib.model import Net", "lib/model.py"),
        ("from lib import x", "lib/__init__.py"),
        ("import model", "src/model.py"),
    ],
)
def test_imports_are_followed_through_the_project(tmp_path: Path, statement: str, module: str) -> None:
    files = {"train.py": statement, module: "import torch"}
    assert look_at(tmp_path, files, "python", "train.py").unseeded_in == module
    files[module] = "import torch\ntorch.manual_seed(0)"
    assert look_at(tmp_path, files, "python", "train.py").unseeded_in is None


@pytest.mark.parametrize(
    ("command", "cwd"),
    [
        (("python", "-m", "pkg.train"), "."),
        (("python", "-m", "train"), "pkg"),
        (("torchrun", "--nproc-per-node", "2", "pkg/train.py"), "."),
        (("bash", "-c", "x", "pkg/train.py"), "."),
        (("python", "../pkg/train.py"), "other"),
    ],
)
def test_scripts_are_found_in_any_command(tmp_path: Path, command: tuple[str, ...], cwd: str) -> None:
    assert look_at(tmp_path, {"pkg/train.py": "x = random.random()"}, *command, cwd=cwd).unseeded_in == "pkg/train.py"


def test_an_absolute_script_and_a_project_below_the_top_are_found(tmp_path: Path) -> None:
    command = ("python", str(tmp_path / "train.py"))
    assert look_at(tmp_path, {"train.py": "x = random.random()"}, *command, prefix="sub/").unseeded_in == "train.py"


def test_what_was_not_looked_at_whole_is_not_judged(tmp_path: Path) -> None:
    files = {"train.py": "random.random()\nimport a", "a.py": "import b", "b.py": "x = 1"}
    assert look_at(tmp_path, files, "python", "train.py", most=2).unseeded_in is None
    assert look_at(tmp_path, files, "python", "train.py", most=3).unseeded_in == "train.py"


def test_circles_files_that_are_gone_and_odd_lines_end(tmp_path: Path) -> None:
    files = {"train.py": "import train, a\nfrom\nimport\nfrom .... import x\nfrom .\n", "a.py": "import train"}
    write(tmp_path, files)
    (tmp_path / "a.py").unlink()
    listed = frozenset(map(os.fsencode, files))
    assert look(Program(str(tmp_path), ".", ("python", "train.py"), listed), 50) == Randomness(None, False, True)


def test_r_and_julia_are_read_too(tmp_path: Path) -> None:
    assert look_at(tmp_path, {"fit.R": "x <- rnorm(10)"}, "Rscript", "fit.R").unseeded_in == "fit.R"
    assert look_at(tmp_path, {"fit.R": "set.seed(1)\nx <- rnorm(10)"}, "Rscript", "fit.R").unseeded_in is None
    assert look_at(tmp_path, {"fit.jl": "x = rand(3)"}, "julia", "fit.jl").unseeded_in == "fit.jl"
    assert look_at(tmp_path, {"fit.jl": "Random.seed!(1); x = rand(3)"}, "julia", "fit.jl").unseeded_in is None


def test_a_pipe_in_the_place_of_a_file_does_not_hold_it_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.py")
    found = look(Program(str(tmp_path), ".", ("python", "train.py"), frozenset({b"train.py"})), 50)
    assert found == Randomness(None, False, True)
