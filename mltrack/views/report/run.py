"""The story of one run as a report: what, how it ended, what came of it, what it depended on, how to get it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mltrack.compare.verdict.grades import is_success
from mltrack.records import Run
from mltrack.views.report.blocks import (
    Block,
    Cell,
    Commands,
    Drawing,
    Fold,
    Gallery,
    Lines,
    Quote,
    Report,
    Say,
    Section,
    Table,
)
from mltrack.views.report.from_page import blocks_of
from mltrack.views.report.tables import (
    artifacts_table,
    cut,
    facts,
    inputs_table,
    metrics_table,
    packages_table,
    params_table,
    patch_lines,
)
from mltrack.views.resources import resource_lines
from mltrack.views.show import (
    by,
    code_line,
    descriptions,
    ending,
    environment_line,
    found_in,
    hardware_line,
    libraries_line,
)
from mltrack.views.tables.columns import STATUS
from mltrack.views.text import clock_time, command_line, count, duration, short_id, size
from mltrack.views.verdict import glyph_of, style_of, verdict_page
from mltrack.views.verdict_words import reason

if TYPE_CHECKING:
    from mltrack.operations.reporting.report import Material, Story

STYLE_OF = {"green": "good", "red": "bad", "yellow": "warn", "cyan": "strong"}
OPEN_PATCH = 60
"""Lines of a patch that is shown without being asked for."""


def run_report(material: Material, made: str) -> Report:
    """The report of one run. `made`: the sentence that says when and by what it was made."""
    story = material.stories[0]
    run = story.run
    title = material.title or run.name or f"Run {short_id(run.id)}"
    sections = [Section(name, tuple(blocks)) for name, blocks in told(story, material) if blocks]
    return Report(title, tuple(headline(run)), tuple(sections), (*record_lines(run), made))


def headline(run: Run) -> list[Block]:
    """What a reader must see first."""
    said: list[Block] = [
        Say((status(run), f". Started {clock_time(run.started_at or run.created_at)}{by(run)}.")),
        Lines("The command", [(f"$ {command_line(run.command)}", "")]),
    ]
    if run.verdict:
        said.append(verdict_line(run))
    said.append(facts([("Run", (run.id, "code")), *((label, cut(text)) for label, text in descriptions(run))]))
    said += [Quote(cut(note)) for note in run.notes]
    said += warnings(run)
    return said


def status(run: Run) -> Cell:
    glyph, style = STATUS.get(run.status, ("?", ""))
    return f"{glyph} {ending(run)}", STYLE_OF.get(style.split(" ")[0], "strong")


def verdict_line(run: Run) -> Say:
    assert run.verdict is not None
    grade = run.verdict.grade
    style = {"green": "good", "red": "bad", "yellow": "warn"}[style_of(grade)]
    held = f" (compared with {short_id(run.verdict.of)})"
    return Say(("Verdict: ", (f"{glyph_of(grade)} {grade}", style), f", {reason(run.verdict)}", (held, "dim")))


def warnings(run: Run) -> Iterable[Block]:
    """What was left out, and what else must not be missed."""
    left = run.code.all_left_out()
    if left:
        rows = [(item.path, size(item.size_bytes) if item.size_bytes is not None else "", item.reason) for item in left]
        yield Say((f"! {count(len(left), 'file')} left out of the snapshot.",), "warn")
        yield Fold("Files that were left out", (Table("Files left out", ("path", "size", "why"), rows, "<><"),))
    for warning in run.warnings[:20]:
        yield Say((f"! {cut(warning.message)}",), "warn")
    if len(run.warnings) > 20:
        yield Say((f"! And {len(run.warnings) - 20:,} more warnings: mltrack show --json {run.id}",), "warn")


def told(story: Story, material: Material) -> Iterable[tuple[str, list[Block]]]:
    """The sections, some of them empty."""
    run = story.run
    if run.verdict and not (is_success(run.verdict.grade) and not run.verdict.conditions):
        yield "Verdict", blocks_of(verdict_page(run.verdict), "The verdict")[1:]  # its sentence stands above
    yield "Metrics", metrics(story, material)
    yield "Noise", noise(run)
    yield "Params", [params_table(run)] if run.params else []
    yield "Artifacts", artifacts(story)
    yield "Inputs", [inputs_table(run.inputs)] if run.inputs else []
    yield "Code", code(story)
    yield "Environment", environment(run)
    yield "Machine", machine(story, material)
    yield "Output", output(story)
    yield "Not here", [Say((sentence,)) for sentence in (*story.missing, *material.missing)]
    yield "Get it again", [again(run)]


def metrics(story: Story, material: Material) -> list[Block]:
    run = story.run
    if not run.metrics:
        return []
    found: list[Block] = [Say(((found_in(run).capitalize() + ".", "dim"),))] if found_in(run) else []
    if material.plot is not None:
        found.append(Drawing(material.plot))
    return [*found, metrics_table(run, material.sparks, material.goals)]


def noise(run: Run) -> list[Block]:
    """What the last calibration of each kind says."""
    from mltrack.views.calibration import noise_section
    from mltrack.views.page import Page

    page = Page()
    for calibration in {one.vary: one for one in run.calibrations}.values():
        noise_section(page, calibration, run)
    return blocks_of(page, "Noise")


def artifacts(story: Story) -> list[Block]:
    if not story.run.artifacts:
        return []
    seen = tuple(one for one in story.previews if one.kind != "listed")
    return [*([Gallery(seen)] if seen else []), artifacts_table(story)]


def code(story: Story) -> list[Block]:
    run = story.run
    state = run.code
    if not (state.tree or state.commit):
        return []
    rows: list[tuple[str, Cell]] = [
        ("Commit", (state.commit or "", "code")),
        ("Branch", state.branch or ""),
        ("From", state.origin or ""),
        ("Tree", (state.tree or "", "code")),
        ("Uncommitted", cut(", ".join(state.changed))),
        *((f"In {nested.path}", code_line(nested.code)) for nested in state.nested),
    ]
    found: list[Block] = [facts(rows)]
    if story.patch:
        lines = patch_lines(story.patch, "The uncommitted changes as a patch")
        title = f"The uncommitted changes: {count(len(lines.lines), 'line')}"
        found.append(Fold(title, (lines,), len(lines.lines) <= OPEN_PATCH))
    elif not state.dirty:
        found.append(Say((("The tree was that of the commit, with no uncommitted changes.", "dim"),)))
    return found


def environment(run: Run) -> list[Block]:
    recorded = run.environment
    if not (recorded.digest or recorded.python or recorded.packages):
        return []
    found: list[Block] = [
        facts(
            [
                ("Kind", environment_line(recorded)),
                ("Libraries", libraries_line(recorded)),
                ("Digest", (recorded.digest or "", "code")),
                ("Lockfile", (recorded.lockfile or "", "code")),
            ]
        )
    ]
    if recorded.packages:
        title = count(len(recorded.packages), "package")
        found.append(Fold(title, (packages_table(recorded.packages),)))
    if recorded.variables:
        rows = [((name, "name"), (cut(value), "code")) for name, value in sorted(recorded.variables.items())]
        table = Table("Environment variables", ("variable", "value"), rows, "<<")
        found.append(Fold(count(len(rows), "environment variable"), (table,)))
    return found


def machine(story: Story, material: Material) -> list[Block]:
    """What it ran on, and what it used of it."""
    run = story.run
    used = resource_lines(run.resources)
    rows: list[tuple[str, Cell]] = [("Hardware", hardware_line(run.hardware)), ("Seed", text_of_seed(run))]
    rows += [("Used" if place == 0 else "", line) for place, line in enumerate(used)]
    rows.append(("Took", duration(run.duration_s) if run.duration_s is not None else ""))
    found: list[Block] = [facts(rows)]
    if run.ranks:
        from mltrack.views.page import Page
        from mltrack.views.ranks import ranks_section

        page = Page()
        ranks_section(page, run)
        found += blocks_of(page, "Ranks")
    if material.resources is not None:
        found.append(Drawing(material.resources))
    return found


def text_of_seed(run: Run) -> str:
    return "" if run.seed is None else str(run.seed)


def output(story: Story) -> list[Block]:
    run = story.run
    if not story.log or not any(story.log):
        return []
    whole = f" of {size(run.log.size_bytes)}" if run.log else ""
    lines = Lines("The last lines of its output", [(cut(line), "") for line in story.log])
    return [Fold(f"The last {count(len(story.log), 'line')}{whole}", (lines,), run.status == "failed")]


def again(run: Run) -> Commands:
    """Commands to copy."""
    short = short_id(run.id)
    rows = [("Run it again and compare", f"mltrack reproduce {short}")]
    if run.inputs or run.code.tree:
        rows.append(("Its code and data in a directory", f"mltrack checkout {short}"))
    if run.artifacts:
        rows.append(("A file of it", f"mltrack get {short} PATH"))
    rows.append(("All that is recorded", f"mltrack show {short} --json"))
    return Commands(tuple(rows))


def record_lines(run: Run) -> list[str]:
    """What proves that this is the run."""
    sealed = f"Record {run.record_digest}." if run.record_digest else "Its record is not sealed yet."
    return [f"Run {run.id}. {sealed}" + (f" Fingerprint {run.fingerprint}." if run.fingerprint else "")]
