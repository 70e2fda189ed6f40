"""A run goes to another machine: with other cores, another locale, zone, home and umask, no network, a source that may
not be written. The verdict is right, and names what differs, and nothing else."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import git_repository
from tests.stories.typing import Person

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
needs_root = pytest.mark.needs("mount")
in_soak = pytest.mark.skipif(SOAK < 2, reason="the soak has it")

PROGRAM = """import json, locale, os, time
def cores():
    many = len(os.sched_getaffinity(0))
    numbers = [10.0 ** (i % 17) / (i + 1) for i in range(1000)]
    return repr(sum(sum(numbers[part::many]) for part in range(many)))
def words():
    try:
        return locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        return "none"
def mask():
    open("made", "w").close()
    return oct(os.stat("made").st_mode)
told = {
    "cores.txt": cores,
    "locale.txt": words,
    "zone.txt": lambda: time.strftime("%c %Z", time.localtime(0)),
    "home.txt": lambda: "data in " + os.path.expanduser("~/data") + "\\n",
    "plain.txt": lambda: "the same everywhere",
}
if os.path.exists("mask"):
    told["mask.txt"] = mask
for name, what in told.items():
    with open(name, "w") as file:
        file.write(what())
json.dump({"loss": 0.25}, open("metrics.json", "w"))
"""


@pytest.fixture
def first(tmp_path: Path, command_path: str) -> Person:
    """The first machine: a run of a program that asks the machine for all that, pushed to a directory."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True)
    path = f"{command_path.split(os.pathsep)[0]}{os.pathsep}{tmp_path}/v/bin{os.pathsep}{command_path}"
    os.environ.pop("TZ", None)
    person = Person(git_repository(tmp_path / "first", {"t.py": PROGRAM, ".gitignore": "made\n"}), path)
    person.variables |= {"LANG": "C.UTF-8"}
    person.type("run", "--metrics", "metrics.json", "--", f"{tmp_path}/v/bin/python", "t.py")
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    return person


def second(first: Person, tmp_path: Path, setup: str = ":", **variables: str) -> Person:
    """Another machine: without network, where the first one's directories may not be written; `setup` is done there
    by a shell, as root of that machine alone."""
    place = tmp_path / "second machine, with blanks"
    (place / "bin").mkdir(parents=True)
    real = shlex.quote(f"{first.path.split(os.pathsep)[0]}/mltrack")
    fixed = [f"mount --bind {one} {one}; mount -o remount,ro,bind {one}" for one in (first.cwd, tmp_path / "remote")]
    script = f'{"; ".join([*fixed, setup])}; exec {real} "$@"'
    (place / "bin" / "mltrack").write_text(f'#!/bin/sh\nexec unshare -rnm sh -ec {shlex.quote(script)} mltrack "$@"\n')
    (place / "bin" / "mltrack").chmod(0o755)
    return Person(place, f"{place}/bin{os.pathsep}{first.path}", {**first.variables, "PATH": first.path, **variables})


def verdict(person: Person, tmp_path: Path, code: int = 0) -> dict[str, Any]:
    run = first_run(tmp_path)
    found = person.json("reproduce", run, "--from", str(tmp_path / "remote"), "--into", "again", code=code)
    return dict(found["verdict"])


def first_run(tmp_path: Path) -> str:
    """The id of the first run that was recorded on the first machine."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "first" / ".mltrack" / "ledger.db")) as db:
        return str(db.execute("SELECT id FROM run ORDER BY created_at LIMIT 1").fetchone()[0])


def told(found: dict[str, Any]) -> set[str]:
    return {item["what"] for item in found["conditions"]}


def grades(found: dict[str, Any]) -> dict[str, str]:
    return {item["path"]: item["grade"] for item in found["artifacts"] if item["grade"] != "identical"}


@needs_root
def test_locale_zone_and_home_of_another_machine_change_nothing(first: Person, tmp_path: Path) -> None:
    home = tmp_path / "another home"
    home.mkdir()
    person = second(first, tmp_path, HOME=str(home), LC_ALL="C", LANG="de_DE.UTF-8", TZ="Asia/Tokyo")
    found = verdict(person, tmp_path)
    assert found["grade"] == "equivalent", found
    assert grades(found) == {"home.txt": "equivalent"}, "it names the home, and nothing else differs"
    assert told(found) == set()


@needs_root
def test_fewer_cores_are_named_where_they_change_a_sum(first: Person, tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one processor")
    person = second(first, tmp_path, f"taskset -pc {min(os.sched_getaffinity(0))} $$ >/dev/null")
    found = verdict(person, tmp_path, code=1)
    assert grades(found) == {"cores.txt": "different"}, found
    assert told(found) - {"physical_cores"} == {"cores"}


@needs_root
@in_soak
def test_a_full_directory_for_temporary_files_is_the_cause_that_is_told(first: Person, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    fill = f"mount -t tmpfs -o size=16k,noexec none {full}; dd if=/dev/zero of={full}/fill bs=1k 2>/dev/null || true"
    found = verdict(second(first, tmp_path, fill, TMPDIR=str(full)), tmp_path, code=1)
    assert (found["grade"], found["phase"]) == ("could not run", "running")
    assert str(full) in found["cause"] and "TMPDIR" in found["cause"]


@needs_root
@in_soak
def test_on_a_machine_that_is_the_same_nothing_is_named(first: Person, tmp_path: Path) -> None:
    found = verdict(second(first, tmp_path), tmp_path)
    assert (found["grade"], told(found)) == ("identical", set()), found


@needs_root
@in_soak
def test_another_umask_is_named(first: Person, tmp_path: Path) -> None:
    (first.cwd / "mask").touch()
    run = first_run(tmp_path)
    first.type("rerun", run)
    first.type("push")
    person = second(first, tmp_path, "umask 077")
    found = person.json("reproduce", first.json("show", "@")["id"], "--from", str(tmp_path / "remote"), code=1)
    assert grades(found["verdict"]) == {"mask.txt": "different"}
    assert told(found["verdict"]) == {"umask"}


@needs_root
@in_soak
@pytest.mark.parametrize("is_known", [True, False])
def test_the_machines_own_zone_is_that_of_the_first_or_is_named(first: Person, tmp_path: Path, is_known: bool) -> None:
    subprocess.run(["cp", "-a", "/etc", str(tmp_path / "etc")], check=True)
    (tmp_path / "etc" / "localtime").unlink()
    (tmp_path / "etc" / "localtime").symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    hide = "" if is_known else "; mount -t tmpfs none /usr/share/zoneinfo/Etc"
    person = second(first, tmp_path, f"mount --bind {tmp_path}/etc /etc{hide}")
    found = verdict(person, tmp_path, code=0 if is_known else 1)
    assert grades(found) == ({} if is_known else {"zone.txt": "different"}), found
    assert told(found) == (set() if is_known else {"time_zone"})


@needs_root
@in_soak
def test_threads_that_the_second_machine_sets_are_named(first: Person, tmp_path: Path) -> None:
    found = verdict(second(first, tmp_path, OMP_NUM_THREADS="1"), tmp_path)
    assert (found["grade"], told(found)) == ("identical", {"variables.OMP_NUM_THREADS"})


@needs_root
@in_soak
def test_a_path_of_python_that_the_command_does_not_see_is_not_named(first: Person, tmp_path: Path) -> None:
    found = verdict(second(first, tmp_path, PYTHONPATH=str(tmp_path)), tmp_path)
    assert (found["grade"], told(found)) == ("identical", set()), found
