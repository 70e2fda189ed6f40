"""`mltrack run`: plan a run, choose where it works, record it."""

from __future__ import annotations

import os
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
from mltrack.operations.running.params import UNNAMED, load_named_files, load_params_files, reads, unnamed_file
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
    place = Place(project.root, repository_of(project))
    plan = Plan(request, place, request.command, request.command, cwd, declare(project, request))
    if request.overrides:
        plan = overridden(project, plan)
    request, resume = resumed(project, request)
    return replace(plan, request=request, resume=resume)


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


def overridden(project: Project, plan: Plan) -> Plan:
    """The plan with each `--set KEY=VALUE`; a config file that one changes is a declared one from then on.

    Raises UsageError for a key that nothing takes.
    """
    from mltrack.formats.overrides import apply_overrides, parse_override

    overrides = [parse_override(text) for text in plan.request.overrides]
    files: dict[str, dict[str, Any]] = {}
    for name, _, part in load_params_files(plan.place.root, plan.declared.params):
        files.setdefault(name, {}).update(part)
    found = undeclared_files(plan) if reads(project.config.frameworks, "config") else {}
    files |= {name: values for name, values in found.items() if name not in files}
    applied = apply_overrides(plan.command, overrides, files)
    edited = {key for key, how in applied.how.items() if how in files}
    changed = [edit.path for edit in applied.edits if edit.path in found]
    return replace(
        plan,
        command=applied.command,
        argv=applied.command,
        declared=replace(plan.declared, params=tuple(dict.fromkeys((*plan.declared.params, *changed)))),
        set_params={item.key: item.value for item in overrides if item.key not in edited},
        edits=applied.edits,
    )


def undeclared_files(plan: Plan) -> dict[str, dict[str, Any]]:
    """Name and flat values of the config files in the project that params are read from though nobody declared them:
    those that the command names, and `params.yaml` at the root."""
    from mltrack.formats.config_files import read_config

    found = {name: values for name, _, values in load_named_files(plan) if not os.path.isabs(name)}
    place = unnamed_file(plan)
    if place is not None:
        found.setdefault(UNNAMED, read_config(place) or {})
    return found
