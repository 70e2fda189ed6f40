from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.environments.command import interpreter_flags, is_python, unwrap
from mltrack.environments.interpreter import find_interpreter

HERE = Path("/project")

PLAIN = [
    # command, what starts in the end, what stays in front of it
    ("python train.py", "python train.py", ""),
    ("env A=1 B= python train.py", "python train.py", "env A=1 B="),
    ("/usr/bin/env -i -u X python -c 1", "python -c 1", "/usr/bin/env -i -u X"),
    ("nice -n 5 nohup python x.py", "python x.py", "nice -n 5 nohup"),
    ("timeout -s KILL 10m python x.py", "python x.py", "timeout -s KILL 10m"),
    ("timeout --signal=KILL 10 python x.py", "python x.py", "timeout --signal=KILL 10"),
    ("taskset -c 0-3 python x.py", "python x.py", "taskset -c 0-3"),
    ("stdbuf -oL env A=1 torchrun x.py", "torchrun x.py", "stdbuf -oL env A=1"),
    ("mpirun -np 4 --mca btl tcp -x A python x.py", "python x.py", "mpirun -np 4 --mca btl tcp -x A"),
    ("mpiexec -n 2 -genv A 1 python x.py", "python x.py", "mpiexec -n 2 -genv A 1"),
    ("srun -n 4 --gres=gpu:1 -c 2 python x.py", "python x.py", "srun -n 4 --gres=gpu:1 -c 2"),
    ("flock -w 5 /tmp/lock python x.py", "python x.py", "flock -w 5 /tmp/lock"),
    ("nice", "nice", ""),
    ("env A=1", "env A=1", ""),
    ("bash -c true", "bash -c true", ""),
]

LAUNCHED = [
    # command, what starts in the end, the words that start another command in the same environment
    ("uv run train.py --lr 1", "python train.py --lr 1", "uv run"),
    ("uv run python -m train", "python -m train", "uv run"),
    ("uv --offline run --extra gpu --with x torchrun t.py", "torchrun t.py", "uv --offline run --extra gpu --with x"),
    ("uv run -m train --lr 1", "python -m train --lr 1", "uv run"),
    ("uv run --script train", "python train", "uv run"),
    ("uv run --frozen -- pytest -x", "pytest -x", "uv run --frozen"),
    ("poetry run python x.py", "python x.py", "poetry run"),
    ("poetry -C sub run python x.py", "python x.py", "poetry -C sub run"),
    ("conda run -n ml --no-capture-output python x.py", "python x.py", "conda run -n ml --no-capture-output"),
    ("env A=1 /opt/uv run x.py", "python x.py", "/opt/uv run"),
    ("nice uv run nice python x.py", "python x.py", "uv run"),
    ("uvx ruff check .", "ruff check .", "uvx --from ruff"),
    ("uvx --with x ruff@0.6 check", "ruff check", "uvx --with x --from ruff@0.6"),
    ("uvx --from black==24 blackd", "blackd", "uvx --from black==24"),
    ("uvx python x.py", "python x.py", "uvx"),
    ("uvx python@3.12 x.py", "python x.py", "uvx -p 3.12"),
    ("uv tool run ruff check", "ruff check", "uv tool run --from ruff"),
    ("uv --offline tool run --from a b c", "b c", "uv --offline tool run --from a"),
    ("uv run tool run", "tool run", "uv run"),
    ("hatch run python x.py", "python x.py", "hatch run"),
    ("hatch run test:pytest -x", "pytest -x", "hatch -e test run"),
    ("hatch -e test run pytest -x", "pytest -x", "hatch -e test run"),
    ("pdm run -p sub python x.py", "python x.py", "pdm run -p sub"),
    ("pipenv run python x.py", "python x.py", "pipenv run"),
    ("pipx run black x.py", "black x.py", "pipx run --spec black"),
    ("pipx run --spec black==24 blackd x", "blackd x", "pipx run --spec black==24"),
    ("pipx run black[jupyter]==24 x", "black x", "pipx run --spec black[jupyter]==24"),
    ("pipx run x.py -a", "python x.py -a", "pipx run"),
    ("mpirun -n 4 uv run x.py", "python x.py", "uv run"),
]


@pytest.mark.parametrize(("text", "inner", "kept"), PLAIN)
def test_prefixes_are_taken_off_and_kept(text: str, inner: str, kept: str) -> None:
    command = unwrap(tuple(text.split()), HERE, {})
    assert (" ".join(command.argv), " ".join(command.kept), command.launcher) == (inner, kept, None)


@pytest.mark.parametrize(("text", "inner", "words"), LAUNCHED)
def test_launchers_are_told_from_what_they_start(text: str, inner: str, words: str) -> None:
    command = unwrap(tuple(text.split()), HERE, {})
    assert command.launcher is not None
    assert (" ".join(command.argv), " ".join(command.launcher.words())) == (inner, words)


@pytest.mark.parametrize(
    "text",
    [
        "uv sync",
        "uv pip list",
        "uv tool list",
        "uvx",
        "uvx --version",
        "hatch env show",
        "pipx list",
        "poetry install",
        "uv",
        "conda",
        "poetry run",
        "uv run",
    ],
)
def test_a_launcher_that_starts_nothing_is_a_command_like_any_other(text: str) -> None:
    command = unwrap(tuple(text.split()), HERE, {})
    assert command.launcher is None
    assert " ".join(command.argv) == text


def test_env_changes_the_variables_and_directory_that_the_program_sees() -> None:
    words = ("env", "-u", "GONE", "-C", "sub", "PATH=/new", "python")
    command = unwrap(words, HERE, {"PATH": "/old", "GONE": "1", "KEPT": "1"})
    assert command.variables == {"PATH": "/new", "KEPT": "1"}
    assert command.cwd == HERE / "sub"
    assert unwrap(("env", "-i", "A=1", "python"), HERE, {"B": "1"}).variables == {"A": "1"}


@pytest.mark.parametrize(
    "words",
    [("env", "-S", "python -u 'a b'", "x"), ("env", "-Spython -u 'a b'", "x"), ("env", "-S python -u 'a b'", "x")],
)
def test_env_splits_its_string(words: tuple[str, ...]) -> None:
    assert unwrap(words, HERE, {}).argv == ("python", "-u", "a b", "x")


WORDS = [
    "uv", "uvx", "run", "tool", "hatch", "pipx", "mpirun", "env", "nice", "python", "x.py", "-m", "-n", "--", "-", "",
    "--from", "--spec", "a:b", ":", "@", "a@1", "[x]", "-S", "A=1", "-e", "--mca", "papermill", "\udcff", "sh", "-c",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=8))
def test_no_words_raise_and_none_is_invented(words: list[str]) -> None:
    command = unwrap(tuple(words), HERE, {})
    if command.launcher is None and "-S" not in words:
        assert (*command.kept, *command.argv) == tuple(words)
    find_interpreter(tuple(words), HERE, {"PATH": "/nowhere"})


def test_a_command_of_nothing_but_prefixes_ends() -> None:
    assert unwrap(("nice",) * 50, HERE, {}).argv
    assert unwrap((), HERE, {}).argv == ()


@pytest.mark.parametrize(
    "word", ["python", "python3", "python3.11", "/usr/bin/python3", "pypy3", "python3.13t", "pythonw"]
)
def test_names_of_interpreters(word: str) -> None:
    assert is_python(word)


@pytest.mark.parametrize("word", ["python.sh", "ipython", "python-config", "pythonista", "", "python3-config"])
def test_names_that_are_none(word: str) -> None:
    assert not is_python(word)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("python x.py -I", ""),
        ("python -I x.py", "-I"),
        ("python -uBs -E x.py", "-E -s"),
        ("python -W error -S -c pass -I", "-S"),
        ("python -Werror -X importtime -P -m mod -s", "-P"),
        ("python -uIm mod", "-I"),
        ("python -Wignore::IsE x.py", ""),
        ("python - -I", ""),
    ],
)
def test_only_the_interpreters_own_options_are_its_flags(text: str, flags: str) -> None:
    assert " ".join(interpreter_flags(tuple(text.split()))) == flags
