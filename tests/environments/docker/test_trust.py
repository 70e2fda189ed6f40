"""Whose words count: a record of a stranger reaches nothing of this machine that its user did not name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mltrack.environments import Recorded
from mltrack.environments.docker.again import check_mounts
from mltrack.environments.docker.trust import trusted
from mltrack.errors import EnvironmentFailed, UsageError
from mltrack.records import Environment
from tests.engines import IMAGE
from tests.environments.docker.test_reproduce import elsewhere
from tests.helpers import write
from tests.stories.typing import Person

GREEDY: dict[str, Any] = {
    "image": "x:1",
    "user": "root",
    "network": "host",
    "mounts": ["/:/host"],
    "env": {"TOKEN": None, "A": "b"},
    "build": {"context": "/"},
    "at": "/code",
}


def recorded(then: dict[str, Any], is_ours: bool = False, **today: Any) -> Recorded:
    return Recorded(Environment(kind="docker", options=then), None, {}, Path("/"), options=today, is_ours=is_ours)


@pytest.mark.parametrize("left", ["user", "network", "mounts", "env"])
def test_what_a_stranger_asks_for_is_refused_by_name(left: str) -> None:
    today = {"user": "root", "network": "host", "mounts": ["/tmp:/host"], "env": {"TOKEN": None}}
    today.pop(left)
    with pytest.raises(EnvironmentFailed) as caught:
        trusted(recorded(GREEDY, **today))
    named = {"user": "the user 'root'", "network": "'host'", "mounts": "'/:/host'", "env": "your variable 'TOKEN'"}
    for key, words in named.items():
        assert (words in caught.value.message) == (key == left)
    assert "config.yaml" in (caught.value.hint or "")


def test_what_today_says_too_is_taken_and_the_rest_is_hidden() -> None:
    today = {"user": "root", "network": "host", "mounts": ["/tmp:/host"], "env": {"TOKEN": "t", "MINE": "m"}}
    options = trusted(recorded(GREEDY, **today))
    assert options["env"] == {"TOKEN": "t", "A": "b"}
    assert (options["build"], options["at"]) == (None, "/code")
    assert check_mounts(options["mounts"], recorded(GREEDY, **today), Path("/")) == ["/tmp:/host"]


def test_what_is_harmless_needs_no_word_and_todays_settings_are_not_lent() -> None:
    options = trusted(recorded({"image": "x:1", "user": "caller", "network": "none"}, user="root", mounts=["/:/host"]))
    assert (options["user"], options["network"], options["mounts"]) == ("caller", "none", ())
    assert trusted(recorded({"image": "x:1"}, user="root", network="host"))["user"] is None


def test_our_own_record_says_all() -> None:
    assert trusted(recorded(GREEDY, is_ours=True)) == {**GREEDY, "mounts": ("/:/host",)}


@pytest.mark.parametrize("is_ours", [True, False])
def test_mounts_that_are_none_are_refused(is_ours: bool) -> None:
    for value in (5, [5], {"a": "b"}):
        with pytest.raises(UsageError):
            trusted(recorded({"mounts": value}, is_ours))
    assert trusted(recorded({"mounts": "/:/host"}, True))["mounts"] == ("/:/host",)


def test_a_run_of_a_remote_gets_the_machine_only_from_its_user(person: Person, engine: str, tmp_path: Path) -> None:
    greedy = f"environment: {{image: '{IMAGE}', user: root, network: host, mounts: ['/:/host']}}\n"
    write(person.cwd, {"mltrack.yaml": greedy})
    person.type("run", "--", "sh", "-c", "cat /host/etc/hostname > out.txt")
    run = person.json("show", "@")["id"]
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    other = elsewhere(tmp_path, person, engine)
    words = ("reproduce", run, "--from", str(tmp_path / "remote"), "--into")
    done = other.json(*words, "again", code=1)
    assert (done["verdict"]["grade"], done["verdict"]["phase"]) == ("could not run", "environment")
    for named in ("the mount '/:/host'", "the user 'root'", "the network 'host'"):
        assert named in done["verdict"]["cause"]
    config = Path(other.environment()["XDG_CONFIG_HOME"]) / "mltrack"
    write(config, {"config.yaml": greedy})
    assert other.json(*words, "once more")["verdict"]["grade"] == "identical"


def test_todays_mount_comes_before_the_recorded_one(person: Person, tmp_path: Path) -> None:
    write(tmp_path, {"old/points": "1", "new/points": "2"})
    setting = "environment: {{image: '{}', mounts: ['{}/{}:/data:ro']}}\n"
    write(person.cwd, {"mltrack.yaml": setting.format(IMAGE, tmp_path, "old")})
    person.type("run", "--", "sh", "-c", "cat /data/points > out.txt")
    write(person.cwd, {"mltrack.yaml": setting.format(IMAGE, tmp_path, "new")})
    done = person.json("reproduce", "@", code=1)
    assert json.dumps(done["run"]["environment"]["options"]["mounts"]) == f'["{tmp_path}/new:/data:ro"]'
