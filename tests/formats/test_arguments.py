"""Params from a command's own arguments."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.formats.arguments import find_arguments, params_from_command
from tests.formats.soak import examples


@pytest.mark.parametrize(
    ("command", "params"),
    [
        ("python train.py --lr 0.1 --epochs=3 batch=32", {"lr": 0.1, "epochs": 3, "batch": 32}),
        ("python train.py --lr 1e-3 --wd -0.5 --name adam", {"lr": 0.001, "wd": -0.5, "name": "adam"}),
        ("python train.py --verbose --no-cuda", {"verbose": True, "no-cuda": True}),
        ("python train.py --verbose --lr 1", {"verbose": True, "lr": 1}),
        ("python train.py --layers 64 32 data.csv", {"layers": [64, 32]}),
        ("python train.py --files a.csv b.csv --lr 1", {"files": ["a.csv", "b.csv"], "lr": 1}),
        ("python train.py --lr 1 --lr 2", {"lr": [1, 2]}),
        ("python train.py --range -1 -2.5 -1e-3", {"range": [-1, -2.5, -0.001]}),
        ("python train.py --a 1 -- --b 2 c=3", {"a": 1}),
        ("python train.py -e 3 -vv --lr 1", {"lr": 1}),
        ("python train.py --empty= --x '[1, 2]' 'y={a: 1}'", {"empty": None, "x": [1, 2], "y": {"a": 1}}),
        ("python train.py --learning_rate 1 --Model.Depth 2", {"learning_rate": 1, "Model.Depth": 2}),
        ("python train.py --opts lr=0.1 wd=2", {"opts": True, "lr": 0.1, "wd": 2}),
        ("python train.py a/b=adam +n=1 ++db.host=x a@b=c", {"a/b": "adam", "n": 1, "db.host": "x", "a@b": "c"}),
        ("python train.py --multirun lr=0.1,0.2", {"multirun": True, "lr": "0.1,0.2"}),
        ("python train.py https://x/?a=b /data/a=1 a==b 'not a=key'", {}),
        ("python train.py --in - --out x", {"in": "-", "out": "x"}),
        ("python -O -W ignore -X dev train.py --lr 1", {"lr": 1}),
        ("python3.11 -um pkg.train --lr 1", {"lr": 1}),
        ("/opt/env/bin/python -mtrain --lr 1", {"lr": 1}),
        ("python -c 'import x' --lr 1", {"lr": 1}),
        ("python --version", {}),
        ("./train --lr 1 mode=fast", {"lr": 1, "mode": "fast"}),
        ("bash -e run.sh --lr 1", {"lr": 1}),
        ("Rscript --vanilla fit.R --lr 1", {"lr": 1}),
        ("java -Xmx1g -cp a.jar Main --lr 1", {"lr": 1}),
        ("env A=1 OMP_NUM_THREADS=2 python train.py --lr 1", {"lr": 1}),
        ("nohup nice -n 10 timeout 60 python train.py --lr 1", {"lr": 1}),
        ("uv run --with numpy --python 3.12 train.py --lr 1", {"lr": 1}),
        ("uv run python train.py --lr 1", {"lr": 1}),
        ("uv run --frozen -- python -m pkg.train --lr 1", {"lr": 1}),
        ("uv run -m pkg.train --lr 1", {"lr": 1}),
        ("uv pip install --upgrade x", {"upgrade": "x"}),
        ("poetry run python train.py --lr 1", {"lr": 1}),
        ("conda run -n base --no-capture-output python train.py --lr 1", {"lr": 1}),
        ("torchrun --nproc_per_node 2 --nnodes=1 train.py --lr 1", {"lr": 1}),
        ("torchrun --nnodes 2 -m pkg.train --lr 1", {"lr": 1}),
        ("python -m torch.distributed.run --nproc_per_node 2 train.py --lr 1", {"lr": 1}),
        ("accelerate launch --num_processes 2 train.py --lr 1", {"lr": 1}),
        ("mpirun -np 4 --map-by node python train.py --lr 1", {"lr": 1}),
        ("srun --ntasks 4 ./train --lr 1", {"lr": 1}),
        ("python", {}),
        ("uv run", {}),
        ("env", {}),
    ],
)  # fmt: skip
def test_the_params_of_a_command(command: str, params: dict[str, Any]) -> None:
    found = params_from_command(shlex.split(command))
    assert found == params
    assert [type(value) for value in found.values()] == [type(value) for value in params.values()]


def test_an_empty_command_has_no_params() -> None:
    assert params_from_command([]) == {}


ROOT = Path(__file__).parents[2]
WORDS = st.one_of(
    st.sampled_from(
        [
            "python",
            "-m",
            "uv",
            "run",
            "torchrun",
            "env",
            "--",
            "-",
            "--lr",
            "--lr=1",
            "lr=1",
            "x.py",
            "-1",
            "=",
            "--=",
            "mpirun",
        ]
    ),
    st.text(max_size=6),
)


@settings(max_examples=examples(300))
@given(st.lists(WORDS, max_size=8))
def test_any_words_are_read_and_positions_are_true(command: list[str]) -> None:
    for argument in find_arguments(command):
        word = command[argument.index]
        assert argument.name in word
        if argument.form == "--name value":
            at = argument.index + 1
            assert tuple(command[at : at + len(argument.texts)]) == argument.texts
    params_from_command(command)


def test_reading_arguments_and_overrides_imports_nothing_heavy() -> None:
    code = (
        "import sys, mltrack.formats.metrics, mltrack.formats.params; from mltrack.formats import overrides\n"
        "overrides.apply_overrides(['t', '--n', '[1, 2]'], [overrides.parse_override('n=3')], {})\n"
        "print(sorted({'yaml', 'tomllib', 'csv', 'configparser', 'difflib', 'shlex'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
