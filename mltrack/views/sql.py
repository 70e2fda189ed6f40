"""Answers to SQL as values that every format can say, and what there is to ask."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mltrack.views.page import Page
from mltrack.views.text import size

EXAMPLES = (
    "SELECT id, status, created_at FROM run ORDER BY created_at DESC LIMIT 10",
    "SELECT run, value FROM param WHERE name = 'lr' AND value > 0.01",
    (
        "SELECT p.value AS model, count(*) AS runs, avg(m.last) AS acc FROM metric m JOIN param p USING (run)"
        " WHERE m.name = 'acc' AND p.name = 'model' GROUP BY p.value"
    ),
)


def values_of(rows: Iterable[Sequence[Any]], for_person: bool) -> Iterator[Sequence[Any]]:
    """Rows without bytes, which are base64 for a machine and their size for a person."""
    for row in rows:
        if any(isinstance(value, bytes) for value in row):
            yield [shown(value, for_person) if isinstance(value, bytes) else value for value in row]
        else:
            yield row


def shown(data: bytes, for_person: bool) -> str:
    return f"({size(len(data))} of bytes)" if for_person else base64.b64encode(data).decode()


def views_page(views: Mapping[str, tuple[str, Sequence[str]]]) -> Page:
    """The views, their columns, and three questions."""
    page = Page()
    for name, (about, columns) in views.items():
        page.field(name, about, "dim")
        page.field("", ", ".join(columns))
    page.heading("Such as")
    for example in EXAMPLES:
        page.line((f'mltrack sql "{example}"', "cyan"))
    return page
