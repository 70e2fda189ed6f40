"""Runs a command through `execute`, as `mltrack run` does, in a process that a test can signal, kill, or give a terminal.

    driver.py RUNS OPTIONS COMMAND...      OPTIONS: JSON with `quiet`, `limit`, `cwd`, `beside` (seconds of work beside),
                                           `binds` (pairs of source and target)

The run's directory is RUNS/run; how `execute` returned is told in RUNS/result.json.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from mltrack.errors import MltrackError
from mltrack.executors import Bind, Command
from mltrack.executors.local import execute
from mltrack.live.rundir import RunDir


def main() -> int:
    runs, options, argv = Path(sys.argv[1]), json.loads(sys.argv[2]), tuple(sys.argv[3:])
    rundir = RunDir.create(runs, "run")
    environment = {**os.environ, "MLTRACK_METRICS": str(rundir.metrics)}
    cwd = Path(options.get("cwd", os.getcwd()))
    binds = tuple(Bind(*pair) for pair in options.get("binds", ()))
    command = Command(
        argv, cwd, environment, options.get("limit", 1 << 30), redact, options.get("quiet", False), binds=binds
    )
    try:
        outcome = execute(command, rundir, lambda: time.sleep(options.get("beside", 0)))
        result, code = asdict(outcome), outcome.exit_code
        if code is None:
            code = 128 + outcome.signal if outcome.signal else 99
    except MltrackError as error:
        result, code = {"error": type(error).__name__, "message": error.message, "hint": error.hint}, error.exit_code
    new = runs / f".result.{os.getpid()}"
    new.write_text(json.dumps(result))
    new.rename(runs / "result.json")
    return code


def redact(line: bytes) -> bytes:
    return line.replace(b"hunter22", b"<redacted>")


if __name__ == "__main__":
    sys.exit(main())
