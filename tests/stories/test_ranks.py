"""A training of several processes is one run: whoever starts them, whichever of them fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import git_repository
from tests.stories.typing import Person

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))

TRAIN = """import os, sys, time
import mltrack
rank = int(os.environ.get("RANK") or os.environ.get("OMPI_COMM_WORLD_RANK") or 0)
for step in range(3):
    print("rank", rank, "step", step)
    mltrack.log({"loss": 1 / (step + 1) + rank}, step=step)
print("api token is", os.environ.get("SERVICE_TOKEN"), file=sys.stderr)
sys.stdout.flush()
if str(rank) == os.environ.get("FAILS"):
    others = [n for n in range(int(os.environ["WORLD_SIZE"])) if n != rank and os.environ.get("WAITS")]
    while not all(os.path.exists("ready%d" % n) for n in others):  # or they are killed before they have begun
        time.sleep(0.01)
    raise ValueError("rank %d has had enough" % rank)
if os.environ.get("WAITS"):
    open("ready%d" % rank, "w").close()
    time.sleep(60)
"""
LAUNCH = """#!/bin/sh
# launch.sh N COMMAND...: starts N ranks, as launchers do; when one fails, the others are killed
n=$1; shift; rank=0; pids=
while [ $rank -lt $n ]; do
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=$n "$@" & pids="$pids $!"
    rank=$((rank + 1))
done
for pid in $pids; do wait $pid || { kill $pids 2>/dev/null; exit 3; }; done
"""
SECRET = "tok-5f2b8c1e9d7a4036"


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    person = Person(git_repository(tmp_path / "work", {"train.py": TRAIN, "launch.sh": LAUNCH}), command_path)
    person.variables["SERVICE_TOKEN"] = SECRET
    return person


def run(person: Person, *command: str, code: int = 0, **variables: str) -> dict[str, Any]:
    person.variables.update(variables)
    person.type("run", "--quiet", "--", *command, code=code)
    return dict(person.json("show", "@"))


def kinds(record: dict[str, Any]) -> set[str]:
    return {item["kind"] for item in record["warnings"] if item["kind"].startswith("rank")}


def test_ranks_are_one_run_with_a_log_and_metrics_each(person: Person) -> None:
    record = run(person, "sh", "launch.sh", "3", "python", "train.py")
    assert [(rank["rank"], rank["local_rank"], rank["ended"]) for rank in record["ranks"]] == [
        (number, number, "of itself") for number in range(3)
    ]
    assert record["ranks"][1]["variables"] == {"LOCAL_RANK": "1", "RANK": "1", "WORLD_SIZE": "3"}
    assert {name: item["last"] for name, item in record["metrics"].items()} == pytest.approx(
        {"loss": 1 / 3, "loss[rank=1]": 4 / 3, "loss[rank=2]": 7 / 3}
    )
    log = person.type("log", "@", "--rank", "1", "--stdout")
    assert log == "rank 1 step 0\nrank 1 step 1\nrank 1 step 2\n"
    assert kinds(record) == set()
    assert person.json("show", "@", "--series", "loss", "--rank", "2")[0]["value"] == 3.0
    assert person.json("show", "@", "--series", "loss")[0]["value"] == 1.0
    assert "no rank 3" in person.fails("log", "@", "--rank", "3", code=4)[0]
    assert person.type("log", "@", "--rank", "1", "--stderr").startswith("api token is ")
    assert SECRET not in person.type("log", "@", "--rank", "1")


def test_when_one_rank_fails_its_log_says_why(person: Person) -> None:
    record = run(person, "sh", "launch.sh", "3", "python", "train.py", code=3, FAILS="0", WAITS="1")
    assert record["status"] == "failed"
    assert [rank["ended"] for rank in record["ranks"]] == ["ValueError", "cut off", "cut off"]
    assert "ValueError: rank 0 has had enough" in person.type("log", "@", "--rank", "0")
    assert "enough" not in person.type("log", "@", "--rank", "2")
    assert f"mltrack log {record['id'][:8]} --rank 0" in person.type("show", "@")


def test_a_stopped_run_keeps_what_its_ranks_wrote(person: Person) -> None:
    person.variables["WAITS"] = "1"
    words = [person.path.split(os.pathsep)[0] + "/mltrack", "run", "--quiet", "--", "sh", "launch.sh", "2"]
    started = subprocess.Popen([*words, "python", "train.py"], cwd=person.cwd, env=person.environment())
    deadline = time.monotonic() + 30
    while not all((person.cwd / f"ready{rank}").exists() for rank in range(2)) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    live = person.json("show", "@")
    assert (live["status"], [rank["rank"] for rank in live["ranks"]]) == ("running", [0, 1])
    assert person.type("log", "@", "--rank", "1", "--stdout").count("step") == 3
    files = [path for path in person.cwd.glob(".mltrack/runs/**/*") if path.is_file()]
    assert {"0", "0.log", "1", "1.log"} <= {path.name for path in files}
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in files)
    started.send_signal(signal.SIGTERM)
    assert started.wait(30) == 128 + signal.SIGTERM
    record = person.json("show", "@")
    assert record["status"] == "interrupted"
    assert [rank["ended"] for rank in record["ranks"]] == ["cut off", "cut off"]
    assert person.type("log", "@", "--rank", "0", "--stdout").count("step") == 3


def test_a_run_whose_supervisor_was_killed_has_its_ranks(person: Person) -> None:
    words = [person.path.split(os.pathsep)[0] + "/mltrack", "run", "--quiet", "--", "sh", "-c"]
    script = "sh launch.sh 2 python train.py; touch done; sleep 0.5"
    started = subprocess.Popen([*words, script], cwd=person.cwd, env=person.environment())
    while not (person.cwd / "done").exists():
        time.sleep(0.02)
    started.kill()
    started.wait()
    time.sleep(1.0)
    record = person.json("show", "@")
    assert "folded-late" in {item["kind"] for item in record["warnings"]}
    assert [rank["ended"] for rank in record["ranks"]] == ["of itself", "of itself"]
    assert person.type("log", "@", "--rank", "1", "--stdout").count("step") == 3


def test_two_launchers_one_after_the_other_are_one_run_with_the_same_ranks(person: Person) -> None:
    script = "sh launch.sh 2 python train.py && sh launch.sh 2 python train.py"
    record = run(person, "sh", "-c", script)
    assert [rank["rank"] for rank in record["ranks"]] == [0, 1]
    assert record["metrics"]["loss[rank=1]"]["count"] == 6
    assert person.type("log", "@", "--rank", "1", "--stdout").count("step") == 6


def test_each_rank_of_a_launcher_outside_is_a_run_of_its_own(person: Person) -> None:
    record = run(person, "python", "train.py", RANK="1", WORLD_SIZE="2")
    assert (record["ranks"], list(record["metrics"]), kinds(record)) == ([], ["loss"], set())


def test_ranks_that_were_not_seen_are_told_of(person: Person) -> None:
    script = "RANK=0 WORLD_SIZE=3 python train.py; RANK=1 WORLD_SIZE=3 python train.py; RANK=2 WORLD_SIZE=3 echo x"
    record = run(person, "sh", "-c", script)
    assert (len(record["ranks"]), kinds(record)) == (2, {"ranks-unseen"})


def test_workers_of_a_rank_are_no_ranks(person: Person) -> None:
    (person.cwd / "workers.py").write_text(
        "import multiprocessing, sys\n"
        "def work(name):\n    print('worker', name, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    for how in ('fork', 'spawn'):\n"
        "        process = multiprocessing.get_context(how).Process(target=work, args=(how,))\n"
        "        process.start(); process.join()\n"
    )
    record = run(person, "sh", "launch.sh", "2", "python", "workers.py")
    assert [(rank["rank"], rank["ended"]) for rank in record["ranks"]] == [(0, "of itself"), (1, "of itself")]
    assert person.type("log", "@", "--rank", "1") == "worker fork\nworker spawn\n"


def test_a_process_that_starts_the_other_ranks_is_one_of_them(person: Person) -> None:
    """As Lightning does: the first process learns only after its start that it is rank 0."""
    (person.cwd / "light.py").write_text(
        "import os, subprocess, sys\nimport mltrack\n"
        "if 'LOCAL_RANK' not in os.environ:\n"
        "    os.environ.update(LOCAL_RANK='0', NODE_RANK='0', WORLD_SIZE='2')\n"
        "    subprocess.run([sys.executable, __file__], env={**os.environ, 'LOCAL_RANK': '1'})\n"
        "mltrack.log({'loss': float(os.environ['LOCAL_RANK'])}, step=1)\n"
        "print('rank', os.environ['LOCAL_RANK'])\n"
    )
    record = run(person, "python", "light.py")
    assert [(rank["rank"], rank["ended"]) for rank in record["ranks"]] == [(0, "of itself"), (1, "of itself")]
    assert (record["metrics"]["loss"]["last"], record["metrics"]["loss[rank=1]"]["last"]) == (0.0, 1.0)
    assert person.type("log", "@", "--rank", "1") == "rank 1\n"
    assert kinds(record) == {"rank-log-missing"}


@pytest.mark.needs("mpirun")
def test_mpirun_is_one_run(person: Person) -> None:
    options = ("--allow-run-as-root", "--oversubscribe", "-np", "3")
    record = run(person, "mpirun", *options, "python", "train.py")
    assert [(rank["rank"], rank["local_rank"]) for rank in record["ranks"]] == [(0, 0), (1, 1), (2, 2)]
    assert record["metrics"]["loss[rank=2]"]["count"] == 3
    assert person.type("log", "@", "--rank", "2", "--stdout").count("rank 2 step") == 3


@pytest.mark.needs("torch")
@pytest.mark.skipif(SOAK < 2, reason="torch takes long to start: MLTRACK_SOAK=2")
def test_torchrun_is_one_run_and_its_agent_no_rank(person: Person) -> None:
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    record = run(person, *torchrun, "train.py", code=1, FAILS="1")
    assert [(rank["rank"], rank["ended"]) for rank in record["ranks"]][1] == (1, "ValueError")
    assert "rank 1 has had enough" in person.type("log", "@", "--rank", "1")
    assert "ChildFailedError" not in person.type("log", "@", "--rank", "0")
