"""What a first day brings: helpers that clear up after themselves, failures, background processes, a full disk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from mltrack.observe.library import find
from tests.helpers import git_repository, write
from tests.stories.typing import Person

CLEARS = """import multiprocessing, os, shutil, tempfile
tempfile.TemporaryDirectory().cleanup()
with tempfile.TemporaryDirectory(dir=".") as place:
    open(place + "/x", "w").write("1")
    open(place + "/x").read()
shutil.rmtree(tempfile.mkdtemp())
manager = multiprocessing.Manager()
manager.dict()["a"] = 1
manager.shutdown()
"""


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    files = {"clears.py": CLEARS, "job.sh": 'echo result > out.txt\necho "$0 ends"\ntest ! -e %s/flag\n' % tmp_path}
    return Person(git_repository(tmp_path / "work", files), command_path, {"HOME": str(tmp_path / "home")})


def kinds(record: dict[str, Any]) -> set[str]:
    return {warning["kind"] for warning in record["warnings"]}


def test_what_a_program_makes_and_clears_away_is_no_input(person: Person) -> None:
    person.type("run", "--", "python", "clears.py")
    record = person.json("show", "@")
    assert record["inputs"] == [] and "input-changed" not in kinds(record)
    assert "input-changed" not in {one["kind"] for one in record["preflight"]["concerns"]}


def test_a_reproduction_that_fails_says_so_first(person: Person, tmp_path: Path) -> None:
    person.type("run", "--env", "system", "--", "bash", "job.sh")
    assert "identical" in person.type("reproduce", "@")
    write(tmp_path, {"flag": ""})
    told = person.type("reproduce", "@~1", code=1)
    first = next(line for line in told.splitlines() if "different" in line)
    assert "the command failed with exit 1; the original finished" in first and "`job.sh ends`" in first
    assert person.json("show", "@")["verdict"]["cause"].startswith("the command failed with exit 1")


def test_processes_that_a_command_leaves_behind_are_named(person: Person) -> None:
    person.type("run", "--", "bash", "-c", "(sleep 1; echo late > late.txt) > /dev/null 2>&1 & echo done")
    record = person.json("show", "@")
    assert [item["message"] for item in record["warnings"] if "sleep (" in item["message"]]
    assert "still-running" in kinds(record)
    person.type("run", "--", "bash", "-c", "sleep 0.1 & wait")
    assert "still-running" not in kinds(person.json("show", "@"))


@pytest.mark.skipif(find() is None or shutil.which("setsid") is None, reason="the library is not here, or no setsid")
def test_a_process_with_a_session_of_its_own_is_named_too(person: Person) -> None:
    person.type("run", "--", "bash", "-c", "setsid sleep 1 > /dev/null 2>&1 & sleep 0.2")
    assert "still-running" in kinds(person.json("show", "@"))


def test_who_only_reads_needs_no_room(person: Person) -> None:
    person.type("run", "--env", "system", "--", "true")
    holds = person.cwd / ".mltrack" / "store" / "holds"
    shutil.rmtree(holds, ignore_errors=True)
    holds.write_text("no directory can be made here, as on a full disk")
    done = person.try_("run", "--env", "system", "--", "bash", "-c", "echo hello > o.txt; echo said")
    assert "could not be written" in done.stderr
    record = person.json("show", "@")
    assert "not-recorded" in kinds(record) and record["status"] == "running"
    assert "said" in person.type("log", "@")
    assert len(person.json("ls")) == 2
    holds.unlink()
    time.sleep(0.01)
    record = person.json("show", "@")
    assert "not-recorded" not in kinds(record) and record["status"] == "finished"
