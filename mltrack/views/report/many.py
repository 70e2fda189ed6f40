"""Many runs as a report: a row a run with what differs, best and worst marked; groups; every field that differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.compare.gathering import CIRCUMSTANCES
from mltrack.compare.many import Comparison, Row
from mltrack.views.report.blocks import Block, Cell, Commands, Drawing, Fold, Report, Say, Section, Table
from mltrack.views.report.changes import shown, without_empty
from mltrack.views.report.run import STYLE_OF
from mltrack.views.report.tables import cut
from mltrack.views.tables.columns import STATUS
from mltrack.views.text import clock_time, command_line, count, number, percent, scalar, short_id, shorten

if TYPE_CHECKING:
    from mltrack.operations.reporting.report import ByParam, Material

MOST_METRICS, MOST_PARAMS = 10, 16
"""Columns of the table of runs; the others are in the table of fields."""
MOST_RUNS = 2000
MOST_FIELDS = 3000
FEW = 8
"""Runs that have a column each in the table of fields."""
LONGEST = 500
NARROW = 32
"""Signs of a head or a cell in a table with a column a field or a run."""


def many_report(material: Material, made: str) -> Report:
    """The report of three runs or more. `made`: the sentence that says when and by what it was made."""
    comparison = material.comparison
    assert comparison is not None, "many runs have been compared"
    title = material.title or f"{count(len(comparison.runs), 'run')} compared"
    sections = [Section(name, tuple(blocks)) for name, blocks in told(material, comparison) if blocks]
    return Report(title, tuple(headline(comparison)), tuple(sections), (made,))


def headline(comparison: Comparison) -> list[Block]:
    """How many, when, and which was the best."""
    runs = comparison.runs
    times = sorted(run.created_at for run in runs)
    said: list[Block] = [Say((f"{count(len(runs), 'run')}, from {clock_time(times[0])} to {clock_time(times[-1])}.",))]
    for row in [row for row in comparison.rows if row.best][:3]:
        said.append(Say(best_of(comparison, row)))
    if comparison.is_empty:
        said.append(Say((("No differences but circumstances.", "strong"),)))
    return said


def best_of(comparison: Comparison, row: Row) -> tuple[Cell, ...]:
    """`Best acc: 0.93 by 3kq8f2zx (baseline), worst 0.81.`; behind it what runs had that did not finish."""
    more = f" and {len(row.best) - 1} more" if row.best[1:] else ""
    worst = f"; worst {number(row.known[row.worst[0]])}" if row.worst else ""
    of = ", none of which finished" if row.none_finished else ""
    found: tuple[Cell, ...] = (
        "Best ",
        (row.name, "name"),
        ": ",
        (f"★ {number(row.known[row.best[0]])}", "good"),
        " by ",
        (name_of(comparison, row.best[0]), "code"),
        f"{more}{of}{worst}.",
    )
    if not row.better:
        return found
    first = row.better[0]
    return (
        *found,
        f" Better, but did not finish: {number(row.known[first])} by ",
        (name_of(comparison, first), "code"),
        f"{f' and {len(row.better) - 1} more' if row.better[1:] else ''}.",
    )


def name_of(comparison: Comparison, place: int) -> str:
    run = comparison.runs[place]
    return f"{short_id(run.id)} {run.name}" if run.name else short_id(run.id)


def told(material: Material, comparison: Comparison) -> Iterable[tuple[str, list[Block]]]:
    yield "Runs", runs(comparison)
    yield "Metrics", drawing(material)
    yield "Params and results", telling(material)
    yield "What differs", fields(comparison)
    yield "Not here", [Say((sentence,)) for sentence in material.missing]
    yield "Get it again", [again(comparison)]


def drawing(material: Material) -> list[Block]:
    if material.plot is None:
        return []
    return [Drawing(material.plot)]


def columns_of(comparison: Comparison) -> list[Row]:
    """The metrics, then the params that differ, as many as a table has room for; those that most runs have first."""
    differing = comparison.differing
    metrics = [row for row in differing if row.section == "metrics"]
    params = [row for row in differing if row.section in ("params", "command") and row.name not in ("command", "cwd")]
    metrics.sort(key=lambda row: (-len(row.known) // 4, not row.best))
    params.sort(key=lambda row: -len(row.known))
    return metrics[:MOST_METRICS] + params[:MOST_PARAMS]


def runs(comparison: Comparison) -> list[Block]:
    """A row a run: the best and the worst of a column have a sign, numbers of metrics their change in per cent."""
    rows = columns_of(comparison)
    heads = ("run", "name", "status", *(row.name for row in rows))
    told = [run_row(comparison, place, rows) for place in range(min(len(comparison.runs), MOST_RUNS))]
    aligns = "<<<" + "".join(">" if row.numbers else "<" for row in rows)
    base = short_id(comparison.runs[comparison.baseline].id)
    legend = f"★ best, ▽ worst; per cent: the change against {base}, marked ⌂."
    table = without_empty(Table("Runs with what differs", heads, told, aligns, longest=NARROW), 1)
    found: list[Block] = [table, Say(((legend, "dim"),))]
    if len(comparison.runs) > MOST_RUNS:
        found.append(
            Say((f"{len(comparison.runs) - MOST_RUNS:,} more runs have no room here: mltrack compare.",), "warn")
        )
    return found


def run_row(comparison: Comparison, place: int, rows: Sequence[Row]) -> tuple[Cell, ...]:
    run = comparison.runs[place]
    glyph, style = STATUS.get(run.status, ("?", ""))
    mark = "⌂ " if place == comparison.baseline else ""
    state = (f"{glyph} {run.status}", STYLE_OF.get(style.split(" ")[0], "strong"))
    return ((f"{mark}{short_id(run.id)}", "code"), (run.name or "", "name"), state, *(cell(row, place) for row in rows))


def cell(row: Row, place: int) -> Cell:
    """`★ 0.93 +2 %`."""
    if place not in row.known:
        return ("none", "dim")
    value = row.known[place]
    if row.section != "metrics":
        return cut(words(row, value), LONGEST)
    share = percent(row.percent(place)) if row.change(place) else ""
    text = f"{number(value)}{f' ({share})' if share else ''}"
    if place in row.best:
        return (f"★ {text}", "good")
    return (f"▽ {text}", "bad") if place in row.worst else text


def words(row: Row, value: Any) -> str:
    """A recorded value; a command as a shell reads it."""
    if row.section == "command" and row.name == "command" and value:
        return command_line(value)
    return scalar(value) if row.section == "params" else shown(row.name, value)


def telling(material: Material) -> list[Block]:
    """How the main metric goes with params: the plot of the one that says most, then a table of groups."""
    found: list[Block] = []
    if material.scatter is not None:
        found.append(Drawing(material.scatter))
    if material.groups:
        found.append(groups_table(material.groups))
    return found


def groups_table(found: Sequence[ByParam]) -> Table:
    """A row for each value of each param, as `ls --group-by` has them."""
    rows: list[tuple[Cell, ...]] = []
    for by in found:
        for group in by.groups:
            told = group.metrics[by.metric]
            named = (f"{by.param} = {cut(scalar(group.value[0]), LONGEST)}", "name")
            figures = (told.mean, told.deviation, told.best_value)
            rows.append((named, f"{told.count:,}", *("" if one is None else number(one) for one in figures)))
    metric = found[0].metric
    heads = ("runs with", "finished", "mean", "deviation", "best")
    table = Table(f"{metric} by the values of params, of runs that finished", heads, rows, "<>>>>", longest=NARROW)
    return without_empty(table, 3)


def fields(comparison: Comparison) -> list[Block]:
    """Every field that differs: with a column a run where these are few, else with its range or how many values."""
    differing = [row for row in comparison.differing if row.section != CIRCUMSTANCES][:MOST_FIELDS]
    equal = len(comparison.rows) - len(comparison.differing)
    if not differing:
        return []
    names = [name_of(comparison, place) for place in range(len(comparison.runs))]
    is_wide = len(names) <= FEW
    rows: list[tuple[Cell, ...]] = [
        ((row.field, "name"), *((each(row, len(names))) if is_wide else (f"{row.distinct:,}", span(row))))
        for row in differing
    ]
    heads = ("field", *names) if is_wide else ("field", "values", "from .. to, or some of them")
    table = Table(
        "Fields that differ", heads, rows, "<" * len(heads) if is_wide else "<><", longest=NARROW if is_wide else 0
    )
    more = len(comparison.differing) - len([row for row in comparison.differing if row.section == CIRCUMSTANCES])
    aside = f"{count(equal, 'field')} equal in all" + (
        f"; {more - len(rows):,} more differ" if more > len(rows) else ""
    )
    return [
        Fold(f"{count(len(rows), 'field')} not the same in all", (table,), len(rows) <= 12),
        Say(((f"{aside}.", "dim"),)),
    ]


def each(row: Row, many: int) -> tuple[Cell, ...]:
    return tuple(cell(row, place) for place in range(many))


def span(row: Row) -> str:
    """`0.1 .. 0.9`, or the first few of the values."""
    if len(row.numbers) == len(row.known) and row.numbers:
        return f"{number(min(row.numbers.values()))} .. {number(max(row.numbers.values()))}"
    texts = list(dict.fromkeys(shorten(words(row, value), 60) for value in list(row.known.values())[:200]))
    return ", ".join(texts[:4]) + (" ..." if len(texts) > 4 else "")


def again(comparison: Comparison) -> Commands:
    best = next((row.best[0] for row in comparison.rows if row.best), comparison.baseline)
    ids = " ".join(short_id(run.id) for run in comparison.runs[:FEW])
    first = [("The same in a terminal", f"mltrack compare {ids}")] if len(comparison.runs) <= FEW else []
    return Commands((*first, ("Run the best one again", f"mltrack reproduce {short_id(comparison.runs[best].id)}")))
