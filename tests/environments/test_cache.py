from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrack.environments import cache
from mltrack.environments.cache import Wanted, cached_environments, obtain, release, remove_cached, tidy
from mltrack.errors import EnvironmentFailed

DAY = 86_400


def fill(place: Path, text: str = "x") -> dict[str, Any]:
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").write_text(text)
    return {"python": "3.11.7", "packages": 3, "warnings": []}


def wanted(place: Path, identity: str = "one", make: Callable[[Path], dict[str, Any]] = fill) -> Wanted:
    return Wanted(place, identity, make)


def home(tmp_path: Path) -> Path:
    return tmp_path / "environments"


def test_it_is_made_aside_and_appears_whole(tmp_path: Path) -> None:
    place = home(tmp_path) / "a"

    def make(aside: Path) -> dict[str, Any]:
        assert aside.parent == place.parent
        assert not place.exists()
        return fill(aside)

    marker = obtain(wanted(place, make=make))
    assert (marker["is_complete"], marker["packages"]) == (True, 3)
    assert sorted(path.name for path in home(tmp_path).iterdir()) == [".a.lock", "a"]


def test_what_is_complete_is_not_made_again(tmp_path: Path) -> None:
    place = home(tmp_path) / "a"
    first = obtain(wanted(place))

    def never(aside: Path) -> dict[str, Any]:
        raise AssertionError

    assert obtain(wanted(place, make=never)) == first


@pytest.mark.parametrize("damage", ["unfinished", "another", "broken", "no python", "not an object"])
def test_what_is_not_complete_is_made_again(tmp_path: Path, damage: str) -> None:
    place = home(tmp_path) / "a"
    obtain(wanted(place))
    marker = place / cache.MARKER
    said = json.loads(marker.read_text())
    changes = {
        "unfinished": json.dumps({**said, "is_complete": False}),
        "another": json.dumps({**said, "identity": "two"}),
        "broken": "{",
        "not an object": "[1]",
    }
    if damage in changes:
        marker.write_text(changes[damage])
    else:
        (place / "bin" / "python").unlink()
    (place / "left over").write_text("")
    assert obtain(wanted(place))["is_complete"] is True
    assert not (place / "left over").exists()


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(aside: Path) -> dict[str, Any]:
        fill(aside)
        raise EnvironmentFailed("no")

    with pytest.raises(EnvironmentFailed):
        obtain(wanted(home(tmp_path) / "a", make=fail))
    assert [path.name for path in home(tmp_path).iterdir()] == [".a.lock"]


def test_what_must_be_done_in_place_is_part_of_it(tmp_path: Path) -> None:
    place = home(tmp_path) / "a"

    def fail(place: Path) -> dict[str, Any]:
        raise EnvironmentFailed("no")

    def finish(place: Path) -> dict[str, Any]:
        (place / "finished").write_text("")
        return {"packages": 4}

    with pytest.raises(EnvironmentFailed):
        obtain(replace(wanted(place), finish=fail))
    assert [one.is_complete for one in cached_environments(tmp_path)] == [False]
    assert obtain(replace(wanted(place), finish=finish))["packages"] == 4
    assert (place / "finished").exists()


def test_a_directory_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    place = home(tmp_path) / "a"
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("all my work")
    with pytest.raises(EnvironmentFailed, match="not empty"):
        obtain(wanted(place))
    assert (place / "thesis.tex").read_text() == "all my work"
    assert cached_environments(tmp_path) == []


BUILD = """
import os, sys, time
from pathlib import Path
from mltrack.environments.cache import Wanted, obtain
place, log, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
def make(aside):
    with log.open("a") as file:
        file.write("made\\n")
    (aside / "bin").mkdir(parents=True)
    (aside / "bin" / "python").write_text("")
    print("making", flush=True)
    time.sleep(60 if what == "slow" else 0.3)
    return {"python": "3.11.7", "packages": 0, "warnings": []}
obtain(Wanted(place, "one", make))
print("there", flush=True)
if what == "hold":
    time.sleep(60)
"""


def start(place: Path, log: Path, what: str = "") -> subprocess.Popen[str]:
    words = [sys.executable, "-c", BUILD, str(place), str(log), what]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_processes_at_once_make_it_once(tmp_path: Path) -> None:
    place, log = home(tmp_path) / "a", tmp_path / "log"
    processes = [start(place, log) for _ in range(3)]
    outputs = [process.communicate()[0] for process in processes]
    assert all(text.endswith("there\n") for text in outputs)
    assert log.read_text() == "made\n"


def test_threads_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(aside: Path) -> dict[str, Any]:
        made.append(aside)
        time.sleep(0.1)
        return fill(aside)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: obtain(wanted(home(tmp_path) / "a", make=make)), range(4)))
    assert len(made) == 1
    assert all(marker == found[0] for marker in found)


def test_a_builder_that_is_killed_is_replaced_by_one_that_waits(tmp_path: Path) -> None:
    place, log = home(tmp_path) / "a", tmp_path / "log"
    first = start(place, log, "slow")
    assert line(first) == "making"
    second = start(place, log)
    time.sleep(0.3)
    assert second.poll() is None
    end(first)
    assert not place.exists()
    assert second.communicate()[0] == "making\nthere\n"
    assert sorted(path.name for path in home(tmp_path).iterdir()) == [".a.lock", "a"]


def test_one_that_waits_says_so(tmp_path: Path) -> None:
    place, log = home(tmp_path) / "a", tmp_path / "log"
    first = start(place, log)
    assert line(first) == "making"
    told: list[str] = []
    obtain(replace(wanted(place), tell=told.append))
    assert told == ["waiting for another process that builds or uses the same environment"]
    first.communicate()


def test_one_that_a_process_uses_is_not_removed(tmp_path: Path) -> None:
    place, log = home(tmp_path) / "a", tmp_path / "log"
    user = start(place, log, "hold")
    assert [line(user), line(user)] == ["making", "there"]
    try:
        (one,) = cached_environments(tmp_path)
        assert (one.is_used, one.is_complete) == (True, True)
        assert remove_cached(place) is False
        old = time.time() - 90 * DAY
        os.utime(place / cache.MARKER, (old, old))
        assert tidy(tmp_path, kept_bytes=0) == []
        assert place.exists()
    finally:
        end(user)
    assert [gone.path for gone in tidy(tmp_path)] == [place]
    assert list(home(tmp_path).iterdir()) == []


def test_what_this_process_uses_is_kept_until_it_says_so(tmp_path: Path) -> None:
    place = home(tmp_path) / "a"
    obtain(wanted(place))
    assert remove_cached(place) is False
    release(place)
    assert remove_cached(place) is True
    assert not place.exists()


def test_the_list_tells_what_is_there(tmp_path: Path) -> None:
    for name in ("a", "b"):
        obtain(wanted(home(tmp_path) / name, make=lambda aside: fill(aside, "y" * 10_000)))
        release(home(tmp_path) / name)
    earlier = time.time() - DAY
    os.utime(home(tmp_path) / "b" / cache.MARKER, (earlier, earlier))
    (home(tmp_path) / "b.log").write_text("what uv said")
    (home(tmp_path) / "a file").write_text("")
    found = cached_environments(tmp_path)
    assert [one.path.name for one in found] == ["b", "a"]
    assert [(one.python, one.packages, one.is_used) for one in found] == [("3.11.7", 3, False)] * 2
    assert all(10_000 <= one.size_bytes < 40_000 for one in found)
    assert found[0].used_at == pytest.approx(earlier)


def test_what_was_long_unused_goes_and_what_is_half_built(tmp_path: Path) -> None:
    for name in ("old", "new"):
        obtain(wanted(home(tmp_path) / name))
        release(home(tmp_path) / name)
    long_ago = time.time() - 31 * DAY
    os.utime(home(tmp_path) / "old" / cache.MARKER, (long_ago, long_ago))
    fill(home(tmp_path) / ".killed.0123abcd.new")
    (home(tmp_path) / ".killed.lock").write_text("")
    fill(home(tmp_path) / ".removed.0123abcd.old")
    assert {one.path.name for one in tidy(tmp_path)} == {"old", "killed", "removed"}
    assert sorted(path.name for path in home(tmp_path).iterdir()) == [".new.lock", "new"]


def test_the_longest_unused_goes_when_there_is_too_much(tmp_path: Path) -> None:
    for number in range(3):
        place = home(tmp_path) / str(number)
        obtain(wanted(place, make=lambda aside: fill(aside, "y" * 40_000)))
        release(place)
        then = time.time() - (3 - number) * DAY
        os.utime(place / cache.MARKER, (then, then))
    sizes = [one.size_bytes for one in cached_environments(tmp_path)]
    assert [one.path.name for one in tidy(tmp_path, kept_bytes=sum(sizes) - 1)] == ["0"]


def test_using_one_again_makes_it_young(tmp_path: Path) -> None:
    place = home(tmp_path) / "a"
    obtain(wanted(place))
    long_ago = time.time() - 31 * DAY
    os.utime(place / cache.MARKER, (long_ago, long_ago))
    obtain(wanted(place))
    release(place)
    assert tidy(tmp_path) == []


@pytest.mark.needs("mount")
def test_a_read_only_cache_serves_what_it_has(tmp_path: Path) -> None:
    place = home(tmp_path) / "a"
    first = obtain(wanted(place))
    release(place)
    where = str(home(tmp_path))
    subprocess.run(["mount", "--bind", where, where], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", where], check=True)
    try:
        assert obtain(wanted(place)) == first
        release(place)
        with pytest.raises(OSError, match="Read-only"):
            obtain(wanted(home(tmp_path) / "b"))
    finally:
        subprocess.run(["umount", where], check=True)


def test_a_copy_shares_its_files_and_is_one_of_its_own(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    fill(source)
    (source / "bin" / "python3").symlink_to("python")
    (source / "lib64").symlink_to("lib")
    (source / "empty").mkdir()
    (source / cache.MARKER).write_text("{}")
    cache.link_copy(source, target)
    assert (target / "bin/python").stat().st_ino == (source / "bin/python").stat().st_ino
    assert os.readlink(target / "bin/python3") == "python"
    assert os.readlink(target / "lib64") == "lib"
    assert (target / "empty").is_dir()
    assert not (target / cache.MARKER).exists()


def test_directories_that_cannot_be_written_are_removed_too(tmp_path: Path) -> None:
    place = tmp_path / "a"
    fill(place)
    (place / "bin").chmod(0o500)
    (place / "bin").chmod(0o500)
    cache.remove(place)
    assert not place.exists()
