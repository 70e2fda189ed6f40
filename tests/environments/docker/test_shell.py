"""A shell in a past run that was in a container: inside the same image, with the restored workspace mounted."""

from __future__ import annotations

import os

import pytest

from tests.engines import docker
from tests.executors.screen import Screen
from tests.stories.typing import Person


def containers(engine: str) -> str:
    return docker(engine, "ps", "-a", "-q", "--filter", "label=mltrack.run")


def test_a_shell_is_inside_of_the_container(person: Person, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    person.type("run", "--output", "out", "--", "python3", "train.py")
    run = person.json("show", "@")
    before = containers(engine)
    done = person.try_("shell", "@", "--", "sh", "-c", "echo $MLTRACK_SHELL in $PWD; python3 train.py >&2; exit 7")
    assert done.returncode == 7, done.stderr
    assert done.stdout == f"{run['id']} in {person.cwd}\n", "the workspace lies there where the project was"
    assert "trained with" in done.stderr and "out/model.txt" in done.stderr, "what was made stays, and is named"
    assert person.try_("shell", "@", "--", "no-such-program").returncode == 127
    monkeypatch.chdir(person.cwd)
    monkeypatch.setenv("PATH", person.path)
    with Screen(["mltrack", "shell", "@"]) as screen:
        screen.await_text(b"in a container of base:1")
        screen.await_text(b"it ran: python3 train.py")
        screen.type(b"echo $MLTRACK_SHELL; ls /.dockerenv; tty\n")
        screen.await_text(run["id"].encode())
        screen.await_text(b"/dev/pts/")
        screen.type(b"exit 3\n")
        assert screen.await_end() == 3, screen.shown
        assert screen.is_restored
    assert containers(engine) == before, "no container is left"
    assert len(person.json("ls")) == 1
    assert len([name for name in os.listdir(person.cwd / ".mltrack" / "work") if "." not in name]) == 1
