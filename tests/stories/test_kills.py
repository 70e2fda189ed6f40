"""kill -9 of mltrack, of the command, of both, at random moments: nothing that was finished is lost, nothing lies."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers import git_repository
from tests.stories.typing import Person

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
SCRIPT = """import mltrack, sys, time
for step in range(60):
    mltrack.log({"loss": 1 / (step + 1)}, step=step)
    with open("progress.txt", "w") as file:
        file.write(str(step))
    time.sleep(0.01)
"""


def started(person: Person) -> subprocess.Popen[bytes]:
    argv = [person.path.split(os.pathsep)[0] + "/mltrack", "run", "--", "python", "train.py"]
    return subprocess.Popen(
        argv, cwd=person.cwd, env=person.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def process_of(person: Person) -> dict[str, int] | None:
    for path in person.cwd.glob(".mltrack/runs/*/process.json"):
        try:
            return dict(json.loads(path.read_text()))
        except (OSError, ValueError):
            return None
    return None


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("seed", range(5 * SOAK))
def test_killed_at_a_random_moment_it_tells_the_truth(tmp_path: Path, command_path: str, seed: int) -> None:
    person = Person(git_repository(tmp_path / "work", {"train.py": SCRIPT}), command_path)
    person.type("run", "--", "python", "-c", "import mltrack; mltrack.log({'a': 1})")
    before = person.json("ls")
    chance = random.Random(seed)
    supervisor = started(person)
    time.sleep(chance.uniform(0.0, 0.9))
    facts = process_of(person)
    target = ["mltrack", "command", "both"][seed % 3]
    steps = int((person.cwd / "progress.txt").read_text() or 0) if (person.cwd / "progress.txt").exists() else -1
    if target in ("mltrack", "both"):
        kill(supervisor.pid)
    if target in ("command", "both") and facts is not None:
        kill(facts["pid"])
    supervisor.wait(timeout=30)
    listed = {run["id"]: run for run in person.json("ls")}
    assert before[0]["id"] in listed, "a finished run was lost"
    others = [run for run in listed.values() if run["id"] != before[0]["id"]]
    for run in others:  # true at once: running only while its command lives
        if run["status"] == "running":
            assert facts is None or not gone(facts["pid"])
    deadline = time.monotonic() + 30
    while any(run["status"] == "running" for run in person.json("ls")) and time.monotonic() < deadline:
        time.sleep(0.2)
    ended = [run for run in person.json("ls") if run["id"] != before[0]["id"]]
    for run in ended:
        assert run["status"] in ("finished", "failed", "lost", "interrupted")
        if target == "command" and facts is not None and run["status"] != "finished":
            assert run["signal"] == signal.SIGKILL
        count = run["metrics"]["loss"]["count"] if run["metrics"] else 0
        assert count >= steps, "a metric that was logged before the kill is not there"
    assert not list((person.cwd / ".mltrack" / "runs").glob("[!.]*"))
    assert person.type("verify") == "Everything holds.\n"
