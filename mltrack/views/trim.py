"""What a trimmed environment came to, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.views.page import Grid, Page
from mltrack.views.text import count, short_id, size
from mltrack.views.verdict import style_of

if TYPE_CHECKING:
    from mltrack.operations.env.trim import Trimmed

MOST = 40
MORE = "... and {} more; a pipe and --json have them all"
UNKNOWN = (
    "plug-ins that are found by entry points and loaded another time",
    "imports of processes that were killed, or that ended without Python's own end",
    "other paths through the code than the one that the run took",
)
"""What watching one run cannot tell."""


def trim_page(found: Trimmed) -> Page:
    """Before and after, what goes, whether the rest is enough, and what nobody can know."""
    page = Page()
    before, after = len(found.kept) + len(found.dropped), len(found.kept)
    page.line((f"{count(before, 'package')} → {after:,}", "bold"), (f"  of {short_id(found.run)}", "dim"))
    if found.bytes_before:
        saved = found.bytes_before - found.bytes_after
        unknown = f"; the size of {found.unknown_sizes:,} is not known" if found.unknown_sizes else ""
        page.line(f"{size(found.bytes_before)} → {size(found.bytes_after)} installed, {size(saved)} less{unknown}.")
    page.blank()
    proof(page, found)
    if found.dropped:
        page.heading("Goes", f"{len(found.dropped):,}, not imported and not required by what was")
        page.grid(Grid(columns(found.dropped), "<<<<", limit=MOST, more=MORE))
    imported = set(found.imported)
    page.heading("Stays", f"{after:,}, {len(imported & set(found.kept)):,} of them imported")
    page.grid(Grid(columns(found.kept), "<<<<", limit=MOST, more=MORE))
    page.heading("What it cannot know")
    for sentence in UNKNOWN:
        page.line("  ", (sentence, "dim"))
    page.blank()
    if found.written:
        page.line(f"Wrote {found.written[0]}" + (f" and {len(found.written) - 1} more." if found.written[1:] else "."))
    elif found.holds:
        page.line("Nothing was written. Write it with -o pylock.toml.")
    else:
        page.line(("Nothing was written: it is not enough. Keep more with --keep NAME.", "yellow"))
    return page


def proof(page: Page, found: Trimmed) -> None:
    """How it was tried, and how that went."""
    if found.failures:
        page.line(("✗ ", "red"), ("It was built, and these imports do not work in it", "bold red"), ":")
        page.grid(Grid([((name, "bold"), reason) for name, reason in sorted(found.failures.items())], "<<"))
    elif found.grade is not None:
        style = style_of(found.grade)
        glyph = "✓ " if found.holds else "✗ "
        page.line((glyph, style), "It was built, and the run reproduced in it: ", (found.grade, f"bold {style}"), ".")
    else:
        what = "what the run imported" if found.imported else "what was named"
        page.line(("✓ ", "green"), (f"It was built, and {what} can be imported in it", "bold green"), ".")


def columns(names: Sequence[str], width: int = 4) -> list[tuple[str, ...]]:
    """The names in rows of `width`, read from left to right."""
    padded = [*names, *[""] * (-len(names) % width)]
    return [tuple(padded[place : place + width]) for place in range(0, len(padded), width)]
