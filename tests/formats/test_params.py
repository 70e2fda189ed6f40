"""Params files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mltrack.errors import UsageError
from mltrack.formats.params import load_params, merge_param_files, parse_params_option

YAML = """\
# a comment
lr: 1e-3
momentum: .9
layers: [64, 32]
blocks:
  - {kind: conv, size: 3}
use: on
when: 2020-01-02
octal: 0o17
name:
optimizer:
  name: adam
  betas: [0.9, 0.999]
  weight:
    decay: 0
empty: {}
"""


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_yaml_is_flattened_with_dots_and_lists_stay_lists(tmp_path: Path) -> None:
    assert load_params(write(tmp_path, "p.yaml", YAML)) == {
        "lr": 0.001,
        "momentum": 0.9,
        "layers": [64, 32],
        "blocks": [{"kind": "conv", "size": 3}],
        "use": "on",
        "when": "2020-01-02",
        "octal": 15,
        "name": None,
        "optimizer.name": "adam",
        "optimizer.betas": [0.9, 0.999],
        "optimizer.weight.decay": 0,
        "empty": {},
    }


def test_anchors_aliases_and_merge_keys_work(tmp_path: Path) -> None:
    text = "base: &b {lr: 1, wd: 2}\nsmall:\n  <<: *b\n  lr: 3\nlist: [*b]\nboth:\n  <<: [{x: 1}, {x: 2, y: 3}]\n"
    assert load_params(write(tmp_path, "p.yml", text), ("small", "list", "both")) == {
        "small.lr": 3,
        "small.wd": 2,
        "list": [{"lr": 1, "wd": 2}],
        "both.x": 1,
        "both.y": 3,
    }


def test_a_tag_never_makes_an_object(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = f"a: !!python/object/apply:os.mkdir ['{marker}']\nb: !custom {{x: 1}}\n"
    text += "c: !!str 12\nd: !!float 3\ne: !!binary aGk=\n"
    assert load_params(write(tmp_path, "p.yaml", text)) == {
        "a": [str(marker)],
        "b.x": 1,
        "c": "12",
        "d": 3.0,
        "e": "aGk=",
    }
    assert not marker.exists()


def test_keys_that_are_no_text_are_named_as_written(tmp_path: Path) -> None:
    assert load_params(write(tmp_path, "p.yaml", "1: a\ntrue: b\n0x10: c\n")) == {"1": "a", "true": "b", "0x10": "c"}


def test_json(tmp_path: Path) -> None:
    text = '\ufeff{"lr": 1e-3, "a": {"b": [1, {"c": null}]}, "text": "1e-3"}'
    assert load_params(write(tmp_path, "p.json", text)) == {"lr": 0.001, "a.b": [1, {"c": None}], "text": "1e-3"}


def test_toml_with_dates_as_text(tmp_path: Path) -> None:
    text = "lr = 1e-3\nday = 2020-01-02\n[a.b]\nc = [1, 2]\nd = {e = true}\n[[runs]]\nx = 1\n"
    assert load_params(write(tmp_path, "p.toml", text)) == {
        "lr": 0.001,
        "day": "2020-01-02",
        "a.b.c": [1, 2],
        "a.b.d.e": True,
        "runs": [{"x": 1}],
    }


PYTHON = '''\
"""A docstring."""
import os
os.mkdir("MARKER")
LR = 1e-3
NEGATIVE: int = -1
SHAPE = (3, 4)
SIZES = {2, 1}
OPTIONS = {"a": {"b": [1, (2,)]}, 3: "c"}
COMPUTED = 2 * LR
LATER = 1
LATER = compute()
COUNT = 1
COUNT += 1
A = B = "both"
X, Y = 1, 2
RAW = b"bytes"
__all__ = ["LR"]
PATTERN = "\\d"

class Config(Base):
    DEPTH = 3
    rate: float = 0.5
    other: str

    class Inner:
        DEEP = None

    def method(self):
        LOCAL = 1
'''


def test_python_constants_are_read_and_nothing_runs(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = write(tmp_path, "config.py", PYTHON.replace("MARKER", str(marker)))
    assert load_params(path) == {
        "LR": 0.001,
        "NEGATIVE": -1,
        "SHAPE": [3, 4],
        "SIZES": [1, 2],
        "OPTIONS.a.b": [1, [2]],
        "OPTIONS.3": "c",
        "A": "both",
        "B": "both",
        "PATTERN": "\\d",
        "Config.DEPTH": 3,
        "Config.rate": 0.5,
        "Config.Inner.DEEP": None,
    }
    assert not marker.exists()


def test_ini_options_are_section_and_key_with_their_case(tmp_path: Path) -> None:
    text = "[DEFAULT]\nseed = 1\n[Model]\nLearningRate = 1e-3\nlayers = [64, 32]\n"
    text += "name: res net\nflag\n; comment\n%x = 50%\n"
    assert load_params(write(tmp_path, "p.ini", text)) == {
        "DEFAULT.seed": 1,
        "Model.LearningRate": 0.001,
        "Model.layers": [64, 32],
        "Model.name": "res net",
        "Model.flag": None,
        "Model.%x": "50%",
    }


def test_keys_restrict_to_themselves_and_their_subtrees(tmp_path: Path) -> None:
    path = write(tmp_path, "p.yaml", YAML)
    assert list(load_params(path, ("optimizer", "lr"))) == [
        "lr",
        "optimizer.name",
        "optimizer.betas",
        "optimizer.weight.decay",
    ]
    assert load_params(path, ("optimizer.weight",)) == {"optimizer.weight.decay": 0}
    with pytest.raises(UsageError) as caught:
        load_params(path, ("opt",))
    assert "'opt'" in caught.value.message
    assert "optimizer.name" in (caught.value.hint or "")


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n"])
def test_an_empty_yaml_file_has_no_params(tmp_path: Path, content: str) -> None:
    assert load_params(write(tmp_path, "p.yaml", content)) == {}


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("p.yaml", "a: 1\nb: [1, 2\n", 3),
        ("p.yaml", "a: 1\n  b: 2\n", 2),
        ("p.yaml", "a: 1\n---\nb: 2\n", 2),
        ("p.yaml", "a: 1\n? [x]\n: 2\n", 2),
        ("p.yaml", "a: 1\nb: &x [*x]\n", 2),
        ("p.yaml", "a: *nowhere\n", 1),
        ("p.yaml", "x:\n  <<: 3\n", 2),
        ("p.json", '{"a": 1,\n"b": }\n', 2),
        ("p.toml", "a = 1\nb = \n", 2),
        ("p.toml", "a = 1\na = 2\n", 2),
        ("p.toml", "a = 1\nb = '''\n", 3),
        ("p.py", "A = 1\nB = = 2\n", 2),
        ("p.ini", "a = 1\n", 1),
        ("p.ini", "[a]\nb = 1\n[c\n= 2\n", 4),
        ("p.toml", b"a = 1\nb = '\xff'\n", 2),
        ("p.py", b"A = 1\n\nB = '\xff'\n", 3),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, name: str, content: str | bytes, line: int) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(UsageError) as caught:
        load_params(path)
    assert caught.value.message.startswith(f"{path}, line {line}: ")
    assert caught.value.message.endswith(".") and caught.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.yaml", b"a: \xff\xfe\n"),
        ("p.yaml", "- 1\n- 2\n"),
        ("p.json", "3"),
        ("p.json", b'{"a": "\xff"}'),
        ("p.json", "[" * 100_000),
        ("p.yaml", "[" * 5000),
        ("p.txt", "a: 1"),
        ("p.py", "A = 1\0"),
        ("p.py", "A = " + "(" * 5000),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(tmp_path: Path, name: str, content: str | bytes) -> None:
    with pytest.raises(UsageError):
        load_params(write(tmp_path, name, content))


def test_aliases_that_stand_for_too_many_values_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(UsageError, match="too many"):
        load_params(write(tmp_path, "p.yaml", "\n".join(lines)))


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe.yaml", "folder.yaml", "missing.yaml"):
        with pytest.raises(UsageError, match=name):
            load_params(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "path", "keys"),
    [
        ("params.yaml", "params.yaml", ()),
        ("conf/train.toml:optimizer,seed", "conf/train.toml", ("optimizer", "seed")),
        ("a:b/p.yaml: x , y.z ", "a:b/p.yaml", ("x", "y.z")),
        ("config.py:Model.DEPTH", "config.py", ("Model.DEPTH",)),
        ("p.yaml:model.py", "p.yaml", ("model.py",)),
        ("P.YAML:lr", "P.YAML", ("lr",)),
        ("plain", "plain", ()),
    ],
)
def test_a_params_option_is_a_path_and_keys(text: str, path: str, keys: tuple[str, ...]) -> None:
    assert parse_params_option(text) == (path, keys)


@pytest.mark.parametrize("text", ["", "p.yaml:", "p.yaml:a,,b", "p.yaml: "])
def test_a_params_option_without_a_key_after_its_colon_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_params_option(text)


def test_params_of_several_files_are_merged_with_their_sources() -> None:
    params, sources = merge_param_files([("a.yaml", {"lr": 1}), ("b.toml", {"seed": 2})])
    assert params == {"lr": 1, "seed": 2}
    assert sources == {"lr": "a.yaml", "seed": "b.toml"}


def test_a_collision_is_qualified_by_the_files_name() -> None:
    params, sources = merge_param_files([("conf/train.yaml", {"lr": 1, "x": 0}), ("model.toml", {"lr": 1})])
    assert params == {"train.lr": 1, "x": 0, "model.lr": 1}
    assert sources == {"train.lr": "conf/train.yaml", "x": "conf/train.yaml", "model.lr": "model.toml"}


def test_a_collision_of_the_qualified_names_too_takes_the_whole_path() -> None:
    same = [("a/p.yaml", {"lr": 1}), ("b/p.yaml", {"lr": 2})]
    assert merge_param_files(same)[0] == {"a/p.yaml:lr": 1, "b/p.yaml:lr": 2}
    taken: list[tuple[str, dict[str, Any]]] = [("a.yaml", {"lr": 1}), ("b.yaml", {"lr": 2, "a.lr": 3})]
    assert merge_param_files(taken)[0] == {"a.yaml:lr": 1, "b.lr": 2, "a.lr": 3}


def test_one_file_in_two_parts_is_one_file() -> None:
    params, sources = merge_param_files([("p.yaml", {"lr": 1}), ("p.yaml", {"lr": 1, "seed": 2})])
    assert params == {"lr": 1, "seed": 2}
    assert set(sources.values()) == {"p.yaml"}
