"""What a reproduction would take, told to a person: the answer first, what stands against it, what comes from where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.views.page import Cell, Grid, Item, Page
from mltrack.views.text import command_line, count, duration, short_id, size

if TYPE_CHECKING:
    from mltrack.operations.repeating.obtaining import PlannedSource
    from mltrack.operations.repeating.plan import Foretold

MOST = 30
"""A terminal shows at most this many inputs and paths."""

WAYS = {
    "there": "is there",
    "shown": "shown to the command alone",
    "put back": "written at its own place",
    "laid out": "laid out in the workspace",
    "unknown": "not known",
    "lacking": "missing",
}
ANSWERS = {
    "yes": ("Yes: it can be got again here.", "green bold"),
    "yes, but": ("Yes, but not all would be as it was.", "yellow bold"),
    "no": ("No: it cannot be got again here, now.", "red bold"),
}


def foretold_page(found: Foretold) -> Page:
    """The whole plan."""
    page = Page()
    page.line(("A reproduction of ", "dim"), short_id(found.run), ("  ", ""), command_line(found.command))
    page.line(ANSWERS[found.answer])
    add_texts(page, "What is missing", found.missing, "red")
    add_texts(page, "What stands against it", found.obstacles, "red")
    add_texts(page, "What would not be the same around it", found.conditions)
    add_texts(page, "What it asked of the network", found.network)
    add_texts(page, "What must be there and is not kept", found.secrets)
    page.heading("What it takes")
    came = f"{count(found.fetch_objects, 'object')}, {size(found.fetch_bytes)}" if found.fetch_objects else "nothing"
    page.field("to fetch", came)
    packages = f", {count(found.packages, 'package')}" if found.packages else ""
    page.field("environment", f"{found.environment}{packages}{', built already' if found.is_built else ''}")
    for room in found.rooms:
        page.field("room", f"about {size(room.needed_bytes)} of {size(room.free_bytes)} free in {room.place}")
    if found.unsized:
        page.field("", f"and {count(found.unsized, 'package')} of unknown size")
    if found.duration_s is not None:
        page.field("time", times(found.duration_s, found.earlier_s))
    if found.variables:
        page.field("variables", "  ".join(f"{name}={text}" for name, text in found.variables.items()))
    if found.sources:
        page.heading("Where it comes from")
        page.grid(Grid([source_row(one) for one in found.sources], "<<>>"))
    if found.inputs:
        page.heading("Inputs")
        rows = [(item.path, size(item.size_bytes), item.why or WAYS[item.way]) for item in found.inputs]
        page.grid(Grid(rows, "<><", limit=MOST))
    if found.guarded:
        page.heading("Written outside the project, and kept from what is there")
        page.grid(Grid([(path,) for path in found.guarded], "<", limit=MOST))
    return page


def add_texts(page: Page, heading: str, texts: tuple[str, ...], style: str = "") -> None:
    if texts:
        page.heading(heading)
        page.add(Item(("·", style or "dim"), text, style) for text in texts)


def times(then: float, earlier: tuple[float, ...]) -> str:
    """How long the command took, and takes."""
    text = f"it took {duration(then)}"
    if not earlier:
        return text
    low, high = duration(min(earlier)), duration(max(earlier))
    return f"{text}; {count(len(earlier), 'reproduction')} took {low if low == high else f'{low} to {high}'}"


def source_row(one: PlannedSource) -> tuple[Cell, ...]:
    where: Cell = (one.where, "red") if one.where == "nowhere" else one.where
    what = "package" if one.what == "packages" else "object"
    return one.what, where, count(one.count, what), "" if one.size_bytes is None else size(one.size_bytes)
