"""Lists of runs as the ledger grows, and questions to a large one."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

from mltrack.ledger.language.parser import parse
from mltrack.ledger.ledger import sealed_bytes
from mltrack.ledger.queries import RunQuery
from mltrack.project import Project
from mltrack.records import MetricSummary, new_id
from tests.benchmarks.timing import MLTRACK, Case, case_table, quiet_variables, side_by_side
from tests.compare.samples import sample_run

SIZES = (100, 1000)
LARGE = 10_000
"""Runs of the ledger that questions are put to."""
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
    ("what only records have", "hardware.cpu ~ epyc and hardware.cores > 99", "-created_at"),
)


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    project = make(scratch / "project")
    have = 0
    for size in SIZES:
        fill(project, have, size)
        have = size
        database = project.state / "ledger.db"
        limit = f"import sqlite3; sqlite3.connect({str(database)!r}).execute('select * from run order by created_at desc limit 20').fetchall()"
        bare = Case("limit: python + sqlite3, newest 20", [sys.executable, "-c", limit], project.root)
        cases = [
            bare,
            Case("mltrack ls --limit 20", [*MLTRACK, "ls", "--limit", "20"], project.root),
            Case("mltrack ls (all)", [*MLTRACK, "ls"], project.root),
            Case("mltrack ls --json (all)", [*MLTRACK, "ls", "--json"], project.root),
            Case("mltrack show @ --json", [*MLTRACK, "show", "@", "--json"], project.root),
        ]
        side_by_side(cases, rounds=7, variables=variables)
        case_table(f"{size:,} runs (goal: ls at 1,000 in at most 150 ms)", cases, bare)
    fill(project, have, LARGE)
    ask(project)
    project.close()


def ask(project: Project) -> None:
    """Questions whose 20 first answers are wanted, as runs."""
    cases = [question(project, *words) for words in QUESTIONS]
    rows = "SELECT name, value FROM param WHERE run = (SELECT id FROM run ORDER BY created_at DESC LIMIT 1)"
    bare = Case("limit: one run's params by SQL", lambda: project.ledger.db.execute(rows).fetchall())
    side_by_side([bare, *cases], rounds=9)
    case_table(f"20 of {LARGE:,} runs, in process (goal: filter and sort in at most 5 ms)", [bare, *cases], bare)
    size = (project.state / "ledger.db").stat().st_size
    print(f"\n{size / LARGE / 1000:.1f} KB a run, of {WIDTH} params and {WIDTH} metrics")


def question(project: Project, name: str, text: str, sort: str) -> Case:
    return Case(
        f"{name}: {text or 'all'}", lambda: project.ledger.list(RunQuery(20, sort, where=parse(text), brief=True))
    )


def make(root: Path) -> Project:
    root.mkdir()
    return Project.open(root)


def fill(project: Project, have: int, size: int) -> None:
    """Make runs, many at once as a pull does."""
    dice = random.Random(have)
    origin = {"replica": project.ledger.replica}
    for start in range(have, size, PAGE):
        made = []
        for number in range(start, min(start + PAGE, size)):
            values = [round(dice.random(), 6) for _ in range(WIDTH)]
            run = sample_run(
                id=new_id(),
                params={"model": dice.choice(["lstm", "mlp", "cnn"]), **{f"p{k}": values[k] for k in range(1, WIDTH)}},
                metrics={f"m{k}": MetricSummary(value, value, value, 1) for k, value in enumerate(values)},
                status=dice.choice(["finished", "finished", "failed"]),
                created_at=f"2026-11-{1 + number % 28:02d}T01:02:{number % 60:02d}.{number:06d}Z",
                origin=origin,
            )
            made.append(sealed_bytes(replace(run, record_digest=None, verdict=None)))
        project.ledger.merge_records(made)
