"""What `mltrack run` adds to a trivial training command, and when its child starts."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.timing import MLTRACK, Case, case_table, ms, quiet_variables, side_by_side, table
from tests.helpers import git_repository

TRAIN = """import json, time
open("data.bin", "rb").read()
open("params.yaml").read()
json.dump({"acc": 0.5, "at": time.time_ns()}, open("metrics.json", "w"))
"""
NOW = "import time; open('started', 'w').write(str(time.time_ns()))"
FLOOR = """import hashlib, json, sqlite3, subprocess, sys, time
status = subprocess.Popen(["git", "status", "--porcelain=v2", "--branch"], stdout=subprocess.PIPE, text=True)
hashes = {name: hashlib.sha256(open(name, "rb").read()).hexdigest() for name in ["data.bin", "params.yaml", "train.py"]}
begin = time.time()
code = subprocess.call(sys.argv[1:])
seconds = time.time() - begin
state = status.communicate()[0]
db = sqlite3.connect(".git/floor.db")
db.execute("create table if not exists run(at real, seconds real, code integer, git text, data text, metrics text)")
with db:
    db.execute("insert into run values (?, ?, ?, ?, ?, ?)", (begin, seconds, code, state, json.dumps(hashes), open("metrics.json").read()))
"""


def repository(path: Path) -> Path:
    files = {
        "data.bin": bytes(range(250)) * 4000,
        "params.yaml": "lr: 0.1\n",
        "metrics.json": '{"acc": 0.5}\n',
        "train.py": TRAIN,
    }
    return git_repository(path, files)


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    python = sys.executable
    bare = Case("bare: python train.py", [python, "train.py"], repository(scratch / "bare"))
    run = [*MLTRACK, "run", "--", python, "train.py"]
    with_params = [
        *MLTRACK,
        "run",
        "--params",
        "params.yaml",
        "--metrics",
        "metrics.json",
        "--input",
        "data.bin",
        "--",
        python,
        "train.py",
    ]
    cases = [
        bare,
        Case(
            "limit: smallest honest wrapper",
            [python, "-I", "-c", FLOOR, python, "train.py"],
            repository(scratch / "floor"),
        ),
        Case("mltrack run", run, repository(scratch / "run")),
        Case("mltrack run --params --metrics --input", with_params, repository(scratch / "declared")),
    ]
    side_by_side(cases, rounds=15, variables=variables)
    case_table("Run overhead (goal: at most 120 ms over bare)", cases, bare)
    first_time(scratch, variables, run)
    child_start(scratch, variables)


def first_time(scratch: Path, variables: dict[str, str], run: list[str]) -> None:
    """The same with no record of the environment cached, and no project yet."""
    samples = []
    for number in range(5):
        place = repository(scratch / f"first-{number}")
        shutil.rmtree(scratch / ".cache", ignore_errors=True)
        begin = time.perf_counter()
        subprocess.run(run, cwd=place, env=variables, check=True, capture_output=True)
        samples.append(time.perf_counter() - begin)
    table(
        "The very first run of a project, environment not cached",
        ("case", "wall median"),
        [("mltrack run", ms(statistics.median(samples)))],
    )


def child_start(scratch: Path, variables: dict[str, str]) -> None:
    """From the start of mltrack to the first instruction of the command's own code."""
    place = repository(scratch / "start")
    child = [sys.executable, "-I", "-S", "-c", NOW]
    samples: dict[str, list[float]] = {"limit: the same command started directly": [], "mltrack run -- the command": []}
    for _ in range(16):
        for name, argv in zip(samples, (child, [*MLTRACK, "run", "--quiet", "--", *child])):
            begin = time.time_ns()
            subprocess.run(argv, cwd=place, env=variables, check=True, capture_output=True)
            samples[name].append((int((place / "started").read_text()) - begin) / 1e9)
    direct, tracked = (statistics.median(times[1:]) for times in samples.values())
    rows = [(name, ms(statistics.median(times[1:]))) for name, times in samples.items()]
    rows.append(("difference (goal: at most 100 ms)", ms(tracked - direct)))
    table("When the child starts", ("case", "wall median"), rows)
