"""Which words of a command name a config, and what is in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.formats.config_files import LARGEST, named_configs, read_config
from tests.helpers import write


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("python train.py config/small.py --batch_size=4", ["config/small.py"]),
        ("python train.py --config conf.yaml -c x.toml config=y.yml", ["conf.yaml", "x.toml", "y.yml"]),
        ("lightgbm config=train.conf num_trees=3", ["train.conf"]),
        ("xgboost mushroom.conf max_depth=3", ["mushroom.conf"]),
        ("Rscript train.R settings.yaml", ["settings.yaml"]),
        ("python run.py args.json", ["args.json"]),
        ("torchrun --nproc-per-node 2 train.py --deepspeed ds_config.json", ["ds_config.json"]),
        ("accelerate launch --config_file acc.yaml train.py --cfg a.yaml", ["a.yaml"]),
        ("papermill -f p.yaml in.ipynb out.ipynb", ["p.yaml"]),
        ("python train.py a.yaml a.yaml", ["a.yaml"]),
        # data, code, addresses, and what the command is to write
        ("python train.py --data data.yaml --vocab vocab.json --labels=l.json", []),
        ("python eval.py results.json model.py", []),
        ("python train.py --config https://example.org/c.yaml", []),
        ("python train.py --output out.yaml --log_file x.cfg", []),
        ("python config.py", []),
        ("sh -c 'python train.py conf.yaml'", []),
    ],
)
def test_a_command_names_its_configs(command: str, named: list[str]) -> None:
    import shlex

    assert [item.path for item in named_configs(shlex.split(command))] == named


def test_every_kind_is_read_flat_and_with_its_types(tmp_path: Path) -> None:
    files = {
        "a.yaml": "lr: 1e-3\nnet: {depth: 2}\n",
        "a.toml": "lr = 1e-3\n[net]\ndepth = 2\n",
        "a.json": '{"lr": 1e-3, "net": {"depth": 2}}',
        "a.conf": "# comment\nlr = 1e-3  # here too\n\nnet.depth=2\n",
        "a.ini": "[net]\ndepth = 2\n",
        "a.py": '"""Small."""\nimport time\nlr = 1e-3\nname = "x" + str(time.time())\nclass net:\n    depth = 2\n',
    }
    write(tmp_path, files)
    expected = {"lr": 0.001, "net.depth": 2}
    for name in files:
        wanted = expected if name != "a.ini" else {"net.depth": 2}
        assert read_config(tmp_path / name) == wanted, name


def test_what_is_no_config_is_no_error(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "list.yaml": "- 1\n- 2\n",
        "broken.yaml": "a: [1\n",
        "empty.yaml": "",
        "text.conf": "server {\n listen 80;\n}\n",
        "many.json": "{" + ",".join(f'"k{n}": {n}' for n in range(1001)) + "}",
        "large.yaml": "a: " + "x" * LARGEST,
        "program.py": "lr = 1\ndef main(): pass\n",
        "odd.toml": b"\xff\xfe",
        "nul.py": b"a = 1\0",
    }
    write(tmp_path, files)
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in [*files, "pipe.yaml", "missing.yaml", ".", "a\0b.yaml"]:
        assert read_config(tmp_path / name) is None, name
