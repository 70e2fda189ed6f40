"""Real projects of pip, uv, poetry and pdm: captured, deleted, built again elsewhere from the remote alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CACHE
from tests.environments.index import serve_index
from tests.environments.making import uv, venv, wheel
from tests.environments.offline import run_offline
from tests.environments.projects import ONE, TOOLS, TRAIN, TWENTY, Project, make_project, many, tool
from tests.environments.python.rebuilding import records
from tests.helpers import git_repository
from tests.stories.typing import Person

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of this machine: its indexes are asked for real."""
    monkeypatch.setenv("MLTRACK_CONFIG_ENVIRONMENT_LOCK", "true")
    return {name: text for name, text in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}


def made(root: Path, name: str, wanted: tuple[str, ...], variables: dict[str, str]) -> Project:
    program = tool(name, CACHE / "installers", variables)
    project = make_project(root, name, program, wanted, variables) if program is not None else None
    if project is None:
        pytest.skip(f"no index here that {name} could be asked with")
    return project


def recorded(project: Project, command_path: str, remote: Path, *push: str) -> tuple[Person, dict[str, list[str]]]:
    """A run of the project whose data is on a remote; and the RECORD files of its environment."""
    person = Person(project.root, command_path)
    person.type("run", "--name", "first", "--", ".venv/bin/python", "train.py")
    record = person.json("show", "first")
    assert record["warnings"] == [], record["warnings"]
    person.type("remote", "add", "origin", str(remote))
    person.type("push", *push)
    return person, records(project.root / ".venv")


def built_again(bare: Path, home: Path) -> dict[str, list[str]]:
    """The RECORD files of the one environment that is in the cache of this home."""
    (place,) = [path for path in (home / "xdg_cache_home/mltrack/environments").iterdir() if path.is_dir()]
    return records(place)


FIRST = (("pip", True), ("uv", False))
"""Which tools are tried in every suite, and whether with one package only."""


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("wanted", [ONE, pytest.param(tuple(TWENTY), id="twenty")])
def test_the_installed_files_are_the_same(
    tmp_path: Path, name: str, wanted: tuple[str, ...], variables: dict[str, str], command_path: str
) -> None:
    if SOAK == 1 and (name, wanted == ONE) not in FIRST:
        pytest.skip("the other tools and sizes: MLTRACK_SOAK=2")
    project = made(tmp_path / "work", name, wanted, variables)
    person, before = recorded(project, command_path, tmp_path / "remote")
    shutil.rmtree(project.root)
    home = Path(os.environ["HOME"])
    shutil.rmtree(home / "xdg_cache_home", ignore_errors=True)
    bare = Person(tmp_path / "bare", person.path)
    bare.cwd.mkdir()
    verdict = bare.json("reproduce", "first", "--from", str(tmp_path / "remote"), "--into", "again")["verdict"]
    assert verdict["grade"] == "identical"
    assert [one for one in verdict["conditions"] if one["what"] == "environment"] == []
    assert built_again(bare.cwd, home) == before


@pytest.mark.needs("ip")
@pytest.mark.skipif(SOAK == 1, reason="takes minutes; MLTRACK_SOAK=2 does it")
def test_a_hundred_and_more_with_pytorch_are_built_without_any_network(
    tmp_path: Path, variables: dict[str, str], command_path: str
) -> None:
    variables |= {"UV_FIND_LINKS": variables.get("UV_FIND_LINKS") or variables.get("PIP_FIND_LINKS", "")}
    project = made(tmp_path / "work", "uv pip", many(variables), variables)
    person, before = recorded(project, command_path, tmp_path / "remote", "--wheels")
    assert len(before) > 100
    shutil.rmtree(project.root)
    home = Path(os.environ["HOME"])
    shutil.rmtree(home / "xdg_cache_home", ignore_errors=True)
    bare = tmp_path / "bare"
    bare.mkdir()
    command = person.path.split(os.pathsep)[0] + "/mltrack"
    words = (command, "reproduce", "first", "--from", tmp_path / "remote", "--into", "again", "--json")
    done = run_offline(words, bare, {**person.environment(), "UV_CACHE_DIR": str(tmp_path / "empty")})
    assert done.returncode == 0, done.stdout + done.stderr
    assert built_again(bare, home) == before


@pytest.mark.needs("ip")
def test_twenty_are_built_without_any_network_from_pushed_wheels(
    tmp_path: Path, variables: dict[str, str], command_path: str
) -> None:
    project = made(tmp_path / "work", "uv", tuple(TWENTY), variables)
    person, before = recorded(project, command_path, tmp_path / "remote", "--wheels")
    shutil.rmtree(project.root)
    home = Path(os.environ["HOME"])
    shutil.rmtree(home / "xdg_cache_home", ignore_errors=True)
    bare = tmp_path / "bare"
    bare.mkdir()
    command = person.path.split(os.pathsep)[0] + "/mltrack"
    words = (command, "reproduce", "first", "--from", tmp_path / "remote", "--into", "again", "--json")
    done = run_offline(words, bare, {**person.environment(), "UV_CACHE_DIR": str(tmp_path / "empty")})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from the wheels that were stored with the run" in done.stderr
    assert built_again(bare, home) == before


@pytest.fixture
def small(
    tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, command_path: str
) -> Iterator[Person]:
    """A project with one distribution of a small index of its own, and a run of it on a remote."""
    with serve_index(tmp_path / "house") as index:
        wheel(index.files, "alpha")
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        person = Person(git_repository(tmp_path / "work", {"train.py": TRAIN, ".gitignore": ".venv/\n"}), command_path)
        made = venv(person.cwd / ".venv")
        uv("pip", "install", "-q", "--python", str(made), "alpha")
        person.type("run", "--name", "first", "--", ".venv/bin/python", "train.py")
        yield person


def test_a_cache_that_cannot_be_written_is_done_without(small: Person, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    small.variables["XDG_CACHE_HOME"] = str(tmp_path / "file")
    done = small.try_("reproduce", "first")
    assert done.returncode == 0, done.stderr
    assert "cannot be built in" in done.stderr
    assert "instead" in done.stderr
    assert list((small.cwd / ".mltrack/work/environments").glob("*/mltrack.json"))


def test_the_second_reproduction_uses_the_environment_of_the_first(small: Person) -> None:
    assert (
        "installed 1 distribution, from the package indexes configured here" in small.try_("reproduce", "first").stderr
    )
    assert "the environment is there already" in small.try_("reproduce", "first").stderr
    again = small.try_("reproduce", "@").stderr
    assert "a repetition of" in again
    runs = small.json("ls")
    assert [run["name"] for run in runs] == [None, None, None, "first"]
    assert {run["parent"]["run"] for run in runs[:-1]} == {runs[-1]["id"]}


def test_an_installer_that_fails_is_a_verdict_with_its_own_words(small: Person) -> None:
    small.variables["UV_DEFAULT_INDEX"] = "http://me:s3cret-pass-word@127.0.0.1:9/simple/"
    small.variables |= {"UV_HTTP_RETRIES": "0", "UV_CACHE_DIR": str(small.cwd.parent / "empty")}
    done = small.try_("reproduce", "first", "--json")
    verdict = json.loads(done.stdout)["verdict"]
    assert (done.returncode, verdict["grade"]) == (1, "could not run")
    (cause,) = [one["now"] for one in verdict["conditions"] if one["what"] == "environment"] or [json.dumps(verdict)]
    assert "uv said" in cause
    assert "127.0.0.1:9" in cause
    assert "s3cret" not in done.stdout + done.stderr
