from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mltrack.environments import Request, choose, python
from mltrack.environments.interpreter import Interpreter, find_interpreter
from tests.environments.making import UV, uv, variables
from tests.environments.test_interpreter import path_with

PROJECT = """\
[project]
name = "proj"
version = "0.1"
requires-python = ">=3.10"
[tool.hatch.envs.default]
skip-install = true
dependencies = ["six"]
[tool.hatch.envs.other]
skip-install = true
"""
PREFIX = "import sys; print(sys.prefix)"


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Installs a launcher from the package index, once; the directory of its programs."""
    made: dict[str, Path | None] = {}

    def install(name: str) -> Path:
        if name not in made:
            place = tmp_path_factory.mktemp(name) / "venv"
            uv("venv", "--no-project", "--python", sys.executable, str(place))
            words = [UV, "pip", "install", "--python", str(place / "bin" / "python"), name]
            done = subprocess.run(words, capture_output=True)
            made[name] = None if done.returncode else place / "bin"
        found = made[name]
        if found is None:
            pytest.skip(f"{name} cannot be installed: no package index")
        return found

    return install


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    (place / "pyproject.toml").write_text(PROJECT)
    (place / "train.py").write_text(PREFIX)
    return place


def find(cwd: Path, text: str, **more: str) -> Interpreter:
    found = find_interpreter(tuple(text.split()), cwd, variables(**more))
    assert found is not None
    return found


def really_used(cwd: Path, text: str, **more: str) -> Path:
    """The prefix that the command's Python prints when it is really started."""
    done = subprocess.run(text.split(), cwd=cwd, env=variables(**more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip().splitlines()[-1])


def captured(cwd: Path, tmp_path: Path, text: str, **more: str) -> set[str]:
    request = Request(tuple(text.split()), cwd, variables(**more), tmp_path / "cache", cwd)
    assert choose(request).NAME == "python"
    return set(python.capture(request).environment.packages)


SOAK = int(os.environ.get("MLTRACK_SOAK", "1")) > 1
"""Each of these programs takes seconds; those that are seen in the same way as another one wait for a soak."""

seldom = pytest.mark.skipif(not SOAK, reason="only in a soak")


@pytest.mark.parametrize(
    ("name", "text", "packages"),
    [
        ("hatch", "hatch run python train.py", {"six"}),
        pytest.param("hatch", "hatch run other:python train.py", set(), marks=seldom),
        pytest.param("pipenv", "pipenv run python train.py", set(), marks=seldom),
        pytest.param("poetry", "poetry run python train.py", set(), marks=seldom),
    ],
)
def test_a_launcher_that_builds_its_environment_is_seen_before_and_after(
    tmp_path: Path, project: Path, tool: Callable[[str], Path], name: str, text: str, packages: set[str]
) -> None:
    path = path_with(tool(name))
    before = find(project, text, PATH=path)
    assert not before.settled
    assert Path(before.start[0]).is_relative_to(tool(name).parent)
    assert name in before.remarks[0]
    used = really_used(project, text, PATH=path)
    after = find(project, text, PATH=path)
    assert Path(after.start[0]).parent.parent.resolve() == used.resolve()
    assert after.remarks == ()
    assert captured(project, tmp_path, text, PATH=path) - {"pip", "setuptools"} == packages


@seldom
def test_pdm_run_uses_the_projects_environment(tmp_path: Path, project: Path, tool: Callable[[str], Path], env: Path) -> None:  # fmt: skip
    path = path_with(tool("pdm"))
    subprocess.run([tool("pdm") / "pdm", "use", "-q", "-f", env], cwd=project, env=variables(), check=True)
    text = "pdm run python train.py"
    assert really_used(project, text, PATH=path) == env.parent.parent
    assert captured(project, tmp_path, text, PATH=path) == {"alpha", "beta"}


@seldom
def test_pipx_run_uses_an_environment_of_its_own(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    path = path_with(tool("pipx"))
    text = "pipx run --backend pip --spec cowsay==6.1 cowsay -t hi"
    before = find(tmp_path, text, PATH=path)
    assert not before.settled and before.remarks
    done = subprocess.run(text.split(), cwd=tmp_path, env=variables(PATH=path), capture_output=True, text=True)
    if done.returncode:
        pytest.skip("cowsay cannot be installed: no package index")
    assert captured(tmp_path, tmp_path, text, PATH=path) >= {"cowsay"}
    with_uv = f"{path}{os.pathsep}{Path(UV).parent}"
    with_newer = text.replace("--backend pip ", "").replace("6.1", "6.0")
    assert captured(tmp_path, tmp_path, with_newer, PATH=with_uv) == {"cowsay"}
    assert find(tmp_path, text, PATH=path).remarks == ()


@pytest.mark.parametrize("launcher", ["uvx", pytest.param("uv tool run", marks=seldom)])
def test_uvx_uses_an_environment_of_its_own(tmp_path: Path, launcher: str) -> None:
    path = path_with(Path(UV).parent)
    text = f"{launcher} --python {sys.executable} --with six cowsay@6.1 -t hi"
    before = find(tmp_path, text, PATH=path, UV_CACHE_DIR=str(tmp_path / "empty"))
    assert not before.settled
    done = subprocess.run(text.split(), cwd=tmp_path, env=variables(PATH=path), capture_output=True, text=True)
    if done.returncode:
        pytest.skip("cowsay cannot be installed: no package index")
    assert captured(tmp_path, tmp_path, text, PATH=path) == {"cowsay", "six"}
    assert find(tmp_path, text, PATH=path).remarks == ()


def test_what_tox_and_nox_build_is_said_not_to_be_recorded(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    found = find(tmp_path, f"{tool('nox')}/nox -s train")
    assert Path(found.start[0]).is_relative_to(tool("nox").parent)
    assert "environments of its own" in found.remarks[0]


DISTRIBUTED = """
import os, sys, torch
torch.distributed.init_process_group("gloo")
print(sys.prefix)
torch.distributed.destroy_process_group()
"""


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    "text",
    [
        "torchrun --nproc_per_node 1 ddp.py",
        "python -m torch.distributed.run --nproc_per_node 1 ddp.py",
        "torchrun --nproc_per_node 1 --no-python python ddp.py",
    ],
)
def test_the_launchers_of_torch_start_their_own_interpreter(tmp_path: Path, text: str) -> None:
    (tmp_path / "ddp.py").write_text(DISTRIBUTED)
    path = path_with(Path(sys.executable).parent)
    used = really_used(tmp_path, text, PATH=path)
    found = find(tmp_path, text, PATH=path)
    assert Path(found.start[0]).parent.parent == used


def test_a_program_that_a_launcher_is_told_to_start_may_have_another_python(tmp_path: Path, env: Path) -> None:
    torchrun = tmp_path / "bin" / "torchrun"
    torchrun.parent.mkdir()
    torchrun.write_text(f"#!{sys.executable}\n")
    torchrun.chmod(0o755)
    assert find(tmp_path, f"{torchrun} --nnodes 1 --no-python {env} x.py").start == (str(env),)
    assert find(tmp_path, f"{torchrun} --nnodes 1 --no-python ./none").start == (sys.executable,)
    assert find(tmp_path, f"{torchrun} --nnodes 1 {env} x.py").start == (sys.executable,)
