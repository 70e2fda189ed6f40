"""Lists of runs as the ledger grows, and questions to a large one."""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from mltrack.digest import canonical_json
from mltrack.ledger.asking.crossing import crossed
from mltrack.ledger.asking.queries import RunQuery
from mltrack.ledger.language.parser import parse
from mltrack.ledger.ledger import sealed_bytes
from mltrack.project import Project
from mltrack.records import new_id
from tests.benchmarks.timing import MLTRACK, Case, case_table, ms, quiet_variables, side_by_side, table
from tests.compare.samples import sample_run

SIZES = (1_000, 10_000, 100_000)
PAGE = 500
WIDTH = 20
"""Params and metrics of each run."""

QUESTIONS = (
    ("newest 20", "", "-created_at"),
    ("best 20 by a metric", "", "-metrics.m1"),
    ("filter and sort", "metrics.m2 > 0.5 and params.model = lstm and status = finished", "-metrics.m1"),
    ("four conditions", "metrics.m2 > 0.9 and params.model = lstm and metrics.m3 < 0.3 and tag:paper", "-metrics.m1"),
    ("two that few fit", "metrics.m2 > 0.95 and metrics.m3 > 0.95 and params.model = mlp", "-metrics.m1"),
    ("one in 1,000", "metrics.m2 > 0.999", "-metrics.m1"),
    ("a rare value", "params.p1 = 0.123", "-created_at"),
    ("nothing, seen late", "metrics.m2 > 0.5 and not metrics.m3 >= 0", "-created_at"),
    ("by the largest", "", "-metrics.m1.max"),
    ("what runs share", "hardware.cpu ~ epyc and hardware.cores > 99", "-created_at"),
    ("six that are middling", " and ".join(f"metrics.m{n} > 0.5" for n in range(2, 8)), "-metrics.m1"),
    ("either of three", "metrics.m2 > 0.99 or metrics.m3 > 0.99 or params.p4 < 0.01", "-metrics.m1"),
    ("by a package", "", "-packages.numpy"),
)


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    project = make(scratch / "project")
    grown: dict[str, list[float]] = {}
    have = 0
    for size in SIZES:
        begin = time.perf_counter()
        fill(project, have, size)
        grown.setdefault("a run taken over", []).append((time.perf_counter() - begin - SPENT.pop()) / (size - have))
        have = size
        for case in (*commands(project, size, variables), *questions(project, size)):
            grown.setdefault(case.name, []).append(case.median)
        database = project.state / "ledger.db"
        project.ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        print(
            f"\n{database.stat().st_size / size / 1000:.2f} KB a run, of {WIDTH} params, {WIDTH} metrics, 100 packages"
        )
    rows = [(name, *map(ms, medians), f"{exponent(medians):+.2f}") for name, medians in grown.items()]
    title = "growth: time is proportional to the number of runs to the power of the fit"
    table(title, ("case", *(f"{size:,} runs" for size in SIZES), "fit"), rows)
    project.close()


def commands(project: Project, size: int, variables: dict[str, str]) -> list[Case]:
    database = project.state / "ledger.db"
    limit = "select * from run order by created_at desc limit 20"
    program = f"import sqlite3; sqlite3.connect({str(database)!r}).execute({limit!r}).fetchall()"
    bare = Case("limit: python + sqlite3, newest 20", [sys.executable, "-c", program], project.root)
    cases = [
        bare,
        Case("mltrack ls --limit 20", [*MLTRACK, "ls", "--limit", "20"], project.root),
        Case("mltrack ls QUERY --limit 20", [*MLTRACK, "ls", QUESTIONS[2][1], "--limit", "20"], project.root),
        Case("mltrack show @ --json", [*MLTRACK, "show", "@", "--json"], project.root),
        Case("mltrack diff @ @~1", [*MLTRACK, "diff", "@", "@~1"], project.root),
    ]
    side_by_side(cases, rounds=7, variables=variables)
    case_table(f"{size:,} runs (goals: ls in at most 150 ms, show and diff 200 ms)", cases, bare)
    return cases


def questions(project: Project, size: int) -> list[Case]:
    """Questions whose 20 first answers are wanted, as runs; and groups of all runs."""
    cases = [question(project, *words) for words in QUESTIONS]
    goals = {"m1": "max", "m2": "min"}
    cases.append(Case("groups: by params.model", lambda: crossed(project.ledger, RunQuery(), ["params.model"], goals)))
    rows = "SELECT name, value FROM param WHERE run = (SELECT id FROM run ORDER BY created_at DESC LIMIT 1)"
    bare = Case("limit: one run's params by SQL", lambda: project.ledger.db.execute(rows).fetchall())
    side_by_side([bare, *cases], rounds=9)
    case_table(f"20 of {size:,} runs, in process (goal at 10,000: at most 5 ms)", [bare, *cases], bare)
    return [bare, *cases]


def exponent(medians: list[float]) -> float:
    """The slope of the times over the sizes, both as logarithms, by least squares."""
    points = [(math.log(size), math.log(value)) for size, value in zip(SIZES, medians, strict=True)]
    x, y = (statistics.fmean(axis) for axis in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def question(project: Project, name: str, text: str, sort: str) -> Case:
    return Case(
        f"{name}: {text or 'all'}", lambda: project.ledger.list(RunQuery(20, sort, where=parse(text), brief=True))
    )


def make(root: Path) -> Project:
    root.mkdir()
    return Project.open(root)


SPENT: list[float] = []
"""Seconds that it took to make up the runs of the last fill."""


def fill(project: Project, have: int, size: int) -> None:
    """Make runs, many at once as a pull does."""
    dice = random.Random(have)
    packages = [{f"package-{k:03d}": f"1.{of}.{k % 7}" for k in range(99)} | {"numpy": f"2.{of}"} for of in range(5)]
    first = sample_run(record_digest=None, verdict=None, origin={"replica": project.ledger.replica}, tags=(), notes=())
    like = json.loads(sealed_bytes(first))
    spent = 0.0
    for start in range(have, size, PAGE):
        begin = time.perf_counter()
        made = [made_up(like, dice, number, packages[number % 5]) for number in range(start, min(start + PAGE, size))]
        spent += time.perf_counter() - begin
        project.ledger.merge_records(made)
    SPENT.append(spent)


def made_up(like: dict[str, Any], dice: random.Random, number: int, packages: dict[str, str]) -> bytes:
    values = [round(dice.random(), 6) for _ in range(WIDTH)]
    document = {
        **like,
        "id": new_id(),
        "params": {"model": dice.choice(["lstm", "mlp", "cnn"]), **{f"p{k}": values[k] for k in range(1, WIDTH)}},
        "param_sources": {f"p{k}": "params.yaml" for k in range(1, WIDTH)},
        "metrics": {
            f"m{k}": {"last": value, "min": value, "max": value * 1.1, "count": 10, "last_step": 9}
            for k, value in enumerate(values)
        },
        "status": dice.choice(["finished", "finished", "failed"]),
        "created_at": f"2026-11-{1 + number % 28:02d}T01:02:{number % 60:02d}.{number:06d}Z",
        "environment": {**like["environment"], "packages": packages},
    }
    return canonical_json(document)
