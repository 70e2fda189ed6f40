"""The columns of the list of runs: which there are, what each says of a run, and which tell these runs apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from mltrack.errors import UsageError
from mltrack.formats.ranked import split_rank
from mltrack.nouns import noun
from mltrack.records import MetricSummary, Run
from mltrack.views.text import age, cell_width, clean, command_line, duration, number, scalar, short_id, shorten

STATUS = {
    "finished": ("✓", "green"),
    "failed": ("✗", "red"),
    "interrupted": ("■", "yellow"),
    "lost": ("?", "yellow"),
    "running": ("●", "cyan"),
}
"""Glyph and style of each status; the word stands beside the glyph wherever there is room."""

MOST = 12
"""At most this many params, and as many metrics, are columns unless they are asked for by name."""

Words = tuple[str, str]
"""A clean text and its style."""


@noun
class Column:
    """One column: clean cells, the order in which columns are given room (`rank`), and the least width of use."""

    name: str
    title: str
    cells: Sequence[Words]
    rank: float
    least: int = 4
    is_number: bool = False
    short: Sequence[Words] | None = None
    """What to show where the cells do not fit."""

    @cached_property
    def widths(self) -> list[int]:
        """The cells that each value takes."""
        return [cell_width(text) for text, _ in self.cells]

    @cached_property
    def width(self) -> int:
        return max(cell_width(self.title), *self.widths)


def default_columns(runs: Sequence[Run], now: float) -> list[Column]:
    """Id, status, age and name; then params that differ and metrics, in turn; then the command and tags."""
    made = [id_column(runs), status_column(runs), age_column(runs, now)]
    if any(run.name for run in runs):
        made.append(text_column("name", runs, lambda run: run.name, 3, "bold", least=12))
    if len({run.experiment for run in runs}) > 1:
        made.append(text_column("experiment", runs, lambda run: run.experiment, 4))
    params = telling([run.params for run in runs], len(runs) > 1)[:MOST]
    metrics = of_first_rank(telling([run.metrics for run in runs], False))[:MOST]
    made += [param_column(name, runs, 6 + 2 * place) for place, name in enumerate(params)]
    made += [metric_column(name, runs, 5 + 2 * place) for place, name in enumerate(metrics)]
    made.append(text_column("command", runs, lambda run: command_line(run.command), 8.5, least=16))
    if any(run.tags for run in runs):
        made.append(text_column("tags", runs, lambda run: ", ".join(run.tags), 8.7, "cyan"))
    return with_short_titles(made)


def chosen_columns(runs: Sequence[Run], names: Sequence[str], now: float) -> list[Column]:
    """The columns asked for, in that order; `params` and `metrics` stand for all of them."""
    params, metrics = telling([run.params for run in runs], False), telling([run.metrics for run in runs], False)
    made: list[Column] = []
    for name in names:
        if name in ("params", "metrics"):
            every = params if name == "params" else of_first_rank(metrics)
            make = param_column if name == "params" else metric_column
            made += [make(item, runs, 0) for item in every]
        elif name in FACTS:
            made.append(fact_column(name, runs, now))
        elif name.removeprefix("metrics.") in metrics and not name.startswith("params."):
            made.append(metric_column(name.removeprefix("metrics."), runs, 0))
        elif name.removeprefix("params.") in params:
            made.append(param_column(name.removeprefix("params."), runs, 0))
        else:
            raise unknown_column(name, [*FACTS, "params", "metrics", *params, *metrics])
    unique = {column.name: column for column in made}
    return with_short_titles(list(unique.values()))


def unknown_column(name: str, known: Sequence[str]) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known columns: {', '.join(known[:30])}."
    return UsageError(f"There is no column {name!r}.", hint)


def of_first_rank(names: Sequence[str]) -> list[str]:
    """The names of metrics, less those of other ranks: a table has room for one."""
    return [name for name in names if split_rank(name)[1] is None]


def telling(mappings: Sequence[Mapping[str, Any]], only_differing: bool) -> list[str]:
    """The keys of some mappings: those that differ between them first, then by how many have them."""
    values: dict[str, list[Any]] = {}
    for mapping in mappings:
        for key, value in mapping.items():
            values.setdefault(key, []).append(value)
    differs = {key: len(found) < len(mappings) or is_mixed(found) for key, found in values.items()}
    keys = [key for key in values if differs[key] or not only_differing]
    return sorted(keys, key=lambda key: (not differs[key], -len(values[key])))


def is_mixed(values: Sequence[Any]) -> bool:
    first = values[0]
    return any(value != first or type(value) is not type(first) for value in values)


def id_column(runs: Sequence[Run]) -> Column:
    """Ids shortened to 8 characters, or to as many as tell these runs apart."""
    length = 8
    while length < 16 and len({run.id[:length] for run in runs}) < len(runs):
        length += 1
    cells = [(clean(run.id[:length]), "yellow") for run in runs]
    return Column("id", "id", cells, 0, least=length)


def status_column(runs: Sequence[Run]) -> Column:
    pairs = [(run.status, *STATUS.get(run.status, ("?", ""))) for run in runs]
    words = [(clean(f"{glyph} {status}"), style) for status, glyph, style in pairs]
    return Column("status", "status", words, 1, least=6, short=[(glyph, style) for _, glyph, style in pairs])


def age_column(runs: Sequence[Run], now: float) -> Column:
    cells = [(clean(age(run.created_at, now)), "") for run in runs]
    return Column("age", "age", cells, 2, least=max(cell_width(text) for text, _ in cells), is_number=True)


def text_column(
    name: str, runs: Sequence[Run], text: Callable[[Run], str | None], rank: float, style: str = "", least: int = 8
) -> Column:
    return Column(name, name, [(clean(text(run) or ""), style) for run in runs], rank, least)


def param_column(name: str, runs: Sequence[Run], rank: float) -> Column:
    cells = [(param_text(run.params, name), "") for run in runs]
    is_number = all(not text or text[0].isdigit() or text[0] in "-." for text, _ in cells)
    return value_column(f"params.{name}", cells, rank, is_number)


def value_column(full_name: str, cells: Sequence[Words], rank: float, is_number: bool = True) -> Column:
    """A column of params or metrics. Numbers are never cut, as half a number is a lie; a long title or text may be."""
    title = clean(full_name.split(".", 1)[1])
    values = max(cell_width(text) for text, _ in cells)
    least = max(values if is_number else min(values, 10), min(cell_width(title.rsplit(".", 1)[-1]), 9))
    return Column(full_name, title, cells, rank, least, is_number)


def param_text(params: Mapping[str, Any], name: str) -> str:
    return shorten(scalar(params[name]), 200) if name in params else ""


def metric_column(name: str, runs: Sequence[Run], rank: float) -> Column:
    return value_column(f"metrics.{name}", [(metric_text(run.metrics.get(name)), "cyan") for run in runs], rank)


def metric_text(summary: MetricSummary | None) -> str:
    return "" if summary is None else number(summary.last)


def with_short_titles(columns: list[Column]) -> list[Column]:
    """`model.encoder.depth` as `depth`, where no other column ends like that."""
    from dataclasses import replace

    ends = [column.title.rsplit(".", 1)[-1] for column in columns]
    return [
        replace(column, title=end) if "." in column.title and end and ends.count(end) == 1 else column
        for column, end in zip(columns, ends, strict=True)
    ]


FACTS: dict[str, Callable[[Run], str]] = {
    "id": lambda run: run.id,
    "status": lambda run: run.status,
    "age": lambda run: run.created_at,
    "name": lambda run: run.name or "",
    "experiment": lambda run: run.experiment or "",
    "command": lambda run: command_line(run.command),
    "tags": lambda run: ", ".join(run.tags),
    "why": lambda run: run.why or "",
    "notes": lambda run: "; ".join(run.notes),
    "created_at": lambda run: run.created_at,
    "duration_s": lambda run: "" if run.duration_s is None else duration(run.duration_s),
    "exit_code": lambda run: "" if run.exit_code is None else str(run.exit_code),
    "seed": lambda run: "" if run.seed is None else str(run.seed),
    "user": lambda run: run.user or "",
    "host": lambda run: run.host or "",
    "commit": lambda run: short_id(run.code.commit or ""),
    "branch": lambda run: run.code.branch or "",
    "python": lambda run: run.environment.python or "",
    "verdict": lambda run: run.verdict.grade if run.verdict else "",
    "preflight": lambda run: run.preflight.grade if run.preflight else "",
}
"""Columns that are not a param or a metric, and what each says of a run."""


def fact_column(name: str, runs: Sequence[Run], now: float) -> Column:
    """One of FACTS; id, status and age look as they do by default."""
    if name == "id":
        return id_column(runs)
    if name == "status":
        return status_column(runs)
    if name == "age":
        return age_column(runs, now)
    return text_column(name, runs, FACTS[name], 0)
