"""One run, told as a story: how it ended, what it was, what it depended on, what came of it, what to do next.

A section without content is silent; what was left out or went wrong stands near the top.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from mltrack.records import Artifact, CodeState, Environment, Gpu, Hardware, Input, Run, Warning
from mltrack.views.notices import left_out_page
from mltrack.views.page import Cell, Grid, Item, Page
from mltrack.views.preflight import preflight_field
from mltrack.views.ranks import metric_rows, ranks_section
from mltrack.views.resources import resource_lines
from mltrack.views.tables.columns import STATUS
from mltrack.views.text import (
    ago,
    clock_time,
    command_line,
    count,
    duration,
    number,
    scalar,
    short_digest,
    short_id,
    size,
)
from mltrack.views.verdict import heads, verdict_page

MOST = 40
"""A terminal shows at most this many params, metrics, inputs or artifacts; a pipe and --json have them all."""
MOST_CHANGED = 8
MOST_WARNINGS = 5
LONGEST_WARNING = 400
"""Cells of a warning that a terminal gets."""
MORE = "... and {} more; --json has them all"


def run_page(run: Run, now: float | None = None) -> Page:
    """The page of one run; `now` is in seconds since 1970, for ages."""
    page = Page()
    headline(page, run, time.time() if now is None else now)
    for notices in (left_out_page(run.code.all_left_out()), first_warnings(run.warnings)):
        if notices.blocks:
            page.blank()
            page.add(notices.blocks)
    if run.verdict:
        page.heading("Verdict")
        page.add(verdict_page(run.verdict).blocks)
    if run.calibrations:
        noise(page, run)
    surroundings(page, run)
    data(page, run)
    next_steps(page, run)
    return page


def first_warnings(warnings: Sequence[Warning]) -> Page:
    """On a terminal no more than a few, for this stands before everything else."""
    page = Page()
    page.add(Item(("!", "yellow"), one.message, "yellow", 0, LONGEST_WARNING) for one in warnings[:MOST_WARNINGS])
    page.add(Item(("!", "yellow"), one.message, "yellow", 0, 0) for one in warnings[MOST_WARNINGS:])
    rest = len(warnings) - MOST_WARNINGS
    if rest > 0:
        page.hint((f"! {rest:,} more: --json has them", "dim"))
    return page


def noise(page: Page, run: Run) -> None:
    """What the last calibration of each kind says."""
    from mltrack.views.calibration import noise_section

    for calibration in {one.vary: one for one in run.calibrations}.values():
        page.heading("Noise")
        noise_section(page, calibration, run)


def headline(page: Page, run: Run, now: float) -> None:
    glyph, style = STATUS.get(run.status, ("?", ""))
    page.line((f"{glyph} ", style), *(((run.name, "bold"), "  ") if run.name else ()), (run.id, "yellow"))
    page.words((ending(run), style), f", {when(run, now)}{by(run)}.", indent=2)
    page.blank()
    page.line(("  $ ", "dim"), (command_line(run.command), "bold"))
    page.blank()
    for label, text in descriptions(run):
        if text:
            page.field(label, text)
    for note in run.notes:
        page.field("Note", note)


def ending(run: Run) -> str:
    """`Finished in 1 min 20 s`, `Failed with exit code 2 after 3.1 s`."""
    took = "" if run.duration_s is None else duration(run.duration_s)
    if run.status == "finished":
        return f"Finished in {took}" if took else "Finished"
    word = {"lost": "Lost: its end was not seen"}.get(run.status, run.status.capitalize())
    how = f" by signal {run.signal}" if run.signal else ""
    if run.status == "failed" and not how and run.exit_code is not None:
        how = f" with exit code {run.exit_code}"
    return f"{word}{how}{f' after {took}' if took else ''}"


def when(run: Run, now: float) -> str:
    moment = run.started_at or run.created_at
    return f"started {ago(moment, now)} ({clock_time(moment)})"


def by(run: Run) -> str:
    return (f" by {run.user}" if run.user else "") + (f" on {run.host}" if run.host else "")


def descriptions(run: Run) -> Iterable[tuple[str, str]]:
    yield "Directory", "" if run.cwd in ("", ".") else run.cwd
    yield "Why", run.why or ""
    yield "Experiment", run.experiment or ""
    yield "Tags", ", ".join(run.tags)
    if run.imported:
        whom = f" by {run.imported.by}" if run.imported.by else ""
        sealed = "" if run.imported.digest_proved else ", completed and sealed by the import"
        where = f"from {run.imported.file} on {clock_time(run.imported.at)}{whom}{sealed}"
        yield "Imported", f"{where}; no data came with it (mltrack pull --data)"
    if run.parent:
        verb = {"rerun": "a rerun of", "reproduce": "a reproduction of", "resume": "continues"}
        verb["calibrate"] = "a repetition of"
        yield "Parent", f"{verb.get(run.parent.kind, run.parent.kind)} {run.parent.run}"


def surroundings(page: Page, run: Run) -> None:
    """Code, environment and hardware, each in a line or two."""
    page.blank()
    code = run.code
    if code.tree or code.commit:
        page.field("Code", code_line(code))
        if code.changed:
            first = ", ".join(code.changed[:MOST_CHANGED])
            more = len(code.changed) - MOST_CHANGED
            brief = f"uncommitted: {first}{f' and {more:,} more' if more > 0 else ''}"
            page.field("", f"uncommitted: {', '.join(code.changed)}", "yellow", brief)
        for nested in code.nested:
            page.field("", f"{nested.path}: {code_line(nested.code)}")
    if run.environment.digest or run.environment.python or run.environment.packages:
        page.field("Environment", environment_line(run.environment))
    libraries = libraries_line(run.environment)
    if libraries:
        page.field("Libraries", libraries)
    if run.environment.variables:
        variables = ", ".join(f"{name}={value}" for name, value in sorted(run.environment.variables.items()))
        page.field("Variables", variables)
    hardware = hardware_line(run.hardware)
    if hardware:
        page.field("Hardware", hardware)
    for number_of_line, used in enumerate(resource_lines(run.resources)):
        page.field("" if number_of_line else "Used", used)
    if run.seed is not None:
        page.field("Seed", str(run.seed))
    preflight_field(page, run)


def code_line(code: CodeState) -> str:
    """`9f2a1c3d5e on main, with uncommitted changes, from https://...`"""
    place = f"commit {code.commit[:10]}" if code.commit else f"tree {code.tree[:10]}" if code.tree else "no commit"
    branch = f" on {code.branch}" if code.branch else ""
    dirty = ", with uncommitted changes" if code.dirty else ""
    return f"{place}{branch}{dirty}{f', from {code.origin}' if code.origin else ''}"


def environment_line(environment: Environment) -> str:
    parts = [f"Python {environment.python}" if environment.python else environment.kind]
    if environment.python and environment.kind != "python":
        parts.append(environment.kind)
    if environment.packages:
        parts.append(count(len(environment.packages), "package"))
    if environment.image:
        parts.append(f"image {environment.image.reference or short_digest(environment.image.digest)}")
    if environment.interpreter:
        parts.append(environment.interpreter)
    return ", ".join(parts)


TOLD = {
    "blas": "",
    "blas.kernel": "BLAS kernel ",
    "blas.threads": "BLAS threads ",
    "cuda": "CUDA ",
    "cudnn": "cuDNN ",
    "torch.tf32.matmul": "TF32 ",
    "torch.deterministic": "deterministic ",
    "torch.threads": "torch threads ",
    "tensorflow.deterministic": "deterministic ",
    "glibc": "glibc ",
}
"""Of the libraries, what a page has room for; `mltrack env show` has all."""


def libraries_line(environment: Environment) -> str:
    """`scipy-openblas 0.3.31, BLAS threads 8, TF32 off, glibc 2.36`. What follows from another entry is left out."""
    known = dict(environment.libraries)
    if not known.get("torch.cuda"):
        known.pop("torch.tf32.matmul", None)
    words = {"True": "on", "False": "off", "warn": "on, warning only"}
    parts = [f"{word}{words.get(known[key], known[key])}" for key, word in TOLD.items() if key in known]
    return ", ".join(parts)


def hardware_line(hardware: Hardware) -> str:
    parts = [
        hardware.cpu or "",
        cores_text(hardware),
        f"limited to {number(hardware.cpu_limit)}" if hardware.cpu_limit else "",
        size(hardware.memory_bytes) if hardware.memory_bytes else "",
        f"limited to {size(hardware.memory_limit_bytes)}" if hardware.memory_limit_bytes else "",
        *gpus_texts(hardware.gpus),
        " ".join(part for part in (hardware.os, hardware.kernel) if part),
    ]
    return ", ".join(part for part in parts if part)


def cores_text(hardware: Hardware) -> str:
    """`8 cores`, or `8 threads of 4 cores`."""
    if not hardware.cores:
        return ""
    if hardware.physical_cores and hardware.physical_cores < hardware.cores:
        return f"{count(hardware.cores, 'thread')} of {count(hardware.physical_cores, 'core')}"
    return count(hardware.cores, "core")


def gpus_texts(gpus: Sequence[Gpu]) -> list[str]:
    """Each kind once: `8 x NVIDIA H100 (80 GiB, driver 550)`."""
    return [f"{many} x {text}" if many > 1 else text for text, many in Counter(map(gpu_text, gpus)).items()]


def gpu_text(gpu: Gpu) -> str:
    facts = [
        size(gpu.memory_bytes) if gpu.memory_bytes else "",
        f"driver {gpu.driver}" if gpu.driver else "",
        f"CUDA {gpu.cuda}" if gpu.cuda else "",
    ]
    known = ", ".join(fact for fact in facts if fact)
    return f"{gpu.name} ({known})" if known else gpu.name


def data(page: Page, run: Run) -> None:
    """Params, inputs, artifacts and metrics, each a grid."""
    if run.params:
        page.heading("Params")
        rows: list[tuple[Cell, ...]] = [
            (name, scalar(value), (run.param_sources.get(name, ""), "dim")) for name, value in run.params.items()
        ]
        page.grid(Grid(rows, "<<<", limit=MOST, more=MORE, capped=(1,)))
    if run.inputs:
        page.heading("Inputs")
        page.grid(Grid([input_row(item) for item in run.inputs], "<><<", limit=MOST, more=MORE))
    if run.artifacts:
        page.heading("Artifacts")
        page.grid(Grid([artifact_row(item) for item in run.artifacts], "<><<", limit=MOST, more=MORE))
    if run.metrics:
        page.heading("Metrics", found_in(run))
        header = heads("", "last", "min", "max", "points")
        page.grid(Grid(metric_rows(run.metrics), "<>>>>", header, limit=MOST, more=MORE))
    ranks_section(page, run)


def found_in(run: Run) -> str:
    """The files that metrics were found in though nobody declared them."""
    files = [path for path, item in run.recognised.items() if item.by in ("dvc", "trainer", "results", "tensorboard")]
    if not files:
        return ""
    return f"found in {', '.join(files[:2])}" + (f" and {len(files) - 2} more" if len(files) > 2 else "")


def name_of(item: Input | Artifact) -> str:
    return f"{item.path}/" if item.kind == "directory" and not item.path.endswith("/") else item.path


def extent(item: Input | Artifact) -> str:
    """`1.2 GiB`, for a directory also how many files."""
    text = "" if item.size_bytes is None else size(item.size_bytes)
    return f"{count(item.files, 'file')}, {text}" if item.kind == "directory" and item.files is not None else text


def input_row(item: Input) -> tuple[Cell, ...]:
    remarks = [item.role or "", "observed" if item.found == "observed" else ""]
    if item.kind == "url":
        return item.path, "", ("no digest", "yellow"), ("from the network, not kept", "yellow")
    if item.changed_during_run:
        return name_of(item), extent(item), ("no digest", "yellow"), ("changed during the run", "yellow")
    if item.digest is None:
        return name_of(item), extent(item), ("no digest", "yellow"), ("could not be read", "yellow")
    remarks += ["only what was read" if item.partial else "", "as it was before" if item.digest_after else ""]
    remarks.append("" if item.kept else "not kept, only its digest")
    aside = ", ".join(remark for remark in remarks if remark)
    return name_of(item), extent(item), (short_digest(item.digest), "dim"), (aside, "dim")


def artifact_row(item: Artifact) -> tuple[Cell, ...]:
    return name_of(item), extent(item), (short_digest(item.digest), "dim"), (item.found, "dim")


def next_steps(page: Page, run: Run) -> None:
    """Commands to go on with; only at a terminal."""
    short = short_id(run.id)
    steps = [("see its output", f"mltrack log {short}{' -f' if run.status == 'running' else ''}")]
    if run.status == "running":
        steps.append(("watch it", f"mltrack show {short} --watch"))
        steps.append(("end it", f"mltrack stop {short}"))
    else:
        steps.append(("compare it", f"mltrack diff {run.parent.run[:8] if run.parent else '@~1'} {short}"))
        steps.append(("get it again", f"mltrack reproduce {short}"))
    page.hint("")
    for what, command in steps:
        page.hint((f"{what:<16}", "dim"), (command, "cyan"))
