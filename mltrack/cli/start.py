"""Starts a run for `mltrack run` and `mltrack rerun`, and tells how it went. Light: no typer, no rich."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import UsageError
from mltrack.operations.request import RunRequest, Tell, silent
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.operations.running.put_back import PutBack
    from mltrack.records import Run
    from mltrack.views.progress import Progress


def start_run(
    *,
    command: Sequence[str],
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    params: Sequence[str] = (),
    metrics: Sequence[str] = (),
    overrides: Sequence[str] = (),
    tags: Sequence[str] = (),
    name: str | None = None,
    experiment: str | None = None,
    why: str | None = None,
    env: str | None = None,
    image: str | None = None,
    resume_from: str | None = None,
    seed: int | None = None,
    isolated: bool = False,
    strict: bool = False,
    quiet: bool = False,
    trace: bool = False,
    as_json: bool = False,
    cached: bool = False,
) -> int:
    """Record one run of a command; returns the command's exit code."""
    from mltrack.operations.run import run

    request = RunRequest(
        command=tuple(command),
        cwd=working_directory(),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        params=tuple(params),
        metrics=tuple(metrics),
        overrides=tuple(overrides),
        name=name,
        experiment=experiment,
        tags=tuple(tags),
        why=why,
        seed=seed,
        environment_kind=env,
        environment_options={} if image is None else {"image": image},
        resume_from=resume_from,
        isolated=isolated,
        strict=strict,
        quiet=quiet,
        trace=trace,
        output_to_stderr=as_json,
        reuse=Reuse(quiet) if cached else None,
    )
    with Project.open(working_directory()) as project:
        return told(lambda tell: run(project, request, tell), project, quiet, as_json, request)


def drawn_keeping() -> Progress:
    """What a run has still to read and keep when its command has ended."""
    from mltrack.views.progress import Progress

    return Progress("keeping")


def working_directory() -> Path:
    """Where the person is. Raises UsageError when that directory was removed under them."""
    try:
        return Path(os.getcwd())
    except FileNotFoundError as error:
        raise UsageError("The current directory is not there any more.", "Go to another one: cd DIRECTORY") from error


def told(work: Callable[[Tell], Run], project: Project, quiet: bool, as_json: bool, request: RunRequest) -> int:
    """Do the work, tell its story on stderr (or the run as JSON on stdout); returns the exit code of its command."""
    if not quiet:
        project.progress.draw, project.progress.say = drawn_keeping, say
    try:
        done = work(silent if quiet else say)
    finally:
        project.progress.close()
    if as_json:
        from mltrack.views.console import show_json
        from mltrack.views.json import run_json

        show_json(run_json(done))
    elif not quiet and not (isinstance(request.reuse, Reuse) and request.reuse.run is not None):
        from mltrack.views.text import clean

        say(summary(done))
        for warning in done.warnings:
            say(f"warning: {clean(warning.message)}")
        if done.verdict is not None:
            from mltrack.views.verdict_words import one_line

            say(clean(one_line(done.verdict)))
    return exit_code_of(done)


class Reuse:
    """Told that a past run is returned instead of a new one; says so."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.run: Run | None = None

    def __call__(self, run: Run, done: PutBack) -> None:
        self.run = run
        if not self.quiet:
            from mltrack.views.reuse import reuse_lines

            for line in reuse_lines(run, done, time.time()):
                say(line)


def say(sentence: str) -> None:
    """A line of talk: on stderr, marked, so that it cannot be taken for the command's own output."""
    sys.stderr.write(f"mltrack: {sentence}\n")
    sys.stderr.flush()


def summary(run: Run) -> str:
    """One line about a run that has ended."""
    from mltrack.formats.ranked import split_rank

    parts = [f"{run.id} {run.status}"]
    if run.exit_code:
        parts[0] += f" (exit {run.exit_code})"
    elif run.signal:
        parts[0] += f" (signal {run.signal})"
    if run.duration_s is not None:
        parts.append(f"{run.duration_s:.1f} s")
    parts += [
        f"{name} {summary.last:.6g}"
        for name, summary in [item for item in run.metrics.items() if split_rank(item[0])[1] is None][:3]
        if not isinstance(summary.last, str)
    ]
    if run.artifacts:
        parts.append(f"{len(run.artifacts)} artifact{'s' if len(run.artifacts) > 1 else ''}")
    return "  ".join(parts)


def exit_code_of(run: Run) -> int:
    """The exit code of the command, as a shell would say it."""
    if run.signal:
        return 128 + run.signal
    return run.exit_code or 0
