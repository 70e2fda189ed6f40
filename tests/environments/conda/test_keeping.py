from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mltrack.environments import conda
from mltrack.environments.cache import hold, release
from mltrack.environments.conda import keeping
from mltrack.environments.conda.keeping import BELOW, package_cache, tidy
from mltrack.environments.conda.lock import CondaPackage
from tests.environments.conda.channel import output, package, prefix, program, rebuild_request, request
from tests.environments.conda.server import served
from tests.helpers import write

KIB = "x" * 65_536


def entry(name: str) -> CondaPackage:
    return CondaPackage(name, "1.0", "0", "noarch", "conda")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A cache with three packages of 64 KiB, `a` unused for longest."""
    place = tmp_path / BELOW
    for day, name in enumerate("abc"):
        write(place, {f"{name}-1.0-0/lib/x": KIB, f"{name}-1.0-0.lock": ""})
        os.utime(place / f"{name}-1.0-0", (day, day))
    return place


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_the_longest_unused_packages_go_with_their_locks(place: Path) -> None:
    tidy(place, 3 * 65_536)
    assert len(names(place)) == 6
    tidy(place, 2 * 65_536)
    assert names(place) == ["b-1.0-0", "b-1.0-0.lock", "c-1.0-0", "c-1.0-0.lock"]
    tidy(place, 0)
    assert not names(place)
    tidy(place.with_name("nothing"), 0)


def test_what_a_build_uses_stays_longest(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "tidy", lambda place: tidy(place, 65_536))
    with package_cache(tmp_path, [entry("a")], tmp_path / "scratch") as given:
        assert given == place
        tidy(place, 0)
        assert len(names(place)) == 6  # a build is under way
    assert names(place) == ["a-1.0-0", "a-1.0-0.lock"]


def test_a_build_beside_another_uses_the_cache_and_one_beside_a_tidying_has_its_own(
    place: Path, tmp_path: Path
) -> None:
    from mltrack.environments.cache import alone

    with alone(place) as is_ours:
        assert is_ours
        with package_cache(tmp_path, [], tmp_path / "scratch") as given:
            assert given == tmp_path / "scratch" / BELOW
    assert hold(place)
    release(place)


@pytest.mark.needs("rattler")
def test_an_environment_is_built_again_after_its_packages_went(tmp_path: Path) -> None:
    with served(tmp_path / "small") as url:
        archive = package(tmp_path / "small", "tool", program("tool:echo one"))
        found = conda.capture(request(tmp_path, prefix(tmp_path / "env", url, archive) / "bin/tool"))
        asked = rebuild_request(found, tmp_path, "tool")
        first = conda.rebuild(asked)
        cached = tmp_path / "cache" / BELOW
        assert [path.name for path in cached.iterdir() if path.is_dir()] == ["tool-1.0-0"]
        tidy(cached, 0)
        assert not [path for path in cached.iterdir() if path.is_dir()]
        assert output(first, tmp_path) == "one\n"
        shutil.rmtree(tmp_path / "built")
        assert output(conda.rebuild(asked), tmp_path) == "one\n"
