"""Two trees in the user's own difftool, as `git difftool --dir-diff` shows them. Nothing of theirs is changed.

The one place where git runs a program of the user's: they asked for it by name or in their settings.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mltrack.git.repository import answers, ask, find_repository, git_environment

SETTINGS = r"^(diff\.(tool|guitool)|difftool\.|mergetool\.|merge\.(tool|guitool))"
OF_ALL = ("--get-regexp", "-z", SETTINGS)
GIT_KEPT = ("GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EDITOR")


def show_trees(git_dir: Path, scratch: Path, trees: Sequence[str], tool: str | None, root: Path) -> int:
    """Lay out two trees of `git_dir` below `scratch`, open the tool on them, and wait; git's exit code.

    `tool`: None is what the user has configured, for all or in the repository that `root` lies in.
    """
    empty, temporary = scratch / "worktree", scratch / "trees"
    empty.mkdir()
    temporary.mkdir()
    told = [word for name, value in settings(root).items() for word in ("-c", f"{name}={value}")]
    chosen = ["--tool", tool] if tool else []
    places = [f"--git-dir={git_dir}", f"--work-tree={empty}"]
    words = ["git", *told, *places, "difftool", "--dir-diff", "--no-symlinks", "-y", *chosen, *trees]
    return subprocess.run(words, cwd=empty, env=surroundings(temporary)).returncode


def settings(root: Path) -> Mapping[str, str]:
    """What the repository around a project says of difftools; of a setting given twice the last. Git itself reads what
    holds for all."""
    repo = find_repository(root)
    if repo is None:
        return {}
    answer = answers(ask(repo, "config", "--local", *OF_ALL))[0]
    found = {}
    for line in answer.output.split(b"\0") if answer.error is None else ():
        name, _, value = os.fsdecode(line).partition("\n")
        if name:
            found[name] = value
    return found


def surroundings(temporary: Path) -> dict[str, str]:
    """The user's environment, their language and terminal with it; git's own temporary files go where we clean up."""
    kept = {name: value for name, value in git_environment().items() if not name.startswith(("LC_", "GIT_"))}
    own = {name: value for name, value in os.environ.items() if name.startswith("LC_") or name in GIT_KEPT}
    return {**kept, **own, "TMPDIR": os.fspath(temporary)}
