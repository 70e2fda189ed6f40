"""A person installs the completion as the command says, and presses the tabulator in a real shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mltrack.project import Project
from tests.cli.test_completing import RUNS
from tests.executors.screen import Screen
from tests.helpers import write
from tests.views.nasty import put

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
KILL = b"\x15"
"""Ctrl-U: the line is typed anew."""

START = {
    "bash": (["bash", "--noprofile", "-i"], ".bashrc", "source {place}\nPS1='ready> '\nbind 'set bell-style none'\n"),
    "zsh": (
        ["zsh", "-i"],
        ".zshrc",
        "fpath=({place.parent} $fpath)\nautoload -Uz compinit && compinit -u -D\nPS1='ready> '\nunsetopt beep\n",
    ),
    "fish": (
        ["fish", "-i"],
        "xdg_config_home/fish/config.fish",
        "set fish_greeting\nfunction fish_prompt\n  echo -n 'ready> '\nend\n",
    ),
}
TYPED = [
    (b"mltrack comple\t", b"completion "),
    (b"mltrack show 3kq8\t", b"3kq8f2zx "),
    (b"mltrack ls --sort metrics.l\t", b"metrics.loss "),
    (b'mltrack ls "status = lo\t', b"status = lost"),
    (b"mltrack ls tag:pa\t", b"tag:paper"),
    (b"mltrack run -- cat read-m\t", b"read-me.txt "),
    (b"mltrack blame read\t", b"read-me.txt "),
]


@pytest.mark.parametrize(
    "shell", ["bash", *(pytest.param(one, marks=pytest.mark.needs(one)) for one in ("zsh", "fish"))]
)
def test_the_tabulator_completes_words_in_a_real_shell(
    shell: str, walls: Path, tmp_path: Path, command_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project.open(tmp_path) as project:
        put(project, RUNS)
    (tmp_path / "read-me.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", command_path)
    monkeypatch.setenv("TERM", "xterm")
    told = subprocess.run(
        ["mltrack", "completion", shell, "--install"], capture_output=True, text=True, check=True
    ).stdout
    place = Path(told.splitlines()[0].removeprefix("Written: "))
    command, file, text = START[shell]
    write(walls, {file: text.replace("{place}", str(place)).replace("{place.parent}", str(place.parent))})
    with Screen(command) as screen:
        screen.resize(30, 160)
        screen.await_text(b"ready> ")
        for typed, shown in TYPED if shell == "bash" or SOAK > 1 else TYPED[:4]:
            screen.type(typed)
            screen.await_text(rest_of(typed, shown))
            screen.type(KILL)
        screen.type(b"exit\n")


def rest_of(typed: bytes, shown: bytes) -> bytes:
    """What a shell adds: terminals do not always show again what was there."""
    word = typed.rstrip(b"\t")
    common = max(at for at in range(len(shown)) if word.endswith(shown[:at]))
    return shown[common:].rstrip(b" ") or shown
