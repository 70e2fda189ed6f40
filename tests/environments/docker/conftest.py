"""One engine and one registry for all tests of containers, and a person with a project who uses them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines import IMAGE, docker, shared_engine, shared_registry
from tests.helpers import git_repository
from tests.stories.typing import Person

OTHER = 4321
"""A user id that no system has."""

TRAIN = """import json, os, sys
import mltrack
lr = float(sys.argv[sys.argv.index("--lr") + 1]) if "--lr" in sys.argv else 0.1
for step in range(3):
    mltrack.log({"loss": lr / (step + 1)}, step=step)
with open(os.environ["MLTRACK_METRICS"], "a") as file:
    file.write(json.dumps({"step": 3, "loss": lr / 4}) + "\\n")
os.makedirs("out", exist_ok=True)
open("out/model.txt", "w").write(f"{lr * 2}")
print("trained with", sys.version.split()[0], "in", os.getcwd())
print("a word to stderr", file=sys.stderr)
"""
FILES = {"train.py": TRAIN, "mltrack.yaml": f"environment: {{image: '{IMAGE}'}}\n"}

SOAK = int(os.environ.get("MLTRACK_SOAK", "1")) > 1
long = pytest.mark.skipif(not SOAK, reason="long: runs under `make soak`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "the_engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.needs("docker"))


@pytest.fixture(scope="session")
def the_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base = tmp_path_factory.getbasetemp()
    base = base.parent if base.name.startswith("popen-") else base
    with shared_engine(base) as state:
        yield state["host"]


@pytest.fixture
def engine(the_engine: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The engine's address, which DOCKER_HOST names."""
    monkeypatch.setenv("DOCKER_HOST", the_engine)
    return the_engine


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base = tmp_path_factory.getbasetemp()
    base = base.parent if base.name.startswith("popen-") else base
    with shared_registry(base) as state:
        yield state["address"]


@pytest.fixture
def person(tmp_path: Path, command_path: str, engine: str) -> Person:
    return Person(git_repository(tmp_path / "work", FILES), command_path)


@dataclass
class Other(Person):
    """Another user of this machine, who types the same."""

    groups: str = ""

    def try_(self, *words: str, input: bytes | None = None) -> subprocess.CompletedProcess[str]:
        who = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", f"--groups={self.groups or OTHER}"]
        code = "import sys; from mltrack.__main__ import main; sys.argv[0] = 'mltrack'; main()"
        return subprocess.run(
            [*who, open_python(), "-c", code, *words],
            cwd=self.cwd,
            env=self.environment(),
            input=None if input is None else input.decode(),
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
        )


def open_python() -> str:
    """An interpreter of our version that any user may start; this one may lie in somebody's home."""
    ours = Path(sys.executable).resolve()
    system = Path(f"/usr/bin/python3.{sys.version_info.minor}")
    for candidate in (ours, system):
        if candidate.exists() and all(parent.stat().st_mode & 0o001 for parent in candidate.parents):
            return str(candidate)
    pytest.skip(f"no Python 3.{sys.version_info.minor} that another user may start")


@pytest.fixture
def other(engine: str, command_path: str) -> Iterator[Other]:
    """A user with a project and a home, but no right to speak to the engine."""
    place = Path(tempfile.mkdtemp(prefix="mltrack-other-"))  # pytest's own directories are closed to others
    place.chmod(0o755)
    home, work = place / "home", git_repository(place / "work", FILES)
    home.mkdir()
    for path in (home, work, *work.rglob("*")):
        os.chown(path, OTHER, OTHER, follow_symlinks=False)
    own = {key: str(home / key.lower()) for key in os.environ if key.startswith("XDG_")}
    own["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), sysconfig.get_path("purelib")])
    yield Other(work, command_path, {"HOME": str(home), **own})
    shutil.rmtree(place)


def left(person: Person) -> list[str]:
    """Containers of this person's project that are there; other workers have theirs."""
    host = person.environment()["DOCKER_HOST"]
    return docker(host, "ps", "-aq", "--filter", "label=mltrack.run", "--filter", f"volume={person.cwd}").split()
