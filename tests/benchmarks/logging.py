"""Metric points a second from Python, one call a point, durable at the end of the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.timing import MLTRACK, quiet_variables, table

POINTS = 200_000
LOOP = f"""
import json, math, os, struct, sys, time
values = [math.exp(-i / {POINTS}) for i in range({POINTS})]
def rate(log):
    begin = time.perf_counter()
    for step, value in enumerate(values):
        log(step, value)
    return {POINTS} / (time.perf_counter() - begin)
"""
TRACKED = LOOP + "import mltrack\nprint(rate(lambda step, value: mltrack.log({'loss': value}, step=step)))\n"
JSONL = LOOP + (
    "out = open('points.jsonl', 'w')\n"
    "def log(step, value):\n"
    "    out.write(json.dumps({'loss': value, 'step': step, 't': time.time()}) + chr(10)); out.flush()\n"
    "print(rate(log))\n"
)
BINARY = LOOP + (
    "out = open('points.bin', 'wb'); pack = struct.Struct('<qdd').pack\n"
    "print(rate(lambda step, value: out.write(pack(step, value, time.time()))))\n"
)


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    rows = []
    for name, argv in {
        "limit: 24 bytes a point, buffered (lost by a kill)": [sys.executable, "-c", BINARY],
        "limit: a line of JSON a point, flushed": [sys.executable, "-c", JSONL],
        "mltrack.log in a run (goal: 100,000)": [*MLTRACK, "run", "--", sys.executable, "-c", TRACKED],
    }.items():
        rates = []
        for _ in range(3):
            done = subprocess.run(argv, cwd=scratch, env=variables, check=True, capture_output=True, text=True)
            rates.append(float(done.stdout))
        rows.append((name, f"{sorted(rates)[1]:,.0f}", f"{1e6 / sorted(rates)[1]:.2f}"))
    kept = subprocess.run(
        [*MLTRACK, "show", "@", "--json"], cwd=scratch, env=variables, check=True, capture_output=True
    )
    count = json.loads(kept.stdout)["metrics"]["loss"]["count"]
    rows.append(("points in the ledger after the run", f"{count:,}", ""))
    table("Metric points a second", ("case", "points/s", "microseconds a call"), rows)
