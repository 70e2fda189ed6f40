"""Two runs as a report: every difference, in the sections of `diff`, with curves overlaid and pictures side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mltrack.compare.differences import Differences
from mltrack.records import Run
from mltrack.views.diff.data import Limits, data_blocks, tracked_blocks
from mltrack.views.differences import summary
from mltrack.views.page import Page
from mltrack.views.report.blocks import Block, Cell, Commands, Drawing, Fold, Head, Pair, Report, Say, Section, Table
from mltrack.views.report.changes import (
    file_changes,
    metric_changes,
    package_changes,
    value_changes,
)
from mltrack.views.report.from_page import blocks_of
from mltrack.views.report.run import record_lines, status, verdict_line
from mltrack.views.report.tables import cut, patch_lines
from mltrack.views.text import clean, clock_time, command_line, count, duration, short_id

if TYPE_CHECKING:
    from mltrack.operations.reporting.report import Material

GIT_WORDS = {"A": "+ added", "D": "- removed", "M": "~ changed", "R": "→ renamed"}


def pair_report(material: Material, made: str) -> Report:
    """The report of two runs. `made`: the sentence that says when and by what it was made."""
    a, b = material.runs
    title = material.title or f"{label(a)} and {label(b)}"
    found = material.differences
    assert found is not None, "two runs have been compared"
    headline: list[Block] = [runs_table((a, b), ("a", "b")), Say(((cut(summary(found)), "strong"),))]
    headline += [verdict_line(run) for run in (a, b) if run.verdict and run.verdict.of in (a.id, b.id)]
    sections = [Section(name, tuple(blocks)) for name, blocks in told(material, found) if blocks]
    return Report(title, tuple(headline), tuple(sections), (*record_lines(a), *record_lines(b), made))


def label(run: Run) -> str:
    return run.name or short_id(run.id)


def runs_table(runs: Sequence[Run], letters: Sequence[str]) -> Table:
    """Which runs these are."""
    rows: list[tuple[Cell, ...]] = [
        (
            letter,
            (run.id, "code"),
            (run.name or "", "name"),
            status(run),
            clock_time(run.started_at or run.created_at),
            duration(run.duration_s) if run.duration_s is not None else "",
            (cut(command_line(run.command), 300), "code"),
        )
        for letter, run in zip(letters, runs)
    ]
    return Table("The runs", ("", "run", "name", "ended", "started", "took", "command"), rows, "<<<<<><")


def told(material: Material, found: Differences) -> Iterable[tuple[str, list[Block]]]:
    """The sections, some of them empty."""
    a, b = material.runs
    ids = (short_id(a.id), short_id(b.id))
    yield "Metrics", metrics(material, found, ids)
    yield "Params", [value_changes(found.params, ids, "Params that differ")] if found.params else []
    yield "Command", command(found, ids)
    yield "Code", code(found, ids)
    yield "Data in the code", tracked(found)
    yield "Environment", environment(found, ids)
    yield "Hardware", [value_changes(found.hardware, ids, "Hardware that differs")] if found.hardware else []
    yield "Inputs", files(found, "inputs", ids)
    yield "Artifacts", artifacts(material, found, ids)
    yield "Outcome", [value_changes(found.outcome, ids, "How they ended")] if found.outcome else []
    around = [change for change in found.informative if change.what != "created_at"]
    table = value_changes(around, ids, "Circumstances, which are not counted as differences")
    yield "Circumstances", [Fold(count(len(around), "circumstance"), (table,))] if around else []
    missing = [sentence for story in material.stories for sentence in story.missing]
    yield "Not here", [Say((sentence,)) for sentence in dict.fromkeys((*material.missing, *missing))]
    yield "Get it again", [again(a, b)]


def metrics(material: Material, found: Differences, ids: tuple[str, str]) -> list[Block]:
    blocks: list[Block] = []
    if found.metrics:
        blocks.append(metric_changes(found, ids, material.sparks))
    elif any(run.metrics for run in material.runs):
        blocks.append(Say((("All metrics are equal.", "dim"),)))
    if material.plot is not None:
        blocks.append(Drawing(material.plot))
    return blocks


def command(found: Differences, ids: tuple[str, str]) -> list[Block]:
    if not found.command:
        return []
    rows: list[tuple[Cell, ...]] = [
        (change.what, (words(change.a), "code"), (words(change.b), "code")) for change in found.command
    ]
    return [Table("Command", ("", *ids), rows, "<<<")]


def words(value: object) -> str:
    """A command as a shell reads it; anything else as it is."""
    if isinstance(value, tuple):
        return cut(command_line(value))
    return "" if value is None else cut(str(value))


def code(found: Differences, ids: tuple[str, str]) -> list[Block]:
    blocks: list[Block] = [value_changes(found.code, ids, "Code")] if found.code else []
    if found.code_files:
        rows: list[tuple[Cell, ...]] = [
            ((item.path, "name"), GIT_WORDS.get(item.status[:1], "~ changed")) for item in found.code_files
        ]
        blocks.append(Table("Files of the code that differ", ("file", ""), rows, "<<"))
    if found.patch:
        lines = patch_lines(found.patch, f"Patch from {ids[0]} to {ids[1]}")
        title = f"The patch: {count(len(lines.lines), 'line')}"
        blocks.append(Fold(title, (lines,), len(lines.lines) <= 120))
    return blocks


def tracked(found: Differences) -> list[Block]:
    """Files of the code that look like data, and what changed inside of the tables among them."""
    if found.tracked is None:
        return []
    page = Page(list(tracked_blocks(found.tracked, Limits(None, None, None))))
    return blocks_of(page, "Data in the code that differs")


def environment(found: Differences, ids: tuple[str, str]) -> list[Block]:
    packages = [change for change in found.environment if change.what.startswith("packages.")]
    others = [change for change in found.environment if change not in packages]
    blocks: list[Block] = [value_changes(others, ids, "Environment")] if others else []
    return [*blocks, package_changes(packages, ids)] if packages else blocks


def files(found: Differences, section: str, ids: tuple[str, str]) -> list[Block]:
    """Inputs or artifacts, and what changed inside of directories and tables."""
    changes = getattr(found, section)
    blocks: list[Block] = [file_changes(changes, ids, f"{section.capitalize()} that differ")] if changes else []
    for (of, path), inside in found.data.items():
        if of == section:
            page = Page(list(data_blocks(inside, Limits(None, None, None))))
            blocks.append(
                Fold(f"Inside {cut(clean(path), 200)}", tuple(blocks_of(page, f"What changed in {path}")), True)
            )
    return blocks


def artifacts(material: Material, found: Differences, ids: tuple[str, str]) -> list[Block]:
    blocks = files(found, "artifacts", ids)
    first, second = ({one.path: one for one in story.previews if one.kind == "picture"} for story in material.stories)
    pairs = [Pair(path, first[path], second[path], ids) for path in first if path in second]
    changed = [pair for pair in pairs if pair.a.digest != pair.b.digest]
    same = [pair.path for pair in pairs if pair.a.digest == pair.b.digest]
    if changed:
        blocks += [Head("Pictures side by side"), *changed]
    if same:
        blocks.append(Say((f"{count(len(same), 'picture')} alike: ", (cut(", ".join(same)), "name"), ".")))
    return blocks


def again(a: Run, b: Run) -> Commands:
    one, other = short_id(a.id), short_id(b.id)
    return Commands(
        (
            ("The same in a terminal", f"mltrack diff {one} {other}"),
            ("Run a again and compare", f"mltrack reproduce {one}"),
            ("Run b again and compare", f"mltrack reproduce {other}"),
        )
    )
