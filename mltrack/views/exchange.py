"""What an import took over, in a few lines."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Any, TextIO

from mltrack.views.console import shown_parts, write
from mltrack.views.page import Page
from mltrack.views.text import clean, count

if TYPE_CHECKING:
    from mltrack.operations.exchange.importing import ImportReport


class Visible(io.RawIOBase):
    """Takes the bytes of a text and shows them on a terminal: what could command it is made visible."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.texts = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        write(self.stream, "".join(shown_parts([self.texts.decode(bytes(data))])))
        return len(data)


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
    if report.other_ids:
        what = "its id may be that of a run elsewhere: it has one of its own"
        if report.other_ids > 1:
            what = "their ids may be those of runs elsewhere: they have ids of their own"
        page.line((f"  {report.other_ids:,} of these: {what}", "yellow"))
    if report.new and report.applied:
        page.hint("")
        page.hint(("see them         ", "dim"), ("mltrack ls", "cyan"))
        page.hint(("bring their data ", "dim"), ("mltrack pull --data", "cyan"))
    return page
