"""Lists of runs as the ledger grows."""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

from mltrack.ledger.queries import RunQuery
from mltrack.project import Project
from mltrack.records import MetricSummary, new_id
from tests.benchmarks.timing import MLTRACK, Case, case_table, quiet_variables, side_by_side
from tests.compare.samples import sample_run

SIZES = (100, 1000)


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    project = Project.open(scratch / "project") if (scratch / "project").exists() else make(scratch / "project")
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
            Case("in process: newest 20", lambda: project.ledger.list(RunQuery(limit=20))),
            Case(
                "in process: best 20 by a metric", lambda: project.ledger.list(RunQuery(limit=20, sort="-metrics.m1"))
            ),
        ]
        side_by_side(cases, rounds=7, variables=variables)
        case_table(f"{size:,} runs (goal: ls at 1,000 in at most 150 ms)", cases, bare)
    project.close()


def make(root: Path) -> Project:
    root.mkdir()
    return Project.open(root)


def fill(project: Project, have: int, size: int) -> None:
    for number in range(have, size):
        value = (number * 31 % 1000) / 1000
        run = sample_run(
            id=new_id(),
            params={f"p{k}": (number + k) % 10 for k in range(5)},
            metrics={f"m{k}": MetricSummary(value, value, value, 1) for k in range(5)},
            created_at=f"2026-11-{1 + number % 28:02d}T01:02:{number % 60:02d}.{number:06d}Z",
            origin={"replica": project.ledger.replica},
        )
        project.ledger.seal(replace(run, record_digest=None, verdict=None))
    sqlite3.connect(project.state / "ledger.db").close()
