"""What is done beside the running command: environment, hardware, inputs, and packing the code.

Runs in a thread of the supervisor, while the command works. Every part is written into the run directory as soon as it
is known, so that a run whose supervisor is killed keeps it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from mltrack.errors import MltrackError, StorageError
from mltrack.noun_json import to_dict
from mltrack.operations.env.kinds import keep_found, kind_of, lock_of, options_of, shown_options, user_cache
from mltrack.operations.observing.sources import watcher_of
from mltrack.operations.request import Recording
from mltrack.records import CodeState, Environment, Hardware, Input, Warning
from mltrack.snapshot.code import keep_code
from mltrack.snapshot.inputs import check_inputs, keep_inputs

if TYPE_CHECKING:
    from mltrack.environments import Request
    from mltrack.git.capture import Captured
    from mltrack.operations.observing.watcher import Ended, Watcher

WATCHING = ("MLTRACK_OBSERVE", "MLTRACK_HOOK", "MLTRACK_WATCHED", "LD_PRELOAD")


class Beside:
    """The facts that are gathered while the command runs."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.environment = Environment()
        self.hardware = Hardware()
        self.code: CodeState = recording.captured.code
        self.inputs: list[Input] = []
        self.environment_warnings: list[Warning] = []
        self.tops: Mapping[str, Sequence[str]] = {}
        """Package -> import paths, to tell from the processes what was used."""
        self.is_settled = True
        """False when the command itself may still change its environment, as `uv run` does."""
        self.warnings: list[Warning] = []
        self.ended = Event()
        """Set when the command has ended."""
        self.watcher: Watcher | None = None
        self.observed: Ended | None = None
        self.found: list[Input] = []
        """The inputs that nobody declared."""

    def work(self) -> None:
        """Gather everything; never raises: a fact that cannot be had becomes a warning of the run. What is looked at is
        the world's (metadata of a thousand authors, other programs' answers), so that any error may come of it."""
        self.attempt("observation", self.begin_to_watch)
        for kind, gather in (
            ("environment", self.see_environment),
            ("hardware", self.see_hardware),
            ("code", self.keep_code),
            ("inputs", self.keep_inputs),
        ):
            self.attempt(kind, gather)
            self.save()
        self.attempt("observation", self.watch)

    def attempt(self, kind: str, gather: Callable[[], None]) -> None:
        try:
            gather()
        except (MltrackError, OSError) as error:
            self.warnings.append(Warning(f"{kind}-incomplete", f"The {kind} could not be captured in full: {error}"))
        except Exception as error:
            text = f"The {kind} could not be captured in full: {type(error).__name__}: {error}."
            self.warnings.append(Warning(f"{kind}-incomplete", self.recording.redactor.text(text)))

    def begin_to_watch(self) -> None:
        self.watcher = watcher_of(self.recording)
        if self.watcher is not None:
            self.watcher.begin()

    def watch(self) -> None:
        """Keep what the command reads, as it reads it, within what declared inputs have left of the limit."""
        if self.watcher is not None:
            declared = sum(item.size_bytes or 0 for item in self.inputs if item.kept)
            self.watcher.follow(self.ended, self.recording.project.config.keep_limit - declared)

    def see_observed(self) -> None:
        """After the command ended: what each path was to it."""
        if self.watcher is not None:
            from mltrack.operations.observing.observed import inputs_of

            self.observed = self.watcher.conclude(time.time_ns())
            self.found = inputs_of(self.observed, self.inputs)

    def see_environment(self) -> None:
        from mltrack.environments import choose

        recording = self.recording
        project, plan = recording.project, recording.plan
        request = environment_request(recording)
        found = choose(request, kind_of(project, plan.request)).capture(request)
        project.progress.tell("")
        self.is_settled = found.settled
        seen = request.facts.get("variables") or without_inside(
            request.variables
        )  # a container has others than we have
        recorded = recording.redactor.variables(seen)
        kept = keep_found(project, found)
        self.environment = replace(kept, variables=recorded, options=shown_options(kept.options, recording.redactor))
        self.environment_warnings, self.tops = list(found.warnings), found.tops

    def see_hardware(self) -> None:
        from mltrack.snapshot.hardware import capture_hardware

        self.hardware = capture_hardware()

    def keep_code(self) -> None:
        project, captured = self.recording.project, self.recording.captured
        known = project.ledger.find_code(captured.code.snapshot)
        self.code = keep_code(captured.code, git_dirs(captured), project.store, known)

    def keep_inputs(self) -> None:
        project = self.recording.project
        self.inputs = keep_inputs(
            self.recording.inputs,
            lambda: project.store,
            project.stat_cache,
            project.config.keep_limit,
            project.progress,
        )

    def look_again(self) -> None:
        """After the command ended: what may have moved while it ran."""
        lock = self.environment.lockfile
        if not self.is_settled or (lock is not None and not self.recording.project.store.has(lock)):
            self.attempt("environment", self.see_environment)
        if self.code.snapshot is not None and not self.code.packs:  # a full disk may have room again
            self.warnings = [item for item in self.warnings if item.kind != "code-incomplete"]
            self.attempt("code", self.keep_code)
        if self.inputs:
            self.inputs = check_inputs(self.inputs, self.recording.inputs, self.recording.project.stat_cache)
        self.attempt("observation", self.see_observed)

    def save(self) -> None:
        """Keep the facts on the disk too, for the case that we are killed; they are lost to nobody if that is full."""
        with suppress(StorageError):
            self.recording.rundir.write("beside", self.facts())

    def facts(self) -> dict[str, Any]:
        return {
            "environment": to_dict(self.environment),
            "hardware": to_dict(self.hardware),
            "code": to_dict(self.code),
            "inputs": to_dict(self.inputs),
            "warnings": to_dict([*self.environment_warnings, *self.warnings]),
        }


def environment_request(recording: Recording) -> Request:
    """What the environment's kind is asked, for a command that is about to start or is running."""
    from mltrack.environments import Request

    project, plan, variables = recording.project, recording.plan, without_watching(recording.variables)
    options = options_of(project, plan.request)
    return Request(
        plan.argv,
        plan.working_directory,
        variables,
        user_cache(variables),
        plan.place.installed_from or plan.place.root,
        options,
        recording.started.facts if recording.started else {},
        may_ask=options.get("lock", True),
        known=known_lock(recording),
        tell=project.progress.tell,
    )


def known_lock(recording: Recording) -> bytes | None:
    """The lock of the run that is reproduced, if it is here."""
    then = recording.plan.repeats
    digest = lock_of(then) if then is not None else None
    store = recording.project.store
    return store.get_bytes(digest) if digest is not None and not store.missing([digest]) else None


def without_inside(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables with PYTHONPATH as the user has it: what a run puts in front of it are paths of this machine. A
    repetition does not see the user's of today, but has what is relative of the recorded one."""
    rest = variables.get("PYTHONPATH", "").partition(os.pathsep)[2]
    path = os.environ.get("PYTHONPATH", "")
    if not path or not rest.endswith(path):
        path = os.pathsep.join(part for part in rest.split(os.pathsep) if part and not os.path.isabs(part))
    users = {name: value for name, value in without_watching(variables).items() if name != "PYTHONPATH"}
    return {**users, "PYTHONPATH": path} if path else users


def without_watching(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that make a process tell what it does, with LD_PRELOAD as the user has it."""
    users = {name: value for name, value in variables.items() if name not in WATCHING}
    return {**users, "LD_PRELOAD": os.environ["LD_PRELOAD"]} if os.environ.get("LD_PRELOAD") else users


def git_dirs(captured: Captured) -> dict[str, Path]:
    """Path of each nested repository ("" for the outermost) -> its git directory."""
    return dict(captured.objects)
