"""A person at a terminal: types commands in a directory, and reads what comes back."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Person:
    """Types `mltrack ...` in `cwd`, with the command and the interpreter of `path`."""

    cwd: Path
    path: str
    variables: dict[str, str] = field(default_factory=dict)

    def type(self, *words: str, code: int = 0, input: bytes | None = None) -> str:
        """Run `mltrack WORDS` and check its exit code; returns stdout. Errors must never be tracebacks."""
        done = self.try_(*words, input=input)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def try_(self, *words: str, input: bytes | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["mltrack", *words],
            cwd=self.cwd,
            env=self.environment(),
            input=input.decode() if input is not None else None,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            executable=self.path.split(os.pathsep)[0] + "/mltrack",
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": self.path, **self.variables}

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.type(*words, "--json", code=code))

    def fails(self, *words: str, code: int) -> tuple[str, str]:
        """The error and the hint of a command that must fail with this exit code, in these two lines."""
        done = self.try_(*words)
        assert done.returncode == code, f"{words}: exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        lines = [line for line in done.stderr.splitlines() if line.startswith(("error: ", "hint: "))]
        assert [line.split(":")[0] for line in lines] == ["error", "hint"], done.stderr
        return lines[0][7:], lines[1][6:]
