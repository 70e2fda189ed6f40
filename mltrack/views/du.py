"""What takes the space of the store, as a page: the totals first, then the largest shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import count, short_id, size

if TYPE_CHECKING:
    from mltrack.operations.keeping.du import Share, Totals, Usage

MOST = 20


def du_page(usage: Usage) -> Page:
    """The page; a terminal shows the first MOST shares."""
    page = Page()
    add_totals(page, usage.totals)
    if usage.workspaces:
        hint = "see which can go: mltrack gc --workspaces"
        page.field("workspaces", f"{size(usage.workspaces_bytes)} in {usage.workspaces}, beside the store; {hint}")
    if usage.shares:
        page.blank()
        header: list[Cell] = [(word, "dim") for word in (usage.by, "files", "only here", "shared", "")]
        header[2] = (f"only this {usage.by}", "dim")
        grid = Grid([row(usage.by, share) for share in usage.shares], "<>>><", header, limit=MOST)
        page.grid(grid)
    return page


def add_totals(page: Page, totals: Totals) -> None:
    page.field("files", f"{size(totals.logical_bytes)} in all runs, if each had its own")
    page.field("distinct", f"{size(totals.distinct_bytes)}{saved(totals.logical_bytes, totals.distinct_bytes)}")
    page.field("compressed", f"{size(totals.compressed_bytes)}{saved(totals.distinct_bytes, totals.compressed_bytes)}")
    page.field("overhead", f"{size(totals.overhead_bytes)} of headers, tables and lists of chunks")
    hint = "; see what would go: mltrack gc" if totals.garbage_bytes else ""
    page.field("garbage", f"{size(totals.garbage_bytes)} that no run needs{hint}", "yellow" if hint else "")
    page.field("on disk", size(totals.stored_bytes), "bold")


def saved(before: int, after: int) -> str:
    """How much less it is, in words."""
    return f", {1 - after / before:.0%} less" if before * 0.995 > after else ""


def row(by: str, share: Share) -> tuple[Cell, ...]:
    """The cells of one share."""
    name: Cell = (short_id(share.name), "yellow") if by == "run" else share.name
    aside = [share.label or "", f"{count(share.missing, 'object')} not here" if share.missing else ""]
    return (
        name,
        size(share.logical_bytes),
        size(share.only_bytes),
        size(share.shared_bytes),
        ("  ".join(filter(None, aside)), "dim"),
    )
