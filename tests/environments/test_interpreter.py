from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.environments import Request, choose, python
from mltrack.environments.interpreter import Interpreter, ask, default_interpreter, find_interpreter
from tests.environments.making import UV, request, uv, variables, venv, wheel


def find(cwd: Path, *argv: object, **more: str) -> Interpreter | None:
    return find_interpreter(tuple(map(str, argv)), cwd, variables(**more))


def started(cwd: Path, *argv: object, **more: str) -> str:
    found = find(cwd, *argv, **more)
    assert found is not None
    return " ".join(found.start)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def path_with(*places: Path) -> str:
    return os.pathsep.join([*map(str, places), os.environ["PATH"]])


def test_a_name_is_looked_up_on_the_commands_own_path(tmp_path: Path, env: Path) -> None:
    assert started(tmp_path, "python", "x.py", PATH=path_with(env.parent)) == str(env)
    assert started(tmp_path, "env", f"PATH={env.parent}", "python3", "x.py") == str(env.parent / "python3")
    assert find(tmp_path, "python", PATH=str(tmp_path)) is None


def test_a_relative_part_of_the_path_is_relative_to_where_the_command_starts(tmp_path: Path, env: Path) -> None:
    (tmp_path / "bin").symlink_to(env.parent)
    assert started(tmp_path, "python", PATH="bin") == str(tmp_path / "bin" / "python")


def test_a_path_is_taken_as_it_is_without_resolving_its_links(tmp_path: Path, env: Path) -> None:
    (tmp_path / ".venv").symlink_to(env.parent.parent)
    assert started(tmp_path, ".venv/bin/python", "x.py") == str(tmp_path / ".venv/bin/python")
    assert started(tmp_path, env) == str(env)


def test_flags_that_change_the_module_path_go_along(tmp_path: Path, env: Path) -> None:
    found = find(tmp_path, env, "-uI", "x.py", "-s")
    assert found is not None
    assert found.flags == ("-I",)


@pytest.mark.parametrize("first", ["#!{env}", "#!/usr/bin/env {env}", "#! {env} -u", "#!/usr/bin/env -S {env} -u"])
def test_a_script_is_run_by_what_its_shebang_names(tmp_path: Path, env: Path, first: str) -> None:
    script(tmp_path / "train.py", first.format(env=env) + "\nprint()\n")
    assert started(tmp_path, "./train.py", "--lr", "1") == str(env)


def test_a_shebang_with_env_is_looked_up_on_the_commands_path(tmp_path: Path, env: Path) -> None:
    script(tmp_path / "train", "#!/usr/bin/env python\n")
    assert started(tmp_path, "./train", PATH=path_with(env.parent)) == str(env)


def test_a_console_script_belongs_to_its_environment(tmp_path: Path, env: Path) -> None:
    assert started(tmp_path, "alpha", PATH=path_with(env.parent)) == str(env)
    assert started(tmp_path, env.parent / "alpha") == str(env)


def test_a_console_script_below_a_path_with_blanks_belongs_to_its_environment(tmp_path: Path, wheels: Path) -> None:
    for name in ("a b", "x" * 140):
        made = venv(tmp_path / name / "venv", "alpha==1.0", wheels=wheels)
        assert (made.parent / "alpha").read_bytes().startswith(b"#!/bin/sh")
        assert started(tmp_path, made.parent / "alpha") == str(made)


def test_a_console_script_of_a_relocatable_environment_belongs_to_it(tmp_path: Path, wheels: Path) -> None:
    uv("venv", "--no-project", "--relocatable", "--python", sys.executable, str(tmp_path / "venv"))
    made = tmp_path / "venv" / "bin" / "python"
    uv("pip", "install", "--python", str(made), "--no-index", "--find-links", str(wheels), "alpha")
    assert started(tmp_path, made.parent / "alpha") == str(made)


@pytest.mark.parametrize("argv", ["bash -c true", "./run.sh", "sh run.sh", "nowhere", "/nowhere/python", "./data"])
def test_what_is_not_python_has_no_interpreter(tmp_path: Path, argv: str) -> None:
    script(tmp_path / "run.sh", "#!/bin/sh\n# python train.py\necho python train.py\n")
    (tmp_path / "data").write_text("#!/usr/bin/env python\n")  # not executable
    assert find(tmp_path, *argv.split()) is None


@pytest.mark.parametrize("argv", [(), ("",), ("\0",), ("./\0",), ("a\nb",), ("env",), ("./loop",), ("/",), (".",)])
def test_strange_commands_raise_nothing(tmp_path: Path, argv: tuple[str, ...]) -> None:
    script(tmp_path / "loop", f"#!{tmp_path}/loop\n")
    assert find(tmp_path, *argv) is None


def test_pyenvs_shims_are_followed_to_the_version_in_force(tmp_path: Path, env: Path) -> None:
    root = tmp_path / "pyenv"
    script(root / "shims" / "alpha", '#!/usr/bin/env bash\nexec pyenv exec alpha "$@"\n')
    script(root / "bin" / "pyenv", f'#!/bin/sh\n[ "$1" = which ] && echo "{env.parent}/$2"\n')
    assert started(tmp_path, "alpha", PATH=path_with(root / "shims")) == str(env)
    script(root / "bin" / "pyenv", "#!/bin/sh\nexit 127\n")
    assert find(tmp_path, "alpha", PATH=path_with(root / "shims")) is None


def test_what_is_asked_is_no_process_of_the_run(tmp_path: Path) -> None:
    program = script(tmp_path / "told", '#!/bin/sh\necho "run=$MLTRACK_RUN_DIR other=$OTHER"\n')
    known = variables(MLTRACK_RUN_DIR=str(tmp_path), OTHER="1")
    assert ask((str(program),), tmp_path, known) == "run= other=1"


def test_the_default_is_what_a_shell_script_would_start(tmp_path: Path, env: Path) -> None:
    found = default_interpreter(tmp_path, variables(PATH=path_with(env.parent)))
    assert found is not None
    assert found.start == (str(env),)
    assert default_interpreter(tmp_path, {"PATH": str(tmp_path)}) is None


PYPROJECT = '[project]\nname = "proj"\nversion = "0.1"\nrequires-python = ">=3.10"\ndependencies = ["alpha==1.0"]\n'
NO_INDEX = "[tool.uv]\nno-index = true\n"


@pytest.fixture
def uv_project(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of uv whose environment does not exist yet, and uv on PATH."""
    monkeypatch.setenv("PATH", path_with(Path(UV).parent))
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT + NO_INDEX)
    (project / "train.py").write_text("import alpha\n")
    return project


def captured(project: Path, tmp_path: Path, *argv: str) -> dict[str, str]:
    found = python.capture(Request(argv, project, variables(), tmp_path / "cache", project))
    assert not found.settled
    return dict(found.environment.packages)


def test_uv_run_uses_the_projects_environment(tmp_path: Path, uv_project: Path) -> None:
    subprocess.run([UV, "sync", "-q"], cwd=uv_project, check=True)
    expected = str(uv_project / ".venv" / "bin" / "python")
    (uv_project / "sub").mkdir()
    assert started(uv_project, "uv", "run", "train.py") == expected
    assert started(uv_project / "sub", "uv", "run", "python", "../train.py") == expected
    assert started(tmp_path, "uv", "run", "--directory", "project", "train.py") == expected
    assert captured(uv_project, tmp_path, "uv", "run", "train.py") == {"alpha": "1.0"}


def test_uv_run_is_asked_where_the_environment_is_not_there_yet(tmp_path: Path, uv_project: Path) -> None:
    assert captured(uv_project, tmp_path, "uv", "run", "train.py") == {"alpha": "1.0"}


def test_uv_run_with_more_packages_is_asked(tmp_path: Path, uv_project: Path) -> None:
    subprocess.run([UV, "sync", "-q"], cwd=uv_project, check=True)
    assert captured(uv_project, tmp_path, "uv", "run", "--with", "beta", "train.py") == {"alpha": "1.0", "beta": "0.5"}


def test_a_member_of_a_workspace_uses_the_workspaces_environment(tmp_path: Path, uv_project: Path) -> None:
    member = uv_project / "members" / "one"
    member.mkdir(parents=True)
    (member / "pyproject.toml").write_text('[project]\nname = "one"\nversion = "1"\ndependencies = ["beta"]\n')
    (uv_project / ".venv" / "bin").mkdir(parents=True)
    (uv_project / ".venv" / "bin" / "python").symlink_to(sys.executable)
    asked = "uv run python"
    assert started(member, "uv", "run", "x.py").endswith(asked)  # a project of its own, below another one
    with (uv_project / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.workspace]\nmembers = ["members/*"]\n')
    assert started(member, "uv", "run", "x.py") == str(uv_project / ".venv" / "bin" / "python")


def test_uv_run_may_keep_its_environment_elsewhere(tmp_path: Path, uv_project: Path, env: Path) -> None:
    place = str(env.parent.parent)
    assert started(uv_project, "uv", "run", "x.py", UV_PROJECT_ENVIRONMENT=place) == str(env)
    assert started(uv_project, "uv", "run", "--active", "x.py", VIRTUAL_ENV=place) == str(env)


def test_a_script_that_names_its_own_requirements_has_its_own_environment(tmp_path: Path, uv_project: Path) -> None:
    block = '# /// script\n# dependencies = ["beta"]\n# [tool.uv]\n# no-index = true\n# ///\n'
    text = f"#!/usr/bin/env -S uv run --script\n{block}import beta\n"
    script(uv_project / "own.py", text)
    subprocess.run([uv_project / "own.py"], cwd=uv_project, check=True)
    assert captured(uv_project, tmp_path, "./own.py") == {"beta": "0.5"}
    assert captured(uv_project, tmp_path, "uv", "run", "own.py") == {"beta": "0.5"}


def test_a_projects_environment_that_poetry_is_asked_for(tmp_path: Path, wheels: Path) -> None:
    project = tmp_path / "project"
    made = venv(project / ".venv", "alpha==2.0", wheels=wheels)
    tool = script(
        tmp_path / "bin" / "poetry", f'#!/bin/sh\n[ "$*" = "env info --path" ] && echo {made.parent.parent}\n'
    )
    asked = request(tmp_path, "poetry", "run", "python", "x.py", PATH=path_with(tool.parent))
    kind = choose(asked)
    assert kind.NAME == "python"
    assert kind.capture(asked).environment.packages == {"alpha": "2.0"}


def test_a_launcher_that_is_not_here_leaves_the_kind_to_system(tmp_path: Path) -> None:
    assert choose(request(tmp_path, "poetry", "run", "python", "x.py", PATH="/usr/bin:/bin")).NAME == "system"


def test_wheels_made_by_hand_are_real(tmp_path: Path) -> None:
    wheel(tmp_path, "gamma", "3.0", {"gamma": "main"})
    made = venv(tmp_path / "venv", "gamma", wheels=tmp_path)
    done = subprocess.run([made.parent / "gamma"], capture_output=True, text=True)
    assert done.stdout == "gamma 3.0\n"
