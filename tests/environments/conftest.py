"""Virtual environments that many tests only look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.environments.making import venv, wheel


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheelhouse: `alpha` in two versions, one with a program `alpha`, and `beta`."""
    house = tmp_path_factory.mktemp("wheels")
    wheel(house, "alpha", "1.0", {"alpha": "main"})
    wheel(house, "alpha", "2.0", {"alpha": "main"})
    wheel(house, "beta", "0.5")
    return house


@pytest.fixture(scope="session")
def env(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """The interpreter of an environment with `alpha` 1.0 and `beta`. Tests must not change it."""
    return venv(tmp_path_factory.mktemp("env") / "venv", "alpha==1.0", "beta", wheels=wheels)
