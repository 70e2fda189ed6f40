"""Times commands in turn (A B C A B C ...), so that a change of the machine's speed meets all of them."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MLTRACK = [sys.executable, "-m", "mltrack"]


@dataclass
class Case:
    """A command, or a function, to be timed. `prepare` runs before every timing and is not counted."""

    name: str
    work: Sequence[str] | Callable[[], object]
    cwd: Path | None = None
    prepare: Callable[[], object] | None = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.wall)

    @property
    def cpu_median(self) -> float:
        return statistics.median(self.cpu)


def side_by_side(
    cases: Sequence[Case], rounds: int = 11, variables: Mapping[str, str] | None = None, warm_up: bool = True
) -> None:
    """Run all cases in turn; the first round is warm-up and does not count."""
    for number in range(rounds + warm_up):
        for case in cases:
            if case.prepare:
                case.prepare()
            wall, cpu = timed(case, variables)
            if number >= warm_up:
                case.wall.append(wall)
                case.cpu.append(cpu)


def timed(case: Case, variables: Mapping[str, str] | None) -> tuple[float, float]:
    if callable(case.work):
        begin, spent = time.perf_counter(), time.process_time()
        case.work()
        return time.perf_counter() - begin, time.process_time() - spent
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(case.work, cwd=case.cwd, env=variables, stdin=subprocess.DEVNULL, capture_output=True)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{case.name}: exit {done.returncode}\n{done.stderr.decode(errors='replace')[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    cells = [[str(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    print(f"\n### {title}\n")
    for number, row in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    sys.stdout.flush()


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def case_table(title: str, cases: Sequence[Case], base: Case) -> None:
    """Medians, and each case over the base and as a ratio to it."""
    rows = [
        (
            case.name,
            ms(case.median),
            ms(case.cpu_median),
            "-" if case is base else ms(case.median - base.median),
            f"{case.median / base.median:.2f}",
        )
        for case in cases
    ]
    table(title, ("case", "wall median", "cpu median", "over the first", "ratio"), rows)


def quiet_variables(home: Path) -> dict[str, str]:
    """An environment with a home of its own and a git identity."""
    (home / ".gitconfig").write_text("[user]\n\tname = bench\n\temail = bench@example.org\n")
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
