"""Remotes on a page: what each has, and what a push or pull would move."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import ago, clean, count, size

if TYPE_CHECKING:
    from mltrack.operations.share import RemoteRow
    from mltrack.sync.planning import Plan


def remotes_page(rows: Iterable[RemoteRow], now: float) -> Page:
    """A line a remote. `now`: seconds since 1970."""
    page = Page()
    lines: list[list[Cell]] = []
    for row in rows:
        line: list[Cell] = [(clean(row.name), "bold"), clean(row.url)]
        if row.error is not None:
            line.append((row.error, "red"))
        elif row.runs is not None:
            machines = count(row.replicas or 0, "checkout")
            line.append(f"{count(row.runs, 'run')}, {size(row.size_bytes)}, from {machines}")
            line.append((f"last push {ago(row.last_push_at, now)}", "dim") if row.last_push_at else "")
        lines.append([*line, "", ""][:4])
    page.grid(Grid(lines, "<<<<"))
    return page


def plan_page(plan: Plan, verb: str, is_data_asked: bool = True) -> Page:
    """What would be moved; `verb` is `send` or `bring`."""
    page = Page()
    records = [count(plan.runs, "run"), count(plan.events, "edit")]
    said = ", ".join(part for part in records if not part.startswith("0 "))
    if not said and not plan.objects and not plan.lacking:
        page.line("Nothing to do: both sides have the same.")
        return page
    page.line((f"Would {verb}: ", "bold"), said or "no run that is new")
    if is_data_asked:
        where = "in" if verb == "send" else "from"
        page.line(f"{count(plan.objects, 'object')}, {size(plan.bytes)}, {where} {count(plan.packs, 'pack')}")
    if plan.lacking:
        page.line((f"{count(plan.lacking, 'object')} cannot be had; `mltrack verify` names the runs.", "yellow"))
    page.line("Nothing was moved.")
    return page
