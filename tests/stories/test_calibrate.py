"""A person measures the noise of an experiment, and is told what it means."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers import git_repository, write
from tests.stories.typing import Person

soak = pytest.mark.skipif(int(os.environ.get("MLTRACK_SOAK", "1")) < 2, reason="a long count: make soak")

NOISY = """import json, os, random
noise = random.Random(os.urandom(8)).gauss(0, 0.01)
with open(os.environ["MLTRACK_METRICS"], "a") as log:
    for step in range(6):
        log.write(json.dumps({"step": step, "loss": 1 / (step + 1) + (noise if step >= 4 else 0)}) + "\\n")
    log.write(json.dumps({"items": 100}) + "\\n")
open("same.txt", "w").write("same")
open("weights.bin", "wb").write(os.urandom(64))
"""

NOSY = """import os, pathlib, sys
home = pathlib.Path.home()
for place in (pathlib.Path("."), home / "shared"):
    names = sorted(str(p.relative_to(place)) for p in place.rglob("*") if ".git" not in p.parts)
    print(place.name, names)
    for path in place.rglob("*.txt"):
        print(path.name, path.read_text(), path.stat().st_mtime_ns if "data" in path.parts else "")
(home / "shared" / "seen.txt").write_text("was here")
with open("tracked.md", "a") as file:
    file.write("more")
with open("log.txt", "a") as file:
    file.write("more")
os.makedirs("cache", exist_ok=True)
open("cache/ignored.txt", "a").write("x")
os.remove("gone.md")
"""

SEEDED = """import json, os, random, sys
words = [word for word in sys.argv if word.startswith("--seed=")]
seed = int(words[0][7:]) if words else int(os.environ.get("MLTRACK_SEED") or json.load(open("conf.json"))["train"]["seed"])
value = random.Random(seed).random()
open(os.environ["MLTRACK_METRICS"], "a").write(json.dumps({"acc": value, "seed used": seed}) + "\\n")
sys.exit(5 if "--fragile" in sys.argv and seed > 3 else 0)
"""

SLOW = """import os, time
def log(value):
    open(os.environ["MLTRACK_METRICS"], "a").write('{"x": %d}\\n' % value)
try:
    time.sleep(0.3)
    log(1)
except KeyboardInterrupt:
    log(99)
"""


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    files = {"noisy.py": NOISY, "nosy.py": NOSY, "seeded.py": SEEDED, "conf.json": '{"train": {"seed": 1, "lr": 2}}'}
    files |= {".gitignore": "cache/\n", "gone.md": "g", "tracked.md": "t", "data/points.txt": "1 2 3"}
    return Person(git_repository(tmp_path / "work", files), command_path)


def ran(person: Person, *words: str, code: int = 0) -> str:
    person.type("run", "--env", "system", *words, code=code)
    return str(person.json("show", "@")["id"])


def workspaces(person: Person) -> list[str]:
    work = person.cwd / ".mltrack" / "work"
    return os.listdir(work) if work.exists() else []


def test_noise_is_measured_told_and_used(person: Person) -> None:
    run = ran(person, "--name", "base", "--", "python", "noisy.py")
    done = person.json("calibrate", run, "-n", "4")
    found = done["calibration"]
    assert (done["run"], done["failed"], done["interrupted"], len(found["runs"])) == (run, [], False, 4)
    assert (found["deterministic"], found["as_recorded"], found["vary"], found["seeds"]) == (
        False,
        False,
        "nothing",
        [None] * 4,
    )
    loss, items = found["metrics"]["loss"], found["metrics"]["items"]
    assert loss["low"] < min(loss["values"]) <= loss["mean"] <= max(loss["values"]) < loss["high"]
    assert (items["low"], items["high"], items["deviation"]) == (100, 100, 0)
    assert (found["artifacts"]["same.txt"]["contents"], found["artifacts"]["same.txt"]["as_recorded"]) == (1, 4)
    assert (found["artifacts"]["weights.bin"]["contents"], found["artifacts"]["weights.bin"]["as_recorded"]) == (4, 0)
    artifact, metric = found["first"]
    assert (artifact["kind"], artifact["what"]) == ("artifact", "weights.bin")
    assert (metric["kind"], metric["what"], metric["step"]) == ("metric", "loss", 4)
    assert metric["runs"] == found["runs"][:2] and metric["then"] != metric["now"]
    # what is kept, where, and what others see of it
    assert workspaces(person) == []
    assert person.json("show", run)["calibrations"] == [found]
    assert [person.json("show", ref)["id"] for ref in ("@", "base")] == [run, run]
    assert [one["id"] for one in person.json("ls")] == [run]
    assert {one["id"] for one in person.json("ls", "--all")} == {run, *found["runs"]}
    repetition = person.json("show", found["runs"][0])
    assert repetition["parent"] == {"kind": "calibrate", "run": run} and repetition["name"] is None
    page = person.type("show", run)
    assert "Noise\n" in page and "not deterministic here" in page and "loss first went apart at step 4" in page
    differences = person.json("diff", *found["runs"][:2])
    (change,) = [item for item in differences["metrics"] if item["what"] == "loss"]
    assert change["noise"] == {
        "is_inside": True, "repetitions": 4, "vary": "nothing", "low": loss["low"], "high": loss["high"],
        "calibration": found["id"],
    }  # fmt: skip
    assert "inside noise (4 repetitions, too few)" in person.type("diff", *found["runs"][:2])


def test_each_repetition_sees_the_same_files(person: Person, walls: Path) -> None:
    write(walls, {"shared/theirs.txt": "t"})
    run = ran(person, "--input", "data/points.txt", "--", "python", "nosy.py")
    before = sorted((walls / "shared").iterdir())
    found = person.json("calibrate", run, "-n", "3")["calibration"]
    outputs = [person.type("log", one) for one in found["runs"]]
    assert outputs[0] and outputs == outputs[:1] * 3
    assert found["deterministic"] is True
    assert sorted((walls / "shared").iterdir()) == before, "the user's own files are left alone"


def test_a_deterministic_experiment_is_said_to_be_one(person: Person) -> None:
    run = ran(person, "--", "python", "seeded.py")
    found = person.json("calibrate", run, "-n", "2")["calibration"]
    assert (found["deterministic"], found["as_recorded"], found["first"]) == (True, True, [])
    page = person.type("show", run)
    assert "deterministic here: 2 repetitions gave the same, and what was recorded" in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seed", "1"], []),
        pytest.param([], ["--seed=1"], marks=soak),
        (["--params", "conf.json"], []),
    ],
    ids=["--seed", "argument", "params file"],
)
def test_the_seed_is_varied_where_the_run_had_it(person: Person, options: list[str], words: list[str]) -> None:
    run = ran(person, *options, "--", "python", "seeded.py", *words)
    found = person.json("calibrate", run, "-n", "3", "--vary", "seed")["calibration"]
    assert (found["vary"], found["seeds"], found["deterministic"]) == ("seed", [2, 3, 4], None)
    assert found["metrics"]["seed used"]["values"] == [2, 3, 4]
    assert len(set(found["metrics"]["acc"]["values"])) == 3
    repeated = person.json("show", found["runs"][1])
    told = {**repeated["params"], "seed": repeated["params"].get("seed", repeated["seed"])}
    assert told.get("train.seed", told["seed"]) == 3


def test_without_a_seed_none_can_be_varied(person: Person) -> None:
    run = ran(person, "--", "python", "noisy.py")
    message, hint = person.fails("calibrate", run, "--vary", "seed", code=2)
    assert "has no seed that could be varied" in message and "$MLTRACK_SEED" in hint
    person.fails("calibrate", run, "--vary", "data", code=2)
    person.fails("calibrate", run, "-n", "1", code=2)
    assert workspaces(person) == []


def test_repetitions_that_fail_count_for_nothing_and_two_in_a_row_end_it(person: Person) -> None:
    run = ran(person, "--seed", "1", "--", "python", "seeded.py", "--fragile")
    done = person.json("calibrate", run, "-n", "9", "--vary", "seed")
    assert (len(done["calibration"]["runs"]), done["calibration"]["seeds"], len(done["failed"])) == (2, [2, 3], 2)
    other = ran(person, "--seed", "3", "--", "python", "seeded.py", "--fragile")
    failed = person.try_("calibrate", other, "--vary", "seed")
    assert failed.returncode == 1 and "2 repetitions in a row" in failed.stderr
    assert person.json("show", other)["calibrations"] == []


def test_a_run_that_fails_by_design_is_repeated_like_any_other(person: Person) -> None:
    run = ran(person, "--seed", "7", "--", "python", "seeded.py", "--fragile", code=5)
    assert person.json("calibrate", run, "-n", "2")["calibration"]["deterministic"] is True


def test_what_was_measured_before_an_interruption_is_kept(person: Person) -> None:
    write(person.cwd, {"slow.py": SLOW})
    run = ran(person, "--", "python", "slow.py")
    process = subprocess.Popen(
        ["mltrack", "calibrate", run, "-n", "500"],
        cwd=person.cwd, env=person.environment(), executable=f"{person.path.split(os.pathsep)[0]}/mltrack",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "2 of 500" in line:
            break
    time.sleep(0.3)  # into the next one
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "of 500 repetitions gave is kept" in err
    (found,) = person.json("show", run)["calibrations"]
    assert len(found["runs"]) >= 2 and workspaces(person) == []
    assert set(found["metrics"]["x"]["values"]) == {1}, (
        "one that was told to end counts for nothing, though it ended well"
    )


def test_a_bare_machine_measures_from_a_remote(person: Person, tmp_path: Path) -> None:
    run = ran(person, "--", "python", "seeded.py")
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    elsewhere = Person(tmp_path / "bare", person.path)
    elsewhere.cwd.mkdir()
    found = elsewhere.json("calibrate", run, "-n", "2", "--from", str(tmp_path / "remote"))["calibration"]
    assert found["as_recorded"] is True
    (clone,) = elsewhere.cwd.iterdir()
    inside = Person(clone, person.path)
    assert [one["id"] for one in inside.json("show", run)["calibrations"]] == [found["id"]]
    inside.type("push")
    person.type("pull")
    assert [one["id"] for one in person.json("show", run)["calibrations"]] == [found["id"]]
    assert person.json("show", found["runs"][0])["parent"]["kind"] == "calibrate"
