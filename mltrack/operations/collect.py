"""Collect what a run left behind: its journals, its output, the files that it wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.collect.artifacts import Written, gather, keep_artifacts, logged, without_overlap, written_files
from mltrack.collect.metrics import points_in_files, points_in_output
from mltrack.nouns import noun
from mltrack.operations.outputs import below_root, is_cache, stat_declared
from mltrack.operations.request import Recording
from mltrack.records import Artifact, Log, Warning
from mltrack.snapshot.inputs import expand, name_below

if TYPE_CHECKING:
    from mltrack.executors import Outcome
    from mltrack.formats.metrics import Point
    from mltrack.live.rundir import RunDir
    from mltrack.project import Project

BLOCK = 1 << 20


@dataclass
class Collected:
    """What a run left behind."""

    artifacts: list[Artifact] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    log: Log | None = None
    warnings: list[Warning] = field(default_factory=list)


def collect(recording: Recording, outcome: Outcome) -> Collected:
    """Everything that a finished command left behind, its bytes in the store."""
    project, rundir = recording.project, recording.rundir
    collected = collect_journals(project, rundir, outcome.log_truncated)
    collect_files(recording, outcome.started_at, collected)
    patterns = project.config.metrics_stdout
    if patterns and rundir.output.exists():
        collected.points += points_in_output(timed_lines(rundir, outcome.started_at), patterns)
    if outcome.log_error:
        collected.warnings.append(Warning("log-incomplete", f"The output log stopped: {outcome.log_error}."))
    return collected


def collect_journals(project: Project, rundir: RunDir, log_truncated: bool = False) -> Collected:
    """What is in the run directory: metrics and params that the command logged, and its output."""
    collected = Collected()
    if rundir.metrics.exists() and rundir.metrics.stat().st_size:
        from mltrack.formats.metrics import read_journal

        collected.points = list(read_journal(rundir.metrics))
    if rundir.params.exists() and rundir.params.stat().st_size:
        from mltrack.formats.metrics import read_params_journal

        collected.params = read_params_journal(rundir.params)
    if rundir.output.exists() and rundir.output.stat().st_size:
        collected.log = Log(*keep_log(project, rundir), log_truncated)
    return collected


def keep_log(project: Project, rundir: RunDir) -> tuple[str, int]:
    """Store the output log; its digest and size. A short one is stored without the machinery for streams."""
    with open(rundir.output, "rb") as file:
        first = file.read(BLOCK)
        if len(first) < BLOCK:
            return project.store.put_bytes(first), len(first)
        return project.store.put_stream(chain([first], iter(lambda: file.read(BLOCK), b"")))


def timed_lines(rundir: RunDir, started_at: float) -> list[tuple[float, str]]:
    """The output as pairs of unix seconds and text."""
    from mltrack.live.outputlog import read_log

    with open(rundir.output, "rb") as file:
        return [(started_at + line.at_s, line.data.decode(errors="replace")) for line in read_log(file)]


def collect_files(recording: Recording, started_at: float, collected: Collected) -> None:
    """Artifacts and metrics files that the run wrote, by comparing the files now with those before."""
    from mltrack.git.changes import list_files

    project, plan, before = recording.project, recording.plan, recording.before
    root, declared = plan.place.root, plan.declared
    after = below_root(list_files(plan.place.repository), recording.captured.code.prefix)
    after.update(stat_declared(root, (*declared.outputs, *declared.metrics)))
    written = [path for path in written_files(before, after) if not is_cache(path)]
    outputs, unmet = declared_outputs(root, declared.outputs, Files(frozenset(written), before, after, plan.in_parts))
    everything = without_overlap([*outputs, *gather(root, written, before), *logged(recording.rundir.artifacts)])
    collected.artifacts, problems = keep_artifacts(everything, project.store, project.stat_cache, project.progress)
    files, unwritten = metrics_files(root, declared.metrics, set(written))
    points, broken = points_in_files(files)
    collected.points += points
    collected.warnings += [*unmet, *problems, *unwritten, *broken, *ignored_outputs(recording, started_at, everything)]


@noun
class Files:
    """The files of a project below its root: those that the run wrote, all before it, all after."""

    written: frozenset[bytes]
    before: Mapping[bytes, Any]
    after: Mapping[bytes, Any]
    in_parts: frozenset[str] = frozenset()


def declared_outputs(root: Path, patterns: tuple[str, ...], files: Files) -> tuple[list[Written], list[Warning]]:
    """The declared outputs that this run wrote; one that is missing, or only from before, is a warning."""
    found: list[Written] = []
    warnings: list[Warning] = []
    for pattern in patterns:
        names = [name_below(root, place) for place in expand(pattern, root) if os.path.lexists(place)]
        if not names:
            warnings.append(Warning("output-missing", f"The declared output {pattern} was not made."))
            continue
        made = [item for name in names for item in written_of(root, name, files)]
        if not made:
            text = f"The declared output {pattern} is from before; this run did not write it."
            warnings.append(Warning("output-not-written", text))
        found += made
    return found, warnings


def written_of(root: Path, name: str, files: Files) -> list[Written]:
    """What a run wrote of a declared file or directory: a directory whole, if nothing in it is from before."""
    raw = os.fsencode(name)
    if raw in files.written:
        return [Written(name, root / name, "declared")]
    below = sorted(path for path in files.written if path.startswith(raw + b"/"))
    if not below:
        return []
    is_all_new = all(path in files.written for path in files.after if path.startswith(raw + b"/"))
    if is_all_new and name not in files.in_parts:
        return [Written(name, root / name, "declared")]
    return [replace(item, found="declared") for item in gather(root, below, files.before)]


def metrics_files(
    root: Path, patterns: tuple[str, ...], written: set[bytes]
) -> tuple[list[tuple[str, Path]], list[Warning]]:
    """The declared metrics files that this run wrote: a stale one must not pass for a result."""
    found: list[tuple[str, Path]] = []
    warnings: list[Warning] = []
    for pattern in patterns:
        places = {name_below(root, place): place for place in expand(pattern, root) if place.is_file()}
        made = [(name, place) for name, place in places.items() if os.fsencode(name) in written]
        if not places:
            warnings.append(Warning("metrics-missing", f"The metrics file {pattern} was not made."))
        elif not made:
            text = f"The metrics file {pattern} is from before; this run did not write it."
            warnings.append(Warning("metrics-not-written", text))
        found += made
    return found, warnings


def ignored_outputs(recording: Recording, started_at: float, kept: list[Written]) -> list[Warning]:
    """Files that git ignores and the run wrote: not kept unless declared, so they are named."""
    from mltrack.git.changes import list_ignored_changed

    place = recording.plan.place
    changed = list_ignored_changed(place.repository, int(started_at * 1e9))
    names = [os.fsdecode(path) for path in below_root(dict.fromkeys(changed), recording.captured.code.prefix)]
    known = [item.path for item in kept]
    missed = [name for name in names if not any(name == path or name.startswith(f"{path}/") for path in known)]
    if not missed:
        return []
    shown = ", ".join(missed[:3]) + (f" and {len(missed) - 3} more" if len(missed) > 3 else "")
    return [
        Warning(
            "ignored-outputs", f"Files that git ignores were written and not kept: {shown}. Declare them with --output."
        )
    ]
