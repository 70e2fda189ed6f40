"""What a run read is recorded as it was read, or as unknown; and what nobody may keep is not kept."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.observe import HOOK, Event
from mltrack.observe.journal import Tail
from mltrack.operations.observing import surroundings
from mltrack.operations.observing.artifacts import written_by
from mltrack.operations.observing.observed import inputs_of, lines_of, warnings_of
from mltrack.operations.observing.sources import variables
from mltrack.operations.observing.watcher import Watcher, unwatched_programs
from mltrack.operations.observing.ways import SERVERS_STEP_NS, Clocks
from mltrack.operations.request import Declared, Plan, RunRequest
from mltrack.operations.running.beside import without_watching
from mltrack.records import Input
from mltrack.store.manifest import decode_manifest
from mltrack.store.statcache import StatKey
from tests.helpers import git_repository, write
from tests.observe import programs
from tests.operations.test_observing import Watched

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEA\n" * 10


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return git_repository(tmp_path / "work", {"a.txt": "1", ".gitignore": "data/\n.env\n"})


def found_by(watched: Watched) -> dict[str, Input]:
    """The inputs, by name."""
    with watched.project:
        return {item.path: item for item in inputs_of(watched.ended(), ())}


def test_a_secret_is_not_kept_by_another_name(root: Path) -> None:
    ssh = root.parent / "elsewhere/.ssh"
    write(root, {".env": "PASSWORD=x", "data/plain": "1"})
    write(ssh.parent, {".ssh/deploy": "key", "store/.git/config": "token"})
    (root / "data/conf.txt").symlink_to("../.env")
    (root / "data/deploy").symlink_to(ssh / "deploy")
    (root / "data/keys").symlink_to(ssh)
    (root / "data/git").symlink_to(ssh.parent / "store/.git/config")
    (root / "data/linked").symlink_to("plain")
    watched = Watched(root)
    names = ("conf.txt", "deploy", "keys/deploy", "git", "linked")
    watched.tell(*(("r", root / "data" / name) for name in names))
    with watched.project:
        ended = watched.ended()
        rules = {item.path.removeprefix(f"{root}/data/"): item.rule for item in ended.placed}
        assert rules == {
            "conf.txt": "secret",
            "deploy": "secret",
            "keys/deploy": "secret",
            "git": "git",
            "linked": "data",
        }
        assert [item.path for item in inputs_of(ended, ())] == ["data/linked"]
        assert not any(version.digest for path, version in ended.keeper.versions.items() if "linked" not in path)
        assert "conf.txt" in "".join(item.message for item in warnings_of(ended, (), (), True))


def test_a_private_key_is_known_by_what_it_begins_with(root: Path) -> None:
    write(root, {"data/deploy": PRIVATE, "data/made": PRIVATE, "data/text": "PRIVATE\n" * 100})
    watched = Watched(root)
    watched.tell(("r", root / "data/deploy"), ("w", root / "data/made"), ("r", root / "data/text"))
    with watched.project:
        ended = watched.ended()
        assert [item.rule for item in ended.placed] == ["secret", "secret", "data"]
        assert written_by(ended, [b"data/made"], {})[0] == []


def test_a_directory_that_is_kept_whole_is_kept_without_secrets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"data/set/{number}" for number in range(150)]
    write(root, {**{name: name for name in names}, "data/set/.env": "PASSWORD", "data/set/unread": "u"})
    watched = Watched(root)
    watched.project.config = replace(watched.project.config, whole_directories=True)
    watched.tell(*(("r", root / name) for name in names))
    with watched.project:
        ended = watched.ended()
        (item,) = inputs_of(ended, ())
        assert (item.path, item.files, item.partial, item.kept) == ("data/set", 151, True, True)
        assert item.digest is not None
        entries = {entry.path for entry in decode_manifest(watched.project.store.get_bytes(item.digest))}
        assert b"unread" in entries and b".env" not in entries
        (warning,) = [one for one in warnings_of(ended, (), (), True) if one.kind == "inputs-left-out"]
        assert "data/set/.env" in warning.message


def test_what_a_link_led_to_when_it_was_read_counts_or_nothing(root: Path) -> None:
    write(root, {"data/v1": "one", "data/v2": "two"})
    for live in (-1, 1):
        (root / "data/latest").unlink(missing_ok=True)
        (root / "data/latest").symlink_to("v1")
        watched = Watched(root)
        watched.tell(("r", root / "data/latest"))
        with watched.project:
            watcher = Watcher(watched.scene)
            watcher.begin()
            watcher.take()
            if live >= 0:
                watcher.keep_fresh(lambda: True)
            (root / "data/latest").unlink()
            (root / "data/latest").symlink_to("v2")
            watched.tell(("d", root / "data/latest"), ("l", root / "data/latest"))
            found = {item.path: item for item in inputs_of(watcher.conclude(time.time_ns()), ())}["data/latest"]
            if live < 0:
                assert (found.digest, found.changed_during_run) == (None, True)
            else:
                assert found.digest is not None and watched.project.store.get_bytes(found.digest) == b"one"


@pytest.mark.parametrize("alias", [False, True])
def test_another_directory_in_the_place_of_the_one_that_was_read_is_not_what_was_read(root: Path, alias: bool) -> None:
    write(root, {"data/D/in.csv": "one", "data/Dn/in.csv": "two"})
    (root / "data/way").symlink_to("D")
    watched = Watched(root)
    path = root / ("data/way/in.csv" if alias else "data/D/in.csv")
    watched.tell(("r", path))
    os.rename(root / "data/D", root / "data/Do")
    os.rename(root / "data/Dn", root / "data/D")
    watched.tell(("m", root / "data/D", root / "data/Do"), ("m", root / "data/Dn", root / "data/D"))
    found = found_by(watched)[str(path.relative_to(root))]
    if alias:
        assert (found.digest, found.changed_during_run) == (None, True)
    else:  # the bytes are where they were moved to
        assert found.digest != found.digest_after


def test_a_link_that_somebody_else_changed_is_not_trusted(root: Path) -> None:
    write(root, {"data/v1": "one", "data/v2": "two"})
    (root / "data/latest").symlink_to("v1")
    watched = Watched(root)
    watched.tell(("r", root / "data/latest"))
    time.sleep(0.03)
    (root / "data/latest").unlink()
    (root / "data/latest").symlink_to("v2")
    assert found_by(watched)["data/latest"].digest is None


def test_a_link_that_the_run_made_and_then_read_is_trusted(root: Path) -> None:
    write(root, {"data/v1/x": "one"})
    watched = Watched(root)
    (root / "data/latest").symlink_to("v1")
    watched.tell(("l", root / "data/latest"), ("r", root / "data/latest/x"))
    assert found_by(watched)["data/latest/x"].digest is not None


def test_a_copy_that_was_made_after_somebody_changed_the_file_is_not_what_was_read(root: Path) -> None:
    write(root, {"data/x": "old"})
    watched = Watched(root)
    watched.tell(("r", root / "data/x"))
    time.sleep(0.03)
    write(root, {"data/x": "other"})
    (watched.rundir.observed / "before/7-1").write_text("other")
    changed_ns = os.stat(root / "data/x").st_ctime_ns
    watched.tell(("b", root / "data/x", f"7-1 {changed_ns}"), ("w", root / "data/x"))
    time.sleep(0.03)
    write(root, {"data/x": "new"})
    found = found_by(watched)["data/x"]
    assert (found.digest, found.changed_during_run) == (None, True)


def test_what_was_moved_away_and_replaced_there_is_not_what_was_read(root: Path) -> None:
    write(root, {"data/a": "one", "data/older": "two"})
    watched = Watched(root)
    watched.tell(("r", root / "data/a"))
    os.rename(root / "data/a", root / "data/b")
    os.rename(root / "data/older", root / "data/b")
    watched.tell(("m", root / "data/a", root / "data/b"), ("m", root / "data/older", root / "data/b"))
    assert found_by(watched)["data/a"].digest is None


def test_room_is_given_back_for_what_is_no_input_in_the_end(root: Path) -> None:
    write(root, {"data/temporary": "x" * 1000})
    watched = Watched(root)
    watched.tell(("r", root / "data/temporary"))
    with watched.project:
        watcher = Watcher(watched.scene)
        watcher.begin()
        watcher.keeper.room = 1000
        watcher.take()
        watcher.keep_fresh(lambda: True)
        assert watcher.keeper.room == 0
        ended = watcher.conclude(time.time_ns())
        inputs_of(replace(ended, placed=[]), ())
        assert watcher.keeper.room == 1000


def test_a_files_server_with_another_clock_is_believed_of_long_ago_only(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    clocks._steps[99] = SERVERS_STEP_NS
    clocks._own_device = 1
    start = 10**18
    read = start + 10 * SERVERS_STEP_NS

    def is_of_then(changed: int) -> bool:
        return clocks.is_of_then(StatKey(99, 1, 1, changed, changed), read, start)

    assert is_of_then(start - 2 * SERVERS_STEP_NS)
    assert not is_of_then(read - SERVERS_STEP_NS // 2)
    clocks._own_device = 99
    assert clocks.is_of_then(StatKey(99, 1, 1, 0, start - 1), start, start)


def test_hostile_facts_of_processes_and_paths_cost_only_themselves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, {"data/x": "1", "data/strange": "2", "link/y": "3"})
    watched = Watched(root)
    write(
        watched.rundir.path, {"processes/1.json": "[" * 100_000, "processes/2.json": json.dumps({"prefix": "/opt/p"})}
    )
    deep = "/d" * 2000
    watched.tell(
        ("p", "/bin/sh"), ("r", root / "data/x"), ("r", root / "data/strange"), ("r", deep), ("r", "/e" * 20_000)
    )
    look = surroundings.beginning

    def beginning(path: str) -> bytes:
        if path.endswith("strange"):
            raise RecursionError
        return look(path)

    monkeypatch.setattr(surroundings, "beginning", beginning)
    write(root, {"data/strange": "2" * 100})
    with watched.project:
        watcher = Watcher(watched.scene)
        watcher._code = surroundings.Code(links=frozenset((f"{root}/link",)))
        ended = watcher.conclude(time.time_ns())
        assert "/opt/p" in ended.placer.world.environments
        rules = {item.path: item.rule for item in ended.placed}
        assert rules[f"{root}/data/strange"] == "unclear" and rules[f"{root}/data/x"] == "data"
        assert not ended.is_complete and "RecursionError" in " ".join(ended.unseen)
        assert "cannot be read" in " ".join(ended.unseen)
        found, _ = written_by(ended, [b"data/strange"], {})
        assert [item.path for item in found] == ["data/strange"]
        assert "data/x" in {item.path for item in inputs_of(ended, ())}
        assert any(line.rule == "unclear" for line in lines_of(ended, {}))


def test_a_world_that_cannot_be_told_leaves_the_plain_rules(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, {"data/x": "1", "data/.env": "2"})
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("r", root / "data/x"), ("r", root / "data/.env"))

    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(surroundings, "environments", broken)
    with watched.project:
        ended = watched.ended()
        assert not ended.is_complete
        assert [item.path for item in inputs_of(ended, ())] == ["data/x"]


def test_signs_that_a_terminal_acts_upon_are_not_in_the_warning() -> None:
    events = [Event("x", 1, 1, "/opt/\x1b[2Jtool", "st\x1batic"), Event("!", 1, 1, "", "\x07")]
    text = " ".join(unwatched_programs(events, True))
    assert text.isprintable() and "\\x1b" in text


def test_what_comes_after_the_end_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "host.log").write_bytes(b"r 1 1\t/a\n")
    tail = Tail(tmp_path)
    tail.stop_here()
    with open(tmp_path / "host.log", "ab") as file:
        file.write(b"r 1 2\t/b\n")
    (tmp_path / "other.log").write_bytes(b"r 1 3\t/c\n")
    assert [event.path for event in tail.take()] == ["/a"]
    assert tail.take() == []
    tail.close()


def test_without_the_hook_among_the_sources_python_bears_none(tmp_path: Path) -> None:
    told = programs.Watched(tmp_path)
    told.python("pass")
    assert told.of("h")
    write(tmp_path, {"silent/x": ""})
    silent = programs.Watched(tmp_path / "silent", more={HOOK: "off"})
    silent.python("pass")
    assert not silent.of("h")


def test_the_setting_of_sources_is_told_to_the_command_and_not_recorded(root: Path) -> None:
    watched = Watched(root)
    place = watched.scene.place
    plan = Plan(RunRequest(("x",), root), place, ("x",), ("x",), ".", Declared())
    with watched.project as project:
        assert HOOK not in variables(project, plan, watched.rundir)
        project.config = replace(project.config, observe_sources=("library",))
        assert variables(project, plan, watched.rundir)[HOOK] == "off"
    assert without_watching({HOOK: "off", "A": "1"}) == {"A": "1"}
