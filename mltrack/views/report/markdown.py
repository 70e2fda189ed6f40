"""Markdown as GitHub reads it. What was recorded stands in code spans, where nothing is a mention, a link, an element
or emphasis; where a code span cannot hold it, every sign of it is written as its number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from mltrack.views.report.blocks import Cell, Fold, Lines, Table, split
from mltrack.views.text import clean, shorten

MARK = "<!-- mltrack report -->"
"""The first line of a report; nobody sees it. By it a report is known that may be written over."""
FOLD = "<details>"
MOST_CHARACTERS = 60_000
"""GitHub takes 65,536 in a comment."""
NO_ROOM = "More is left out for want of room; the report as HTML has it."
LONGEST = 80
"""Characters of a recorded text in a table."""


def code(text: str, most: int = LONGEST) -> str:
    """A recorded text, without its middle where it is long; safe in a sentence, a heading and between bars."""
    shown = shorten(clean(text), most)
    if not shown:
        return ""
    if not shown.strip(" ") or any(sign in shown for sign in "|`\\"):
        return f"<code>{numbered(shown)}</code>"
    return f"`{shown}`" if shown.strip(" ") == shown else f"` {shown} `"


def numbered(text: str) -> str:
    """A text in which each sign that could mean something is the number of its character."""
    return "".join(char if char.isalnum() or char in " …" else f"&#{ord(char)};" for char in text)


SUSPECT = re.compile(r"[@#$<>`&]|://|www\.|\]\(")
"""What GitHub makes a mention, a link or an element of. None of our own words has it."""


def words(text: str) -> str:
    """Our own words, or a number: as they are, but for what a table or a sentence would take for marks."""
    if SUSPECT.search(text):
        return code(text, 300)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escape(clean(text), quote=False))


def cell(one: Cell, longest: int = LONGEST) -> str:
    """A cell of a table: recorded texts are those that are styled as code or as a name."""
    text, style = split(one)
    if style in ("code", "name") or SUSPECT.search(text):
        return code(text, longest)
    return words(text) if style != "strong" else f"**{words(text)}**" if text else ""


def table(block: Table) -> list[str]:
    """The rows of a table up to its limit; a last line says how many more there are."""
    if not block.rows:
        return []
    longest = block.longest or LONGEST
    aligns = [" --: " if side == ">" else " --- " for side in block.aligns]
    lines = [row([cell(head, longest) for head in block.heads]), f"|{'|'.join(aligns)}|"]
    lines += [row([cell(one, longest) for one in cells]) for cells in block.rows[: block.limit]]
    more = len(block.rows) - block.limit
    return [*lines, *(["", f"... and {more:,} more."] if more > 0 else [])]


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def folded(block: Fold, form: str = "diff") -> list[str]:
    """A part that is shown on request, as one text; it has tables and listings, of that form, only."""
    inner: list[str] = []
    for one in block.blocks:
        inner += ["", *(table(one) if isinstance(one, Table) else listing(one, form) if isinstance(one, Lines) else [])]
    return ["\n".join([f"{FOLD}<summary>{escape(clean(block.title))}</summary>", *inner, "", "</details>"])]


def fitted(parts: Sequence[str]) -> list[str]:
    """The parts without the last of those that are folded, as far as they have no room in a comment."""
    kept = list(parts)
    room = MOST_CHARACTERS - sum(len(part) + 1 for part in kept)
    for place in reversed(range(len(kept))):
        if room < 0 and kept[place].startswith(FOLD):
            room += len(kept[place]) - len(NO_ROOM)
            kept[place] = NO_ROOM
    return kept


def listing(block: Lines, form: str) -> list[str]:
    """A fenced listing; the fence is longer than any in it."""
    lines = ["\t".join(map(clean, text.split("\t"))) for text, _ in block.lines]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{form}", *lines, fence]
