"""Many runs made again: one line for each that begins, and a table of how they went."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltrack.records import Run
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.tables.columns import STATUS
from mltrack.views.text import age, clean, command_line, duration, short_id, shorten
from mltrack.views.verdict import style_of

if TYPE_CHECKING:
    from mltrack.operations.repeating.rerun_many import Again, Chosen

LONGEST = 60
"""Cells of a command in a line of progress."""


def progress_line(number: int, total: int, run: Run) -> str:
    """`2 of 5: 3kq8f2zx  python train.py --lr 0.1`."""
    return f"{number + 1} of {total}: {short_id(run.id)}  {shorten(clean(command_line(run.command)), LONGEST)}"


def repeats_line(repeats: Sequence[Run]) -> str:
    """Why fewer are run than fit."""
    many = (
        f"{short_id(repeats[0].id)} repeats another and is"
        if len(repeats) == 1
        else f"{len(repeats)} repeat others and are"
    )
    return f"of the runs that fit, {many} left out; a query that names parent has all"


def plan_page(runs: Sequence[Run], now: float | None = None) -> Page:
    """What would be run again, in that order. `now`: seconds since 1970, for ages."""
    page, moment = Page(), time.time() if now is None else now
    rows = [
        (short_id(run.id), status_cell(run), age(run.created_at, moment), took(run), command_line(run.command))
        for run in runs
    ]
    page.grid(Grid(rows, "<<>><", header=titles("run", "status", "age", "took", "command"), indent=0))
    return page


def reruns_page(done: Sequence[Again], planned: Sequence[Run]) -> Page:
    """How they went; `planned` are more where it was stopped."""
    page = Page()
    page.grid(
        Grid([row(one) for one in done], "<<<><", header=titles("run", "again", "status", "took", "verdict"), indent=0)
    )
    page.blank()
    well, started = sum(one.is_well for one in done), sum(one.now is not None for one in done)
    page.line(f"All {well} ended well." if well == len(planned) else f"{well} of {started} started ended well.")
    left = [one.then for one in done if one.now is None] + not_reached(done, planned)
    if left:
        page.line(f"{len(left)} not started: {', '.join(short_id(run.id) for run in left)}.")
    return page


def not_reached(done: Sequence[Again], planned: Sequence[Run]) -> list[Run]:
    """Those after the one at which it was stopped."""
    tried = {one.then.id for one in done}
    return [run for run in planned if run.id not in tried]


def row(one: Again) -> tuple[Cell, ...]:
    if one.now is None:
        return short_id(one.then.id), "", ("not started", "red"), "", one.error or ""
    verdict = one.now.verdict
    grade: Cell = (verdict.grade, style_of(verdict.grade)) if verdict is not None else ""
    return short_id(one.then.id), short_id(one.now.id), status_cell(one.now), took(one.now), grade


def titles(*words: str) -> tuple[Cell, ...]:
    return tuple((word, "dim") for word in words)


def status_cell(run: Run) -> Cell:
    glyph, style = STATUS.get(run.status, ("?", ""))
    return f"{glyph} {run.status}", style


def took(run: Run) -> str:
    return "" if run.duration_s is None else duration(run.duration_s)


def plan_json(chosen: Chosen) -> dict[str, Any]:
    """What would be run again, as JSON."""
    made = [{"run": run.id, "status": run.status, "command": list(run.command)} for run in chosen.runs]
    left_out = {"running": [run.id for run in chosen.running], "repeats": [run.id for run in chosen.repeats]}
    return {"runs": made, **left_out}


def reruns_json(done: Sequence[Again], planned: Sequence[Run]) -> dict[str, Any]:
    """How they went, as JSON."""
    made = [
        {
            "run": one.then.id,
            "again": one.now.id if one.now is not None else None,
            "status": one.now.status if one.now is not None else None,
            "exit_code": one.now.exit_code if one.now is not None else None,
            "verdict": one.now.verdict.grade if one.now is not None and one.now.verdict is not None else None,
            "error": one.error,
        }
        for one in done
    ]
    left = not_reached(done, planned)
    return {"runs": made, "not_started": len(left), "left": [run.id for run in left]}
