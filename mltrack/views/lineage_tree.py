"""The graph through runs that share content, as trees for a person: where it came from, and what came of it.

A run that is reached by two ways is drawn out once. A deep tree goes on at the left margin, so that a chain of a
thousand runs stays readable and its text stays in proportion.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from mltrack.views.blame import facts_of, name_of, unread_sentence
from mltrack.views.lineage import extent, leaf_facts
from mltrack.views.page import Cell, painted, split
from mltrack.views.tables.columns import STATUS
from mltrack.views.text import age, cell_width, command_line, count, short_id, shorten

if TYPE_CHECKING:
    from mltrack.operations.origin.lineage import Edge, Leaf, Lineage

FAN = 20
"""Branches of one run that a terminal shows; a pipe gets all."""
DEEPEST = 6
"""Levels of indentation before a tree goes on at the left margin."""
COMMAND = 60
"""Cells of a command where there is room."""
LEAST = 8
"""Cells that are left of what is shortened."""


GOES_ON = "(from above)"


class Branch(NamedTuple):
    """What hangs on a run: another run by an edge, or data."""

    run: str | None
    cells: tuple[Cell, ...]
    """What is said beside the run, or of the data."""


class Step(NamedTuple):
    """A direction: from a run to its branches, and whether it has any."""

    branches: Callable[[str], list[Branch]]
    has_any: Callable[[str], bool]


Waiting = deque[tuple[str, str, bool]]
"""Runs to be drawn at the left margin, what is said beside each, and whether the run itself is shown."""


class Tree:
    """`Renderable`; `now` is in seconds since 1970, for ages."""

    def __init__(self, found: Lineage, now: float | None = None) -> None:
        self.found = found
        self.now = time.time() if now is None else now
        self._above: dict[str, list[Edge]] = {}
        self._beneath: dict[str, list[Edge]] = {}
        self._leaves: dict[str, list[Leaf]] = {}
        for edge in found.edges:
            self._above.setdefault(edge.user, []).append(edge)
            self._beneath.setdefault(edge.maker, []).append(edge)
        for leaf in found.leaves:
            self._leaves.setdefault(leaf.user, []).append(leaf)

    def render(self, width: int | None, colour: bool) -> str:
        return "\n".join(self._lines(width, colour)) + "\n"

    def _lines(self, width: int | None, colour: bool) -> Iterator[str]:
        drawing = Drawing(self, width, colour)
        start = self.found
        if start.run is not None:
            yield drawing.line("", self.run_cells(start.run))
            ups = [(start.run, "")] if self._above.get(start.run) or self._leaves.get(start.run) else []
            downs = [(start.run, "")] if self._beneath.get(start.run) else []
        else:
            assert start.subject is not None
            facts = facts_of(start.subject)
            yield drawing.line("", ((name_of(start.subject), "bold"), (f"  {facts}", "dim")))
            others = "" if start.in_parts else also(len(start.made) - 1)
            ups = [(one.run, f"made {one.path}{others}") for one in start.made[: None if start.in_parts else 1]]
            downs = [(place.run, f"used {place.path}") for place in start.used]
        up = Step(self.up, lambda run: run in self._above or run in self._leaves)
        down = Step(self.down, lambda run: run in self._beneath)
        yield from drawing.section("came from", ups, up, start.run is None)
        yield from drawing.section("was used by", downs, down, start.run is None)
        if not ups and not downs:
            yield "No run that is known here made it, or used what it made."
        yield from self._remarks(drawing)

    def _remarks(self, drawing: Drawing) -> Iterator[str]:
        if self.found.cut:
            yield drawing.line("", ((f"--depth ended it at {count(len(self.found.cut), 'run')}.", "dim"),))
        if self.found.unread:
            yield drawing.line("", ((f"! {unread_sentence(self.found.unread)}", "yellow"),))

    def up(self, run: str) -> list[Branch]:
        """Where the inputs of a run came from: runs first, then data."""
        found = [Branch(edge.maker, (("made ", "dim"), files_of(edge))) for edge in self._above.get(run, ())]
        for leaf in self._leaves.get(run, ()):
            slash = "/" if leaf.kind == "directory" else ""
            found.append(Branch(None, ((f"{leaf.path}{slash}", ""), (f"  {leaf_facts(leaf)}", "dim"))))
        return found

    def down(self, run: str) -> list[Branch]:
        """What used the artifacts of a run, the oldest first."""
        edges = sorted(self._beneath.get(run, ()), key=lambda edge: (self.found.runs[edge.user].began, edge.user))
        return [Branch(edge.user, (("used ", "dim"), files_of(edge))) for edge in edges]

    def run_cells(self, run: str) -> tuple[Cell, ...]:
        one = self.found.runs[run]
        glyph, style = STATUS.get(one.status, ("?", ""))
        name = one.name or shorten(command_line(one.command), COMMAND)
        hidden = ", hidden" if one.hidden else ""
        return (
            (f"{glyph} ", style),
            (short_id(run), "yellow"),
            f" {name}",
            (f"  {age(one.began, self.now)}{hidden}", "dim"),
        )


class Drawing:
    """One rendering: its width and colours, and which runs were drawn out already."""

    def __init__(self, tree: Tree, width: int | None, colour: bool) -> None:
        self.tree = tree
        self.width = width
        self.colour = colour

    def section(self, title: str, roots: list[tuple[str, str]], step: Step, shows_roots: bool) -> Iterator[str]:
        """A heading, and the tree below each root."""
        if not roots:
            return
        yield ""
        yield painted(title, "bold", self.colour)
        done: set[str] = set()
        waiting = deque((root, remark, shows_roots) for root, remark in roots)
        shown = 0
        while waiting:
            root, remark, is_shown = waiting.popleft()
            shown += is_shown and remark != GOES_ON
            if self.width is not None and shown > FAN and remark != GOES_ON:
                left = 1 + sum(1 for _, other, _ in waiting if other != GOES_ON)
                yield self.line("", ((f"... and {left:,} more", "dim"),))
                waiting = deque(one for one in waiting if one[1] == GOES_ON)
                continue
            if is_shown:
                yield self.line("", (*self.tree.run_cells(root), (f"  {remark}" if remark else "", "dim")))
            if root not in done:
                done.add(root)
                yield from self._below(root, step, (done, waiting))

    def _below(self, root: str, step: Step, state: tuple[set[str], Waiting]) -> Iterator[str]:
        """The branches of a run, depth first; without recursion, for they may be thousands deep."""
        done, waiting = state
        stack = self._branches(root, "", step)
        while stack:
            prefix, is_last, branch = stack.pop()
            mark = "└─ " if is_last else "├─ "
            if branch.run is None:
                yield self.line(prefix + mark, branch.cells)
                continue
            remark = ""
            has_more = step.has_any(branch.run)
            inner = prefix + ("   " if is_last else "│  ")
            if has_more and branch.run in done:
                remark = "(again)"
            elif has_more and len(inner) >= 3 * DEEPEST:
                remark = "(below)"
                if all(branch.run != one for one, _, _ in waiting):
                    waiting.append((branch.run, GOES_ON, True))
            cells = (
                *self.tree.run_cells(branch.run),
                ("  ", ""),
                *branch.cells,
                (f"  {remark}" if remark else "", "dim"),
            )
            yield self.line(prefix + mark, cells)
            if has_more and not remark:
                done.add(branch.run)
                stack += self._branches(branch.run, inner, step)

    def _branches(self, run: str, prefix: str, step: Step) -> list[tuple[str, bool, Branch]]:
        """The branches of a run, the first at the end of the list."""
        branches = step.branches(run)
        if self.width is not None and len(branches) > FAN:
            more = Branch(None, ((f"... and {len(branches) - FAN:,} more; --json has them all", "dim"),))
            branches = [*branches[:FAN], more]
        last = len(branches) - 1
        return [(prefix, place == last, branch) for place, branch in reversed(list(enumerate(branches)))]

    def line(self, prefix: str, cells: tuple[Cell, ...]) -> str:
        """A prefix and cells; where the line is too narrow, the longest cells lose their middle."""
        texts = [split(cell) for cell in cells]
        if self.width is not None:
            room = self.width - len(prefix)
            while sum(cell_width(text) for text, _ in texts) > room:
                longest = max(range(len(texts)), key=lambda place: cell_width(texts[place][0]))
                text, style = texts[longest]
                over = sum(cell_width(one) for one, _ in texts) - room
                wanted = max(LEAST, cell_width(text) - over)
                if wanted >= cell_width(text):
                    break
                texts[longest] = (shorten(text, max(wanted, cell_width(text) * 3 // 4)), style)
        drawn = "".join(painted(text, style, self.colour) for text, style in texts)
        return (painted(prefix, "dim", self.colour) + drawn).rstrip(" ")


def files_of(edge: Edge) -> Cell:
    """`model.pt (1.2 MiB) as base.pt, and 3 more; 9 more runs made it`."""
    first = edge.shared[0]
    other = f" as {first.used_as}" if first.used_as != first.made_as else ""
    more = f", and {len(edge.shared) - 1:,} more" if len(edge.shared) > 1 else ""
    return f"{first.made_as} ({extent(first)}){other}{more}{also(max(one.others for one in edge.shared))}"


def also(others: int) -> str:
    return f" ({count(others, 'more run')} made it)" if others > 0 else ""
