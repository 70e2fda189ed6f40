"""Groups of runs as a table, one a line, and as rows for other programs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack import flat
from mltrack.ledger.language.fields import NAMED
from mltrack.views.page import Renderable
from mltrack.views.tables.chosen import chosen_column
from mltrack.views.tables.columns import MOST, STATUS, even_numbers, telling, with_short_titles
from mltrack.views.tables.fitted import COMFORT, Column, Fitted
from mltrack.views.tables.table import no_runs
from mltrack.views.tables.tabular import value_column
from mltrack.views.text import age, cell_width, clean, count, number, short_id

if TYPE_CHECKING:
    from mltrack.ledger.asking.grouping import Group, GroupMetric
    from mltrack.ledger.language.fields import Asked
    from mltrack.operations.seeing.groups import Chosen, Grouped

BEST = "best of "
"""What the names of columns begin with that have the best values of a metric."""

NONE = "(none)"
"""What stands for the value of runs that have none."""


def groups_table(found: Grouped, limit: int | None = None, now: float | None = None) -> Renderable:
    """A group a line: its value, its runs and how they ended, its metrics; or with `best` its best run.

    `limit`: how many groups at most. `now`: seconds since 1970, for ages.
    """
    if not found.groups:
        return no_runs()
    moment = time.time() if now is None else now
    groups, chosen = found.groups[:limit], found.chosen[:limit]
    made = [value_of_groups(found, place, groups, moment) for place in range(len(found.by))]
    if found.best is not None:
        made += best_columns(found, chosen)
        counts = (3, 20.0, 4)
    else:
        counts = (1, 2.0, 3)
    made.append(value_column("runs", counts[0], [group.runs for group in groups]))
    made.append(endings(groups, counts[1]))
    cells = [(age(group.newest_at, moment), "") for group in groups]
    least = max(len("newest"), *(cell_width(text) for text, _ in cells))
    made.append(Column("newest", "newest", cells, counts[2], least, True))
    if found.best is None:
        made += metric_columns(found, groups)
    remarks = (f"{len(groups):,} of {count(len(found.groups), 'group')} shown.",)
    shown = remarks if len(groups) < len(found.groups) else ()
    quiet = ("newest", "ended", "runs")
    return Fitted(tuple(paired(with_short_titles(made))), shown, quiet, "all are in --format csv")


def value_of_groups(found: Grouped, place: int, groups: Sequence[Group], now: float) -> Column:
    """The column of the values that make the groups."""
    values = [group.value[place] for group in groups]
    column = chosen_column(found.by[place], values, -9 + place, now)
    cells = [(NONE, "dim") if value is None else cell for value, cell in zip(values, column.cells, strict=True)]
    least = max(min(column.width, COMFORT), len(NONE) if None in values else 0)
    return replace(column, cells=[(text, style or "bold") for text, style in cells], must=True, least=least, short=None)


def endings(groups: Sequence[Group], rank: float) -> Column:
    """How the runs of each group ended: in words, or by their signs."""
    words, signs = [], []
    for group in groups:
        ended = [(status, group.statuses[status]) for status in STATUS if status in group.statuses]
        words.append((", ".join(f"{many:,} {status}" for status, many in ended), ""))
        signs.append((" ".join(f"{STATUS[status][0]}{many}" for status, many in ended), ""))
    return Column("ended", "ended", words, rank, max(5, *(cell_width(text) for text, _ in signs)), short=signs)


def metric_columns(found: Grouped, groups: Sequence[Group]) -> list[Column]:
    """Of the metrics that differ most between groups: mean and deviation over the finished runs, and the best."""
    made = []
    names = telling_metrics(found)
    for place, name in enumerate(names[:MOST] if found.metrics is None else names):
        summaries = [group.metrics.get(name) for group in groups]
        cells = [(text, "cyan") for text in spreads(summaries)]
        width = max(cell_width(text) for text, _ in cells)
        made.append(Column(f"metrics.{name}", clean(name), cells, 5 + 2 * place, width, True))
        if found.goals.get(name) is not None:
            best = even_numbers([None if one is None else one.best_value for one in summaries])
            widest = max(len("best"), *map(cell_width, best))
            made.append(Column(f"{BEST}metrics.{name}", "best", [(text, "") for text in best], 0, widest, True))
    return made


def paired(columns: Sequence[Column]) -> list[Column]:
    """The same with the best value of a metric in the column of its mean: neither is there without the other."""
    best = {column.name.removeprefix(BEST): column for column in columns if column.name.startswith(BEST)}
    made = []
    for column in columns:
        other = best.get(column.name)
        if other is not None:
            cells = [(beside(one, two), style) for (one, style), two in zip(column.cells, padded(other), strict=True)]
            title = f"{column.title}  {other.title.rjust(other.least)}"
            column = replace(column, title=title, cells=cells, least=max(cell_width(text) for text, _ in cells))
        if not column.name.startswith(BEST):
            made.append(column)
    return made


def padded(column: Column) -> list[str]:
    return [" " * (column.least - cell_width(text)) + text for text, _ in column.cells]


def beside(one: str, two: str) -> str:
    return f"{one}  {two}" if one else ""


def telling_metrics(found: Grouped) -> list[str]:
    """Metrics whose means differ between groups first, of these those that most runs have; or those asked for."""
    if found.metrics is not None:
        return list(found.metrics)
    means = telling([{name: one.mean for name, one in group.metrics.items()} for group in found.groups], False)
    runs = {name: sum(group.metrics[name].count for group in found.groups if name in group.metrics) for name in means}
    seen = {name: {group.metrics[name].mean for group in found.groups if name in group.metrics} for name in means}
    return sorted(means, key=lambda name: (len(seen[name]) == 1 < len(found.groups), -runs[name]))


def spreads(summaries: Sequence[GroupMetric | None]) -> list[str]:
    """`0.853 ± 0.012 (10)`, each part below those above it."""
    there = [one for one in summaries if one is not None]
    deviations = [one.deviation for one in there if one.deviation]
    places = max(0, 1 - math.floor(math.log10(max(deviations)))) if deviations else None
    is_plain = places is not None and places <= 6 and all(abs(one.mean or 0) < 1e6 for one in there)
    means = [f"{one.mean:.{places}f}" if is_plain else number(one.mean) for one in there]
    means = means if is_plain else even_numbers([one.mean for one in there])
    spread = [
        "" if one.deviation is None else f"± {one.deviation:.{places}f}" if is_plain else f"± {number(one.deviation)}"
        for one in there
    ]
    counts = [f"({one.count})" for one in there]
    widths = [max(map(len, part), default=0) for part in (means, spread, counts)]
    told = iter(
        " ".join(text.rjust(width) for text, width in zip(parts, widths, strict=True) if width)
        for parts in zip(means, spread, counts, strict=True)
    )
    return ["" if one is None else next(told) for one in summaries]


def best_columns(found: Grouped, chosen: Sequence[Chosen | None]) -> list[Column]:
    """The best run of each group: its value, its id, and the params that differ between these runs."""
    assert found.best is not None
    ids = ["" if one is None else clean(short_id(one.document["id"])) for one in chosen]
    run = Column("best run", "best run", [(text, "yellow") for text in ids], 1, 8)
    values = [None if one is None else one.value for one in chosen]
    made = [chosen_column(found.best.shown, values, 0, 0.0), run]
    names = differing_params(found)
    for place, name in enumerate(names):
        cells = [None if one is None else one.document["params"].get(name) for one in chosen]
        made.append(value_column(f"params.{name}", 5 + place, cells, name))
    return made


def differing_params(found: Grouped) -> list[str]:
    """Params that differ between the best runs, less those that make the groups; or those asked for."""
    if found.params is not None:
        return list(found.params)
    documents = [one.document["params"] for one in found.chosen if one is not None]
    asked = [*found.by, *([found.best.shown] if found.best is not None else [])]
    by = {one.asked.key for one in asked if one.asked.name.startswith("params.")}
    return [name for name in telling(documents, len(documents) > 1) if name not in by][:MOST]


def groups_rows(found: Grouped, limit: int | None = None) -> tuple[list[str], list[list[Any]]]:
    """Names of columns, and a row of values for each group, for other programs."""
    statuses = [status for status in STATUS if any(status in group.statuses for group in found.groups)]
    names = [plain_name(one.asked) for one in found.by] + ["runs", *statuses, "newest", "newest_at"]
    rows = [
        [
            *group.value,
            group.runs,
            *(group.statuses.get(status, 0) for status in statuses),
            group.newest,
            group.newest_at,
        ]
        for group in found.groups
    ]
    for more in (best_part(found), *(metric_part(found, name) for name in telling_metrics(found))):
        names += more[0]
        rows = [[*row, *values] for row, values in zip(rows, more[1], strict=True)]
    return names, rows[:limit]


def plain_name(asked: Asked) -> str:
    """The name that a field has in a row of a run, however it was typed."""
    if asked.name.startswith("params."):
        return f"params.{asked.key}"
    if not asked.name.startswith("metrics."):
        return asked.name
    name = flat.metric_name(str(asked.key))
    return name if asked.field is NAMED["metrics"] else f"{name}.{asked.field.path[-1]}"


def best_part(found: Grouped) -> tuple[list[str], list[list[Any]]]:
    if found.best is None:
        return [], [[] for _ in found.groups]
    params = differing_params(found)
    names = ["best", "best_run", *(f"best.params.{name}" for name in params)]
    rows: list[list[Any]] = []
    for one in found.chosen:
        document: Mapping[str, Any] = {} if one is None else one.document
        values = [flat.scalar_of(document.get("params", {}).get(name)) for name in params]
        rows.append([None if one is None else one.value, document.get("id"), *values])
    return names, rows


def metric_part(found: Grouped, name: str) -> tuple[list[str], list[list[Any]]]:
    full, summaries = flat.metric_name(name), [group.metrics.get(name) for group in found.groups]
    parts = ["count", "mean", "deviation"] + (["best_value", "best"] if found.goals.get(name) is not None else [])
    titles = {"best_value": "best", "best": "best_run"}
    rows = [
        [one.count if one else 0, *((getattr(one, part) if one else None) for part in parts[1:])] for one in summaries
    ]
    return [f"{full}.{titles.get(part, part)}" for part in parts], rows
