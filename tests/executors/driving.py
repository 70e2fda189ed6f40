"""What the tests of executors share: a driven run, and waiting for something to become true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mltrack.executors.mounts import why_not
from mltrack.live.outputlog import LogLine, plain_bytes, read_log
from mltrack.live.rundir import RunDir

DRIVER = Path(__file__).with_name("driver.py")
PYTHON = sys.executable

WHY_NOT = why_not()
needs_binds = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


def wait_for(what: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true value of `what()`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = what()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"never came true: {what}")


class Driven:
    """A command run by `driver.py` in a directory of its own."""

    def __init__(self, runs: Path, **options: Any) -> None:
        runs.mkdir(parents=True, exist_ok=True)
        self.runs = runs
        self.options = options
        self.rundir = RunDir(runs / "run")

    def words(self, *argv: str) -> list[str]:
        return [PYTHON, str(DRIVER), str(self.runs), json.dumps(self.options), *argv]

    def run(self, *argv: str, **kwargs: Any) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end, its output captured."""
        return subprocess.run(self.words(*argv), capture_output=True, timeout=60, **kwargs)

    def start(self, *argv: str, **kwargs: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.words(*argv), **kwargs)

    @property
    def result(self) -> dict[str, Any]:
        return json.loads((self.runs / "result.json").read_text())

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of the command's process, once they are there."""
        return wait_for(lambda: self.rundir.read("process"))

    @property
    def log(self) -> list[LogLine]:
        return list(read_log(self.rundir.output.read_bytes()))

    def logged(self, stream: str | None = None) -> bytes:
        return plain_bytes(self.rundir.output.read_bytes(), stream)

    def await_output(self, text: bytes) -> None:
        wait_for(lambda: text in self.rundir.output.read_bytes() if self.rundir.output.exists() else False)


def new_root(top: Path, files: dict[str, str]) -> list[tuple[str, str]]:
    """Binds for a root directory that has all that the real one has, and these files."""
    from mltrack.operations.outside.arrange import Arrangement

    arrangement = Arrangement(top)
    for name, text in files.items():
        arrangement.place_for(name, is_directory=False).write_text(text)
    return [(bind.source, bind.target) for bind in arrangement.binds()]


def exists(pid: int) -> bool:
    """Is there a process, dead ones that nobody waited for left out?"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def python(code: str) -> list[str]:
    return [PYTHON, "-c", code]


def sh(code: str) -> list[str]:
    return ["/bin/sh", "-c", code]


def soak(count: int) -> int:
    return count * int(os.environ.get("MLTRACK_SOAK", "1"))
