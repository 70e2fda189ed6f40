"""Collect what a run left behind: its journals, its output, the files that it wrote."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.collect.artifacts import Written, gather, keep_artifacts, logged, without_overlap, written_files
from mltrack.collect.metrics import points_in_files
from mltrack.nouns import noun
from mltrack.observe.names import is_cache
from mltrack.operations.request import Place, Recording
from mltrack.operations.running.edited import edited_code
from mltrack.operations.running.outputs import below_root, own_files, stands_for, stat_declared
from mltrack.operations.series import points_of_output
from mltrack.records import Artifact, Log, Warning

if TYPE_CHECKING:
    from mltrack.collect.frameworks import Found
    from mltrack.executors import Outcome
    from mltrack.formats.metrics import Point
    from mltrack.live.rundir import RunDir
    from mltrack.operations.observing.watcher import Ended
    from mltrack.project import Project

BLOCK = 1 << 20


@dataclass
class Collected:
    """What a run left behind."""

    artifacts: list[Artifact] = field(default_factory=list)
    points: Iterable[Point] = ()
    """Read as they are asked for: there may be a million."""
    params: dict[str, Any] = field(default_factory=dict)
    found: Found | None = None
    """What frameworks wrote."""
    log: Log | None = None
    warnings: list[Warning] = field(default_factory=list)


def collect(recording: Recording, outcome: Outcome, observed: Ended | None = None) -> Collected:
    """Everything that a finished command left behind, its bytes in the store. `observed`: what each path was to it."""
    project, rundir = recording.project, recording.rundir
    collected = collect_journals(project, rundir, outcome.log_truncated)
    collect_files(recording, outcome.started_at, collected, observed)
    printed = points_of_output(rundir, recording.plan.declared.stdout, outcome.started_at)
    collected.points = chain(collected.points, printed)
    collect_frameworks(recording, collected)
    if outcome.log_error:
        collected.warnings.append(Warning("log-incomplete", f"The output log stopped: {outcome.log_error}."))
    return collected


def collect_frameworks(recording: Recording, collected: Collected) -> None:
    """Params and metrics in the files of frameworks, among all that the run wrote."""
    from mltrack.operations.running.frameworks import framework_facts

    place = recording.plan.place
    collected.found = framework_facts(
        recording.project.config,
        recording.opening,
        collected.artifacts,
        lambda path: place.lies_at(path) if os.path.isabs(path) else place.root / path,
    )
    if collected.found is not None:
        from mltrack.collect.frameworks import unless_known

        collected.points = unless_known(collected.points, collected.found.points)
        collected.warnings += collected.found.warnings


def collect_journals(project: Project, rundir: RunDir, log_truncated: bool = False) -> Collected:
    """What is in the run directory: metrics and params that the command logged, and its output."""
    collected = Collected()
    if rundir.metrics.exists() and rundir.metrics.stat().st_size:
        from mltrack.formats.metrics import read_journal

        collected.points = read_journal(rundir.metrics)
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


def collect_files(recording: Recording, started_at: float, collected: Collected, observed: Ended | None) -> None:
    """Artifacts and metrics files that the run wrote: what it was seen to write, and what else changed meanwhile."""
    from mltrack.git.changes import list_files, list_ignored_changed
    from mltrack.git.exclusions import may_hold_secrets
    from mltrack.operations.observing.artifacts import identity, within_limit, written_by

    project, plan, before = recording.project, recording.plan, recording.before
    root, declared = plan.place.root, plan.declared
    prefix = recording.captured.code.prefix
    after_all = list_files(plan.place.repository)
    after = below_root(after_all, prefix)
    after.update(stat_declared(plan.place, (*declared.outputs, *declared.metrics)))
    ignored = list_ignored_changed(plan.place.repository, int(started_at * 1e9))
    changed = {*written_files(before, after), *below_root(dict.fromkeys(ignored), prefix)}
    written = sorted(path for path in changed if not is_cache(path))
    made = Files(frozenset(written), before, after, plan.in_parts)
    outputs, unmet = declared_outputs(plan.place, declared.outputs, made)
    plain = [path for path in written if not may_hold_secrets(path)]
    apart = own_files()
    plain = [path for path in plain if not apart or identity(f"{root}/{os.fsdecode(path)}") not in apart]
    found, mixed = written_by(observed, written, before, apart) if observed else (gather(root, plain, before), [])
    everything = without_overlap([*outputs, *found, *logged(recording.rundir.artifacts)])
    everything, over = within_limit(everything, project.config.artifact_limit)
    collected.artifacts, problems = keep_artifacts(everything, project.store, project.stat_cache, project.progress)
    files, unwritten = metrics_files(plan.place, declared.metrics, set(written))
    points, broken = points_in_files(files)
    collected.points = chain(collected.points, points)
    edited = edited_code(recording, observed, after_all)
    collected.warnings += [*unmet, *mixed, *over, *problems, *unwritten, *broken, *edited]


@noun
class Files:
    """The files of a project below its root: those that the run wrote, all before it, all after."""

    written: frozenset[bytes]
    before: Mapping[bytes, Any]
    after: Mapping[bytes, Any]
    in_parts: frozenset[str] = frozenset()


def declared_outputs(place: Place, patterns: tuple[str, ...], files: Files) -> tuple[list[Written], list[Warning]]:
    """The declared outputs that this run wrote; one that is missing, or only from before, is a warning."""
    found: list[Written] = []
    warnings: list[Warning] = []
    for pattern in patterns:
        there = [(name, here) for name, here in stands_for(place, pattern) if os.path.lexists(here)]
        if not there:
            warnings.append(Warning("output-missing", f"The declared output {pattern} was not made."))
            continue
        made = [lying(item, name, here) for name, here in there for item in written_of(place.root, name, files)]
        if not made:
            text = f"The declared output {pattern} is from before; this run did not write it."
            warnings.append(Warning("output-not-written", text))
        found += made
    return found, warnings


def lying(item: Written, name: str, here: Path) -> Written:
    """What was written of a declared path, where that lies."""
    return replace(item, place=Path(here, item.path[len(name) :].lstrip("/")))


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
    place: Place, patterns: tuple[str, ...], written: set[bytes]
) -> tuple[list[tuple[str, Path]], list[Warning]]:
    """The declared metrics files that this run wrote: a stale one must not pass for a result."""
    found: list[tuple[str, Path]] = []
    warnings: list[Warning] = []
    for pattern in patterns:
        places = {name: here for name, here in stands_for(place, pattern) if here.is_file()}
        made = [(name, here) for name, here in places.items() if os.fsencode(name) in written]
        if not places:
            warnings.append(Warning("metrics-missing", f"The metrics file {pattern} was not made."))
        elif not made:
            text = f"The metrics file {pattern} is from before; this run did not write it."
            warnings.append(Warning("metrics-not-written", text))
        found += made
    return found, warnings
