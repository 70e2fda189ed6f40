"""The differences between two runs, told to a person: what changed, by how much, and the code's patch.

Sections without a difference are silent; a terminal gets the beginning of long ones, a pipe all of them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.compare.changes import Change
from mltrack.compare.differences import LIBRARIES, PACKAGES, SECTIONS, Differences, families
from mltrack.compare.members import looks_like_data
from mltrack.compare.packages import direction
from mltrack.nouns import noun
from mltrack.records import Run
from mltrack.views.diff.code import Patch, Stat
from mltrack.views.diff.numbers import Numbers, numbers_block, remark_of_all
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.tables.columns import STATUS
from mltrack.views.text import ago, duration, scalar, short_digest, short_id, size

if TYPE_CHECKING:
    from mltrack.views.diff.data import Limits
    from mltrack.views.diff.numbers import Series

MOST = 40
"""A terminal shows at most this many changes of a section, unless all are asked for."""
MORE = "... and {} more; --all shows them"
FEW = 3
"""Files that the first sentence names."""
DATA, CIRCUMSTANCES, PATCH = "data", "circumstances", "patch"
NAMES = (*SECTIONS, DATA, CIRCUMSTANCES, PATCH)
"""What can be asked for by name."""

GLYPHS = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
    "rebuilt": ("~", "yellow"),
    "moved": ("→", "cyan"),
    "up": ("▲", "green"),
    "down": ("▼", "red"),
}
OBJECT_ID = re.compile(r"(?:b3:)?[0-9a-f]{40,64}")


@noun
class Asked:
    """What of a comparison is to be seen."""

    sections: tuple[str, ...] = NAMES
    is_whole: bool = False
    """All changes of a section on a terminal too?"""
    series: tuple[Series, Series] = ({}, {})
    """Metric -> its values, of both runs."""

    @property
    def limit(self) -> int | None:
        return None if self.is_whole else MOST


EVERYTHING = Asked()


def differences_page(
    differences: Differences, a: Run, b: Run, now: float | None = None, asked: Asked = EVERYTHING
) -> Page:
    """The whole comparison of the runs a and b; `now` is in seconds since 1970, for ages."""
    page = Page()
    moment = time.time() if now is None else now
    page.grid(Grid([run_row("a", a, moment), run_row("b", b, moment)], "<<<<<", indent=0))
    page.blank()
    page.words((summary(differences), "bold" if not differences.is_empty else "green"))
    for section in SECTIONS:
        changes = getattr(differences, section)
        if section in asked.sections and (changes or (section == "code" and differences.code_files)):
            page.heading(section.capitalize(), remark_of_all(changes) if section == "metrics" else "")
            section_of(page, section, differences, asked)
        if section == "code" and differences.tracked is not None and DATA in asked.sections:
            from mltrack.views.diff.data import tracked_blocks

            page.heading("Data", "tracked with the code")
            page.add(tracked_blocks(differences.tracked, limits_of(asked)))
    told = [change for change in differences.informative if change.what != "created_at"]
    if told and CIRCUMSTANCES in asked.sections:
        page.heading("Circumstances", "not counted as differences")
        plain_section(page, told, asked.limit)
    if differences.patch and PATCH in asked.sections:
        page.heading("Patch")
        page.add([Patch(differences.patch, () if asked.is_whole else data_names(differences))])
    return page


def section_of(page: Page, section: str, differences: Differences, asked: Asked) -> None:
    """What one section has to tell, in its own shape."""
    changes: Sequence[Change] = getattr(differences, section)
    ids = short_id(differences.a), short_id(differences.b)
    if section == "command":
        command_section(page, changes, asked.limit)
    elif section == "code":
        plain_section(page, changes, asked.limit)
        page.add([Stat(differences.code_files, asked.limit, MORE)])
    elif section == "environment":
        environment_section(page, changes, asked.limit)
    elif section == "params":
        page.add([numbers_block(changes, Numbers(ids, asked.limit, MORE, {}, {}))])
    elif section == "metrics":
        remark = remark_of_all(changes)
        known = Numbers(ids, asked.limit, MORE, differences.noise, differences.goals, asked.series, remark)
        page.add([numbers_block(changes, known)])
    elif section in ("inputs", "artifacts"):
        from mltrack.views.diff.data import file_blocks

        inside = {what: data for (where, what), data in differences.data.items() if where == section}
        page.add(file_blocks(changes, inside, limits_of(asked)))
    elif section == "hardware":
        hardware_section(page, changes, asked.limit)
    else:
        plain_section(page, changes, asked.limit)


def run_row(letter: str, run: Run, now: float) -> tuple[Cell, ...]:
    glyph, style = STATUS.get(run.status, ("?", ""))
    when = ago(run.started_at or run.created_at, now)
    status = (f"{glyph} {run.status}", style)
    return (letter, "dim"), (short_id(run.id), "yellow"), (run.name or "", "bold"), status, when


def limits_of(asked: Asked) -> Limits:
    from mltrack.views.diff.data import Limits

    return Limits(None, None, None, MORE) if asked.is_whole else Limits(MOST, more=MORE)


def data_names(differences: Differences) -> list[tuple[str, str]]:
    """The names then and now of the data among the code."""
    members = differences.tracked.members if differences.tracked is not None else None
    if members is None:
        return []
    return [(one.a.path if one.a else one.path, one.b.path if one.b else one.path) for one in members.files]


def summary(differences: Differences) -> str:
    """`They differ in code (train.py), data (data/train.csv), params and metrics.`"""
    names = [word for section in SECTIONS if getattr(differences, section) for word in words_of(section, differences)]
    if not names:
        return "No differences."
    return f"They differ in {', '.join(names[:-1]) + ' and ' if names[1:] else ''}{names[-1]}."


def words_of(section: str, differences: Differences) -> list[str]:
    """A section's name; of the code also which files, and data by that name."""
    if section != "code" or not differences.code_files:
        return [section]
    paths = [one.path for one in differences.code_files]
    data = [path for path in paths if looks_like_data(path)]
    code = [path for path in paths if not looks_like_data(path)]
    return [f"{word} ({few(some)})" for word, some in (("code", code), (DATA, data)) if some]


def few(paths: Sequence[str]) -> str:
    rest = len(paths) - FEW
    return ", ".join(paths[:FEW]) + (f" and {rest:,} more" if rest > 0 else "")


def value_text(what: str, value: object) -> str:
    """A recorded value; ids only as far as they help to recognise them, sizes and lengths with their unit."""
    if value is None:
        return "none"
    if isinstance(value, str) and (LIBRARIES in what or what.startswith("gpus.")):
        return value
    if isinstance(value, str) and OBJECT_ID.fullmatch(value):
        return short_digest(value)
    if isinstance(value, int) and (what.endswith("_bytes") or what.startswith("left_out.")):
        return size(value)
    if isinstance(value, (int, float)) and what.endswith(("duration_s", "cpu_seconds")):
        return duration(value)
    return scalar(value)


def plain_section(page: Page, changes: Sequence[Change], limit: int | None = MOST) -> None:
    """One change a line: `cores  8 -> 2`."""
    flags = [change for change in changes if change.what == "cpu_flags"]
    rows = [(c.what, value_text(c.what, c.a), ("→", "dim"), value_text(c.what, c.b)) for c in changes if c not in flags]
    page.grid(Grid(rows, "<<<<", limit=limit, more=MORE, capped=(1, 3)))
    for change in flags:
        page.line("  ", change.what, "  ", *flag_words(change.a, "- ", "red"), *flag_words(change.b, "+ ", "green"))


def hardware_section(page: Page, changes: Sequence[Change], limit: int | None) -> None:
    """As any other; what became of several GPUs alike is told once: `gpus.driver  8 x 535 → 8 x 550`."""
    alike: dict[tuple[str, str, str], list[Change]] = {}
    for change in changes:
        gpus, _, fact = change.what.partition(".")
        what = f"gpus.{fact.partition('.')[2]}" if gpus == "gpus" else change.what
        alike.setdefault((what, repr(change.a), repr(change.b)), []).append(change)
    folded = [as_many(same, what) if len(same) > 1 else same[0] for (what, _, _), same in alike.items()]
    plain_section(page, folded, limit)


def as_many(same: Sequence[Change], what: str) -> Change:
    """One change that stands for several."""
    a, b = (None if value is None else f"{len(same)} x {value_text(what, value)}" for value in (same[0].a, same[0].b))
    return Change(what, a, b, same[0].kind)


def flag_words(flags: Sequence[str] | None, sign: str, style: str) -> list[Cell]:
    """`- avx512f, avx512vl`: the instruction sets that only one of two processors has."""
    return [(sign, style), (f"{', '.join(families(flags))}  ", style)] if flags else []


def command_section(page: Page, changes: Sequence[Change], limit: int | None) -> None:
    """The two commands below one another, the words that only one has in colour."""
    for change in changes:
        if change.what == "command":
            page.line("  ", ("- ", "red"), *marked(change.a, change.b, "red"))
            page.line("  ", ("+ ", "green"), *marked(change.b, change.a, "green"))
    others = [change for change in changes if change.what != "command"]
    if others:
        plain_section(page, others, limit)


def marked(words: Sequence[str], others: Sequence[str], style: str) -> list[Cell]:
    from difflib import SequenceMatcher
    from shlex import quote

    same: set[int] = set()
    for block in SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks():
        same.update(range(block.a, block.a + block.size))
    return [(f"{quote(word)} ", "" if place in same else style) for place, word in enumerate(words)]


def environment_section(page: Page, changes: Sequence[Change], limit: int | None) -> None:
    """What is not a package first; then packages: up, down, new or gone, built anew or from elsewhere."""
    others = [change for change in changes if not change.what.startswith(PACKAGES)]
    if others:
        plain_section(page, others, limit)
    packages = [change for change in changes if change.what.startswith(PACKAGES)]
    page.grid(Grid([package_row(change) for change in packages], "<<<<<<", limit=limit, more=MORE))


def package_row(change: Change) -> tuple[Cell, ...]:
    """Glyph, name, both versions, and in a word what happened."""
    kind = direction(change.a, change.b) if change.kind == "changed" else change.kind
    glyph, style = GLYPHS[kind]
    name = change.what.removeprefix(PACKAGES)
    if kind == "rebuilt":
        return (glyph, style), name, change.a or "", "", "", ("other files", "dim")
    arrow = "→" if change.a and change.b else ""
    word = "elsewhere" if kind == "moved" else kind
    return (glyph, style), name, change.a or "", (arrow, "dim"), change.b or "", (word, style)
