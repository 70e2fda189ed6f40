"""A report in Markdown, short enough for a pull request: a sentence, a table of metrics, what else differs in a line
each, and the rest folded. No pictures; plots as text where they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.compare.changes import Change
from mltrack.compare.differences import Differences
from mltrack.compare.members import looks_like_data
from mltrack.records import Run
from mltrack.views.differences import summary
from mltrack.views.report.blocks import Cell, Fold, Lines, Table, split
from mltrack.views.report.changes import (
    better,
    file_changes,
    metric_change,
    package_changes,
    shown,
    value_changes,
    without_empty,
)
from mltrack.views.report.many import NARROW, best_of, columns_of, run_row
from mltrack.views.report.markdown import MARK, cell, code, fitted, folded, table, words
from mltrack.views.report.pair import label
from mltrack.views.report.run import status
from mltrack.views.report.tables import cut, params_table, patch_lines
from mltrack.views.show import environment_line, extent, name_of
from mltrack.views.text import clock_time, command_line, count, number, percent, short_digest, short_id
from mltrack.views.verdict import glyph_of
from mltrack.views.verdict_words import reason

if TYPE_CHECKING:
    from mltrack.operations.reporting.report import Material
    from mltrack.plots import Plot

FEW = 12
"""Rows of a table that is not folded."""
MOST = 100
"""Rows of one that is."""
MOST_PATCH = 300
LONGEST_LINE = 200
NAMED = 6
MOST_PANELS = 4
WIDTH, HEIGHT = 76, 12
"""Of a plot as text, in cells."""


def markdown(material: Material, made: str, with_plots: bool = False) -> str:
    """The whole text. `made`: the sentence that says when and by what it was made."""
    many = len(material.runs)
    parts = one(material) if many == 1 else two(material) if many == 2 else several(material)
    plots = plot_lines(material.plot) if with_plots and material.plot is not None else []
    missing = [sentence for story in material.stories for sentence in story.missing]
    remarks = [words(sentence) for sentence in dict.fromkeys((*material.missing, *missing))]
    lines = [MARK, *parts, *plots, *spaced(remarks), "", f"<sub>{words(made)}</sub>"]
    return "\n".join(fitted(lines)) + "\n"


def spaced(lines: Iterable[str]) -> list[str]:
    """Each line as a paragraph."""
    return [part for line in lines for part in ("", line)]


def one(material: Material) -> list[str]:
    """One run."""
    run = material.runs[0]
    title = code(material.title) if material.title else f"Run {code(run.name or short_id(run.id))}"
    lines = [f"### {title}: {words(split(status(run))[0])}", "", code(f"$ {command_line(run.command)}", 200)]
    if run.why:
        lines += ["", code(run.why, 300)]
    if run.metrics:
        rows: list[tuple[Cell, ...]] = [
            ((name, "name"), (number(found.last), "strong"), number(found.min), number(found.max), f"{found.count:,}")
            for name, found in run.metrics.items()
        ]
        lines += ["", *in_short(Table("Metrics", ("metric", "last", "min", "max", "points"), rows, "<>>>>"))]
    lines += ["", *listed(about_run(run))]
    if run.params:
        lines += ["", *folded(Fold(count(len(run.params), "param"), (limited(params_table(run), MOST),)))]
    patch = material.stories[0].patch
    if patch:
        lines += ["", *folded_patch(patch, "uncommitted changes")]
    if run.artifacts:
        found_rows: list[tuple[Cell, ...]] = [
            ((name_of(item), "name"), extent(item), (short_digest(item.digest), "code")) for item in run.artifacts
        ]
        inner = Table("Artifacts", ("path", "size", "digest"), found_rows, "<><", MOST)
        lines += ["", *folded(Fold(count(len(run.artifacts), "artifact"), (inner,)))]
    return lines


def about_run(run: Run) -> list[tuple[str, str]]:
    """What is said of a run in a line each."""
    data = [f"{code(name_of(item))} {code(short_digest(item.digest))}" for item in run.inputs[:NAMED]]
    more = f" and {len(run.inputs) - NAMED:,} more" if len(run.inputs) > NAMED else ""
    return [
        ("Verdict", verdict_words(run)),
        ("Run", f"{code(run.id)}, {words(clock_time(run.started_at or run.created_at))}"),
        ("Code", code_words(run)),
        ("Environment", code(environment_line(run.environment)) if run.environment.digest else ""),
        ("Data", ", ".join(data) + more),
        ("Warnings", words(count(len(run.warnings), "warning")) if run.warnings else ""),
        ("Get it again", code(f"mltrack reproduce {short_id(run.id)}")),
    ]


def code_words(run: Run) -> str:
    if not run.code.commit:
        return code(short_digest(run.code.tree)) if run.code.tree else ""
    dirty = f", with {count(len(run.code.changed), 'uncommitted file')}" if run.code.changed else ""
    branch = f" on {code(run.code.branch)}" if run.code.branch else ""
    return f"{code(run.code.commit[:10])}{branch}{dirty}"


def verdict_words(run: Run) -> str:
    """A verdict's sentence may name files and metrics: all of it is a recorded text."""
    if run.verdict is None:
        return ""
    grade = f"{glyph_of(run.verdict.grade)} **{words(run.verdict.grade)}**"
    return f"{grade} {code(reason(run.verdict), 300)}"


def listed(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"- **{name}**: {text}" for name, text in rows if text]


def two(material: Material) -> list[str]:
    """Two runs: what came of it first, then why."""
    a, b = material.runs
    found = material.differences
    assert found is not None, "two runs have been compared"
    ids = (short_id(a.id), short_id(b.id))
    title = code(material.title) if material.title else f"{code(label(a))} → {code(label(b))}"
    lines = [
        f"### {title}{headline(found, material)}",
        "",
        f"{words(cut(summary(found), 300))} {code(f'mltrack diff {ids[0]} {ids[1]}')}",
    ]
    if found.metrics:
        rows = [metric_change(change, found) for change in found.metrics]
        heads = ("metric", *ids, "change", "per cent", "", "noise")
        lines += ["", *in_short(without_empty(Table("Metrics", heads, rows, "<>>>><<"), 5))]
    if found.params:
        lines += ["", *in_short(value_changes(found.params, ids, "Params"))]
    lines += ["", *listed(about_pair(found, (a, b)))]
    packages = [change for change in found.environment if change.what.startswith("packages.")]
    tables = (
        (package_changes(packages, ids), "package"),
        (file_changes(found.inputs, ids, "Inputs"), "input"),
        (file_changes(found.artifacts, ids, "Artifacts"), "artifact"),
    )
    for each, kind in tables:
        if each.rows:
            lines += ["", *folded(Fold(f"{count(len(each.rows), f'other {kind}')}", (limited(each, MOST),)))]
    if found.patch:
        lines += ["", *folded_patch(found.patch, "patch")]
    return lines


def headline(found: Differences, material: Material) -> str:
    """`: acc 0.92 → 0.95 (▲ +3.3 %, better)`, of the metric that counts most."""
    known = [change for change in found.metrics if change.change]
    if not known:
        return ": no metric changed" if material.runs[0].metrics and not found.metrics else ""
    first = next((change for change in known if found.goals.get(change.what) == "max"), known[0])
    words_of = [percent(first.percent), split(better(first, found))[0]]
    told = ", ".join(word for word in words_of if word)
    arrow = "▲" if (first.change or 0) > 0 else "▼"
    return f": {code(first.what)} {shown('', first.a)} → {shown('', first.b)} ({words(f'{arrow} {told}'.strip())})"


def about_pair(found: Differences, runs: tuple[Run, Run]) -> list[tuple[str, str]]:
    """What differs besides numbers, in a line each."""
    verdict = next((verdict_words(run) for run in runs if run.verdict and run.verdict.of in {r.id for r in runs}), "")
    return [
        ("Verdict", verdict),
        ("Command", " → ".join(code(command_line(run.command), 120) for run in runs) if found.command else ""),
        ("Code", code_pair(found, runs) if found.code else "the same"),
        ("Data", some([file_words(change) for change in found.inputs]) or "no input outside the code differs"),
        ("Environment", environment_words(found.environment) or "the same"),
        ("Hardware", some([change_words(change) for change in found.hardware])),
        ("Outcome", some([change_words(change) for change in found.outcome])),
    ]


def code_pair(found: Differences, runs: tuple[Run, Run]) -> str:
    """Both states, then the files that differ between them, whether committed or not; data by that name."""
    states = " → ".join(code_words(run) for run in runs)
    if not found.code_files:
        return states
    paths = [item.path for item in found.code_files]
    data = [code(path) for path in paths if looks_like_data(path)]
    others = [code(path) for path in paths if not looks_like_data(path)]
    told = "; ".join(part for part in (some(data, "data "), some(others)) if part)
    many = len(paths)
    return f"{states}. {count(many, 'file')} of the code {'differs' if many == 1 else 'differ'}: {told}"


def some(texts: Sequence[str], before: str = "") -> str:
    """The first few of some texts."""
    more = f" and {len(texts) - NAMED:,} more" if len(texts) > NAMED else ""
    return f"{before}{', '.join(texts[:NAMED])}{more}" if texts else ""


def file_words(change: Change) -> str:
    return f"{code(name_of(change.b or change.a))} {change.kind}"


def change_words(change: Change) -> str:
    a, b = (code(shown(change.what, value)) or "none" for value in (change.a, change.b))
    return f"{code(change.what)} {a} → {b}"


def environment_words(changes: Sequence[Change]) -> str:
    return some([change_words(change) for change in changes])


def several(material: Material) -> list[str]:
    """Many runs: the best, and a table of what differs."""
    comparison = material.comparison
    assert comparison is not None, "many runs have been compared"
    many = len(comparison.runs)
    title = code(material.title) if material.title else f"{count(many, 'run')} compared"
    lines = [f"### {title}"]
    lines += spaced("".join(map(cell, best_of(comparison, row))) for row in [r for r in comparison.rows if r.best][:3])
    rows = columns_of(comparison)[:FEW]
    heads: tuple[Cell, ...] = ("run", "name", "status", *((row.name, "name") for row in rows))
    aligns = "<<<" + "".join(">" if row.numbers else "<" for row in rows)
    told = [named(run_row(comparison, place, rows)) for place in range(min(many, MOST))]
    lines += ["", *in_short(without_empty(Table("Runs", heads, told, aligns, longest=NARROW), 1))]
    if many > MOST:
        lines += ["", f"... and {many - MOST:,} more runs: {code('mltrack compare')}"]
    return [
        *lines,
        "",
        "★ best, ▽ worst; ⌂ is what the others are held against.",
    ]


def named(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Values of params are recorded texts: they get the style of one."""
    return tuple((one, "code") if isinstance(one, str) and not is_number(one) else one for one in cells)


def is_number(text: str) -> bool:
    return not text or not set(text) - set("0123456789+-.,e ()%★▽NaInfity")


def in_short(block: Table) -> list[str]:
    """A table of a few rows; the others are folded."""
    rest = replace(block, rows=block.rows[FEW:], limit=MOST)
    lines = table(replace(block, rows=block.rows[:FEW], limit=FEW))
    if rest.rows:
        lines += ["", *folded(Fold(f"{count(len(rest.rows), 'more row')}", (rest,)))]
    return lines


def limited(block: Table, limit: int) -> Table:
    return replace(block, limit=limit)


def folded_patch(patch: str, title: str) -> list[str]:
    lines = patch_lines(patch).lines
    kept = [(cut(text, LONGEST_LINE), style) for text, style in lines[:MOST_PATCH]]
    if len(lines) > MOST_PATCH:
        kept.append((f"... and {len(lines) - MOST_PATCH:,} more lines", ""))
    return folded(Fold(f"{title}: {count(len(lines), 'line')}", (Lines(title, kept),)))


def plot_lines(plot: Plot) -> list[str]:
    """A plot as text, in a listing that is folded: nothing is loaded from anywhere."""
    from mltrack.views.plot.text import text_plot

    few = replace(plot, panels=plot.panels[:MOST_PANELS])
    drawn = text_plot(few, WIDTH, HEIGHT, False).render(WIDTH, False)
    listing = Lines("plot", [(line, "") for line in drawn.rstrip("\n").split("\n")])
    return ["", *folded(Fold(count(len(few.panels), "plot"), (listing,)), "text")]
