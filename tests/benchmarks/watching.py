"""What it costs a program to be watched from within, at its worst: it does nothing but open files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import mltrack
from mltrack.observe import BEFORE, VARIABLE
from mltrack.observe.library import find, variables
from tests.benchmarks.timing import Case, ms, table, timed

FILES, CATS, ROUNDS = 10_000, 300, 9
INSIDE = Path(mltrack.__file__).parent / "inside"
PYTHON = f"for number in range({FILES}):\n    open('files/%d' % number).close()"
C = """
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    char name[64];
    for (int n = 0; n < %d; n++) { snprintf(name, sizeof name, "files/%%d", n); close(open(name, O_RDONLY)); }
    return 0;
}
"""


def measure(scratch: Path) -> None:
    library = find()
    (scratch / "files").mkdir()
    for number in range(FILES):
        (scratch / "files" / str(number)).touch()
    programs = {
        f"Python: open, {FILES:,} files": [sys.executable, "-c", PYTHON],
        f"bash: cat, {CATS} files": ["bash", "-c", f"for n in $(seq 0 {CATS - 1}); do cat files/$n; done"],
    }
    if compiler := shutil.which("cc") or shutil.which("gcc"):
        (scratch / "open.c").write_text(C % FILES)
        subprocess.run([compiler, "-O2", "-o", scratch / "open", scratch / "open.c"], check=True)
        programs[f"C: open, {FILES:,} files"] = [str(scratch / "open")]
    rows = [row(name, words, scratch, library) for name, words in programs.items()]
    headers = ("program", "bare", "hook", "library", "both: the default")
    table("Watching from within: CPU, and its ratio to the bare program (goal for Python: 1.3)", headers, rows)


def row(name: str, words: list[str], scratch: Path, library: Path | None) -> tuple[str, ...]:
    """A program watched in each way, in turns; the median of each."""
    run = scratch / "run"
    hook = {"PYTHONPATH": str(INSIDE), VARIABLE: str(run / "observed"), "MLTRACK_RUN_DIR": str(run)}
    preload = {VARIABLE: str(run / "observed"), **(variables(library, {}) if library else {})}
    ways: dict[str, Mapping[str, str]] = {"bare": {}, "hook": hook, "library": preload, "both": hook | preload}
    cases = {way: (Case(way, words, scratch, emptied(run)), more) for way, more in ways.items()}
    for number in range(ROUNDS + 1):
        for case, more in cases.values():
            assert case.prepare is not None
            case.prepare()
            _, cpu = timed(case, {"PATH": os.environ["PATH"], **more})
            if number:
                case.cpu.append(cpu)
    bare = cases["bare"][0].cpu_median
    told = [ms(bare)]
    for way in ("hook", "library", "both"):
        case = cases[way][0]
        missing = library is None and way != "hook"
        told.append("not built" if missing else f"{ms(case.cpu_median)} ({case.cpu_median / bare:.2f})")
    return (name, *told)


def emptied(run: Path) -> Callable[[], None]:
    def prepare() -> None:
        shutil.rmtree(run, ignore_errors=True)
        (run / "observed" / BEFORE).mkdir(parents=True)

    return prepare
