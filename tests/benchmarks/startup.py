"""What the command line costs before it does anything."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.timing import MLTRACK, Case, case_table, quiet_variables, side_by_side


def measure(scratch: Path) -> None:
    bare = Case("limit: python -c pass", [sys.executable, "-c", "pass"], scratch)
    cases = [
        bare,
        Case("python -c 'import mltrack'", [sys.executable, "-c", "import mltrack"], scratch),
        Case("mltrack --version", [*MLTRACK, "--version"], scratch),
        Case("mltrack --help", [*MLTRACK, "--help"], scratch),
        Case("mltrack ls (no project)", [*MLTRACK, "ls"], scratch),
    ]
    side_by_side(cases, variables=quiet_variables(scratch))
    case_table("Start-up (goal: --version at most 50 ms of CPU over bare Python)", cases, bare)
