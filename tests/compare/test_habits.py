"""Zone, umask and locale of two machines: restored where that can be, named where they differ and count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mltrack.compare.verdict.conditions import conditions
from mltrack.operations.repeating import repetition
from mltrack.operations.repeating.repetition import lacking_locale, recorded_variables
from mltrack.records import Environment, Image, Run

RUN = Run(schema=1, id="0123456789abcdef", name=None, experiment=None, status="finished", command=("a",), cwd=".")


def run(variables: dict[str, str] | None = None, image: Image | None = None, host: str = "a", **origin: str) -> Run:
    environment = Environment(digest="b3:00", variables=variables or {}, image=image)
    return replace(RUN, environment=environment, host=host, origin=origin)


def told(then: Run, now: Run) -> dict[str, tuple[Any, Any]]:
    return {one.what: (one.then, one.now) for one in conditions(then, now)}


def test_the_zone_that_counted_is_compared_whoever_chose_it() -> None:
    by_machine, by_variable = run(time_zone="Asia/Tokyo"), run({"TZ": "Asia/Tokyo"}, time_zone="UTC")
    assert told(by_machine, by_variable) == {}
    assert told(by_machine, run(time_zone="UTC")) == {"time_zone": ("Asia/Tokyo", "UTC")}
    assert told(by_variable, run({"TZ": ":Europe/Rome"})) == {"time_zone": ("Asia/Tokyo", "Europe/Rome")}
    assert told(run(time_zone="Etc/UTC"), run({"TZ": "UTC0"})) == {}


def test_where_a_zone_is_not_known_only_the_variable_is_told() -> None:
    assert told(run(), run(time_zone="UTC")) == {}
    assert told(run(), run({"TZ": "UTC"})) == {"variables.TZ": (None, "UTC")}


def test_a_container_has_habits_of_its_own() -> None:
    image = Image("sha256:1", None, "base:1")
    then = run(image=image, time_zone="UTC", umask="0022")
    assert told(then, run(image=image, time_zone="Asia/Tokyo", umask="0077")) == {}


def test_the_umask_is_told_where_both_are_known() -> None:
    assert told(run(umask="0022"), run(umask="0077")) == {"umask": ("0022", "0077")}
    assert told(run(), run(umask="0077")) == {}


def test_a_repetition_has_the_recorded_locale_and_zone_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition, "time_zone", lambda: "UTC")
    monkeypatch.setattr(repetition, "has_zone", lambda name: name == "Asia/Tokyo")
    for name, text in {"LC_ALL": "C", "TZ": "Europe/Rome", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, text)
    found = recorded_variables(run({"LANG": "C.UTF-8"}, time_zone="Asia/Tokyo"))
    assert (found["LANG"], found["LC_ALL"], found["TZ"]) == ("C.UTF-8", None, "Asia/Tokyo")
    assert "OMP_NUM_THREADS" not in found, "it stays, and is named"
    assert recorded_variables(run(time_zone="UTC"))["TZ"] is None
    assert recorded_variables(run({"TZ": "Europe/Paris"}, time_zone="UTC"))["TZ"] == "Europe/Paris"
    assert recorded_variables(run(time_zone="../../etc/passwd"))["TZ"] is None
    nobody_looked = replace(run(), environment=Environment())
    assert "LC_ALL" not in recorded_variables(nobody_looked)


def test_a_locale_is_lacking_on_another_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition, "has_locale", lambda name: name != "xx_XX.UTF-8")
    there = {"LANG": "xx_XX.UTF-8"}
    assert lacking_locale(run(there, host="another machine")) == "xx_XX.UTF-8"
    assert lacking_locale(run({"LANG": "C"}, host="another machine")) is None
    assert lacking_locale(run(there, host=repetition.os.uname().nodename)) is None
