from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mltrack import plugins
from mltrack.errors import UsageError
from tests.helpers import write

BUILT_IN = ["conda", "r", "julia", "python", "docker", "system"]
"""In the order of `auto`: what is more special stands before `python`, and `system` is what remains."""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution from outside that brings two kinds of environment, one of them broken."""
    points = "[mltrack.environments]\nmoon = moon_kind\nbroken = no_such_module_at_all\npython = moon_kind\n"
    write(
        tmp_path / "site",
        {
            "moon_kind.py": 'NAME = "moon"\n',
            "moon-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: moon\nVersion: 1.0\n",
            "moon-1.0.dist-info/entry_points.txt": points,
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def test_built_in_modules_are_found_by_name() -> None:
    assert plugins.load("environments", "python").NAME == "python"
    assert plugins.built_in("environments") == BUILT_IN
    assert plugins.names("environments")[: len(BUILT_IN)] == BUILT_IN


def test_modules_from_outside_are_found_by_entry_point(installed: None) -> None:
    assert plugins.load("environments", "moon").NAME == "moon"
    assert plugins.names("environments") == [*BUILT_IN, "broken", "moon"]


def test_a_built_in_name_is_not_taken_over(installed: None) -> None:
    assert plugins.load("environments", "python").NAME == "python"


def test_built_in_names_need_no_look_at_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "outside", lambda family: pytest.fail("looked"))
    assert plugins.load("environments", "system").NAME == "system"


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as raised:
        plugins.load("environments", "pyhton")
    assert ", ".join(BUILT_IN) in (raised.value.hint or "")
    with pytest.raises(UsageError) as raised:
        plugins.load("gardens", "rose")
    assert "none" in (raised.value.hint or "")


def test_a_plug_in_that_cannot_be_imported_is_an_error_that_names_it(installed: None) -> None:
    with pytest.raises(UsageError, match="broken") as raised:
        plugins.load("environments", "broken")
    assert "no_such_module_at_all" in (raised.value.hint or "")


@pytest.mark.parametrize("code", ["def (:\n", "1 / 0\n", "raise ValueError('a\\nb')\n", "import os.nothing\n"])
def test_a_plug_in_that_fails_in_any_way_is_one_sentence(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.delitem(sys.modules, "moon_kind", raising=False)
    write(tmp_path / "site", {"moon_kind.py": code})
    with pytest.raises(UsageError, match="moon") as raised:
        plugins.load("environments", "moon")
    assert "\n" not in raised.value.message
    assert "moon_kind" in (raised.value.hint or "")
