"""The preloaded library as it is built from this checkout's sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.observe.programs import Watched

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built anew by setup.py, as an installation builds it."""
    place = tmp_path_factory.mktemp("library")
    words = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(place), "--build-temp", str(place)]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, "CC": "cc -Werror"}, capture_output=True, text=True)
    built = place / "mltrack/observe/preload.so"
    assert built.exists(), done.stdout + done.stderr
    return built


@pytest.fixture(params=["library", "hook", "both"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Watched:
    """Each way of watching from within a process."""
    built = None if request.param == "hook" else request.getfixturevalue("library")
    return Watched(tmp_path, built, hook=request.param != "library")


@pytest.fixture
def by_library(tmp_path: Path, library: Path) -> Watched:
    return Watched(tmp_path, library, hook=False)


@pytest.fixture
def by_hook(tmp_path: Path) -> Watched:
    return Watched(tmp_path, None)


@pytest.fixture
def by_both(tmp_path: Path, library: Path) -> Watched:
    return Watched(tmp_path, library)
