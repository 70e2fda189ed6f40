"""The metrics of a run as a table, and what patterns found in some output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltrack.digest import plain
from mltrack.views.page import Grid, Page
from mltrack.views.text import count, number, scalar
from mltrack.views.verdict import heads

if TYPE_CHECKING:
    from mltrack.operations.metrics import Trial
    from mltrack.records import Run

LONGEST = 110
"""Characters of a line of output that are shown."""
MOST = 200
"""Lines of output that a terminal is shown."""


def metrics_page(run: Run) -> Page:
    """All metrics of a run."""
    page = Page()
    if not run.metrics:
        page.line(f"{run.id} logged no metrics.")
        page.hint("Try patterns on its output: ", (f"mltrack metrics {run.id[:8]} --pattern auto", "cyan"))
        return page
    rows = [
        (name, (number(m.last), "cyan"), number(m.min), number(m.max), f"{m.count:,}", scalar(m.last_step))
        for name, m in run.metrics.items()
    ]
    page.grid(Grid(rows, "<>>>>>", heads("", "last", "min", "max", "points", "last step")))
    return page


def trial_page(trial: Trial) -> Page:
    """Each line with the points that were found in it, and what it comes to."""
    page = Page()
    shown = trial.lines
    for matched in shown[:MOST]:
        text = matched.text if len(matched.text) <= LONGEST else f"{matched.text[: LONGEST - 1]}…"
        if matched.points:
            page.line(("✓ ", "green"), text)
            for point in matched.points:
                page.line("    ", point.name, "  ", (number(point.value), "cyan"), (step_text(point.step), "dim"))
        elif matched.is_repeated:
            page.line(("· ", "dim"), (f"{text}  (drawn again)", "dim"))
        else:
            remark = f"  (step {scalar(matched.step)} for the lines after it)" if matched.step is not None else ""
            page.line(("· ", "dim"), (f"{text}{remark}", "dim"))
    if len(shown) > MOST:
        page.line((f"... and {count(len(shown) - MOST, 'line')} more; --json has them all", "dim"))
    page.blank()
    page.line(sentence(trial))
    for pattern, matches in trial.matches.items():
        page.line(
            "  ", (pattern, "bold"), f"  {count(matches, 'match', 'matches')}" if matches else "  matches nothing"
        )
    return page


def step_text(step: Any) -> str:
    return "" if step is None else f"  step {scalar(step)}"


def sentence(trial: Trial) -> str:
    """`3 of 40 lines match: 6 points of 2 metrics (loss, acc).`"""
    points = [point for matched in trial.lines for point in matched.points]
    lines = sum(1 for matched in trial.lines if matched.points)
    names = list(dict.fromkeys(point.name for point in points))
    first = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
    text = f"{lines:,} of {count(len(trial.lines), 'line')} match"
    return (
        f"{text}: {count(len(points), 'point')} of {count(len(names), 'metric')} ({first})." if points else f"{text}."
    )


def trial_json(trial: Trial) -> dict[str, Any]:
    """The same for `--json`."""
    return {
        "patterns": [{"pattern": pattern, "matches": matches} for pattern, matches in trial.matches.items()],
        "lines": [
            {
                "text": matched.text,
                "step": matched.step,
                "points": [
                    {"name": point.name, "value": plain(point.value), "step": point.step} for point in matched.points
                ],
            }
            for matched in trial.lines
        ],
    }
