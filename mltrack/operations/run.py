"""`mltrack run`: plan a run, choose where it works, record it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.operations.request import (
    Declared,
    Place,
    Plan,
    RunRequest,
    Tell,
    checked_name,
    checked_tag,
    silent,
)
from mltrack.operations.running.params import load_params_files
from mltrack.operations.running.reconcile import reconcile
from mltrack.operations.running.record import record
from mltrack.records import Parent
from mltrack.snapshot.inputs import name_below

if TYPE_CHECKING:
    from mltrack.git.repository import Repository
    from mltrack.project import Project
    from mltrack.records import Artifact, Run


STDOUT = "stdout:"
"""What a pattern for the output begins with where a metrics file could stand."""


def run(project: Project, request: RunRequest, tell: Tell = silent) -> Run:
    """Record one execution of a command; returns the sealed run.

    Raises StartError (or a subclass) when the command was not started; then nothing is recorded.
    """
    project.check_formats()
    reconcile(project)
    plan = plan_run(project, request)
    if not request.isolated and not plan.edits:
        return record(project, plan, tell)
    from mltrack.operations.repeating.workspace import isolate, remove_copy

    copy = isolate(project, plan.place, plan.declared, plan.edits)
    tell("The command works in a copy of the project; what it writes is kept in the store, not here.")
    try:
        return record(project, replace(plan, place=copy), tell)
    finally:
        remove_copy(project, copy)


def plan_run(project: Project, request: RunRequest) -> Plan:
    """What is to be done, in the worktree as it is. Raises UsageError, NotFound."""
    if not request.command:
        raise UsageError("There is no command to run.", "Put it after two dashes: mltrack run -- python train.py")
    check_words(request)
    cwd = name_below(project.root, request.cwd)
    declared = declare(project, request)
    changes = override(project.root, request, declared)
    place = Place(project.root, repository_of(project))
    request, resume = resumed(project, request)
    return Plan(
        request, place, changes.command, changes.command, cwd, declared, changes.values, changes.edits, None, resume
    )


def check_words(request: RunRequest) -> None:
    """Refuse a name or a tag that would not do, before anything starts. Raises UsageError."""
    checked_name(request.name, "a run")
    checked_name(request.experiment, "an experiment")
    for word in request.tags:
        checked_tag(word)


def resumed(project: Project, request: RunRequest) -> tuple[RunRequest, tuple[Artifact, ...]]:
    """A warm start makes the new run a child of the run whose artifacts it takes."""
    if request.resume_from is None:
        return request, ()
    from mltrack.operations.find import find_run

    earlier = find_run(project, request.resume_from)
    if not earlier.artifacts:
        raise UsageError(f"{earlier.id} has no artifacts to resume from.", f"Look at it: mltrack show {earlier.id}")
    return replace(request, parent=Parent("resume", earlier.id)), earlier.artifacts


def repository_of(project: Project) -> Repository:
    """The git repository that the project lies in, or a private one in `.mltrack/` where there is none."""
    from mltrack.git.repository import find_repository, private_repository

    found = find_repository(project.root)
    return found if found is not None else private_repository(project.root, project.state / "code.git")


def declare(project: Project, request: RunRequest) -> Declared:
    """Flags and settings as one list each, relative to the project's root."""
    base = request.cwd

    def joined(settings: tuple[str, ...], flags: tuple[str, ...]) -> tuple[str, ...]:
        typed = tuple(name_below(project.root, Path(base, os.path.expanduser(flag))) for flag in flags)
        return tuple(dict.fromkeys((*settings, *typed)))

    def with_keys(flag: str) -> str:
        path, _, keys = flag.partition(":")
        name = name_below(project.root, Path(base, os.path.expanduser(path)))
        return f"{name}:{keys}" if keys else name

    config = project.config
    printed = tuple(flag[len(STDOUT) :] for flag in request.metrics if flag.startswith(STDOUT))
    files = tuple(flag for flag in request.metrics if not flag.startswith(STDOUT))
    params = tuple(dict.fromkeys((*config.params, *(with_keys(flag) for flag in request.params))))
    return Declared(
        joined(config.inputs, request.inputs),
        joined(config.outputs, request.outputs),
        params,
        joined(config.metrics, files),
        checked_patterns((*config.metrics_stdout, *printed)),
    )


def checked_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The patterns for the output, each once. Raises UsageError for one that is none."""
    if patterns:
        from mltrack.collect.output import parse_patterns

        parse_patterns(patterns)
    return tuple(dict.fromkeys(patterns))


class Changes:
    """What `--set` comes to: a command, edits of params files, and the values that the command was given."""

    def __init__(self, command: tuple[str, ...], edits: tuple[Any, ...], values: Mapping[str, object]) -> None:
        self.command = command
        self.edits = edits
        self.values = values


def override(root: Path, request: RunRequest, declared: Declared) -> Changes:
    """Apply `--set KEY=VALUE`; raises UsageError for a key that nothing takes."""
    if not request.overrides:
        return Changes(request.command, (), {})
    from mltrack.formats.overrides import apply_overrides, parse_override

    overrides = [parse_override(text) for text in request.overrides]
    files: dict[str, dict[str, Any]] = {}
    for name, _, part in load_params_files(root, declared.params):
        files.setdefault(name, {}).update(part)
    applied = apply_overrides(request.command, overrides, files)
    edited = {key for key, how in applied.how.items() if how in files}
    values = {item.key: item.value for item in overrides if item.key not in edited}
    return Changes(applied.command, applied.edits, values)
