from __future__ import annotations

from pathlib import Path

import pytest

from mltrack.environments.mapping import Move, is_of, map_command
from mltrack.errors import EnvironmentFailed

OLD = Path("/home/me/proj/.venv/bin")


@pytest.fixture
def move(tmp_path: Path) -> Move:
    new = tmp_path / "new"
    new.mkdir()
    for name in ("python", "python3", "python3.11", "torchrun"):
        (new / name).write_text("#!/bin/sh\n")
        (new / name).chmod(0o755)
    return Move(OLD, new, tmp_path, {"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python x.py", "NEW/python x.py"),
        ("python3.11 -m mod", "NEW/python3.11 -m mod"),
        ("python3.9 x.py", "NEW/python x.py"),
        ("/home/me/proj/.venv/bin/python3 x.py", "NEW/python3 x.py"),
        ("/usr/bin/python3 x.py", "NEW/python3 x.py"),
        (".venv/bin/python x.py", "NEW/python x.py"),
        ("./.venv/bin/python x.py", "NEW/python x.py"),
        ("../.venv/bin/torchrun x.py", "NEW/torchrun x.py"),
        ("torchrun --standalone x.py", "NEW/torchrun --standalone x.py"),
        ("/home/me/proj/.venv/bin/torchrun x.py", "NEW/torchrun x.py"),
        ("env A=1 nice -n 5 python x.py", "env A=1 nice -n 5 NEW/python x.py"),
        ("bash train.sh", "bash train.sh"),
        ("./train.sh", "./train.sh"),
        ("tools/python", "tools/python"),
        ("/usr/bin/env python x.py", "/usr/bin/env NEW/python x.py"),
        ("mpirun -n 4 python x.py", "mpirun -n 4 NEW/python x.py"),
        (
            "/home/me/proj/.venv/bin/torchrun --no-python /home/me/proj/.venv/bin/python x",
            "NEW/torchrun --no-python NEW/python x",
        ),
        ("make PYTHON=/home/me/proj/.venv/bin/python all", "make PYTHON=NEW/python all"),
        (
            "make PYTHON=/home/me/proj/.venv/bin/gone x=/usr/bin/python",
            "make PYTHON=/home/me/proj/.venv/bin/gone x=/usr/bin/python",
        ),
        ("python x.py bin/python .venv/bin/python", "NEW/python x.py bin/python .venv/bin/python"),
    ],
)
def test_programs_of_the_old_environment_become_those_of_the_new(move: Move, command: str, expected: str) -> None:
    words, warnings = map_command(tuple(command.split()), move)
    assert " ".join(words) == expected.replace("NEW", str(move.new))
    assert warnings == ()


@pytest.mark.parametrize(
    ("command", "expected", "launched"),
    [
        ("uv run train.py --lr 1", "NEW/python train.py --lr 1", "uv run"),
        ("uv run --extra gpu torchrun x.py", "NEW/torchrun x.py", "uv run --extra gpu"),
        ("poetry run python x.py", "NEW/python x.py", "poetry run"),
        ("env A=1 uv run -m mod", "env A=1 NEW/python -m mod", "uv run"),
    ],
)
def test_launchers_are_dropped_and_said(move: Move, command: str, expected: str, launched: str) -> None:
    words, (warning,) = map_command(tuple(command.split()), move)
    assert " ".join(words) == expected.replace("NEW", str(move.new))
    assert (warning.kind, f"`{launched}`" in warning.message) == ("unwrapped", True)


def test_programs_of_the_old_environment_in_a_shells_text_become_those_of_the_new(move: Move) -> None:
    (move.new / "activate").write_text("")
    text = ". .venv/bin/activate && python a.py; /home/me/proj/.venv/bin/torchrun ./.venv/bin/gone /usr/bin/python"
    words, _ = map_command(("bash", "-c", text), move)
    new = move.new
    assert words[2] == f". {new}/activate && python a.py; {new}/torchrun ./.venv/bin/gone /usr/bin/python"


def test_a_program_in_front_that_belonged_to_the_old_environment_becomes_that_of_the_new(move: Move) -> None:
    (move.new / "mpirun").write_text("#!/bin/sh\n")
    (move.new / "mpirun").chmod(0o755)
    words, _ = map_command((f"{OLD}/mpirun", "-n", "2", "python", "x.py"), move)
    assert words == (str(move.new / "mpirun"), "-n", "2", str(move.new / "python"), "x.py")


PYPROJECT = """
[tool.pdm.scripts]
train = "python train.py --lr 1"
again = {cmd = ["train", "--more"]}
piped = {shell = "python train.py | tee x"}
loop = "loop"
[tool.hatch.envs.default.scripts]
train = "python train.py {args}"
two = ["a", "b; c"]
[tool.hatch.envs.other.scripts]
train = "python other.py"
"""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pdm run train -x", "NEW/python train.py --lr 1 -x"),
        ("pdm run again", "NEW/python train.py --lr 1 --more"),
        ("pdm run piped", "piped"),
        ("pdm run loop", "loop"),
        ("pdm run python x.py", "NEW/python x.py"),
        ("hatch run train -x", "NEW/python train.py -x"),
        ("hatch run other:train -x", "NEW/python other.py -x"),
        ("uvx torchrun x.py", "NEW/torchrun x.py"),
        ("pipx run torchrun x.py", "NEW/torchrun x.py"),
        ("poetry run train", "train"),
    ],
)
def test_names_that_only_the_launcher_knows_become_their_words(move: Move, command: str, expected: str) -> None:
    (move.cwd / "pyproject.toml").write_text(PYPROJECT)
    words, (warning,) = map_command(tuple(command.split()), move)
    assert " ".join(words) == expected.replace("NEW", str(move.new))
    assert warning.kind == "unwrapped"


@pytest.mark.parametrize(
    "text", ["", "[tool.pdm]\nscripts = 7", "[tool.pdm.scripts]\ntrain = 7", "not toml", "tool = 1"]
)
def test_a_strange_project_names_no_scripts(move: Move, text: str) -> None:
    (move.cwd / "pyproject.toml").write_text(text)
    assert map_command(("pdm", "run", "train"), move)[0] == ("train",)


def script(move: Move, first: str) -> None:
    (move.cwd / "train").write_text(f"{first}\nprint()\n")
    (move.cwd / "train").chmod(0o755)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("#!/home/me/proj/.venv/bin/python", "NEW/python ./train --lr 1"),
        ("#!/usr/bin/python3 -u -I", "NEW/python -u -I ./train --lr 1"),
        ("#!/usr/bin/env python3", "./train --lr 1"),
        ("#!/bin/sh", "./train --lr 1"),
    ],
)
def test_a_script_that_names_an_old_interpreter_is_given_the_new_one(move: Move, first: str, expected: str) -> None:
    script(move, first)
    words, warnings = map_command(("./train", "--lr", "1"), move)
    assert " ".join(words) == expected.replace("NEW", str(move.new))
    assert warnings == ()


def test_a_script_that_uv_starts_by_its_shebang_is_started_without_uv(move: Move) -> None:
    script(move, "#!/usr/bin/env -S uv run --script")
    words, (warning,) = map_command(("./train", "--lr", "1"), move)
    assert words == ("/usr/bin/env", str(move.new / "python"), "./train", "--lr", "1")
    assert warning.kind == "unwrapped"


def test_a_program_that_the_new_environment_lacks_is_never_taken_from_the_old(move: Move) -> None:
    with pytest.raises(EnvironmentFailed, match="accelerate"):
        map_command((f"{OLD}/accelerate", "launch"), move)


def test_a_command_without_words_stays(move: Move) -> None:
    assert map_command((), move) == ((), ())


@pytest.mark.parametrize("word", ["venv/bin/python", "bin/python", "/elsewhere/bin/python", "python", "../x"])
def test_paths_that_only_look_alike_are_not_of_the_old_environment(word: str) -> None:
    assert not is_of(word, Path("/home/me/proj/my.venv/bins"))
    assert not is_of(word, None)
