"""A reproduction on a machine without any network: packages come from a directory of wheels and from nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments.making import uv, wheel
from tests.helpers import git_repository
from tests.stories.typing import Person

SCRIPT = """import json
import tinypackage
open("result.txt", "w").write(tinypackage.VERSION)
json.dump({"loss": 0.5}, open("metrics.json", "w"))
"""
REACH = "import socket; socket.create_connection(('127.0.0.1', 1), 1)"


@pytest.fixture
def namespace() -> Iterator[str]:
    """The name of a network namespace in which not even the loopback is up."""
    name = f"mltrack-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def inside(namespace: str, person: Person) -> Person:
    """The same person, whose `mltrack` starts in the namespace."""
    place = person.cwd / "bin"
    place.mkdir()
    real = f"{person.path.split(os.pathsep)[0]}/mltrack"
    (place / "mltrack").write_text(f'#!/bin/sh\nexec ip netns exec {namespace} "{real}" "$@"\n')
    (place / "mltrack").chmod(0o755)
    return Person(person.cwd, f"{place}{os.pathsep}{person.path}", {**person.variables, "PATH": person.path})


def recorded(tmp_path: Path, command_path: str) -> str:
    """Run in an environment with a package of the wheelhouse, push, and hide all there was; the run's id."""
    first = tmp_path / "first machine"
    person = Person(git_repository(first / "work", {"train.py": SCRIPT, ".gitignore": ".venv/\n"}), command_path)
    base = str(Path(command_path.split(os.pathsep)[0]) / "python")
    uv("venv", "-q", "--no-project", "--python", base, ".venv", cwd=person.cwd)
    options = ("--no-index", "--find-links", str(tmp_path / "wheelhouse"))
    uv("pip", "install", "-q", "--python", ".venv/bin/python", *options, "tinypackage", cwd=person.cwd)
    person.type("run", "--metrics", "metrics.json", "--", ".venv/bin/python", "train.py")
    record = person.json("show", "@")
    assert record["environment"]["packages"] == {"tinypackage": "1.0"}
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    first.rename(tmp_path / "hidden")
    Path(os.environ["HOME"]).rename(tmp_path / "hidden home")
    return str(record["id"])


@pytest.mark.needs("ip")
@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_machine_without_network_reproduces_from_a_wheelhouse(
    tmp_path: Path, command_path: str, namespace: str, tool: str
) -> None:
    wheels = tmp_path / "wheelhouse"
    wheel(wheels, "tinypackage")
    run = recorded(tmp_path, command_path)
    place = tmp_path / "second machine"
    (place / "home").mkdir(parents=True)
    home = place / "home"
    settings = {
        "pip": {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)},
        "uv": {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels), "PIP_FIND_LINKS": ""},
    }
    everything = {"HOME": str(home), "UV_CACHE_DIR": str(home / "uv"), **settings[tool]}
    everything |= {name: str(home / name.lower()) for name in os.environ if name.startswith("XDG_")}
    person = inside(namespace, Person(place, command_path, everything))
    network = subprocess.run(["ip", "netns", "exec", namespace, sys.executable, "-c", REACH], capture_output=True)
    assert b"unreachable" in network.stderr, "the namespace must have no network at all"
    done = person.json("reproduce", run, "--from", str(tmp_path / "remote"), "--into", "again")
    assert done["verdict"]["grade"] == "identical"
    assert done["run"]["environment"]["packages"] == {"tinypackage": "1.0"}
    assert not done["run"]["environment"]["interpreter"].startswith(str(tmp_path / "first machine"))
    assert (place / "again" / "result.txt").read_text() == "1.0"


@pytest.mark.needs("ip")
def test_without_network_and_wheels_the_verdict_says_that_the_environment_is_missing(
    tmp_path: Path, command_path: str, namespace: str
) -> None:
    wheel(tmp_path / "wheelhouse", "tinypackage")
    run = recorded(tmp_path, command_path)
    place = tmp_path / "second machine"
    (place / "home").mkdir(parents=True)
    alone = {"HOME": str(place / "home"), "UV_CACHE_DIR": str(place / "uv"), "PIP_FIND_LINKS": ""}
    person = inside(namespace, Person(place, command_path, {**alone, "UV_HTTP_RETRIES": "0"}))
    done = person.json("reproduce", run, "--from", str(tmp_path / "remote"), "--into", "again", code=1)
    assert done["verdict"]["grade"] == "could not run"
    assert "tinypackage" in str(done["verdict"])
    assert not (place / "again" / "result.txt").exists()
