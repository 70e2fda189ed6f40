"""`mltrack run --cached` where nothing has changed, beside a no-op of DVC and of make."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from mltrack.project import Project
from mltrack.records import new_id
from tests.benchmarks.peers import program
from tests.benchmarks.timing import MLTRACK, Case, case_table, quiet_variables, side_by_side
from tests.helpers import git_repository, write

TRAIN = """import os, pathlib
text = "".join(path.read_text() for path in sorted(pathlib.Path("data").glob("*")))
os.makedirs("out", exist_ok=True)
for number in range(4):
    open(f"out/{number}.txt", "w").write(str(len(text) + number))
"""
OLD_S = 61
"""Files are trusted by their times after a minute."""
RUNS = 10_000


def measure(scratch: Path) -> None:
    variables = {**quiet_variables(scratch), "PYTHONPYCACHEPREFIX": ""}
    # Not the one that mltrack runs in: where that is a working tree, somebody edits it meanwhile.
    python = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    small, large = environment(scratch / "small", 20), environment(scratch / "large", 170)
    plain = project(scratch / "plain", 1)
    cases = [
        Case("bare: python -c pass", [python, "-c", "pass"], plain),
        cached("one input", plain, python),
        cached("1,000 declared inputs", project(scratch / "declared", 1000), python, "--input", "data"),
        cached("1,000 observed inputs", project(scratch / "observed", 1000), python),
        cached("20 packages", project(scratch / "twenty", 1), small),
        cached("170 packages", project(scratch / "many", 1), large),
        cached(f"{RUNS:,} runs in the ledger", project(scratch / "ledger", 1), python),
        *others(scratch, python),
    ]
    ours = [case for case in cases if case.name.startswith("mltrack")]
    time.sleep(OLD_S)
    for case in ours:
        subprocess.run(case.work, cwd=case.cwd, env=variables, check=True, capture_output=True)
    fill(scratch / "ledger")
    for case in ours:
        check(case, variables)
    side_by_side(cases, rounds=11, variables=variables)
    case_table("run --cached, nothing changed (goal: under 300 ms)", cases, cases[0])


def check(case: Case, variables: dict[str, str]) -> None:
    """That the past run is taken indeed."""
    done = subprocess.run(
        case.work, cwd=case.cwd, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if "nothing was run" not in done.stderr:
        raise SystemExit(f"{case.name}: {done.stderr}")


def cached(name: str, root: Path, python: str, *options: str) -> Case:
    return Case(
        f"mltrack run --cached: {name}", [*MLTRACK, "run", "--cached", *options, "--", python, "train.py"], root
    )


def project(root: Path, inputs: int) -> Path:
    git_repository(root, {"train.py": TRAIN, ".gitignore": "data/\nout/\n"})
    write(root, {f"data/{number}.txt": f"{number}\n" for number in range(inputs)})
    return root


def environment(place: Path, packages: int) -> str:
    """A virtual environment with so many small distributions; its interpreter."""
    subprocess.run([os.path.realpath(sys._base_executable), "-m", "venv", "--without-pip", str(place)], check=True)
    (top,) = place.glob("lib/python*/site-packages")
    for number in range(packages):
        name = f"made{number}"
        files = {f"{name}/part{part}.py": f"A = {part}\n" for part in range(30)}
        record = "".join(f"{path},,\n" for path in files)
        info = f"{name}-1.0.dist-info"
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        write(top, {**files, f"{info}/METADATA": about, f"{info}/INSTALLER": "pip\n", f"{info}/RECORD": record})
    return str(place / "bin/python")


def fill(root: Path) -> None:
    """Put many other runs into the ledger."""
    with Project.get(root) as here:
        ledger = here.ledger
        run = ledger.get(ledger.resolve("@", []))
        for number in range(RUNS):
            at = f"2025-11-{1 + number % 28:02d}T01:02:{number % 60:02d}.{number:06d}Z"
            other = replace(run, id=new_id(), created_at=at, fingerprint=f"b3:{number:064x}", record_digest=None)
            ledger.seal(other)


def others(scratch: Path, python: str) -> list[Case]:
    """DVC with a stage that is up to date, and make."""
    found = []
    dvc = program("dvc")
    if dvc is not None:
        root = project(scratch / "dvc", 1)
        run = lambda *words: subprocess.run([dvc, *words], cwd=root, check=True, capture_output=True)  # noqa: E731
        run("init", "-q")
        run("stage", "add", "-q", "-n", "train", "-d", "train.py", "-d", "data", "-o", "out", f"{python} train.py")
        run("repro", "-q")
        found.append(Case("dvc repro, stage cached", [dvc, "repro"], root))
    if shutil.which("make"):
        root = project(scratch / "make", 1)
        write(root, {"Makefile": f"out/0.txt: train.py data/0.txt\n\t{python} train.py\n"})
        subprocess.run(["make"], cwd=root, check=True, capture_output=True, env=dict(os.environ))
        found.append(Case("make, up to date", ["make"], root))
    return found
