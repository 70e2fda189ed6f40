"""A person looks at a run while it runs: its log, its metrics, its live view; and at metrics that it only printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executors.screen import Screen
from tests.helpers import git_repository, write
from tests.stories.typing import Person

# It goes on when `go` is there, and ends when `end` is.
TRAIN = """import os, sys, time
print("epoch 1 loss=0.5", flush=True)
sys.stderr.write("\\r1/2 loss=0.4\\r2/2 loss=0.3"); sys.stderr.flush()
def wait(name):
    while not os.path.exists(name):
        time.sleep(0.02)
wait("go")
sys.stderr.write("\\n")
print("epoch 2 loss=0.25", flush=True)
wait("end")
print("done", flush=True)
"""


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    files = {"train.py": TRAIN, ".gitignore": "go\nend\n"}
    return Person(git_repository(tmp_path / "work", files), command_path)


@pytest.fixture
def running(person: Person) -> Iterator[subprocess.Popen[bytes]]:
    """A run that waits for the files `go` and `end`."""
    patterns = ["--metrics", "stdout:epoch {step}", "--metrics", "stdout:{name}={value}"]
    process = start(person, "run", "--quiet", *patterns, "--", "python", "train.py")
    deadline = time.monotonic() + 30
    while "loss=0.5" not in (log := person.try_("log", "@")).stdout:
        assert process.poll() is None and time.monotonic() < deadline, log
        time.sleep(0.05)
    yield process
    write(person.cwd, {"go": "", "end": ""})
    process.wait(30)


def start(person: Person, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["mltrack", *words],
        executable=person.path.split(os.pathsep)[0] + "/mltrack",
        cwd=person.cwd,
        env=person.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if words[0] != "run" else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_log_is_followed_to_its_end(person: Person, running: subprocess.Popen[bytes]) -> None:
    follower = start(person, "log", "@", "-f", "--stdout")
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"epoch 1 loss=0.5\n"
    write(person.cwd, {"go": "", "end": ""})
    rest, _ = follower.communicate(timeout=30)
    assert rest == b"epoch 2 loss=0.25\ndone\n"
    assert follower.returncode == 0
    running.wait(30)
    assert person.type("log", "@", "-n", "1") == "done\n"
    assert person.type("log", "@", "--stderr", "-n", "1") == "2/2 loss=0.3\n"
    assert person.type("log", "@", "--stdout").count("\n") == 3
    assert all(line.startswith("0:00:") for line in person.type("log", "@", "--times", "--stdout").splitlines())


def test_who_stops_following_does_not_stop_the_run(person: Person, running: subprocess.Popen[bytes]) -> None:
    follower = start(person, "log", "@", "-f")
    assert follower.stdout is not None
    follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=30)
    assert follower.returncode == 130
    assert running.poll() is None
    assert [run["status"] for run in person.json("ls")] == ["running"]


def test_a_live_run_shows_metrics_that_it_only_printed(person: Person, running: subprocess.Popen[bytes]) -> None:
    def losses() -> list[list[float]]:
        return [[point["step"], point["value"]] for point in person.json("show", "@", "--series", "loss")]

    deadline = time.monotonic() + 30
    while (seen := losses())[:2] != [[1, 0.5], [1, 0.4]]:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    assert person.json("ls")[0]["metrics"]["loss"]["count"] >= 2
    write(person.cwd, {"go": "", "end": ""})
    running.wait(30)
    assert losses()[:2] == [[1, 0.5], [1, 0.4]]
    assert sorted(value for _, value in losses()) == [0.25, 0.3, 0.4, 0.5]  # which stream is read first is not said
    assert person.json("show", "@")["declared"]["stdout"] == ["epoch {step}", "{name}={value}"]


def test_a_pipe_watches_a_run_to_its_end(person: Person, running: subprocess.Popen[bytes]) -> None:
    watcher = start(person, "show", "@", "--watch")
    assert watcher.stdout is not None
    assert b"loss" in watcher.stdout.readline()
    write(person.cwd, {"go": "", "end": ""})
    rest, _ = watcher.communicate(timeout=30)
    assert watcher.returncode == 0
    assert b"Finished in" in rest


def test_a_terminal_watches_a_run_and_is_left_with_q(person: Person, running: subprocess.Popen[bytes]) -> None:
    words = [person.path.split(os.pathsep)[0] + "/mltrack", "show", "@", "--watch"]
    with Screen(words, cwd=person.cwd, env={**person.environment(), "TERM": "xterm"}) as screen:
        screen.await_text(b"running for")
        screen.await_text(b"epoch 1 loss=0.5")
        screen.await_text(b"q leaves")
        screen.type(b"q")
        assert screen.await_end() == 0
        assert b"\x1b[?1049l" in screen.shown  # the other screen is left
        assert termios.tcgetattr(screen.slave) == screen.settings
    assert running.poll() is None


def test_a_watched_run_that_ends_leaves_its_page(person: Person, running: subprocess.Popen[bytes]) -> None:
    words = [person.path.split(os.pathsep)[0] + "/mltrack", "show", "@", "--watch"]
    with Screen(words, cwd=person.cwd, env={**person.environment(), "TERM": "xterm"}) as screen:
        screen.await_text(b"q leaves")
        write(person.cwd, {"go": "", "end": ""})
        screen.await_text(b"\x1b[?1049l")
        screen.await_text(b"Finished in")
        assert screen.await_end() == 0


def test_a_rerun_and_a_reproduction_look_for_the_same_printed_metrics(person: Person) -> None:
    person.type("run", "--metrics", "stdout:{name}={value}", "--", "python", "-c", "print('acc=0.5')")
    person.type("rerun", "@")
    assert person.json("show", "@")["metrics"]["acc"]["last"] == 0.5
    done = person.json("reproduce", "@")
    assert [(item["name"], item["grade"]) for item in done["verdict"]["metrics"]] == [("acc", "identical")]


def test_patterns_are_tried_on_a_file_and_on_a_past_run(person: Person) -> None:
    write(
        person.cwd, {"old.log": "start\nloss: 0.5\nloss: 0.25\n", "mltrack.yaml": 'metrics: {stdout: "no {value}"}\n'}
    )
    tried = person.type("metrics", "--test-stdout", "old.log", "--pattern", "{name}: {value}")
    assert "2 of 3 lines match: 2 points of 1 metric (loss)." in tried
    assert "no {value}  matches nothing" in person.type("metrics", "--test-stdout", "old.log", code=1)
    found = person.json("metrics", "--test-stdout", "-", "-p", "auto", code=1)
    assert found["lines"] == []
    assert "{name}" in person.fails("metrics", "--test-stdout", "old.log", "-p", "{name} x", code=2)[0]
    person.fails("metrics", "--test-stdout", "none.log", code=4)
    person.fails("metrics", "@", "--test-stdout", "old.log", code=2)
    person.type("run", "--", "python", "-c", "print('no 3'); print('a: 1')")
    assert json.loads(person.type("metrics", "--json")) == person.json("show", "@")["metrics"]
    assert list(person.json("metrics")) == ["value"]
    assert person.json("metrics", "@", "-p", "{name}: {value}")["lines"][1]["points"][0]["name"] == "a"
    write(person.cwd, {"mltrack.yaml": 'metrics: [{stdout: "{name} is"}]\n'})
    assert "{name}" in person.fails("run", "--", "true", code=125)[0]
