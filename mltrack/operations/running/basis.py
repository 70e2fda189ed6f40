"""The one place where a run's facts become the basis of its fingerprint.

Asked before a command starts (`cached.py`) and when it has ended (`finish.py`): both must give the same, so nothing
goes into it that is known only afterwards.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from mltrack.operations.running.beside import without_inside
from mltrack.snapshot.fingerprint import Basis

if TYPE_CHECKING:
    from mltrack.operations.request import Plan, Recording
    from mltrack.records import Run

TERMINAL, PIPE = "terminal", "pipe"
STDIN_AT = "stdin_at"
"""In a run's origin: bytes of the file on standard input that were read before its command started."""


def basis_of(recording: Recording, run: Run) -> Basis:
    """The basis of a run whose code, environment and inputs are known.

    Its params are those that were known before the start: what the command logs depends on the rest.
    """
    plan, opening = recording.plan, recording.opening
    variables = without_inside(recording.variables)
    return Basis(
        argv=plan.command,
        cwd=opening.cwd,
        stdin=stdin_of(plan, run),
        code=run.code,
        environment=run.environment,
        inputs=run.inputs,
        params=opening.params,
        seed=opening.seed,
        variables=variables,
    )


def stdin_of(plan: Plan, run: Run) -> str | None:
    """The digest of a file on standard input, else what stands there in its place; None for nothing at all."""
    files = [item.digest for item in run.inputs if item.role == "stdin"]
    at = run.origin.get(STDIN_AT)
    if files:
        return f"{files[0]} from {at}" if at and files[0] else files[0]
    return PIPE if plan.stdin is not None else kind_of_stdin()


def stdin_at(plan: Plan) -> dict[str, int]:
    """How far the file on standard input was read before the command starts: nothing for one that is at its start."""
    if plan.repeats is not None and plan.stdin is not None:
        return {name: int(at) for name, at in plan.repeats.origin.items() if name == STDIN_AT and at}
    try:
        at = os.lseek(0, 0, os.SEEK_CUR) if stat.S_ISREG(os.fstat(0).st_mode) else 0
    except OSError:
        return {}
    return {STDIN_AT: at} if at else {}


def kind_of_stdin() -> str | None:
    """`terminal`; `pipe` for whatever else can be read from, and where it is closed: the number may be any file's by
    now; None where there is nothing to read."""
    if sys.__stdin__ is None:
        return PIPE
    try:
        found = os.fstat(0)
        if stat.S_ISCHR(found.st_mode):
            nothing = os.path.samestat(found, os.stat(os.devnull))
            return None if nothing else TERMINAL if os.isatty(0) else PIPE
    except OSError:
        return None
    return PIPE
