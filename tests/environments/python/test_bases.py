from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.environments.python.bases import Wanted, ask_version, find_base, request_for
from mltrack.errors import EnvironmentFailed
from tests.environments.making import UV, variables, venv

HERE = ".".join(map(str, sys.version_info[:3]))
MINOR = ".".join(map(str, sys.version_info[:2]))


def fake(place: Path, version: str, implementation: str = "cpython", level: str = "final", flags: str = "") -> Path:
    """A program that answers like an interpreter of that version: no machine has them all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\necho {version} {level} 2 {implementation} abi{flags}\n")
    place.chmod(0o755)
    return place


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """Variables of a machine on which only what a test makes is found, and what its /usr/bin has."""
    return variables(HOME=str(tmp_path), PYENV_ROOT=str(tmp_path / "pyenv"), PATH=str(tmp_path / "bin"))


def test_the_version_is_asked_of_the_interpreter() -> None:
    assert ask_version(Path(sys.executable), "cpython", variables()) == HERE
    assert ask_version(Path(sys.executable), "pypy", variables()) is None
    assert ask_version(Path("/bin/sh"), "cpython", variables()) is None
    assert ask_version(Path("/nowhere"), "cpython", variables()) is None


def test_prereleases_and_variants_are_told_apart(tmp_path: Path) -> None:
    assert ask_version(fake(tmp_path / "a", "3.14.0", level="candidate"), "cpython", {}) == "3.14.0rc2"
    assert ask_version(fake(tmp_path / "b", "3.14.0", flags="t"), "cpython", {}) is None
    assert ask_version(fake(tmp_path / "b", "3.14.0", flags="t"), "cpython+freethreaded", {}) == "3.14.0"
    assert ask_version(fake(tmp_path / "c", "3.11.2", flags="d"), "cpython", {}) is None
    assert ask_version(fake(tmp_path / "c", "3.11.2", flags="d"), "cpython+debug", {}) == "3.11.2"
    assert ask_version(fake(tmp_path / "d", "3.7.1", flags="m"), "cpython", {}) == "3.7.1"
    assert ask_version(fake(tmp_path / "e", "3.10.14", "pypy"), "pypy", {}) == "3.10.14"


def test_the_recorded_path_comes_first(alone: dict[str, str]) -> None:
    base = Path(sys._base_executable)  # type: ignore[attr-defined]
    assert find_base(Wanted(HERE, "cpython", str(base)), alone, UV).path == base


def test_of_a_virtual_environment_that_is_taken_which_it_was_made_of(tmp_path: Path, alone: dict[str, str]) -> None:
    made = venv(tmp_path / "venv")
    assert find_base(Wanted(HERE, "cpython", str(made)), alone, UV).path == made.resolve()


@pytest.mark.parametrize("place", ["bin/python3.77", "bin/python3", "bin/python", "pyenv/versions/3.77.7/bin/python"])
def test_the_same_version_is_found_wherever_it_usually_lies(tmp_path: Path, alone: dict[str, str], place: str) -> None:
    path = fake(tmp_path / place, "3.77.7")
    gone = str(tmp_path / "gone" / "python")
    found = find_base(Wanted("3.77.7", "cpython", gone), alone, UV)
    assert (found.path, found.version) == (path, "3.77.7")


def test_the_same_version_wins_over_one_that_is_found_earlier(tmp_path: Path, alone: dict[str, str]) -> None:
    fake(tmp_path / "bin" / "python3.77", "3.77.8")
    exact = fake(tmp_path / "bin" / "python3", "3.77.7")
    assert find_base(Wanted("3.77.7", "cpython"), alone, UV).path == exact


def test_else_the_nearest_of_the_same_minor_version_is_taken(tmp_path: Path, alone: dict[str, str]) -> None:
    for number in (1, 5, 9):
        fake(tmp_path / "pyenv" / "versions" / f"3.77.{number}" / "bin" / "python", f"3.77.{number}")
    assert find_base(Wanted("3.77.6", "cpython"), alone, UV).version == "3.77.5"
    assert find_base(Wanted("3.77.7", "cpython"), alone, UV).version == "3.77.9"


def test_another_minor_version_is_none(tmp_path: Path, alone: dict[str, str]) -> None:
    fake(tmp_path / "bin" / "python3", "3.78.7")
    with pytest.raises(EnvironmentFailed, match=r"3\.77 is not on this machine; the run used 3\.77\.7"):
        find_base(Wanted("3.77.7", "cpython"), alone, UV)


def test_mltracks_own_interpreter_will_do(tmp_path: Path, alone: dict[str, str]) -> None:
    found = find_base(Wanted(HERE, "cpython"), alone, UV)
    told = subprocess.run([found.path, "--version"], capture_output=True, text=True)
    assert told.stdout.split()[1] == HERE


def test_how_to_get_one_is_said_in_uvs_words() -> None:
    assert request_for(Wanted("3.11.7", "cpython")) == "3.11.7"
    assert request_for(Wanted("3.10.14", "pypy")) == "pypy@3.10.14"
    assert request_for(Wanted("3.13.0", "cpython+freethreaded")) == "3.13.0+freethreaded"
    assert Wanted("3.14.0rc2", "cpython").minor == "3.14"
    assert MINOR in HERE
