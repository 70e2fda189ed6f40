"""The columns of the list of runs: which there are by default, what each says of a run, which tell these runs apart."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mltrack.flat import ends_of
from mltrack.formats.ranked import split_rank
from mltrack.ledger.language.fields import ALIASES, FIELDS, NAMED
from mltrack.ledger.language.lexer import KEYWORDS
from mltrack.records import Run
from mltrack.views.tables.fitted import Column, Words
from mltrack.views.tables.tabular import value_words
from mltrack.views.text import age, cell_width, clean, command_line, number

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

TAKEN = frozenset((*FIELDS, *ALIASES, *NAMED, *KEYWORDS, "age"))
"""Names that mean something else where they are typed: no heading of a param or a metric is one of them."""


def default_columns(runs: Sequence[Run], now: float, focus: Sequence[Column] = ()) -> list[Column]:
    """Id, status, age, name; what the list was chosen or sorted by (`focus`, of any rank); then params that differ and
    metrics, in turn; then the command and tags."""
    made = [id_column(runs), status_column(runs), age_column(runs, now)]
    if any(run.name for run in runs):
        made.append(text_column("name", runs, lambda run: run.name, 3, "bold", least=12))
    if len({run.experiment for run in runs}) > 1:
        made.append(text_column("experiment", runs, lambda run: run.experiment, 4))
    asked = {column.name for column in focus}
    made += [replace(column, rank=2.5 + place / 1000) for place, column in enumerate(focus)]
    params = [name for name in telling_params(runs) if f"params.{name}" not in asked]
    metrics = [name for name in telling_metrics(runs) if f"metrics.{name}" not in asked]
    made += [param_column(name, runs, 6 + 2 * place) for place, name in enumerate(params)]
    made += [metric_column(name, runs, 5 + 2 * place) for place, name in enumerate(metrics)]
    is_told_apart = len({run.command for run in runs}) > 1 or len(runs) == 1
    made.append(
        text_column("command", runs, lambda run: command_line(run.command), 8.5 if is_told_apart else 99, least=16)
    )
    if any(run.tags for run in runs):
        made.append(text_column("tags", runs, lambda run: ", ".join(run.tags), 8.7, "cyan"))
    return with_short_titles(made)


def default_names(runs: Sequence[Run]) -> list[str]:
    """The same columns by their names in the query language, for a table that is written to a file."""
    from mltrack.operations.seeing.fields import as_typed

    names = ["id", "status", "created_at"]
    names += ["name"] if any(run.name for run in runs) else []
    names += ["experiment"] if len({run.experiment for run in runs}) > 1 else []
    names += [as_typed("params", name) for name in telling_params(runs)]
    names += [as_typed("metrics", name) for name in telling_metrics(runs)]
    return [*names, "command", *(["tags"] if any(run.tags for run in runs) else [])]


def telling_params(runs: Sequence[Run]) -> list[str]:
    """The params that differ between these runs, or all of a single one: those that most runs have first."""
    return telling([run.params for run in runs], len(runs) > 1)[:MOST]


def telling_metrics(runs: Sequence[Run]) -> list[str]:
    return of_first_rank(telling([run.metrics for run in runs], False))[:MOST]


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
    return sorted(keys, key=lambda key: (not differs[key], -len(values[key]), natural(key)))


def natural(name: str) -> list[tuple[int, int, str]]:
    """What names sort by where their numbers count as numbers: layer2 before layer10."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [(0, int(part), "") if place % 2 else (1, 0, part) for place, part in enumerate(parts)]


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


def metric_column(name: str, runs: Sequence[Run], rank: float) -> Column:
    last = [summary.last if summary is not None else None for summary in (run.metrics.get(name) for run in runs)]
    return value_column(f"metrics.{name}", [(text, "cyan") for text in even_numbers(last)], rank)


def value_column(full_name: str, cells: Sequence[Words], rank: float, is_number: bool = True) -> Column:
    """A column of params or metrics. Numbers are never cut, as half a number is a lie; a long title or text may be."""
    title = clean(full_name.split(".", 1)[1])
    values = max(cell_width(text) for text, _ in cells)
    least = max(values if is_number else min(values, 10), min(cell_width(title.rsplit(".", 1)[-1]), 9))
    return Column(full_name, title, cells, rank, least, is_number)


def param_text(params: Mapping[str, Any], name: str) -> str:
    return value_words(params[name]) if name in params else ""


def even_numbers(values: Sequence[Any]) -> list[str]:
    """Numbers in about five digits, all with as many behind the point, so that they can be compared at a glance; as
    many as each needs, where fewer would make different ones look the same. Nothing for None."""
    texts = ["" if value is None else number(value) for value in values]
    usual = [text for text in texts if "." in text and "e" not in text]
    if not usual:
        return texts
    digits = max(len(text.rpartition(".")[2]) for text in usual)
    before = max(len(text.partition(".")[0].lstrip("-")) for text in texts if text[-1:].isdigit() and "e" not in text)
    places = min(digits, max(1, 5 - before))
    evened = [even(value, text, places) for value, text in zip(values, texts, strict=True)]
    return evened if len(set(evened)) == len(set(texts)) else texts


def even(value: Any, text: str, places: int) -> str:
    """A number with so many digits behind the point; as it was, where that would show too little of it."""
    is_plain = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_plain or "e" in text or (value and abs(value) < 10.0 ** (1 - places)):
        return text
    return f"{value + 0.0:.{places}f}" if abs(value) < 1e7 else text


def with_short_titles(columns: list[Column]) -> list[Column]:
    """The shortest ends of the names of params and metrics that no other column's name ends in: `model.encoder.depth`
    as `depth`, but `val.loss` beside `train.loss`; and that mean nothing else: `params.seed`, not `seed`."""
    named = {
        column.name: ends_of(column.title) for column in columns if column.name.startswith(("params.", "metrics."))
    }
    used = Counter(end for ends in named.values() for end in ends)
    used.update(column.title for column in columns if column.name not in named)
    whole = Counter(column.title for column in columns)
    return [
        titled(column, short_title(column, named[column.name], used, whole)) if column.name in named else column
        for column in columns
    ]


def titled(column: Column, title: str) -> Column:
    """The column under a title of which enough is to be seen."""
    return replace(column, title=title, least=max(column.least, min(cell_width(title), 9)))


def short_title(column: Column, ends: Sequence[str], used: Counter[str], whole: Counter[str]) -> str:
    alone = next((end for end in ends if used[end] == 1 and end.lower() not in TAKEN), None)
    if alone is not None:
        return alone
    is_its_own = whole[column.title] == 1 and column.title.lower() not in TAKEN
    return column.title if is_its_own else clean(column.name)
