"""A person opens a shell in a past run: at a terminal, for one command, and leaves it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.executors.driving import needs_binds, wait_for
from tests.executors.screen import Screen
from tests.helpers import git_repository, write
from tests.stories.typing import Person

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
RC = 'export PATH=/usr/bin:/bin\nexport MLTRACK_SHELL=undone OMP_NUM_THREADS=7\nalias python=false\nPS1="own> "\n'
TRAIN = 'import sys, mltrack\nmltrack.log({"loss": 0.5})\nopen("out.txt", "w").write(sys.prefix)\n'


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: the environment is built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def start_up_files(walls: Path) -> None:
    """They set all that a shell of ours sets."""
    write(walls, {".bashrc": RC, ".zshrc": RC, "shrc": RC})


@pytest.fixture
def person(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, command_path: str) -> Person:
    """With a run in a directory of the project."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    person = Person(git_repository(tmp_path / "work", {"deep/train.py": TRAIN, "data.txt": "1\n"}), command_path)
    below = Person(person.cwd / "deep", command_path, {"OMP_NUM_THREADS": "1"})
    below.type("run", "--seed", "3", "--input", "../data.txt", "--", "python", "train.py")
    return person


@pytest.fixture
def at_terminal(walls: Path, tmp_path: Path, command_path: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    (tmp_path / "work").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "work")
    for name, text in {"PATH": command_path, "ENV": str(walls / "shrc"), "TERM": "dumb"}.items():
        monkeypatch.setenv(name, text)
    return monkeypatch


def workspaces(person: Person) -> list[str]:
    work = person.cwd / ".mltrack" / "work"
    return sorted(os.listdir(work)) if work.exists() else []


OTHERS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("dash", "zsh", "fish")]
SHELLS = ["bash", *(OTHERS if SOAK > 1 else [])]


@pytest.mark.parametrize("name", SHELLS)
def test_a_persons_own_shell_keeps_the_environment_whatever_their_files_say(
    person: Person, at_terminal: pytest.MonkeyPatch, name: str
) -> None:
    program = shutil.which(name)
    assert program is not None
    at_terminal.setenv("SHELL", program)
    run = person.json("show", "@")
    with Screen(["mltrack", "shell", "@"]) as screen:
        screen.await_text(b"it ran: python train.py")
        screen.await_text(b"nothing is recorded")
        screen.await_text(f"(mltrack {run['id'][:8]}) ".encode())
        screen.type(b"echo is=$MLTRACK_SHELL omp=$OMP_NUM_THREADS seed=$MLTRACK_SEED in=$PWD; command -v python\n")
        screen.await_text(f"is={run['id']} omp=1 seed=3 in=".encode())
        screen.await_text(b"/deep")
        screen.await_text(b"/environments/")
        screen.type(b"sleep 99\n")
        wait_for(lambda: has_child(screen.process.pid, "sleep"))
        screen.type(b"\x03")
        wait_for(lambda: not has_child(screen.process.pid, "sleep"))
        screen.type(b"exit 5\n")
        assert screen.await_end() == 5, screen.shown
        assert screen.is_restored
    assert workspaces(person) == [], "nothing was changed"
    assert [one["id"] for one in person.json("ls")] == [run["id"]], "nothing was recorded"


def has_child(pid: int, name: str) -> bool:
    """Is a program of that name below a process?"""
    found = subprocess.run(["ps", "-o", "ppid=,pid=,comm=", "-e"], capture_output=True, text=True).stdout.split("\n")
    rows = [line.split(None, 2) for line in found if line]
    below, more = {str(pid)}, True
    while more:
        new = {child for parent, child, _ in rows if parent in below} - below
        below, more = below | new, bool(new)
    return any(child in below and comm == name for _, child, comm in rows)


def test_the_shell_has_the_terminal_to_itself(plain: Person, at_terminal: pytest.MonkeyPatch) -> None:
    at_terminal.setenv("SHELL", "/bin/bash")
    with Screen(["bash", "--norc"]) as outer:
        outer.type(b"mltrack shell @\n")
        outer.await_text(b"nothing is recorded")
        outer.await_text(b") own> ")
        outer.type(b"sleep 98\n")
        wait_for(lambda: has_child(outer.process.pid, "sleep"))
        outer.type(b"\x1a")
        outer.await_text(b"Stopped")
        outer.type(b"kill -9 %1; wait; cat\n")
        wait_for(lambda: has_child(outer.process.pid, "cat"))
        outer.type(b"typed\n")
        outer.await_text(b"typed\r\ntyped")
        outer.type(b"\x04")
        wait_for(lambda: not has_child(outer.process.pid, "cat"))
        outer.type(b"touch kept.txt; suspend\n")
        outer.await_text(b"Stopped")
        outer.type(b"fg\n")
        outer.type(b"exit 9\n")
        outer.await_text(b"the workspace stays in ")
        outer.await_text(b"deep/kept.txt")
        outer.type(b"echo code=$?\n")
        outer.await_text(b"code=9")
        outer.type(b"exit\n")
        outer.await_end()
    (top,) = [name for name in workspaces(plain) if "." not in name]
    assert (plain.cwd / ".mltrack" / "work" / top / "deep" / "kept.txt").exists()


@pytest.fixture
def plain(tmp_path: Path, command_path: str) -> Person:
    """With a run of a shell's script, which has no environment to build."""
    files = {"deep/train.sh": "cat ../data.txt > out.txt\n", "data.txt": "1\n"}
    person = Person(git_repository(tmp_path / "work", files), command_path)
    Person(person.cwd / "deep", command_path).type("run", "--env", "system", "--", "sh", "train.sh")
    return person


def test_one_command_runs_in_it_with_its_own_exit_code(person: Person) -> None:
    done = person.try_("shell", "@", "--", "sh", "-c", "cat ../data.txt; python train.py; cat out.txt; exit 7")
    assert done.returncode == 7
    assert done.stdout.startswith("1\n") and "/environments/" in done.stdout
    (top,) = [name for name in workspaces(person) if "." not in name]
    assert f"the workspace stays in {person.cwd}/.mltrack/work/{top}: deep/out.txt" in done.stderr
    assert len(person.json("ls")) == 1


def test_a_workspace_stays_if_something_in_it_was_made_or_its_place_was_chosen(plain: Person, tmp_path: Path) -> None:
    person = plain
    done = person.try_("shell", "@", "--", "sh", "train.sh")
    assert done.returncode == 0
    (top,) = [name for name in workspaces(person) if "." not in name]
    assert f"the workspace stays in {person.cwd}/.mltrack/work/{top}: deep/out.txt" in done.stderr
    assert len(person.json("ls")) == 1
    person.fails("shell", "@", "--", "no-such-program", code=127)
    person.fails("shell", "@", "--", "./train.sh", code=126)
    assert person.try_("shell", "@", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + 15
    assert [name for name in workspaces(person) if "." not in name] == [top], "those that nothing changed in are gone"
    into = tmp_path / "a place with blanks"
    beside = tmp_path / "a place with blanks.mark"
    beside.write_text("the user's own")
    person.type("shell", "@", "--into", str(into), "--", "true")
    assert sorted(os.listdir(into)) == [".git", "data.txt", "deep"]
    assert beside.read_text() == "the user's own"
    done = person.try_(
        "shell", "@", "--", "sh", "-c", "echo 1 > $MLTRACK_ARTIFACTS/model; echo '{}' >> $MLTRACK_METRICS"
    )
    assert "mltrack-artifacts/model" in done.stderr, done.stderr


def test_a_shell_reads_a_script_from_a_pipe(plain: Person) -> None:
    done = plain.try_("shell", "@", input=b"echo got=$MLTRACK_SHELL\nexit 3\n")
    assert (done.returncode, "got=" in done.stdout) == (3, True)


def test_a_command_whose_words_were_secret_has_a_shell_all_the_same(tmp_path: Path, command_path: str) -> None:
    person = Person(
        git_repository(tmp_path / "work", {"a.sh": "echo\n"}), command_path, {"API_TOKEN": "ghp_" + "x1Y2" * 9}
    )
    person.type("run", "--env", "system", "--", "sh", "a.sh", "--token", person.variables["API_TOKEN"])
    person.fails("reproduce", "@", code=1)
    assert person.type("shell", "@", "--", "cat", "a.sh") == "echo\n"


@needs_binds
def test_data_outside_the_project_is_where_the_command_looks_for_it(tmp_path: Path, command_path: str) -> None:
    write(tmp_path, {"data/in.txt": "outside\n"})
    files = {"a.sh": f"cat {tmp_path}/data/in.txt > out.txt\n"}
    person = Person(git_repository(tmp_path / "work", files), command_path)
    person.type("run", "--env", "system", "--", "sh", "a.sh")
    shutil.rmtree(tmp_path / "data")
    assert person.type("shell", "@", "--", "cat", f"{tmp_path}/data/in.txt") == "outside\n"
    assert not (tmp_path / "data").exists()
    assert workspaces(person) == []


def test_what_is_left_running_in_it_keeps_the_workspace(plain: Person) -> None:
    person = plain
    done = person.try_("shell", "@", "--", "sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!")
    pid = int(done.stdout)
    try:
        (top,) = [name for name in workspaces(person) if "." not in name]
        kept = person.json("gc", "--workspaces", "--apply", "--force")["kept"]
        assert [(Path(one["path"]).name, one["state"]) for one in kept] == [(top, "in use")]
    finally:
        os.kill(pid, 9)
    time.sleep(0.05)
    person.type("gc", "--workspaces", "--apply")
    assert workspaces(person) == []


def test_a_window_that_is_closed_leaves_nothing_behind(plain: Person, at_terminal: pytest.MonkeyPatch) -> None:
    at_terminal.setenv("SHELL", "/bin/bash")
    with Screen(["mltrack", "shell", "@"]) as screen:
        screen.await_text(b") own> ")
        screen.hang_up()
        screen.process.wait(30)
    assert workspaces(plain) == []


@pytest.mark.skipif(SOAK < 2, reason="the soak has it")
def test_a_run_that_was_resumed_finds_what_it_started_from(tmp_path: Path, command_path: str) -> None:
    files = {"a.sh": 'cat "$MLTRACK_RESUME/out.txt" >> out.txt 2>/dev/null; echo more >> out.txt\n'}
    person = Person(git_repository(tmp_path / "work", files), command_path)
    person.type("run", "--env", "system", "--output", "out.txt", "--", "sh", "a.sh")
    person.type("run", "--env", "system", "--output", "out.txt", "--resume-from", "@", "--", "sh", "a.sh")
    assert person.type("shell", "@", "--", "sh", "-c", "cat $MLTRACK_RESUME/out.txt") == "more\n"
