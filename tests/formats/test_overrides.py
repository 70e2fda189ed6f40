"""`--set`: where a value goes."""

from __future__ import annotations

import shlex

import pytest

from mltrack.errors import UsageError
from mltrack.formats.overrides import Applied, FileEdit, apply_overrides, parse_override

FILES = {
    "params.yaml": {"lr": 0.1, "optimizer.name": "adam", "optimizer.beta": 0.9},
    "conf/a.toml": {"seed": 1, "shared": 1},
    "conf/b.toml": {"shared": 2},
}


def apply(command: str, *texts: str) -> Applied:
    return apply_overrides(shlex.split(command), [parse_override(text) for text in texts], FILES)


def test_an_override_is_a_key_a_value_and_the_text() -> None:
    override = parse_override(" optimizer.lr = 1e-3 ")
    assert (override.key, override.value, override.text) == ("optimizer.lr", 0.001, "1e-3")
    assert parse_override("a=b=c").value == "b=c"
    assert parse_override("a=").value is None
    assert parse_override("a=[1, x]").value == [1, "x"]


@pytest.mark.parametrize("text", ["lr", "=1", "", " = 2"])
def test_an_override_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_override(text)
    assert "--set lr=0.1" in (caught.value.hint or "")


def test_a_placeholder_in_the_command_comes_first() -> None:
    applied = apply("python t.py --lr 1 --out m_{lr}_{seed}.pt --x={lr} {other}", "lr=1e-3", "seed={lr}")
    assert applied.command == ("python", "t.py", "--lr", "1", "--out", "m_1e-3_{lr}.pt", "--x=1e-3", "{other}")
    assert applied.how == {"lr": "{lr} in the command", "seed": "{seed} in the command"}
    assert applied.edits == ()


@pytest.mark.parametrize(
    ("command", "override", "changed", "how"),
    [
        ("python t.py --lr 0.1 x", "lr=1e-3", "python t.py --lr 1e-3 x", "--lr in the command"),
        ("python t.py --lr=0.1", "lr=2", "python t.py --lr=2", "--lr in the command"),
        ("python t.py +lr=0.1", "lr=2", "python t.py +lr=2", "lr= in the command"),
        ("python t.py lr=0.1 --lr 3", "lr=2", "python t.py lr=2", "lr= in the command"),
        ("python t.py --lr 1 --lr 2 --x 3", "lr=5", "python t.py --lr 5 --x 3", "--lr in the command"),
        ("python t.py --n 1 2 3", "n=[4, 5]", "python t.py --n 4 5", "--n in the command"),
        ("python t.py --n 1 2 3", "n=4", "python t.py --n 4", "--n in the command"),
        ("python t.py --n 1 --n 2", "n=[3, a, true]", "python t.py --n 3 --n a --n true", "--n in the command"),
        ("python t.py --n=1", "n=[3, 4]", "python t.py '--n=[3, 4]'", "--n in the command"),
        ("python t.py --n=1 --n=2", "n=[3, 4]", "python t.py --n=3 --n=4", "--n in the command"),
        ("python t.py --fast --lr 1", "fast=false", "python t.py --lr 1", "--fast in the command"),
        ("python t.py --fast --lr 1", "fast=true", "python t.py --fast --lr 1", "--fast in the command"),
        ("python t.py --fast --lr 1", "fast=3", "python t.py --fast 3 --lr 1", "--fast in the command"),
        ("python t.py --name x", "name='0.1'", "python t.py --name 0.1", "--name in the command"),
        ("python t.py --name x", "name=a b", "python t.py --name 'a b'", "--name in the command"),
        ("env lr=1 python t.py --lr 2", "lr=3", "env lr=1 python t.py --lr 3", "--lr in the command"),
    ],
)
def test_the_commands_own_argument_comes_next(command: str, override: str, changed: str, how: str) -> None:
    applied = apply(command, override)
    assert applied.command == tuple(shlex.split(changed))
    assert applied.edits == ()
    assert list(applied.how.values()) == [how]


def test_a_key_of_a_params_file_becomes_an_edit() -> None:
    applied = apply("python t.py", "optimizer.beta=0.5", "conf/a.toml:seed=3")
    assert applied.command == ("python", "t.py")
    assert applied.edits == (
        FileEdit("params.yaml", "optimizer.beta", 0.5, "0.5"),
        FileEdit("conf/a.toml", "seed", 3, "3"),
    )
    assert applied.how == {"optimizer.beta": "params.yaml", "conf/a.toml:seed": "conf/a.toml"}


def test_a_key_of_two_files_must_be_qualified() -> None:
    with pytest.raises(UsageError) as caught:
        apply("python t.py", "shared=3")
    assert caught.value.hint == "Say which: a.shared or b.shared."
    assert apply("python t.py", "b.shared=3").edits == (FileEdit("conf/b.toml", "shared", 3, "3"),)


def test_of_two_overrides_of_one_key_the_later_counts() -> None:
    assert apply("python t.py --lr 1", "lr=2", "lr=3").command == ("python", "t.py", "--lr", "3")


def test_an_unknown_key_is_refused_with_the_known_ones_and_a_command() -> None:
    with pytest.raises(UsageError) as caught:
        apply("python t.py --epochs 3", "optimizer.lr=0.5")
    message, hint = caught.value.message, caught.value.hint or ""
    known = message.partition("Known keys: ")[2]
    assert known.startswith("lr, optimizer.")
    assert "epochs" in known and "a.shared" in known
    assert hint.endswith("mltrack run -- python t.py --epochs 3 --optimizer.lr 0.5")


def test_a_group_is_no_key_and_its_members_are_named_first() -> None:
    with pytest.raises(UsageError, match=r"Known keys: optimizer\.(name|beta), optimizer\."):
        apply("python t.py", "optimizer=1")


def test_no_overrides_change_nothing() -> None:
    assert apply("python t.py {lr}") == Applied(("python", "t.py", "{lr}"), (), {})
