"""Nothing is declared: what a run reads and writes is found by watching it. The library may be there or not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from mltrack.observe.library import find
from tests.helpers import git, git_repository, write
from tests.stories.typing import Person

TRAIN = """import os, sqlite3
home = os.path.expanduser("~")
for name in ("data/a.csv", "../outside/b.csv", home + "/sets/c.csv", ".env", "conf.txt", "link/b.csv"):
    open(name).read()
open("grown.log", "a").write("more")
os.makedirs("out", exist_ok=True)
open("out/model.bin", "wb").write(b"m")
open("out/model.bin", "rb").read()
open("scratch", "w").write("x"); os.remove("scratch")
os.makedirs(home + "/models", exist_ok=True)
open(home + "/models/m.bin", "w").write("m")
"""


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    write(tmp_path, {"outside/b.csv": "b", "home/sets/c.csv": "c"})
    root = git_repository(tmp_path / "work", {"train.py": TRAIN, "conf.txt": "1", ".gitignore": "data/\nout/\n"})
    (root / "link").symlink_to(tmp_path / "outside")
    git(root, "add", "link")
    git(root, "commit", "-q", "-m", "a link")
    write(root, {"data/a.csv": "a", ".env": "PASSWORD=hunter2", "grown.log": "old"})
    settle()
    return Person(root, command_path, {"HOME": str(tmp_path / "home")})


def settle() -> None:
    """Let the filesystem's clock go on: what was written in the same step as the command's start is not told apart."""
    time.sleep(0.05)


def kinds(record: dict[str, Any]) -> set[str]:
    return {warning["kind"] for warning in record["warnings"]}


def test_a_bare_run_finds_its_inputs_and_artifacts(person: Person, tmp_path: Path) -> None:
    person.type("run", "--", "python", "train.py")
    record = person.json("show", "@")
    inputs = {item["path"]: item for item in record["inputs"]}
    expected = {"data/a.csv", str(tmp_path / "outside/b.csv"), str(tmp_path / "home/sets/c.csv"), "grown.log"}
    assert set(inputs) == expected
    assert all(item["digest"] and item["kept"] and item["found"] == "observed" for item in inputs.values())
    assert inputs[str(tmp_path / "home/sets/c.csv")]["root"] == "home"
    assert inputs["data/a.csv"]["root"] is None
    artifacts = {item["path"]: item["digest"] for item in record["artifacts"]}
    assert set(artifacts) == {"grown.log", "out/model.bin", str(tmp_path / "home/models/m.bin")}
    assert inputs["grown.log"]["digest"] != artifacts["grown.log"] == inputs["grown.log"]["digest_after"]
    placed = {item["path"]: item for item in person.json("show", "@", "--observed", "--all")}
    assert placed["grown.log"]["rule"] == "rewritten" and placed["out/model.bin"]["rule"] == "intermediate"
    assert placed[".env"]["rule"] == "secret" and placed[".env"]["digest"] is None
    assert placed["scratch"]["rule"] == "temporary" and placed["conf.txt"]["rule"] == "code"
    assert placed["link/b.csv"]["rule"] == "link"
    assert not {item["path"] for item in person.json("show", "@", "--observed")} & {".env", "scratch", "conf.txt"}
    assert "hook" in record["observation"]["sources"]
    person.type("run", "--", "python", "train.py")
    again = person.json("show", "@")
    assert "out/model.bin" not in {item["path"] for item in again["inputs"]}
    person.type("verify")


def test_many_files_of_one_directory_are_one_input(person: Person) -> None:
    write(person.cwd, {f"data/many/{number}.txt": str(number) for number in range(120)})
    settle()
    code = "import os; [open('data/many/' + n).read() for n in sorted(os.listdir('data/many'))[:110]]"
    person.type("run", "--", "python", "-c", code)
    (item,) = person.json("show", "@")["inputs"]
    assert (item["path"], item["kind"], item["files"], item["partial"]) == ("data/many", "directory", 110, True)
    person.variables["MLTRACK_CONFIG_INPUTS_WHOLE_DIRECTORIES"] = "true"
    person.type("run", "--", "python", "-c", code)
    (item,) = person.json("show", "@")["inputs"]
    assert (item["files"], item["partial"]) == (120, False)


def test_declared_and_observed_inputs_are_compared(person: Person) -> None:
    write(person.cwd, {"data/unused.csv": "u"})
    settle()
    code = "open('data/a.csv').read()"
    person.type("run", "--input", "data/unused.csv", "--", "python", "-c", code)
    record = person.json("show", "@")
    assert "input-not-declared" in kinds(record)
    assert ("input-not-read" in kinds(record)) == record["observation"]["complete"]
    person.type("run", "--input", "data/a.csv", "--", "python", "-c", code)
    record = person.json("show", "@")
    assert not kinds(record) & {"input-not-declared", "input-not-read"}
    assert [(item["path"], item["found"]) for item in record["inputs"]] == [("data/a.csv", "declared")]


def test_the_settings_change_what_is_data_and_can_switch_it_off(person: Person) -> None:
    write(person.cwd, {"mltrack.yaml": "observe: {exclude: [data/a.csv, out], include: [.mine/x]}\n", "data/b": "b"})
    settle()
    code = (
        "import os; open('data/a.csv').read(); open('data/b').read(); os.makedirs('out'); open('out/x','w').write('x')"
    )
    person.type("run", "--", "python", "-c", code)
    record = person.json("show", "@")
    assert [item["path"] for item in record["inputs"]] == ["data/b"]
    assert record["artifacts"] == []
    person.variables["MLTRACK_CONFIG_OBSERVE_SOURCES"] = "off"
    person.type("run", "--", "sh", "-c", 'test -z "$MLTRACK_OBSERVE$LD_PRELOAD"')
    record = person.json("show", "@")
    assert record["observation"] is None
    assert person.fails("show", "@", "--observed", code=4)


def test_a_run_whose_supervisor_was_killed_keeps_what_it_read_and_wrote(person: Person) -> None:
    code = "import time; open('data/a.csv').read(); open('late.txt','w').write('x'); time.sleep(1.2)"
    words = ["mltrack", "run", "--quiet", "--", "python", "-c", code]
    process = subprocess.Popen(
        words, cwd=person.cwd, env=person.environment(), executable=person.path.split(os.pathsep)[0] + "/mltrack"
    )
    deadline = time.monotonic() + 30
    while not (person.cwd / "late.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    alive = person.json("show", "@", "--observed")
    assert {"data/a.csv"} <= {item["path"] for item in alive if item["made"] == "input"}
    process.send_signal(signal.SIGKILL)
    process.wait()
    while person.json("show", "@")["status"] == "running" and time.monotonic() < deadline:
        time.sleep(0.2)
    record = person.json("show", "@")
    assert [(item["path"], item["kept"]) for item in record["inputs"]] == [("data/a.csv", True)]
    assert [item["path"] for item in record["artifacts"]] == ["late.txt"]


@pytest.mark.skipif(find() is None, reason="the library was not built")
def test_what_a_run_did_not_write_is_not_its_artifact_where_everything_was_watched(person: Person) -> None:
    code = "import time; time.sleep(0.8); open('mine.txt', 'w').write('x')"
    first = subprocess.Popen(
        ["mltrack", "run", "--quiet", "--", "python", "-c", code],
        cwd=person.cwd,
        env=person.environment(),
        executable=person.path.split(os.pathsep)[0] + "/mltrack",
    )
    deadline = time.monotonic() + 30
    while not list((person.cwd / ".mltrack/runs").glob("*/process.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    person.type("run", "--name", "other", "--", "sh", "-c", "echo y > yours.txt; sleep 1")
    first.wait()
    records = {item["name"]: [one["path"] for one in item["artifacts"]] for item in person.json("ls")}
    assert records == {"other": ["yours.txt"], None: ["mine.txt"]}


def test_a_reproduction_has_what_was_observed(person: Person, tmp_path: Path) -> None:
    write(person.cwd, {"cat.py": "open('out.txt','w').write(open('data/a.csv').read())"})
    settle()
    person.type("run", "--", "python", "cat.py")
    assert person.json("reproduce", "@")["verdict"]["grade"] == "identical"


def test_a_reproduction_has_the_empty_directories_that_a_run_needs(person: Person) -> None:
    (person.cwd / "out").mkdir()
    settle()
    person.type("run", "--", "sh", "-c", "mkdir made && echo x > out/log.txt && echo y > made/y.txt")
    assert "made" not in person.json("show", "@")["declared"]["directories"]
    assert person.json("reproduce", "@")["verdict"]["grade"] == "identical"
