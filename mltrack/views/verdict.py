"""A verdict told to a person: one sentence, then what differs, then the circumstances that differ."""

from __future__ import annotations

from collections.abc import Sequence

from mltrack.compare.differences import LIBRARIES
from mltrack.compare.verdict.grades import COULD_NOT_RUN, IDENTICAL, NOTHING_TO_COMPARE, is_success
from mltrack.compare.verdict.judge import OUTCOME
from mltrack.verdicts import ArtifactVerdict, Condition, MetricVerdict, Verdict
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import number, short_id, signed
from mltrack.views.verdict_words import name_of, outermost, reason, told, what_next

MOST = 30
"""A terminal shows at most this many rows of each part."""


def style_of(grade: str) -> str:
    """Green where the result holds, yellow where nothing can be said, red otherwise."""
    if is_success(grade):
        return "green"
    return "yellow" if grade == NOTHING_TO_COMPARE else "red"


def glyph_of(grade: str) -> str:
    return "✓" if is_success(grade) else "?" if grade == NOTHING_TO_COMPARE else "✗"


def verdict_page(verdict: Verdict, now: str | None = None) -> Page:
    """The whole verdict. `now`: the run that it is about, for where to look on."""
    page = Page()
    style = style_of(verdict.grade)
    page.line(
        (f"{glyph_of(verdict.grade)} ", style),
        (verdict.grade, f"bold {style}"),
        f": {reason(verdict)}",
        (f"  (compared with {short_id(verdict.of)})", "dim"),
    )
    for text in (verdict.cause or "").split("\n")[1:] if verdict.grade == COULD_NOT_RUN else ():
        if text.strip():
            page.line(f"    {text.rstrip()}")
    if verdict.cause and verdict.phase is None and now is not None:
        page.hint(("its output  ", "dim"), (f"mltrack log {short_id(now)}", "cyan"))
    artifacts = [item for item in verdict.artifacts if item.grade != IDENTICAL]
    metrics = [item for item in verdict.metrics if item.grade != IDENTICAL]
    outcome = [item for item in verdict.conditions if item.what in OUTCOME]
    conditions = [item for item in verdict.conditions if item.what not in OUTCOME]
    if outcome:
        page.heading("It ended differently")
        page.grid(condition_grid(outcome))
    if artifacts:
        same = sum(item.grade == IDENTICAL for item in outermost(verdict.artifacts))
        page.heading("Artifacts that differ", same_aside(same))
        rows = [artifact_row(item) for item in artifacts]
        page.grid(Grid(rows, "<<<", limit=MOST, whole=(1,), is_last_below=True))
    if metrics:
        page.heading("Metrics that differ", same_aside(len(verdict.metrics) - len(metrics)))
        rows = [metric_row(item) for item in metrics]
        noise = "noise" if any(item.low is not None for item in metrics) else ""
        header = heads("", "then", "now", "change", "", noise)
        page.grid(Grid(rows, "<>>><<", header=header, limit=MOST, whole=(4,)))
    if conditions:
        page.heading("What was not the same around it")
        page.grid(condition_grid(conditions))
    for text in verdict.remarks:
        page.line((text, "dim"))
    for why, what in what_next(verdict, now):
        page.hint((f"{why}  ", "dim"), (what, "cyan"))
    return page


def same_aside(same: int) -> str:
    return f"{same:,} more identical" if same else ""


def heads(*titles: str) -> tuple[Cell, ...]:
    return tuple((title, "dim") for title in titles)


def artifact_row(item: ArtifactVerdict) -> tuple[Cell, ...]:
    words = [item.reason or "", measured(item)]
    return item.path, (item.grade, style_of(item.grade)), "; ".join(word for word in words if word)


def measured(item: ArtifactVerdict) -> str:
    """`relatively at most 3e-6`; the rest of a measure is in the reason."""
    relative = item.measure.largest_relative if item.measure is not None and item.measure.changed else None
    return f"relatively at most {number(relative)}" if isinstance(relative, (int, float)) else ""


def metric_row(item: MetricVerdict) -> tuple[Cell, ...]:
    change = "" if not isinstance(item.change, (int, float)) else signed(item.change)
    return (
        item.name,
        "missing" if item.then is None else number(item.then),
        "missing" if item.now is None else number(item.now),
        change,
        (item.grade, style_of(item.grade)),
        noise_of(item),
    )


def noise_of(item: MetricVerdict) -> str:
    """`0.2 ± 0.05`: the interval, so that a narrow one is seen to be one."""
    if item.low is None or item.high is None:
        return ""
    return f"{number(item.low / 2 + item.high / 2)} ± {number(item.high / 2 - item.low / 2)}"


def condition_grid(conditions: Sequence[Condition]) -> Grid:
    rows = []
    for item in conditions:
        show = str if item.what.startswith(LIBRARIES) and item.then and item.now else told  # texts, if of digits
        rows.append((name_of(item.what), show(item.then), "→", show(item.now)))
    return Grid(rows, "<<<<", limit=MOST)
