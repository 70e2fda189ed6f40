"""What an import took over, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.views.page import Page
from mltrack.views.text import clean, count

if TYPE_CHECKING:
    from mltrack.operations.exchange.importing import ImportReport


def import_page(report: ImportReport, file: str, most: int) -> Page:
    """How many runs came, what is known of them, and what to do next."""
    page = Page()
    known = report.read - report.new
    verb = "came" if report.applied else "would come"
    page.line(
        f"{count(report.new, 'run')} {verb} from {clean('standard input' if file == '-' else file)}",
        f"; {known:,} here already" if known else "",
    )
    made = report.new - report.proved
    if report.events:
        page.line(f"  {count(report.events, 'edit')}: tags, notes, names and the like")
    if made:
        page.line(f"  {made:,} of them had no digest that proves them: completed, and sealed here")
    if len(report.refused) > most:
        page.line((f"  {len(report.refused):,} lines were passed over", "yellow"))
    if report.unlike:
        shown = ", ".join(report.unlike[:5]) + (" ..." if len(report.unlike) > 5 else "")
        page.line(
            (f"  {count(len(report.unlike), 'run')} here differ from the file, and stay as they are: {shown}", "yellow")
        )
    if report.new and report.applied:
        page.hint("")
        page.hint(("see them         ", "dim"), ("mltrack ls", "cyan"))
        page.hint(("bring their data ", "dim"), ("mltrack pull --data", "cyan"))
    return page
