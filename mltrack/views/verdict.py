"""A verdict told to a person: one sentence, then what differs, then the circumstances that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mltrack.compare.differences import LIBRARIES
from mltrack.compare.verdict import COULD_NOT_RUN, IDENTICAL, NOTHING_TO_COMPARE, is_success
from mltrack.verdicts import ArtifactVerdict, Condition, MetricVerdict, Verdict
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import count, number, scalar, short_digest, short_id, signed

MOST = 30
"""A terminal shows at most this many rows of each part."""

OUTCOME = ("status", "exit_code", "signal")


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
        page.heading("Artifacts that differ", same_aside(len(verdict.artifacts) - len(artifacts)))
        page.grid(Grid([artifact_row(item) for item in artifacts], "<<<", limit=MOST))
    if metrics:
        page.heading("Metrics that differ", same_aside(len(verdict.metrics) - len(metrics)))
        rows = [metric_row(item) for item in metrics]
        page.grid(Grid(rows, "<>>><", header=heads("", "then", "now", "change", ""), limit=MOST))
    if conditions:
        page.heading("What was not the same around it")
        page.grid(condition_grid(conditions))
    return page


def reason(verdict: Verdict) -> str:
    """What the grade rests on, as one sentence after it."""
    if verdict.grade == COULD_NOT_RUN:
        where = f"it stopped at {verdict.phase}" if verdict.phase else "it stopped"
        return f"{where}: {verdict.cause}" if verdict.cause else f"{where}."
    if verdict.cause:
        parts = [*tally(verdict.artifacts, "artifact", "byte for byte"), *tally(verdict.metrics, "metric", "exact")]
        return f"{verdict.cause} Compared all the same: {', '.join(parts)}." if parts else verdict.cause
    if verdict.grade == NOTHING_TO_COMPARE:
        return "neither run has artifacts or metrics to compare."
    parts = tally(verdict.artifacts, "artifact", "byte for byte") + tally(verdict.metrics, "metric", "exact")
    if not parts:
        return "the command ended differently."
    return f"{', '.join(parts)}."


def tally(items: Sequence[ArtifactVerdict] | Sequence[MetricVerdict], noun: str, same: str) -> list[str]:
    """`3 artifacts byte for byte`, `1 metric different`."""
    counts = Counter(item.grade for item in items)
    return [f"{count(found, noun)} {same if grade == IDENTICAL else grade}" for grade, found in counts.most_common()]


def same_aside(same: int) -> str:
    return f"{same:,} more identical" if same else ""


def heads(*titles: str) -> tuple[Cell, ...]:
    return tuple((title, "dim") for title in titles)


def artifact_row(item: ArtifactVerdict) -> tuple[Cell, ...]:
    return item.path, (item.grade, style_of(item.grade)), item.reason or ""


def metric_row(item: MetricVerdict) -> tuple[Cell, ...]:
    change = "" if not isinstance(item.change, (int, float)) else signed(item.change)
    return (
        item.name,
        "missing" if item.then is None else number(item.then),
        "missing" if item.now is None else number(item.now),
        change,
        (item.grade, style_of(item.grade)),
    )


def condition_grid(conditions: Sequence[Condition]) -> Grid:
    rows = []
    for item in conditions:
        show = str if item.what.startswith(LIBRARIES) and item.then and item.now else told  # texts, if of digits
        name = item.what.removeprefix("packages.").removeprefix(LIBRARIES)
        rows.append((name, show(item.then), "→", show(item.now)))
    return Grid(rows, "<<<<", limit=MOST)


def told(value: object) -> str:
    """The value of a condition; digests and commits only as far as they help to recognise them."""
    if value is None:
        return "none"
    if isinstance(value, str) and value.startswith("b3:"):
        return short_digest(value)
    return scalar(value)
