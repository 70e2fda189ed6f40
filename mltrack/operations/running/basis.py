"""The one place where a run's facts become the basis of its fingerprint.

Asked before a command starts (`cached.py`) and when it has ended (`finish.py`): both must give the same, so nothing
goes into it that is known only afterwards.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mltrack.operations.running.beside import without_inside
from mltrack.snapshot.fingerprint import Basis

if TYPE_CHECKING:
    from mltrack.operations.request import Plan, Recording
    from mltrack.records import Run

TERMINAL, PIPE = "terminal", "pipe"


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
    return files[0] if files else PIPE if plan.stdin is not None else kind_of_stdin()


def kind_of_stdin() -> str | None:
    """`terminal`; `pipe` for whatever else can be read from; None where there is nothing to read."""
    try:
        found = os.fstat(0)
        if stat.S_ISCHR(found.st_mode):
            nothing = os.path.samestat(found, os.stat(os.devnull))
            return None if nothing else TERMINAL if os.isatty(0) else PIPE
    except OSError:
        return None
    return PIPE
