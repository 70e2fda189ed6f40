"""Output through the log keeper, against a plain pipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.timing import MLTRACK, Case, case_table, quiet_variables, side_by_side

LINES = 500_000
PRINT = f"import sys; sys.stdout.write('step 12345 loss 0.123456 accuracy 0.98765 and some words\\n' * {LINES})"


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    subprocess.run(["git", "init", "-q", str(scratch)], env=variables, check=True)
    direct = Case("limit: the command and a pipe", [sys.executable, "-c", PRINT], scratch)
    cases = [direct, Case("mltrack run", [*MLTRACK, "run", "--", sys.executable, "-c", PRINT], scratch)]
    side_by_side(cases, rounds=3, variables=variables)
    case_table(f"{LINES:,} lines of output (27 MB), logged with times and redacted", cases, direct)
