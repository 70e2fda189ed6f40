"""What the reader must not miss: files that were left out, and warnings. Shown before a run starts and on its page.

Light on purpose: `mltrack run` may need it before the command starts.
"""

from __future__ import annotations

from collections.abc import Sequence

from mltrack.records import LeftOut, Warning
from mltrack.views.page import Grid, Listing, Page
from mltrack.views.text import count, size

MOST = 20
"""A terminal shows at most this many left-out files, and as many warnings of one run."""


def left_out_page(left_out: Sequence[LeftOut]) -> Page:
    """The files that a snapshot does not hold, and why; empty when there are none."""
    page = Page()
    if left_out:
        page.line(("! ", "yellow"), (f"{count(len(left_out), 'file')} left out of the snapshot:", "bold yellow"))
        rows = [
            (item.path, "" if item.size_bytes is None else size(item.size_bytes), (item.reason, "dim"))
            for item in left_out
        ]
        page.grid(Grid(rows, "<><", limit=MOST))
    return page


def warnings_page(warnings: Sequence[Warning]) -> Page:
    """The warnings of a run, one a line; empty when there are none."""
    page = Page()
    if warnings:
        lines = [(f"! {warning.message}", "yellow") for warning in warnings]
        page.add([Listing(lines, limit=MOST, more="! ... and {} more warnings; --json has them all")])
    return page
