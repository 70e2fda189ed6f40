"""What a run has that can be got: its inputs and artifacts, and the files inside those that are directories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import count, size

if TYPE_CHECKING:
    from mltrack.operations.contents import Held
    from mltrack.records import Run

LIMIT = 20
"""Files of one directory that a terminal shows; a pipe gets all."""


def contents_page(run: Run, contents: Sequence[Held]) -> Page:
    """Every path, what it is to the run, and its size; a directory with what lies in it."""
    page = Page()
    if not contents:
        page.line(f"{run.id} has no artifacts or inputs.")
        return page
    single = [one for one in contents if one.kind != "directory"]
    if single:
        page.grid(Grid([row(one, one.role) for one in single], "<<>", indent=0))
    for one in contents:
        if one.kind == "directory":
            directory(page, one)
    page.blank()
    page.hint("Get one: ", (f"mltrack get {run.id} PATH", "cyan"))
    return page


def directory(page: Page, one: Held) -> None:
    if one.inside is None:
        page.heading(f"{one.path}/", f"{one.role}; its list of files is not here, and no remote gave it")
        return
    page.heading(f"{one.path}/", f"{one.role}, {count(len(one.inside), 'file')}, {size(one.size_bytes)}")
    rows = [row(below, "") for below in one.inside]
    page.grid(Grid(rows, "<<>", indent=0, limit=LIMIT, more="... and {} more; all of them: mltrack get RUN | cat"))


def row(one: Held, role: str) -> tuple[Cell, Cell, Cell]:
    kind = {"link": "link", "directory": "empty directory"}.get(one.kind, "")
    return one.path, (" ".join(filter(None, (role, kind))), "dim"), size(one.size_bytes) if one.kind == "file" else ""
