from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.environments import choose
from mltrack.environments.command import Command, unwrap
from mltrack.environments.interpreter import Interpreter, find_interpreter
from mltrack.environments.kernels import execution_of, find_kernel, with_kernel
from mltrack.environments.mapping import Move, map_command
from tests.environments.making import UV, request, uv, variables
from tests.environments.test_interpreter import path_with, script

NOTEBOOK = {
    "cells": [{"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": "import sys\nprint(sys.prefix)"}],
    "metadata": {"kernelspec": {"display_name": "x", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}  # fmt: skip


def notebook(path: Path, kernel: str | None = "python3") -> Path:
    metadata = {"kernelspec": {"display_name": "x", "language": "python", "name": kernel}} if kernel else {}
    path.write_text(json.dumps({**NOTEBOOK, "metadata": metadata}))
    return path


def kernel(place: Path, name: str, *argv: object) -> None:
    spec = {"argv": [*map(str, argv), "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    (place / name).mkdir(parents=True, exist_ok=True)
    (place / name / "kernel.json").write_text(json.dumps({**spec, "display_name": name, "language": "python"}))


@pytest.mark.parametrize(
    ("text", "tool", "named", "book"),
    [
        ("papermill in.ipynb out.ipynb", "papermill", None, "in.ipynb"),
        ("papermill -p lr 0.1 -r name x.ipynb -k other in.ipynb out.ipynb", "papermill", "other", "in.ipynb"),
        ("/v/bin/papermill --kernel=other --log-output in out", "papermill", "other", "in"),
        ("python -m papermill in.ipynb", "papermill", None, "in.ipynb"),
        ("jupyter nbconvert --to notebook --execute a.ipynb", "nbconvert", None, "a.ipynb"),
        ("jupyter-nbconvert --execute --ExecutePreprocessor.kernel_name=k a.ipynb", "nbconvert", "k", "a.ipynb"),
        ("python3 -m jupyter nbconvert --execute a.ipynb", "nbconvert", None, "a.ipynb"),
        ("python -u -m nbconvert --execute --ExecutePreprocessor.kernel_name k a.ipynb", "nbconvert", "k", "a.ipynb"),
        ("jupyter nbconvert --execute --output out.ipynb --X.y 1 --inplace a.ipynb", "nbconvert", None, "a.ipynb"),
        ("jupyter execute --kernel_name=k a.ipynb", "execute", "k", "a.ipynb"),
    ],
)
def test_what_runs_a_notebook_is_known(text: str, tool: str, named: str | None, book: str) -> None:
    found = execution_of(Command(tuple(text.split()), Path("/"), {}))
    assert found is not None
    assert (found.tool, found.kernel, found.notebook) == (tool, named, book)


@pytest.mark.parametrize(
    "text",
    ["jupyter nbconvert --to html a.ipynb", "jupyter lab", "jupyter", "python papermill", "python -m", "true", ""],
)
def test_other_commands_run_none(text: str) -> None:
    assert execution_of(Command(tuple(text.split()), Path("/"), {})) is None


def found_kernel(command: Command, prefix: Path) -> tuple[str, str | None] | None:
    execution = execution_of(command)
    assert execution is not None
    kernel = find_kernel(execution, command, prefix)
    return None if kernel is None else (kernel.name, kernel.program)


def test_kernels_are_looked_for_where_jupyter_looks(tmp_path: Path) -> None:
    book = str(notebook(tmp_path / "a.ipynb", "mine"))
    home, prefix = tmp_path / "home", tmp_path / "venv"
    command = Command(("papermill", book), tmp_path, {"HOME": str(home)})
    assert found_kernel(command, prefix) is None
    kernel(home / ".local/share/jupyter/kernels", "mine", "/users")
    kernel(prefix / "share/jupyter/kernels", "mine", "/own")
    assert found_kernel(command, prefix) == ("mine", "/users")
    (prefix / "pyvenv.cfg").write_text("")
    assert found_kernel(command, prefix) == ("mine", "/own")
    known = {"HOME": str(home), "JUPYTER_PREFER_ENV_PATH": "0"}
    assert found_kernel(Command(command.argv, tmp_path, known), prefix) == ("mine", "/users")
    kernel(tmp_path / "first" / "kernels", "mine", "python3")
    known = {"HOME": str(home), "JUPYTER_PATH": f"{tmp_path}/none:{tmp_path}/first"}
    assert found_kernel(Command(command.argv, tmp_path, known), prefix) == ("mine", None)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"metadata": 7}', '{"metadata": {"kernelspec": {"name": ""}}}', "[" * 90000]
)
def test_a_strange_notebook_names_no_kernel(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    assert found_kernel(Command(("papermill", "a.ipynb"), tmp_path, {}), tmp_path) is None
    assert found_kernel(Command(("papermill", "gone.ipynb", "-k", "../x"), tmp_path, {}), tmp_path) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("papermill a b", "a b -k K"),
        ("papermill -k old a b", "-k K a b"),
        ("papermill --kernel=old a b", "--kernel=K a b"),
        ("jupyter nbconvert --execute a", "--execute a --ExecutePreprocessor.kernel_name=K"),
        ("jupyter execute --kernel_name=old a", "--kernel_name=K a"),
    ],
)
def test_another_kernel_is_named(text: str, expected: str) -> None:
    execution = execution_of(Command(tuple(text.split()), Path("/"), {}))
    assert execution is not None
    assert " ".join(with_kernel(execution, "K")) == expected


# With the real programs


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The programs of an environment with papermill, nbconvert and ipykernel, and of one with ipykernel alone."""
    places = []
    for name, wanted in (("jupyter", ["papermill", "nbconvert", "ipykernel"]), ("kernel", ["ipykernel"])):
        place = tmp_path_factory.mktemp(name) / "venv"
        uv("venv", "--no-project", "--python", sys.executable, str(place))
        words = [UV, "pip", "install", "--python", str(place / "bin" / "python"), *wanted]
        if subprocess.run(words, capture_output=True).returncode:
            pytest.skip("jupyter cannot be installed: no package index")
        places.append(place / "bin")
    return places[0], places[1]


def found_for(cwd: Path, *argv: object, **more: str) -> Interpreter:
    found = find_interpreter(tuple(map(str, argv)), cwd, variables(**more))
    assert found is not None
    return found


def really_used(cwd: Path, out: Path, *argv: object, **more: str) -> str:
    """The prefix that the notebook prints when the command is really run."""
    done = subprocess.run(tuple(map(str, argv)), cwd=cwd, env=variables(**more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = json.loads(out.read_text())["cells"][0]["outputs"]
    return str("".join(outputs[0]["text"]).strip())


SOAK = int(os.environ.get("MLTRACK_SOAK", "1")) > 1
"""Every notebook is a few seconds: each program is started in one of the two ways."""

COMMANDS = [
    ("papermill", "in.ipynb", "out.ipynb"),
    ("jupyter", "nbconvert", "--to", "notebook", "--execute", "--output", "out.ipynb", "in.ipynb"),
]


@pytest.mark.parametrize("argv", COMMANDS, ids=["papermill", "nbconvert"])
def test_the_native_kernel_is_the_programs_own_environment(
    tmp_path: Path, jupyter: tuple[Path, Path], argv: tuple[str, ...]
) -> None:
    own, _ = jupyter
    notebook(tmp_path / "in.ipynb")
    path = path_with(own)
    found = found_for(tmp_path, *argv, PATH=path)
    assert (Path(found.start[0]).parent, found.remarks) == (own, ())
    if argv[0] == "jupyter" or SOAK:
        assert really_used(tmp_path, tmp_path / "out.ipynb", *argv, PATH=path) == str(own.parent)


@pytest.mark.parametrize("argv", COMMANDS, ids=["papermill", "nbconvert"])
def test_a_kernel_of_another_environment_is_the_one_that_matters(
    tmp_path: Path, jupyter: tuple[Path, Path], argv: tuple[str, ...]
) -> None:
    own, other = jupyter
    notebook(tmp_path / "in.ipynb", "mine")
    subprocess.run(
        [other / "python", "-m", "ipykernel", "install", "--user", "--name", "mine"], env=variables(), check=True, capture_output=True
    )  # fmt: skip
    path = path_with(own)
    found = found_for(tmp_path, *argv, PATH=path)
    (remark,) = found.remarks
    assert Path(found.start[0]).parent == other
    assert str(own) in remark and str(other) in remark
    if argv[0] == "papermill" or SOAK:
        assert really_used(tmp_path, tmp_path / "out.ipynb", *argv, PATH=path) == str(other.parent)
    asked = request(tmp_path, *argv, PATH=path)
    notebook(asked.cwd / "in.ipynb", "mine")
    packages = choose(asked).capture(asked).environment.packages
    assert "ipykernel" in packages and "papermill" not in packages


def test_an_unknown_kernel_and_one_of_another_language_are_remarked_upon(
    tmp_path: Path, jupyter: tuple[Path, Path]
) -> None:
    own, _ = jupyter
    notebook(tmp_path / "in.ipynb", "gone")
    found = found_for(tmp_path, own / "papermill", "in.ipynb")
    assert "not known" in found.remarks[0]
    assert Path(found.start[0]).parent == own
    script(tmp_path / "R", "#!/bin/true\n")
    kernel(tmp_path / "more" / "kernels", "ir", tmp_path / "R")
    found = found_for(tmp_path, own / "papermill", "-k", "ir", "in.ipynb", JUPYTER_PATH=str(tmp_path / "more"))
    assert "'ir'" in found.remarks[0]


def test_a_notebook_is_run_again_with_the_kernel_of_the_rebuilt_environment(
    tmp_path: Path, jupyter: tuple[Path, Path]
) -> None:
    own, other = jupyter
    notebook(tmp_path / "in.ipynb", "mine")
    kernel(Path(os.environ["XDG_DATA_HOME"]) / "jupyter/kernels", "mine", other / "python")
    move = Move(Path("/old/bin"), own, tmp_path, variables())
    words, (warning,) = map_command(("/old/bin/papermill", "in.ipynb", "out.ipynb"), move)
    assert words == (str(own / "papermill"), "in.ipynb", "out.ipynb", "-k", "python3")
    assert warning.kind == "kernel"
    assert really_used(tmp_path, tmp_path / "out.ipynb", *words) == str(own.parent)
    notebook(tmp_path / "in.ipynb")
    assert map_command(("papermill", "in.ipynb"), move) == ((str(own / "papermill"), "in.ipynb"), ())


def test_unwrapped_commands_are_seen_too(tmp_path: Path) -> None:
    command = unwrap(("nice", "uv", "run", "papermill", "a.ipynb"), tmp_path, {})
    assert execution_of(command) is not None
