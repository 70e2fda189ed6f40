"""What `verify` found, as a page: each problem, and where a good copy of it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.views.page import Page
from mltrack.views.text import count, size

if TYPE_CHECKING:
    from mltrack.operations.keeping.verify import Problem, Verified


def verify_page(found: Verified) -> Page:
    """The page; one line if everything holds."""
    page = Page()
    if found.looked is not None:
        looked = found.looked
        part = f"{size(looked.size_bytes)} of {size(looked.of_bytes)}"
        page.line((f"Looked at {looked.entries:,} of {count(looked.of_entries, 'piece')}, {part}.", "dim"))
    for problem in found.problems:
        add(page, problem)
    for place in found.aside:
        page.line(("set aside: ", "yellow"), place)
    if not found.problems:
        page.line("Everything holds." if found.looked is None else "All that was looked at holds.")
    elif found.holds:
        page.line((f"Everything was repaired: {count(len(found.problems), 'problem')}.", "green"))
    elif any(problem.copies and not problem.repaired for problem in found.problems):
        page.line("Repair what can be repaired: mltrack verify --repair")
    return page


def add(page: Page, problem: Problem) -> None:
    if problem.repaired:
        page.line(("repaired: ", "green"), problem.message)
        return
    page.line((f"{problem.kind}: ", "red"), problem.message)
    if problem.copies:
        page.line(f"    a good copy: {', '.join(problem.copies)}")
