from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.environments import choose
from mltrack.environments.command import Command
from mltrack.environments.interpreter import find_interpreter
from mltrack.environments.shells import commands_in, script_of
from tests.environments.making import request, variables
from tests.environments.test_interpreter import path_with, script

HERE = Path("/project")


def inner(text: str, **known: str) -> list[str]:
    """The commands that are seen in a text."""
    return [" ".join(one.argv) for one in commands_in(text, Command(("sh",), HERE, known))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python a.py | tee x", ["python a.py", "tee x"]),
        ("python a.py 2>&1 >log.txt | tee -a 'x y'", ["python a.py 2", "tee -a x y"]),
        ("set -e; A=1 B='2 3' python a.py && echo done || exit 1", ["set -e", "python a.py", "echo done", "exit 1"]),
        ("exec time python a.py", ["python a.py"]),
        ("if true; then python a.py; else ./b.sh; fi", ["true", "python a.py", "./b.sh"]),
        ("for seed in 1 2 3; do\n  python a.py --seed $seed\ndone", ["python a.py --seed $seed"]),
        ("( cd x && python a.py ) & wait", ["python a.py", "wait"]),
        ("PY=python3\n$PY a.py; ${PY} b.py; ${NONE:-python} c.py", ["python3 a.py", "python3 b.py", "python c.py"]),
        ('RUN="python -u"; $RUN a.py', ["python -u a.py"]),
        ("$UNKNOWN a.py; `which python` b.py; $(which python) c.py", ["which python", "c.py"]),
        ("# don't\npython a.py # here, too\ntrue", ["python a.py", "true"]),
        ("python a.py \\\n  --lr 1", ["python a.py --lr 1"]),
        ("cat <<EOF\npython a.py\nEOF\n", ["cat"]),
        ("echo 'python a.py'", ["echo python a.py"]),
        ("echo 'never closed", []),
        ("", []),
        (" ; ;; | \n", []),
        ("train() { python a.py; }", ["train", "python a.py"]),
    ],
)
def test_the_commands_of_a_text(text: str, expected: list[str]) -> None:
    assert inner(text) == expected


def test_directories_variables_and_activation_are_followed() -> None:
    text = "cd sub; export A=1 B=$A; . ../.venv/bin/activate && python a.py"
    (one,) = commands_in(text, Command(("sh",), HERE, {"PATH": "/bin"}))
    assert one.cwd == HERE / "sub"
    assert one.variables["PATH"] == "/project/sub/../.venv/bin:/bin"
    assert (one.variables["A"], one.variables["B"]) == ("1", "1")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("sh", "-c", "true"), "true"),
        (("bash", "-euo", "pipefail", "-c", "true", "x"), "true"),
        (("/bin/bash", "-lc", "true"), "true"),
        (("bash", "-e", "run.sh", "1"), "body\n"),
        (("bash", "--norc", "--", "run.sh"), "body\n"),
        (("bash",), None),
        (("bash", "-c"), None),
        (("bash", "-s"), None),
        (("bash", "gone.sh"), None),
        (("bash", "binary"), None),
        (("fish", "-c", "true"), None),
        (("python", "-c", "true"), None),
        ((), None),
    ],
)
def test_the_text_that_a_shell_is_given(tmp_path: Path, words: tuple[str, ...], text: str | None) -> None:
    (tmp_path / "run.sh").write_text("body\n")
    (tmp_path / "binary").write_bytes(b"\x7fELF\0")
    assert script_of(Command(words, tmp_path, {})) == text


def test_a_script_of_the_system_is_a_program_like_any_other() -> None:
    assert script_of(Command(("sh", "/usr/bin/ldd"), HERE, {})) is None


def started(cwd: Path, *argv: str, **more: str) -> str | None:
    found = find_interpreter(argv, cwd, variables(**more))
    return None if found is None else " ".join(found.start)


def test_python_in_a_pipeline_is_captured(tmp_path: Path, env: Path) -> None:
    asked = request(tmp_path, "sh", "-c", "python a.py | tee x", PATH=path_with(env.parent))
    kind = choose(asked)
    assert kind.NAME == "python"
    assert set(kind.capture(asked).environment.packages) == {"alpha", "beta"}


def test_python_in_a_script_of_the_project_is_found(tmp_path: Path, env: Path) -> None:
    script(tmp_path / "run.sh", "#!/usr/bin/env bash\nset -e\npython a.py\n")
    script(tmp_path / "outer.sh", "cd . && nice ./run.sh\n")
    path = path_with(env.parent)
    assert started(tmp_path, "./run.sh", PATH=path) == str(env)
    assert started(tmp_path, "bash", "outer.sh", PATH=path) == str(env)
    (tmp_path / ".venv").symlink_to(env.parent.parent)
    script(tmp_path / "active.sh", "source .venv/bin/activate\ntorchrun x.py || python x.py\n")
    assert started(tmp_path, "bash", "active.sh") == str(tmp_path / ".venv/bin/python")


def test_a_second_interpreter_is_remarked_upon(tmp_path: Path, env: Path) -> None:
    text = f"{env} a.py; {env} b.py; /usr/bin/env python3 c.py"
    found = find_interpreter(("sh", "-c", text), tmp_path, variables())
    assert found is not None
    assert found.start == (str(env),)
    (remark,) = found.remarks
    assert "python3" in remark


def test_scripts_that_start_each_other_end(tmp_path: Path) -> None:
    script(tmp_path / "a.sh", "#!/bin/sh\n./b.sh\n./b.sh\n")
    script(tmp_path / "b.sh", "#!/bin/sh\n./a.sh\n./a.sh\n")
    assert started(tmp_path, "./a.sh") is None


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from(list("ab $`'\"\\\n;|&<>(){}=#.*/-")), max_size=40))
def test_no_text_raises(text: str) -> None:
    list(commands_in(text, Command(("sh",), HERE, {"a": "b"})))


@pytest.mark.parametrize(
    "text", ["export A=1; B=$A python a.py", "cd sub\npython a.py | cat", "X=1 && { python a.py; }"]
)
def test_what_is_seen_is_what_a_shell_does(tmp_path: Path, text: str) -> None:
    (tmp_path / "sub").mkdir()
    told = script(tmp_path / "bin" / "python", '#!/bin/sh\necho "$PWD $A $B $*"\n')
    path = path_with(told.parent)
    done = subprocess.run(["sh", "-c", text], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True)
    (one,) = [one for one in commands_in(text, Command(("sh",), tmp_path, {"PATH": path})) if one.argv[0] == "python"]
    values = [one.variables.get(name, "") for name in "AB"]
    assert done.stdout.split() == " ".join([str(one.cwd), *values, *one.argv[1:]]).split()
    assert os.path.exists(told)
