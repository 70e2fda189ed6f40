"""Code that differs: files with a bar of their lines as `git diff --stat` draws it, and a patch with what changed
within its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.views.page import painted
from mltrack.views.text import cell_width, clean, count, shorten

if TYPE_CHECKING:
    from mltrack.compare.differences import CodeChange

LETTERS = {"A": ("+", "green"), "D": ("-", "red"), "M": ("~", "yellow"), "R": ("→", "cyan")}
PIPE = 80
"""The width that a bar is fitted to where there is no terminal, as git does."""
LONGEST_BAR = 60

HEADS = (
    "diff ",
    "index ",
    "--- ",
    "+++ ",
    "new file",
    "deleted file",
    "rename ",
    "similarity ",
    "old mode",
    "new mode",
)
FOLD = "... "
FEW_LINES = 20
"""So many lines of a patch of data are shown."""
STYLES = {"+": "green", "-": "red", "@": "cyan", "\\": "dim"}
WORD = re.compile(r"\w+|\s+|.", re.DOTALL)
LONGEST_LINE = 400
"""Signs of a line up to which it is looked at word by word."""
MOST_PAIRS = 2000
ALIKE = 0.5
"""How much two lines must have in common to be two states of one."""


@noun
class Stat:
    """Files that differ, each with its lines and a bar, and what they come to; a terminal shows `limit` of them."""

    files: Sequence[CodeChange]
    limit: int | None = None
    more: str = "... and {} more"

    def draw(self, width: int | None, colour: bool) -> list[str]:
        shown = self.files if width is None else self.files[: self.limit]
        counted = any(one.added is not None for one in self.files)
        names = [clean(one.path) for one in shown]
        numbers = [lines_of(one) if counted else "" for one in shown]
        number = max(map(cell_width, numbers), default=0)
        room = (width or PIPE) - 9 - number
        widest = max(map(cell_width, names), default=0)
        name = min(widest, max(room * 2 // 3, room - LONGEST_BAR, 10)) if width is not None else widest
        bars = max(min(room - name, LONGEST_BAR), 4)
        most = max([(one.added or 0) + (one.removed or 0) for one in shown], default=0)
        drawn = []
        for one, path, told in zip(shown, names, numbers):
            glyph, style = LETTERS.get(one.status[:1], LETTERS["M"])
            path = shorten(path, name)
            line = f"  {painted(glyph, style, colour)}  {path}"
            if counted:
                line += f"{' ' * (name - cell_width(path))}  {told:>{number}}  {bar(one, most, bars, colour)}"
            drawn.append(line.rstrip(" "))
        if len(shown) < len(self.files):
            drawn.append("  " + painted(self.more.format(f"{len(self.files) - len(shown):,}"), "dim", colour))
        return [*drawn, *([f"  {painted(total(self.files), 'dim', colour)}"] if counted else [])]


def lines_of(one: CodeChange) -> str:
    return "binary" if one.added is None or one.removed is None else f"{one.added + one.removed:,}"


def bar(one: CodeChange, most: int, width: int, colour: bool) -> str:
    """`++++--`: a sign a line where all fit, else in proportion; never none for lines that are there."""
    plus, minus = one.added or 0, one.removed or 0
    if most > width:
        plus, minus = (0 if not lines else max(1, round(lines * (width - 1) / most)) for lines in (plus, minus))
    return painted("+" * plus, "green", colour) + painted("-" * minus, "red", colour)


def total(files: Sequence[CodeChange]) -> str:
    """`3 files changed, 12 insertions(+), 4 deletions(-)`, as git says it."""
    added, removed = (sum(getattr(one, name) or 0 for one in files) for name in ("added", "removed"))
    told = [f"{count(len(files), 'file')} changed"]
    told += [f"{count(added, 'insertion')}(+)"] if added else []
    told += [f"{count(removed, 'deletion')}(-)"] if removed else []
    return ", ".join(told)


@noun
class Patch:
    """A patch in git's colours; what changed within a line is reversed where there are colours. Of the `folded` files
    (their names then and now) a terminal gets no more than how much there is."""

    text: str
    folded: Sequence[tuple[str, str]] = ()

    def draw(self, width: int | None, colour: bool) -> list[str]:
        lines = self.text.rstrip("\n").split("\n")
        if width is not None and self.folded:
            lines = list(without(lines, self.folded))
        if not colour:
            return [shown(line) for line in lines]
        return list(coloured(lines))


def without(lines: Sequence[str], folded: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The lines, with those of some files counted instead, where they are more than a few."""
    names = {f"diff --git a/{then} b/{now}": now for then, now in folded}
    at = 0
    while at < len(lines):
        end = at + 1
        while end < len(lines) and not lines[end].startswith("diff --git "):
            end += 1
        name = names.get(lines[at])
        if name is None or end - at <= FEW_LINES:
            yield from lines[at:end]
        else:
            yield lines[at]
            yield f"{FOLD}{end - at - 1:,} lines of {name}; --all shows them"
        at = end


def shown(line: str) -> str:
    """A line of a file, whose tabs stay."""
    return "\t".join(map(clean, line.split("\t")))


def coloured(lines: Sequence[str]) -> Iterator[str]:
    """The lines, painted; those taken away and those put in their place are looked at together."""
    at, pairs, in_hunk = 0, MOST_PAIRS, False
    while at < len(lines):
        line = lines[at]
        in_hunk = line.startswith("@@") or (in_hunk and not line.startswith("diff "))
        if not in_hunk or line[:1] != "-":
            yield painted(shown(line), style_of(line, in_hunk), True)
            at += 1
            continue
        middle = run_of(lines, at, "-")
        end = run_of(lines, middle, "+")
        gone, new = lines[at:middle], lines[middle:end]
        if len(gone) == len(new) <= pairs:
            pairs -= len(gone)
            both = [marked(one, other) for one, other in zip(gone, new)]
            yield from (one for one, _ in both)
            yield from (other for _, other in both)
        else:
            yield from (painted(shown(one), style_of(one, True), True) for one in (*gone, *new))
        at = end


def run_of(lines: Sequence[str], start: int, sign: str) -> int:
    """Where a row of lines that begin with a sign ends."""
    end = start
    while end < len(lines) and lines[end][:1] == sign:
        end += 1
    return end


def style_of(line: str, in_hunk: bool) -> str:
    if not in_hunk:
        return "bold" if line.startswith(HEADS) else "dim" if line.startswith(FOLD) else ""
    return STYLES.get(line[:1], "")


def marked(gone: str, new: str) -> tuple[str, str]:
    """Two lines, with the words that differ reversed if the lines are two states of one."""
    plain = painted(shown(gone), "red", True), painted(shown(new), "green", True)
    if max(len(gone), len(new)) > LONGEST_LINE:
        return plain
    from difflib import SequenceMatcher

    words, others = WORD.findall(gone[1:]), WORD.findall(new[1:])
    matcher = SequenceMatcher(None, words, others, autojunk=False)
    if matcher.quick_ratio() < ALIKE or matcher.ratio() < ALIKE:
        return plain
    parts: tuple[list[str], list[str]] = ([painted("-", "red", True)], [painted("+", "green", True)])
    for kind, start, end, begin, stop in matcher.get_opcodes():
        for into, some, style in ((parts[0], words[start:end], "red"), (parts[1], others[begin:stop], "green")):
            text = "".join(some)
            into.append(painted(shown(text), style if kind == "equal" else f"{style} reverse", True))
    return "".join(parts[0]), "".join(parts[1])
