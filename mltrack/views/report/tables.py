"""Tables of a report about one run: params, metrics with a spark line, inputs and artifacts. Texts as recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.compare.goals import goal_of
from mltrack.records import Input, Run
from mltrack.views.ranks import metric_rows
from mltrack.views.report.blocks import Cell, Course, Facts, Lines, Table, split
from mltrack.views.report.from_page import cell
from mltrack.views.show import extent, input_row, name_of
from mltrack.views.text import scalar, short_digest, size

if TYPE_CHECKING:
    from mltrack.operations.reporting.report import Story

MOST_PATCH_LINES = 3000
LONGEST_LINE = 1000
LONGEST_CELL = 500
LONGEST_VALUE = 2000
"""Characters of one value or line that a page holds."""

Sparks = Mapping[tuple[str, str], Sequence[float]]
"""The values of a metric, by run and name."""


def cut(text: str, most: int = LONGEST_VALUE) -> str:
    """The text, if it is no longer than a page has room for."""
    return text if len(text) <= most else f"{text[:most]} ... and {len(text) - most:,} more characters"


def params_table(run: Run) -> Table:
    rows: list[tuple[Cell, ...]] = [
        ((name, "name"), (cut(scalar(value), LONGEST_CELL), "code"), (run.param_sources.get(name, ""), "dim"))
        for name, value in run.params.items()
    ]
    return Table("Params and where each was found", ("param", "value", "from"), rows, "<<<")


def metrics_table(run: Run, sparks: Sparks, goals: Mapping[str, str]) -> Table:
    """Last, least and greatest value of each metric, and its course."""
    rows = []
    for row in metric_rows(run.metrics):
        name = row[0] if isinstance(row[0], str) else row[0][0]
        goal = goal_of(name, goals) if name in run.metrics else None
        better = {"max": "larger", "min": "smaller"}.get(goal or "", "")
        rows.append((*(cell(one) for one in row), Course(sparks.get((run.id, name), ())), (better, "dim")))
    heads = ("metric", "last", "min", "max", "points", "course", "better if")
    kept = [place for place in range(len(heads)) if place < 5 or any(split(row[place])[0] for row in rows)]
    shown = [tuple(row[place] for place in kept) for row in rows]
    return Table(
        "Metrics: the last, least and greatest value",
        tuple(heads[place] for place in kept),
        shown,
        "".join("<>>>><<"[place] for place in kept),
    )


def inputs_table(inputs: Sequence[Input]) -> Table:
    return files_table("Inputs: what the run read", [tuple(map(cell, input_row(item))) for item in inputs])


def artifacts_table(story: Story) -> Table:
    """What the run wrote; beside each what of it is not shown, and why."""
    artifacts, previews = story.run.artifacts, story.previews
    remarks = {one.path: one.remark for one in previews if one.kind == "listed"}
    remarks |= {item.path: "not here: mltrack pull --data" for item in artifacts if item.digest in story.absent}
    rows: list[tuple[Cell, ...]] = [
        (name_of(item), extent(item), (short_digest(item.digest), "dim"), (remarks.get(item.path, ""), "dim"))
        for item in artifacts
    ]
    own = {item.path for item in artifacts}
    rows += [
        (one.path, size(one.size_bytes), (short_digest(one.digest), "dim"), (one.remark, "dim"))
        for one in previews
        if one.kind == "listed" and one.path not in own
    ]
    return files_table("Artifacts: what the run wrote", rows)


def files_table(about: str, rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(about, ("path", "size", "digest", ""), rows, "<><<")


def packages_table(packages: Mapping[str, str]) -> Table:
    rows = [((name, "name"), (version, "code")) for name, version in sorted(packages.items())]
    return Table("Packages", ("package", "version"), rows, "<<", limit=2000)


def facts(rows: Sequence[tuple[str, Cell]]) -> Facts:
    """Labels with what is known; the unknown is silent."""
    return Facts(tuple((label, one) for label, one in rows if split(one)[0]))


def patch_lines(patch: str, about: str = "Patch") -> Lines:
    """A patch in the usual colours, as far as a page has room; signs say what the colours say."""
    lines = patch.rstrip("\n").split("\n")
    shown = [(cut(line, LONGEST_LINE), patch_style(line)) for line in lines[:MOST_PATCH_LINES]]
    if len(lines) > MOST_PATCH_LINES:
        shown.append((f"... and {len(lines) - MOST_PATCH_LINES:,} more lines; see: mltrack diff", "dim"))
    return Lines(about, shown)


def patch_style(line: str) -> str:
    if line.startswith(("diff ", "index ", "--- ", "+++ ", "new file", "deleted file", "rename ", "similarity ")):
        return "strong"
    return {"+": "new", "-": "gone", "@": "place"}.get(line[:1], "")
