"""One real conda environment that many tests only look at."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.environments.conda.channel import (
    HOLDER,
    MINOR,
    VERSION,
    can_copy_python,
    noarch_python,
    package,
    prefix,
    program,
    python_files,
)
from tests.environments.making import uv, wheel


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel with Python, a module `alpha` and a program `tool`, in both formats of archives."""
    if not can_copy_python():
        pytest.skip("the interpreter of the tests cannot be copied into a package")
    place = tmp_path_factory.mktemp("channel") / "chan"
    package(place, "python", python_files(), version=VERSION)
    package(place, "alpha", noarch_python("alpha"), noarch="python", depends=[f"python >={MINOR}"], bz2=True)
    package(place, "tool", program(f"tool:echo tool of {HOLDER} says $TOOL_SAYS"), depends=["alpha 1.*"])
    return place


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheels")
    wheel(place, "beta", "2.0")
    return place


@pytest.fixture(scope="session")
def env(channel: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix with all of them, and `beta`, which uv installed there. Tests must not change it."""
    place = prefix(tmp_path_factory.mktemp("conda") / "env", f"file://{channel}", *sorted(channel.glob("*/*-*")))
    source = ("--no-index", "--find-links", str(wheels))
    uv("pip", "install", "--python", str(place / "bin" / "python"), *source, "beta")
    assert sys.prefix != str(place)
    return place
