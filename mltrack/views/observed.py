"""What a run read and wrote, each path with the rule that placed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import count, short_digest

MOST = 200
"""A terminal shows at most this many rows of a section; a pipe and --json have them all."""
MORE = "... and {} more; --json has them all"
SECTIONS = (("input", "Inputs"), ("both", "Read, then changed"), ("artifact", "Artifacts"))
LEFT_OUT = "left out"
FEW = 12
"""More paths of one directory than this, with one rule and the same letters, are one row."""
LETTERS = (
    ("r", "read"),
    ("f", "was there before: read, or opened to be changed, before the run wrote it"),
    ("w", "written"),
    ("u", "opened to be changed, not made anew"),
    ("d", "removed, or renamed away, at last"),
)


class Seen(Protocol):
    """A path as `operations/observed.Line` has it."""

    @property
    def path(self) -> str: ...
    @property
    def made(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def letters(self) -> str: ...
    @property
    def digest(self) -> str | None: ...


def observed_page(lines: Sequence[Seen], rules: Mapping[str, str], is_all: bool, remarks: Iterable[str]) -> Page:
    """Inputs and artifacts with their rules; with `is_all` each path that was left out too, else how many by rule.

    Many of one directory that are alike are one row. `rules`: name -> what it means. `remarks`: what could not be seen.
    """
    page = Page()
    for made, title in SECTIONS:
        rows = folded([line for line in lines if line.made == made])
        if rows:
            page.heading(title)
            page.grid(Grid(rows, "<<<<", limit=MOST, more=MORE))
    others = [line for line in lines if line.made == LEFT_OUT]
    if others:
        page.heading("Left out", count(len(others), "path"))
        if is_all:
            page.grid(Grid(folded(others), "<<<<", limit=None))
        else:
            page.grid(Grid(by_rule(others), "<>"))
    told = {letter for line in lines if is_all or line.made != LEFT_OUT for letter in line.letters}
    if told:
        page.heading("Letters")
        page.grid(Grid([((letter, "dim"), text) for letter, text in LETTERS if letter in told], "<<"))
    used = [name for name in rules if any(line.rule == name for line in lines)]
    if used:
        page.heading("Rules")
        page.grid(Grid([((name, "cyan"), rules[name]) for name in used], "<<"))
    for remark in remarks:
        page.blank()
        page.line((remark, "yellow"))
    if others and not is_all:
        page.hint("")
        page.hint(("each of them     ", "dim"), ("add --all", "cyan"))
    return page


def folded(lines: Sequence[Seen]) -> list[tuple[Cell, ...]]:
    """A row for each path, and one for many that are alike in one directory, at the place of the first."""
    groups: dict[tuple[str, str, str], list[Seen]] = {}
    for line in lines:
        groups.setdefault((line.path.rpartition("/")[0], line.rule, line.letters), []).append(line)
    rows: list[tuple[Cell, ...]] = []
    for line in lines:
        directory = line.path.rpartition("/")[0]
        alike = groups[directory, line.rule, line.letters]
        if not directory or len(alike) <= FEW:
            rows.append(row(line))
        elif alike[0] is line:
            number = f"{count(len(alike), 'path')}"
            rows.append((f"{directory}/", (line.letters, "dim"), (line.rule, "cyan"), (number, "dim")))
    return rows


def row(line: Seen) -> tuple[Cell, ...]:
    digest = short_digest(line.digest) if line.digest else ""
    return line.path, (line.letters, "dim"), (line.rule, "cyan"), (digest, "dim")


def by_rule(lines: Iterable[Seen]) -> list[tuple[Cell, ...]]:
    counts = Counter(line.rule for line in lines)
    return [((rule, "cyan"), f"{number:,}") for rule, number in counts.most_common()]


def observed_json(lines: Iterable[Seen], is_all: bool) -> list[dict[str, Any]]:
    """The machine interface's list; without `is_all` only inputs and artifacts."""
    return [
        {"path": line.path, "made": line.made, "rule": line.rule, "letters": line.letters, "digest": line.digest}
        for line in lines
        if is_all or line.made != LEFT_OUT
    ]
