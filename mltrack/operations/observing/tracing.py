"""`--trace`: put strace before a command that is about to start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import StartError

if TYPE_CHECKING:
    from mltrack.executors import Command
    from mltrack.operations.request import Recording


def traced(recording: Recording, command: Command) -> Command:
    """The command with strace before it.

    Raises StartError where it cannot be traced, and what the start of the command itself would raise.
    """
    if recording.started is not None:
        raise StartError(
            "A command in a container cannot be traced from outside of it.",
            "Run without --trace: what it reads and writes below its mounts is seen all the same.",
        )
    from mltrack.executors.program import find_program
    from mltrack.observe.trace import wrap

    find_program(command)  # strace would say in words of its own that there is none
    argv, environment = wrap(command.argv, recording.rundir.observed, command.environment)
    return replace(command, argv=argv, environment=environment)
