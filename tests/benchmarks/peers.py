"""The data versioners that are measured beside mltrack, where they are installed.

`MLTRACK_PEERS` names a directory with one virtual environment for each, `dvc/bin/dvc` for example; else the PATH is
looked at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.timing import Case, quiet_variables


def program(name: str) -> str | None:
    """Where a peer is, if it is anywhere."""
    place = os.environ.get("MLTRACK_PEERS")
    inside = shutil.which(name, path=f"{place}/{name}/bin") if place else None
    return inside or shutil.which(name)


@dataclass
class Peer:
    """A peer's project below `top`, with its data linked or copied to `data`."""

    name: str
    top: Path
    init: list[list[str]]
    add: list[str]
    status: list[str]
    push: list[str]
    variables: dict[str, str]

    def sh(self, command: list[str]) -> None:
        subprocess.run(command, cwd=self.top, env=self.variables, check=True, capture_output=True)

    def fresh(self, data: Path) -> Callable[[], None]:
        """Make its project anew, with a copy of some data."""

        def prepare() -> None:
            subprocess.run(["chmod", "-R", "u+w", str(self.top)], capture_output=True)
            shutil.rmtree(self.top, ignore_errors=True)
            self.top.mkdir(parents=True)
            for command in [["git", "init", "-q"], ["git", "commit", "-q", "--allow-empty", "-m", "start"], *self.init]:
                self.sh(command)
            subprocess.run(["cp", "-r", str(data), str(self.top / "data")], check=True)

        return prepare

    def case(self, what: str, command: list[str], prepare: Callable[[], object] | None = None) -> Case:
        return Case(f"{self.name}: {what}", command, self.top, prepare)


def peers(scratch: Path) -> list[Peer]:
    """Those that are here."""
    found = []
    scratch.mkdir(exist_ok=True)
    variables = quiet_variables(scratch)
    dvc, annex = program("dvc"), program("git-annex")
    if dvc:
        init = [[dvc, "init", "-q"], [dvc, "config", "core.analytics", "false"]]
        init += [[dvc, "remote", "add", "-d", "store", str(scratch / "dvc-remote")]]
        add, status, push = [dvc, "add", "-q", "data"], [dvc, "status", "-q"], [dvc, "push", "-q"]
        found.append(Peer("dvc", scratch / "dvc", init, add, status, push, variables))
    if annex:
        init = [["git", "annex", "init", "-q"]]
        remote = ["git", "annex", "initremote", "-q", "store", "type=directory", "encryption=none"]
        init += [["mkdir", "-p", str(scratch / "annex-remote")], [*remote, f"directory={scratch / 'annex-remote'}"]]
        add, status = ["git", "annex", "add", "-q", "data"], ["git", "status", "-s"]
        push = ["git", "annex", "copy", "-q", "--to", "store", "data"]
        found.append(Peer("git-annex", scratch / "annex", init, add, status, push, variables))
    return found
