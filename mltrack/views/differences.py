"""The differences between two runs, told to a person: what changed, by how much, and the code's patch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from mltrack.compare.changes import Change
from mltrack.compare.differences import LIBRARIES, SECTIONS, Differences, families
from mltrack.records import MetricSummary, Run
from mltrack.views.columns import STATUS
from mltrack.views.page import Cell, Grid, Listing, Page
from mltrack.views.show import extent, name_of
from mltrack.views.text import ago, duration, number, percent, scalar, short_digest, short_id, signed, size
from mltrack.views.verdict import heads

if TYPE_CHECKING:
    from mltrack.compare.noise.intervals import Noted

MOST = 40
"""A terminal shows at most this many changes of a section; a pipe and --json have them all."""
MOST_PATCH_LINES = 400
MORE = "... and {} more; --json has them all"

GLYPHS = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
    "renamed": ("→", "cyan"),
    "unknown": ("?", "yellow"),
    "rebuilt": ("~", "yellow"),
    "moved": ("→", "cyan"),
}
GIT_LETTERS = {"A": "added", "D": "removed", "M": "changed", "R": "renamed"}
NO_NOISE: Mapping[str, Noted] = MappingProxyType({})
OBJECT_ID = re.compile(r"(?:b3:)?[0-9a-f]{40,64}")


def differences_page(differences: Differences, a: Run, b: Run, now: float | None = None) -> Page:
    """The whole comparison of the runs a and b; `now` is in seconds since 1970, for ages."""
    page = Page()
    moment = time.time() if now is None else now
    page.grid(Grid([run_row("a", a, moment), run_row("b", b, moment)], "<<<<<", indent=0))
    page.blank()
    page.line((summary(differences), "bold" if not differences.is_empty else "green"))
    for section in SECTIONS:
        changes = getattr(differences, section)
        if section == "code" and (changes or differences.code_files):
            code_section(page, differences)
        elif section == "metrics" and changes:
            page.heading("Metrics")
            number_section(page, changes, (short_id(a.id), short_id(b.id)), differences.noise)
        elif changes:
            page.heading(section.capitalize())
            DRAWN.get(section, plain_section)(page, changes, (short_id(a.id), short_id(b.id)))
    told = [change for change in differences.informative if change.what != "created_at"]
    if told:
        page.heading("Circumstances", "not counted as differences")
        plain_section(page, told, ("", ""))
    if differences.patch:
        patch_section(page, differences.patch)
    return page


def run_row(letter: str, run: Run, now: float) -> tuple[Cell, ...]:
    glyph, style = STATUS.get(run.status, ("?", ""))
    when = ago(run.started_at or run.created_at, now)
    status = (f"{glyph} {run.status}", style)
    return (letter, "dim"), (short_id(run.id), "yellow"), (run.name or "", "bold"), status, when


def summary(differences: Differences) -> str:
    """`They differ in code, params and metrics.`"""
    names = [section for section in SECTIONS if getattr(differences, section)]
    if not names:
        return "No differences."
    return f"They differ in {', '.join(names[:-1]) + ' and ' if names[1:] else ''}{names[-1]}."


def value_text(what: str, value: object) -> str:
    """A recorded value; ids only as far as they help to recognise them, sizes and lengths with their unit."""
    if value is None:
        return "none"
    if isinstance(value, str) and LIBRARIES in what:
        return value
    if isinstance(value, str) and OBJECT_ID.fullmatch(value):
        return short_digest(value)
    if isinstance(value, int) and (what.endswith("_bytes") or what.startswith("left_out.")):
        return size(value)
    if isinstance(value, (int, float)) and what.endswith(("duration_s", "cpu_seconds")):
        return duration(value)
    return scalar(value)


def plain_section(page: Page, changes: Sequence[Change], ids: tuple[str, str]) -> None:
    """One change a line: `cores  8 -> 2`."""
    flags = [change for change in changes if change.what == "cpu_flags"]
    rows = [(c.what, value_text(c.what, c.a), ("→", "dim"), value_text(c.what, c.b)) for c in changes if c not in flags]
    page.grid(Grid(rows, "<<<<", limit=MOST, more=MORE))
    for change in flags:
        page.line("  ", change.what, "  ", *flag_words(change.a, "- ", "red"), *flag_words(change.b, "+ ", "green"))


def flag_words(flags: Sequence[str] | None, sign: str, style: str) -> list[Cell]:
    """`- avx512f, avx512vl`: the instruction sets that only one of two processors has."""
    return [(sign, style), (f"{', '.join(families(flags))}  ", style)] if flags else []


def command_section(page: Page, changes: Sequence[Change], ids: tuple[str, str]) -> None:
    """The two commands below one another, the words that only one has in colour."""
    for change in changes:
        if change.what == "command":
            page.line("  ", ("- ", "red"), *marked(change.a, change.b, "red"))
            page.line("  ", ("+ ", "green"), *marked(change.b, change.a, "green"))
    others = [change for change in changes if change.what != "command"]
    if others:
        plain_section(page, others, ids)


def marked(words: Sequence[str], others: Sequence[str], style: str) -> list[Cell]:
    from difflib import SequenceMatcher
    from shlex import quote

    same: set[int] = set()
    for block in SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks():
        same.update(range(block.a, block.a + block.size))
    return [(f"{quote(word)} ", "" if place in same else style) for place, word in enumerate(words)]


def number_section(
    page: Page, changes: Sequence[Change], ids: tuple[str, str], noise: Mapping[str, Noted] = NO_NOISE
) -> None:
    """Params and metrics: both values, the change and its per cent, and whether that is more than noise."""
    rows = [number_row(change) for change in changes]
    if not noise:
        page.grid(Grid(rows, "<>>>><", heads("", *ids, "", "", ""), limit=MOST, more=MORE))
        return
    rows = [(*row, noise_cell(noise.get(change.what))) for row, change in zip(rows, changes, strict=True)]
    page.grid(Grid(rows, "<>>>><<", heads("", *ids, "", "", "", ""), limit=MOST, more=MORE))


def noise_cell(noted: Noted | None) -> Cell:
    """`inside noise (10 repetitions)`."""
    if noted is None:
        return ""
    from mltrack.compare.noise.intervals import FEW

    many = f"{noted.repetitions} {'seeds' if noted.vary == 'seed' else 'repetitions'}"
    many += ", too few" if noted.repetitions < FEW else ""
    return (f"inside noise ({many})", "green") if noted.is_inside else (f"outside noise ({many})", "yellow")


def number_row(change: Change) -> tuple[Cell, ...]:
    if change.kind in ("added", "removed"):
        _, style = GLYPHS[change.kind]
        a, b = ("", shown(change.b)) if change.kind == "added" else (shown(change.a), "")
        return change.what, a, b, "", "", (change.kind, style)
    delta = change.change
    told = f"{'▲' if delta > 0 else '▼'} {signed(delta)}" if delta else ""
    share = percent(change.percent) if delta else ""
    return change.what, shown(change.a), shown(change.b), (told, "cyan"), share, aside(change)


def shown(value: object) -> str:
    return number(value.last) if isinstance(value, MetricSummary) else scalar(value)


def aside(change: Change) -> Cell:
    """What else differs in a metric whose last point is the same, or was reached in another number of points."""
    a, b = change.a, change.b
    if not isinstance(a, MetricSummary) or not isinstance(b, MetricSummary):
        return ("other type", "dim") if shown(a) == shown(b) else ""
    if a.count != b.count:
        return (f"{a.count:,} → {b.count:,} points", "dim")
    if a.last == b.last:
        return (f"min {number(a.min)} → {number(b.min)}, max {number(a.max)} → {number(b.max)}", "dim")
    return ""


def environment_section(page: Page, changes: Sequence[Change], ids: tuple[str, str]) -> None:
    """What is not a package first; then packages: up, down, new or gone, built anew or from elsewhere."""
    others = [change for change in changes if not change.what.startswith("packages.")]
    if others:
        plain_section(page, others, ids)
    rows = [package_row(change) for change in changes if change.what.startswith("packages.")]
    page.grid(Grid(rows, "<<<<<", limit=MOST, more=MORE))


def package_row(change: Change) -> tuple[Cell, ...]:
    glyph, style = GLYPHS[change.kind]
    if change.kind == "rebuilt":
        return (glyph, style), change.what.removeprefix("packages."), change.a or "", "", ("other files", "dim")
    if change.kind == "changed":
        a, b = release(change.a), release(change.b)
        glyph, style = ("▲", "green") if a < b else ("▼", "red") if b < a else (glyph, style)
    arrow = "→" if change.kind in ("changed", "moved") else ""
    return (glyph, style), change.what.removeprefix("packages."), change.a or "", (arrow, "dim"), change.b or ""


def release(version: str) -> tuple[int, ...]:
    """The release numbers of a version, without trailing zeros: `2.10.0rc1` -> (2, 10)."""
    found = re.match(r"[vV]?\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in found[0].lstrip("vV").split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def file_section(page: Page, changes: Sequence[Change], ids: tuple[str, str]) -> None:
    """Inputs and artifacts."""
    page.grid(Grid([file_row(change) for change in changes], "<<<", limit=MOST, more=MORE))


def file_row(change: Change) -> tuple[Cell, ...]:
    a, b = change.a, change.b
    path = f"{name_of(a)} → {name_of(b)}" if a and b and a.path != b.path else name_of(b or a)
    if change.kind == "changed":
        told = f"{extent(a)} {short_digest(a.digest)} → {extent(b)} {short_digest(b.digest)}"
    elif change.kind == "renamed":
        told = "renamed, the same bytes"
    elif change.kind == "unknown":
        told = "cannot tell: it changed during the run, or could not be read"
    else:
        told = f"{change.kind}, {extent(b or a)}"
    return GLYPHS[change.kind], path, told


def code_section(page: Page, differences: Differences) -> None:
    """Commit and tree, then the files."""
    page.heading("Code")
    plain_section(page, differences.code, ("", ""))
    rows = [(GLYPHS[GIT_LETTERS.get(item.status[:1], "changed")], item.path) for item in differences.code_files]
    page.grid(Grid(rows, "<<", limit=MOST, more=MORE))


def patch_section(page: Page, patch: str) -> None:
    """The patch in the usual colours; a terminal shows its beginning only."""
    page.heading("Patch")
    lines = patch.rstrip("\n").split("\n")
    more = "... and {} more lines; the whole patch goes into a pipe"
    page.add([Listing([(line, patch_style(line)) for line in lines], limit=MOST_PATCH_LINES, more=more)])


def patch_style(line: str) -> str:
    if line.startswith(("diff ", "index ", "--- ", "+++ ", "new file", "deleted file", "rename ", "similarity ")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


DRAWN: dict[str, Callable[[Page, Sequence[Change], tuple[str, str]], None]] = {
    "command": command_section,
    "environment": environment_section,
    "inputs": file_section,
    "params": number_section,
    "metrics": number_section,
    "artifacts": file_section,
}
"""Sections with a shape of their own."""
