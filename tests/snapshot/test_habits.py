"""Time zone, umask and locales of this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mltrack.snapshot import habits


def test_the_zone_is_the_name_of_the_file_that_localtime_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "share" / "zoneinfo" / "Europe"
    place.mkdir(parents=True)
    (place / "Berlin").touch()
    (tmp_path / "localtime").symlink_to(place / "Berlin")
    monkeypatch.setattr(habits, "LOCALTIME", str(tmp_path / "localtime"))
    assert habits.time_zone() == "Europe/Berlin"
    (place / "Berlin").unlink()
    assert habits.time_zone() == "UTC", "so has the C library it"
    (tmp_path / "localtime").unlink()
    (tmp_path / "localtime").write_text("a copy of some zone")
    assert habits.time_zone() is None


def test_a_zone_is_looked_for_among_the_zones_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zones" / "Asia").mkdir(parents=True)
    (tmp_path / "zones" / "Asia" / "Tokyo").touch()
    (tmp_path / "secret").touch()
    monkeypatch.setattr(habits, "ZONES", str(tmp_path / "zones"))
    assert habits.has_zone("Asia/Tokyo")
    assert not any(map(habits.has_zone, ("Asia", "Asia/Nowhere", "../secret", str(tmp_path / "secret"))))


def test_the_umask_is_what_the_shell_says() -> None:
    told = subprocess.run(["sh", "-c", "umask"], capture_output=True, text=True).stdout.strip()
    assert habits.umask() == told
    before = os.umask(0o077)
    try:
        assert habits.umask() == "0077"
    finally:
        os.umask(before)


def test_a_locale_that_is_not_here_is_known_to_be_missing() -> None:
    assert habits.has_locale("C") and habits.has_locale("C.UTF-8")
    assert habits.has_locale("xx_XX.UTF-8") in (False, None)
    assert habits.locale_of({"LANG": "a", "LC_ALL": "b", "LC_CTYPE": "c"}) == "b"
    assert habits.locale_of({}) == "C"
