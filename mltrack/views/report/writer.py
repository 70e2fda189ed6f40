"""Blocks of a report -> elements of an HTML page. One function a kind of block; none of them knows a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from mltrack.views.report import pictures
from mltrack.views.report.blocks import (
    STYLES,
    Block,
    Cell,
    Commands,
    Course,
    Drawing,
    Facts,
    Fold,
    Gallery,
    Head,
    Lines,
    Pair,
    Quote,
    Report,
    Say,
    Section,
    Table,
    split,
)
from mltrack.views.report.course import course_line
from mltrack.views.report.html import Child, Element, document, of, tag
from mltrack.views.report.sheet import SHEET
from mltrack.views.text import clean, count, shorten


def html(report: Report) -> str:
    """The page as one file."""
    numbered = [(f"{anchor(section.title)}", section) for section in report.sections]
    places = [tag("li", None, tag("a", {"href": f"#{name}"}, section.title)) for name, section in numbered]
    contents = [tag("nav", {"aria-label": "Sections"}, tag("ul", None, *places))] if places[1:] else []
    return document(
        report.title,
        SHEET,
        tag("header", None, tag("h1", None, report.title), *drawn(report.headline)),
        *contents,
        tag("main", None, *(section_of(name, section) for name, section in numbered)),
        tag("footer", None, *(tag("p", None, sentence) for sentence in report.foot)),
    )


def anchor(title: str) -> str:
    """Where a section is on its page; titles are ours, and differ."""
    return re.sub(r"[^a-z]+", "-", title.lower()).strip("-")


def section_of(name: str, section: Section) -> Element:
    return tag("section", {"id": name}, tag("h2", None, section.title), *drawn(section.blocks))


def drawn(blocks: Sequence[Block]) -> list[Element]:
    return [element for block in blocks for element in WRITERS[type(block)](block)]


def part(cell: Cell) -> Child:
    """A text in its style; what was recorded may run from right to left, and turns nothing beside it around."""
    if isinstance(cell, Course):
        return course_line(cell)
    text, style = split(cell)
    if style not in STYLES:
        return text if text.isascii() else tag("bdi", None, text)
    return of("code" if style == "code" else "bdi", style, text)


def said(block: Say) -> list[Element]:
    return [of("p", block.mark, *(part(cell) for cell in block.parts))]


def quoted(block: Quote) -> list[Element]:
    return [of("pre", "note", block.text)]


def headed(block: Head) -> list[Element]:
    aside: list[Child] = [" ", of("span", "dim", block.aside)] if block.aside else []
    return [tag("h3", None, block.text, *aside)]


def facts(block: Facts) -> list[Element]:
    rows = [child for label, cell in block.rows for child in (tag("dt", None, label), tag("dd", None, part(cell)))]
    return [tag("dl", None, *rows)] if rows else []


def table(block: Table) -> list[Element]:
    """A table, and the rows beyond its limit as another one that is folded."""
    first = rows_of(block, block.rows[: block.limit])
    rest = block.rows[block.limit :]
    if not rest:
        return [first]
    more = tag("summary", None, f"{count(len(rest), 'more row')}")
    return [first, tag("details", None, more, rows_of(block, rest))]


def rows_of(block: Table, rows: Sequence[tuple[Cell, ...]]) -> Element:
    heads = [split(head)[0] for head in block.heads]
    head = tag("tr", None, *(head_cell(text, side, block.longest) for text, side in zip(heads, block.aligns)))
    thead = [tag("thead", None, head)] if any(heads) else []
    body = tag("tbody", None, *(tag("tr", None, *cells(row, block)) for row in rows))
    inner = of("table", "narrow" if block.longest else "", tag("caption", None, block.about), *thead, body)
    return tag("div", {"class": "wide", "tabindex": "0", "role": "region", "aria-label": block.about}, inner)


def head_cell(text: str, side: str, longest: int) -> Element:
    style = {"class": "right"} if side == ">" else {}
    shown, whole = within(text, longest)
    return tag("th", {"scope": "col", **style, **whole}, part(shown)) if text else tag("td", style)


def cells(row: Sequence[Cell], block: Table) -> list[Element]:
    made = []
    for place, (cell, side) in enumerate(zip(row, block.aligns)):
        style = {"class": "right"} if side == ">" else {}
        shown, whole = within(cell, block.longest)
        name, scope = ("td", {}) if place else ("th", {"scope": "row"})
        made.append(tag(name, {**scope, **style, **whole}, part(shown)))
    return made


def within(cell: Cell, longest: int) -> tuple[Cell, dict[str, str]]:
    """The cell without the middle of a text that is too long, and then the whole of it as a title."""
    if not longest or isinstance(cell, Course):
        return cell, {}
    text, style = split(cell)
    short = shorten(clean(text), longest)
    return ((short, style) if style else short, {"title": text}) if short != clean(text) else (cell, {})


def lines(block: Lines) -> list[Element]:
    children: list[Child] = []
    for text, style in block.lines:
        children += [of("span", style, text), "\n"] if style in STYLES else [f"{text}\n"]
    return [tag("pre", {"class": "wide", "tabindex": "0", "role": "region", "aria-label": block.about}, *children)]


def commands(block: Commands) -> list[Element]:
    rows = [
        child
        for why, command in block.rows
        for child in (tag("dt", None, why), tag("dd", None, of("pre", "", command)))
    ]
    return [of("dl", "commands", *rows)]


def fold(block: Fold) -> list[Element]:
    is_open = {"open": ""} if block.is_open else {}
    return [tag("details", is_open, tag("summary", None, block.title), *drawn(block.blocks))]


def drawing(block: Drawing) -> list[Element]:
    return pictures.plot_figures(block.plot)


def gallery(block: Gallery) -> list[Element]:
    shown = [one for one in block.previews if one.kind == "picture"]
    made = [of("div", "gallery", *(pictures.figure(one) for one in shown))] if shown else []
    for one in block.previews:
        if one.kind == "table":
            heads, aligns = one.rows[0] if one.rows else (), "<" * max(map(len, one.rows), default=0)
            inner = rows_of(Table(f"{one.path}{beside(one.remark)}", heads, (), aligns), one.rows[1:])
            made.append(tag("details", None, tag("summary", None, part((one.path, "name"))), inner))
        elif one.kind == "text":
            inner = tag("pre", {"class": "wide", "tabindex": "0"}, "".join(f"{line}\n" for line in one.lines))
            made.append(tag("details", None, tag("summary", None, part((one.path, "name")), beside(one.remark)), inner))
    return made


def beside(remark: str) -> str:
    return f", {remark}" if remark else ""


def pair(block: Pair) -> list[Element]:
    return [pictures.pair_figure(block)]


WRITERS: dict[type, Callable[[Any], list[Element]]] = {
    Say: said,
    Quote: quoted,
    Head: headed,
    Facts: facts,
    Table: table,
    Lines: lines,
    Commands: commands,
    Drawing: drawing,
    Gallery: gallery,
    Pair: pair,
    Fold: fold,
}
