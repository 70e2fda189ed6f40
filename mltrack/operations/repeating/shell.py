"""`mltrack shell`: a past run laid out with its environment, and a shell, or one command, started in it.

Nothing is recorded. How it starts: `executors/foreground.py`; how it keeps the environment: `shell_files.py`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import UsageError
from mltrack.executors.foreground import execute
from mltrack.nouns import noun
from mltrack.operations.env.kinds import enter
from mltrack.operations.keeping.workspaces import (
    await_tick,
    changed_files,
    is_held,
    is_marked,
    is_ours,
    mark,
    remove,
)
from mltrack.operations.outside.left_behind import START, claim, remove_claimed, sweep
from mltrack.operations.repeating.repetition import Asked, Repetition
from mltrack.operations.repeating.shell_files import Dress, dressed
from mltrack.operations.request import Plan, Tell
from mltrack.operations.running.record import INSIDE
from mltrack.records import Run, new_id
from mltrack.redact import PLACEHOLDER

if TYPE_CHECKING:
    from mltrack.executors import Command
    from mltrack.project import Project

IN_CONTAINER = ("/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi")
OF_A_RUN = ("MLTRACK_RUN_ID", "MLTRACK_RUN_DIR")
"""Variables of a run around us: a command in the shell is no part of it."""
NAME = "mltrack"
ARTIFACTS = "mltrack-artifacts"
"""Where in the workspace lies what a command put into $MLTRACK_ARTIFACTS."""


@noun
class ShellRequest:
    """Which run, and what to start; no command means the person's own shell."""

    ref: str
    start: Path
    url: str | None = None
    into: Path | None = None
    command: tuple[str, ...] = ()


@noun
class Left:
    """What remains of a shell."""

    exit_code: int
    directory: Path
    is_gone: bool
    """The workspace was removed: nothing in it had changed."""
    changed: tuple[str, ...] = ()


def shell(request: ShellRequest, tell: Tell) -> Left:
    """Lay a run out and start a shell in it; returns when that has ended.

    Raises NotFound, DataMissing and others where it cannot be laid out, CommandNotFound, NotExecutable, StartError.
    """
    from mltrack.operations.repeating.beginning import located

    project, then, top = located(request.ref, request.start, request.url, request.into, tell)
    with project:
        if then.status == "running":
            raise UsageError(f"{then.id} is still running.", "Wait for its end, or stop it: mltrack stop.")
        sweep(project)
        return in_workspace(project, Repetition(project, then, top, Asked(tell)), request.command, tell)


def in_workspace(project: Project, repetition: Repetition, words: Sequence[str], tell: Tell) -> Left:
    """From an empty directory to the end of the shell in it."""
    top, then = repetition.top, repetition.then
    scratch = project.work / f"{START}shell-{new_id()}"
    claimed = claim(scratch)
    os.set_inheritable(claimed, True)
    try:
        repetition.restore()
        if repetition.held is not None:
            os.set_inheritable(repetition.held, True)  # what is started there may outlive the shell, and us
        repetition.build()
        command = command_for(repetition, words, scratch, tell)
        if is_ours(project, top):
            mark(top, then.id, "shell")
            await_tick(top)
        code = execute(command)
    finally:
        keep_artifacts(scratch, repetition.root)
        repetition.drop()
        remove_claimed(scratch, claimed)
        changed = settled(project, top)
    return Left(code, top, not top.exists(), changed)


def keep_artifacts(scratch: Path, root: Path) -> None:
    """What a command put into $MLTRACK_ARTIFACTS is somebody's work: it stays in the workspace."""
    place, number = root / ARTIFACTS, 1
    with suppress(OSError):
        if os.listdir(scratch / ARTIFACTS):
            while place.exists():
                place, number = root / f"{ARTIFACTS}-{number}", number + 1
            shutil.move(scratch / ARTIFACTS, place)


def settled(project: Project, top: Path) -> tuple[str, ...]:
    """The workspace goes unless somebody chose its place, changed something in it, or left a program there; returns
    what was changed."""
    if not is_ours(project, top):
        return ()
    changed = changed_files(top) if is_marked(top) else ()
    if not changed and not is_held(top):
        remove(top)
    return changed


def command_for(repetition: Repetition, words: Sequence[str], scratch: Path, tell: Tell) -> Command:
    """What is to be started: the person's shell or their command, as the run's own command would be."""
    from mltrack.executors import Command

    then, plan = repetition.then, repetition.plan()
    (scratch / ARTIFACTS).mkdir(parents=True, exist_ok=True)
    own = own_variables(plan, then, scratch)
    if plan.resume:
        from mltrack.live.rundir import RunDir
        from mltrack.operations.running.resume import lay_out

        lay_out(repetition.project, plan.resume, RunDir(scratch))
        own["MLTRACK_RESUME"] = str(scratch / "resume")
    is_inside = then.environment.image is not None
    argv = tuple(words)
    if not argv:
        dress = Dress(scratch, own, f"(mltrack {then.id[:8]}) ")
        shell_words, more = (IN_CONTAINER, {}) if is_inside else dressed(own_shell(), dress, sys.stdin.isatty())
        argv, own = shell_words, {**own, **more}
    cwd = plan.working_directory
    cwd.mkdir(parents=True, exist_ok=True)
    given = {name: text for name, text in own.items() if text is not None}
    started = enter(repetition.project, replace(plan, argv=argv), scratch, given, tell)
    welcome(repetition, plan, is_inside, tell, not words)
    if started is not None:
        return Command(started.argv, started.cwd, started.variables, 0, bytes)
    variables = {name: text for name, text in {**os.environ, **own}.items() if text is not None}
    return Command(argv, cwd, variables, 0, bytes, binds=plan.place.binds)


def own_variables(plan: Plan, then: Run, scratch: Path) -> dict[str, str | None]:
    """The changes to the environment variables; None removes one. Like those of a run, but nobody reads what a command
    logs."""
    changes = {**dict.fromkeys(OF_A_RUN), **plan.place.variables}
    path = changes.get("PYTHONPATH")
    changes["PYTHONPATH"] = f"{INSIDE}{os.pathsep}{path}" if path else str(INSIDE)  # `import mltrack` works in a run
    changes |= {
        "MLTRACK_SHELL": then.id,
        "MLTRACK_METRICS": str(scratch / "metrics.jsonl"),
        "MLTRACK_PARAMS": str(scratch / "params.jsonl"),
        "MLTRACK_ARTIFACTS": str(scratch / ARTIFACTS),
    }
    if then.environment.image is None:
        known = changes.get("PATH") or os.environ.get("PATH") or os.defpath
        changes["PATH"] = os.pathsep.join((known, *own_program(scratch / "bin")))
    if then.seed is not None:
        changes |= {"PYTHONHASHSEED": str(then.seed % 2**32), "MLTRACK_SEED": str(then.seed)}
    return changes


def own_program(directory: Path) -> Iterator[str]:
    """A directory in which there is `mltrack` alone, the one that we are: what lies beside that is no part of the run's
    environment. None where nobody knows which program that is."""
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), NAME)
    started = shutil.which(sys.argv[0]) if os.path.basename(sys.argv[0]) == NAME else None
    for program in (started, beside):
        if program is not None and os.access(program, os.X_OK):
            directory.mkdir(exist_ok=True)
            (directory / NAME).symlink_to(os.path.abspath(program))
            yield str(directory)
            break


def own_shell() -> str:
    """The person's shell; where that is not here, a plain one."""
    return shutil.which(os.environ.get("SHELL") or "sh") or "/bin/sh"


def welcome(repetition: Repetition, plan: Plan, is_inside: bool, tell: Tell, is_shell: bool) -> None:
    """Where one is, what ran here, and how to leave."""
    if not is_shell:
        return
    then = repetition.then
    name = f" ({then.name})" if then.name else ""
    where = f", in a container of {then.environment.image.reference}" if is_inside and then.environment.image else ""
    tell(f"this is {then.id}{name} in {plan.working_directory}{where}")
    line = as_typed(plan, then)
    tell(f"it ran: {line}" if line else "the command that it ran held a secret, which was not recorded")
    stays = "what you change stays" if is_ours(repetition.project, repetition.top) else "the directory stays"
    tell(f"leave with `exit`; {stays}, nothing is recorded")


def as_typed(plan: Plan, then: Run) -> str | None:
    """The recorded command as it can be pasted here. None if it cannot: a part of it was a secret."""
    from shlex import quote

    if any(PLACEHOLDER in word for word in then.command):
        return None
    words = list(plan.argv if then.environment.image is None else then.command)
    path = plan.place.variables.get("PATH") or os.environ.get("PATH")
    if words and shutil.which(os.path.basename(words[0]), path=path) == words[0]:
        words[0] = os.path.basename(words[0])
    line = " ".join(map(quote, words))
    return line if plan.stdin is None else f"{line} < {quote(str(plan.stdin))}"
