"""`mltrack demo`: the whole story on real data, as a user would type it, in directories that stay for a look around.

Two runs with a change between them, `ls`, `diff`, a push to a directory; then, as if on another machine, an empty home
and an empty directory: `reproduce`, and its verdict. Fisher's iris measurements (1936) are in the public domain.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

from mltrack.environments.python.indexes import installer_settings
from mltrack.errors import EnvironmentFailed, StorageError, UsageError

FILES = Path(__file__).parent / "demo_files"
PARAMS = "lr: 0.5\nhidden: 3\nsteps: 200\nseed: 7\n"
CHANGED = "lr: 0.5\nhidden: 8\nsteps: 300\nseed: 7\n"


class Story:
    """Tells each step, and does it with the command line that it shows."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.project = top / "project"
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.variables = {**os.environ, "GIT_CONFIG_GLOBAL": str(top / "gitconfig")}
        self.variables.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
        # uv reads no pip.conf: a company's index and certificates are said in variables, which the empty home keeps.
        self.variables = dict(installer_settings(self.variables).variables)
        self.step = 0

    def tell(self, text: str) -> None:
        """A sentence of the story."""
        self.step += 1
        line = f"{self.step}. {text}"
        print(f"\n\033[1m{line}\033[0m" if self.colour else f"\n{line}", flush=True)

    def type(self, *words: str, cwd: Path | None = None) -> int:
        """Show a command and run it; returns its exit code."""
        shown = " ".join(word if word.isascii() and " " not in word else f"'{word}'" for word in words)
        print(f"\033[2m$ {shown}\033[0m" if self.colour else f"$ {shown}", flush=True)
        argv = [sys.executable, "-m", "mltrack", *words[1:]] if words[0] == "mltrack" else list(words)
        return subprocess.run(argv, cwd=cwd or self.project, env=self.variables).returncode

    def must(self, *words: str, cwd: Path | None = None) -> None:
        """The same, but the story ends when the command fails."""
        code = self.type(*words, cwd=cwd)
        if code:
            raise EnvironmentFailed(
                f"The demo stopped: the last command returned {code}.", f"Its files are in {self.top}"
            )

    def quietly(self, *argv: str) -> str:
        done = subprocess.run(argv, cwd=self.project, env=self.variables, capture_output=True, text=True)
        if done.returncode:
            raise EnvironmentFailed(
                f"{argv[0]} failed: {done.stderr.strip()[-300:]}", f"The demo's files are in {self.top}"
            )
        return done.stdout.strip()


def free_directory(here: Path) -> Path:
    """`mltrack-demo` in this directory, or the first of `mltrack-demo-2`, `mltrack-demo-3`, ... that is not there."""
    return next(place for n in count(1) if not (place := here / f"mltrack-demo{f'-{n}' if n > 1 else ''}").exists())


def tell_story(top: Path) -> int:
    """Tell the story in the new directory `top`; returns 0 when the reproduction's result is the same."""
    began = time.monotonic()
    if shutil.which("git") is None:
        raise UsageError("git is not on PATH.", "Install git, or put it on PATH.")
    story = Story(top)
    set_up(story)
    two_runs(story)
    code = another_machine(story)
    print(f"\nThat took {time.monotonic() - began:.0f} s. Look around in {top}:")
    print("  project/    the first machine: try `mltrack show @`, `mltrack log @`, `mltrack ls --json`")
    print("  remote/     what was pushed: packs, indexes, ledger segments")
    print("  elsewhere/  the second machine")
    return code


def set_up(story: Story) -> None:
    """A git repository with a script, its parameters and its data, and an environment with numpy."""
    from uv import find_uv_bin

    if story.top.exists():
        raise StorageError(f"{story.top} is there already.", "Name another directory: mltrack demo DIR")
    (story.project / "data").mkdir(parents=True)
    (story.top / "gitconfig").write_text(
        "[user]\n\tname = demo\n\temail = demo@localhost\n[init]\n\tdefaultBranch = main\n"
    )
    (story.project / "train.py").write_text((FILES / "train.py.txt").read_text())
    (story.project / "data" / "iris.csv").write_text((FILES / "iris.csv").read_text())
    (story.project / "params.yaml").write_text(PARAMS)
    (story.project / ".gitignore").write_text(".venv/\n__pycache__/\n")
    story.tell(f"A project in {story.project}: a training script, its parameters, Fisher's iris data, numpy.")
    for argv in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "a small network for iris"]):
        story.quietly("git", *argv)
    uv = os.fspath(find_uv_bin())
    story.quietly(uv, "venv", "-q", "--python", sys.executable, ".venv")
    story.quietly(uv, "pip", "install", "-q", "--compile-bytecode", "--python", ".venv/bin/python", "numpy")
    print((story.project / "params.yaml").read_text().strip())


def two_runs(story: Story) -> None:
    """Two runs, an uncommitted change between them, and what mltrack says of it."""
    run = ("mltrack", "run", "--why")
    command = ("--", ".venv/bin/python", "train.py")
    story.tell(
        "A first run. Nothing is declared, and nothing in the script has to change; it may log a series if it likes."
    )
    story.must(*run, "a baseline", *command)
    story.tell(
        "More hidden units and more steps. The change is not committed; mltrack keeps the exact tree all the same."
    )
    (story.project / "params.yaml").write_text(CHANGED)
    story.must(*run, "is it too small?", *command)
    story.tell("What has been run?")
    story.must("mltrack", "ls")
    story.tell("What differs between the last two runs?")
    story.must("mltrack", "diff", "@~1", "@")


def another_machine(story: Story) -> int:
    """Push, then reproduce the first run from nothing but the remote."""
    first = json.loads(story.quietly(sys.executable, "-m", "mltrack", "show", "@~1", "--json"))["id"]
    story.tell("Everything goes to a remote: here a directory, elsewhere a bucket.")
    story.must("mltrack", "remote", "add", "origin", "../remote")
    story.must("mltrack", "push")
    story.tell("Another machine: an empty home, an empty directory, only the remote's address. The first run, please.")
    elsewhere = story.top / "elsewhere"
    (elsewhere / "home").mkdir(parents=True)
    story.variables = {**story.variables, "HOME": str(elsewhere / "home")}
    for name in [name for name in story.variables if name.startswith("XDG_")]:
        del story.variables[name]
    return story.type("mltrack", "reproduce", first, "--from", "../remote", "--into", "again", cwd=elsewhere)
