"""What a reproduction would take, told to a person: what comes, how the command has its inputs, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.views.page import Grid, Page
from mltrack.views.text import command_line, count, duration, short_id, size

if TYPE_CHECKING:
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


def foretold_page(found: Foretold) -> Page:
    """The whole plan."""
    page = Page()
    page.line(("A reproduction of ", "dim"), short_id(found.run), ("  ", ""), command_line(found.command))
    came = f"{count(found.fetch_objects, 'object')}, {size(found.fetch_bytes)}" if found.fetch_objects else "nothing"
    page.line(("to fetch     ", "dim"), came)
    packages = f", {count(found.packages, 'package')}" if found.packages else ""
    built = ", built already" if found.is_built else ""
    page.line(("environment  ", "dim"), f"{found.environment}{packages}{built}")
    if found.duration_s is not None:
        page.line(("it took      ", "dim"), duration(found.duration_s))
    if found.inputs:
        page.heading("Inputs")
        rows = [(item.path, size(item.size_bytes), item.why or WAYS[item.way]) for item in found.inputs]
        page.grid(Grid(rows, "<><", limit=MOST))
    if found.guarded:
        page.heading("Written outside the project, and kept from what is there")
        page.grid(Grid([(path,) for path in found.guarded], "<", limit=MOST))
    if found.conditions:
        page.heading("What would not be the same around it")
        for text in found.conditions:
            page.line("  ", text)
    if found.missing:
        page.heading("It could not be reproduced")
        for text in found.missing:
            page.line("  ", (text, "red"))
    return page
