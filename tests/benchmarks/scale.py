"""The ledger at 1,000, 10,000 and 100,000 runs of 20 params, 20 metrics and 100 packages, and peers beside it.

The runs come by `mltrack import`, as a user's would. `MLTRACK_BENCH_SIZES=1000,3000` makes it small;
`MLTRACK_BENCH_PEERS` names the runs that each peer is given at most, `mlflow=10000,guild=1000,dvc=1000`.
Peers are looked for as `peers.py` says; where there is none, their rows are missing.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mltrack.ledger.asking.queries import RunQuery
from mltrack.ledger.keeping.bulk import chosen
from mltrack.ledger.language.parser import parse
from mltrack.project import Project
from tests.benchmarks.made_runs import id_of, write_runs
from tests.benchmarks.scale_peers import PEERS, Questions
from tests.benchmarks.timing import MLTRACK, Case, ms, quiet_variables, side_by_side, table

SIZES = tuple(map(int, os.environ.get("MLTRACK_BENCH_SIZES", "1000,10000,100000").split(",")))
ROUNDS = 5
FILTER = "metrics.m2 > 0.5 and params.model = lstm and status = finished"
GROUPS = "SELECT value, count(*), avg(last) FROM param JOIN metric USING (run) WHERE param.name = 'model' AND metric.name = 'm1' GROUP BY value"
GOALS = {
    "ls, first page": "150 ms",
    "filter and sort, 20 of all": "250 ms",
    "in process: filter and sort": "5 ms at 10,000",
    "show": "200 ms",
    "diff": "200 ms",
    "import, runs a second": "5,000",
    "bytes of the ledger a run": "8,000",
}


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    root = scratch / "project"
    root.mkdir()
    found: dict[str, dict[int, float]] = {}
    have = 0
    for size in SIZES:
        grow(root, scratch / "runs.jsonl", (have, size), found, variables)
        ask(root, size, found, variables)
        have = size
    tell("mltrack", found)
    for make in PEERS:
        peer = make(scratch / "peers")
        if peer is not None:
            tell(peer.name, measured(peer, variables))


def grow(
    root: Path, file: Path, sizes: tuple[int, int], found: dict[str, dict[int, float]], variables: dict[str, str]
) -> None:
    """Import what is missing."""
    have, size = sizes
    write_runs(file, have, size)
    begin = time.perf_counter()
    done = subprocess.run([*MLTRACK, "import", str(file)], cwd=root, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    note(found, "import, runs a second", size, (size - have) / (time.perf_counter() - begin))
    file.unlink()
    with Project(root) as project:
        project.ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    note(found, "bytes of the ledger a run", size, (root / ".mltrack" / "ledger.db").stat().st_size / size)


def ask(root: Path, size: int, found: dict[str, dict[int, float]], variables: dict[str, str]) -> None:
    """Time every question, as commands and in one process."""
    a, b = id_of(size // 2), id_of(size // 3)
    some = [id_of(number) for number in range(20)]
    cases = [
        command(root, "ls, first page", "ls", "--limit", "20"),
        command(root, "filter and sort, 20 of all", "ls", FILTER, "--sort", "-metrics.m1", "--limit", "20"),
        command(root, "ls --group-by params.depth", "ls", "--group-by", "params.depth"),
        command(root, "show", "show", a),
        command(root, "diff", "diff", a, b),
        command(root, "compare of 20", "compare", *some),
        command(root, "sql, one run's params", "sql", f"SELECT * FROM param WHERE run = '{a}'"),
        command(root, "sql, groups over all", "sql", GROUPS),
    ]
    side_by_side(cases, ROUNDS, variables)
    once = command(root, "export of all", "export", "-o", os.devnull)
    side_by_side([once], 1, variables, warm_up=False)
    with Project(root) as project:
        query = RunQuery(20, "-metrics.m1", where=parse(FILTER), brief=True)
        inside = [
            Case("in process: filter and sort", lambda: project.ledger.list(query)),
            Case("in process: its ids", lambda: chosen(project.ledger, query)),
            Case("in process: newest 20", lambda: project.ledger.list(RunQuery(20, brief=True))),
            Case("in process: opening", lambda: opened(root)),
        ]
        side_by_side(inside, 9)
    for case in [*cases, once, *inside]:
        note(found, case.name, size, case.median)


def opened(root: Path) -> None:
    """What `run` does of the ledger before the command starts: nothing; and at the end: this."""
    with Project(root) as project:
        _ = project.ledger


def command(root: Path, name: str, *words: str) -> Case:
    return Case(name, [*MLTRACK, *words], root)


def measured(peer: Questions, variables: dict[str, str]) -> dict[str, dict[int, float]]:
    """A peer's answers at the sizes that it bears."""
    found: dict[str, dict[int, float]] = {}
    for size in (size for size in SIZES if size <= peer.most):
        begin, before = time.perf_counter(), peer.have
        peer.fill(size)
        note(found, "filling, runs a second", size, (size - before) / (time.perf_counter() - begin))
        for name, seconds in peer.ask().items():
            note(found, name, size, seconds)
    return found


def note(found: dict[str, dict[int, float]], name: str, size: int, value: float) -> None:
    found.setdefault(name, {})[size] = value


def tell(who: str, found: dict[str, dict[int, float]]) -> None:
    """A table with a column a size, and how each row grows: the exponent of n."""
    rows = []
    for name, values in found.items():
        shown: Callable[[float], str] = number if "a second" in name or "bytes" in name else ms
        cells = [shown(values[size]) if size in values else "-" for size in SIZES]
        rows.append((name, *cells, exponent(values), GOALS.get(name, "") if who == "mltrack" else ""))
    table(f"{who} by number of runs", ("question", *(f"{size:,}" for size in SIZES), "grows as", "goal"), rows)


def number(value: float) -> str:
    return f"{value:,.0f}"


def exponent(values: dict[int, float]) -> str:
    """The slope of the logarithms, by least squares: n^1 is as many times longer as there are more runs."""
    points = [(math.log(size), math.log(value)) for size, value in values.items() if value > 0]
    if len(points) < 2:
        return "-"
    middle = [sum(part) / len(points) for part in zip(*points)]
    above = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    return f"n^{above / sum((x - middle[0]) ** 2 for x, _ in points):.2f}"


if __name__ == "__main__":
    sys.exit("python -m tests.benchmarks scale")
