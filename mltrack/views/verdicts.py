"""The list of verdicts: one repetition a line, with what it repeats, its grade, and what differed in a few words."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mltrack.records import Run
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import age, short_id
from mltrack.views.verdict import glyph_of, style_of
from mltrack.views.verdict_words import few_words


def verdicts_page(runs: Sequence[Run], now: float | None = None) -> Page:
    """The verdicts of some runs, in their order. `now`: seconds since 1970, for ages."""
    page = Page()
    moment = time.time() if now is None else now
    rows = [row(run, moment) for run in runs if run.verdict is not None]
    if not rows:
        page.line("No verdicts yet. Get a run again, and compare it:")
        page.line("  ", ("mltrack reproduce RUN", "cyan"))
        return page
    titles = ("run", "", "of", "verdict", "age", "what differed")
    page.grid(Grid(rows, "<<<<><", header=[(title, "dim") for title in titles], indent=0, whole=(0, 2, 3)))
    return page


def row(run: Run, moment: float) -> tuple[Cell, ...]:
    verdict = run.verdict
    assert verdict is not None, "only runs with a verdict are listed"
    kind = run.parent.kind if run.parent is not None else ""
    style = style_of(verdict.grade)
    grade = f"{glyph_of(verdict.grade)} {verdict.grade}"
    return short_id(run.id), kind, short_id(verdict.of), (grade, style), age(run.created_at, moment), few_words(verdict)
