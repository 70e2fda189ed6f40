"""Executors: how a command is started and seen through to its end. A family; `local.py` is a process on this machine.

An executor is a module with `execute(command, rundir, beside, when_ended) -> Outcome` and
`stop(facts, rundir, grace_s) -> bool`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mltrack.nouns import noun


@noun
class Bind:
    """A file or directory that a command is to see at another place; only it does. See `mounts.py`."""

    source: str
    target: str
    """Absolute; something of the same kind is there. `/` makes the source the root directory."""
    is_optional: bool = False
    """Go on without it where the system refuses."""


@noun
class Command:
    """A command to be run."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    """The whole environment of the command; nothing is added to it."""
    log_limit_bytes: int
    redact: Callable[[bytes], bytes]
    """Takes a line of output, gives what may be kept of it. Called in the order of the lines, in another process."""
    quiet: bool = False
    """Do not show the output; it is logged all the same."""
    binds: tuple[Bind, ...] = ()
    """Made in this order before the command's first instruction, which is not reached where one is refused."""
    new_redact: Callable[[], Callable[[bytes], bytes]] | None = None
    """Makes one more `redact`, for the lines of a rank's log; without it ranks have none."""


@noun
class Outcome:
    """How a command ended."""

    exit_code: int | None
    """None when a signal ended it, or when it is not known."""
    signal: int | None
    status: str
    """finished, failed or interrupted; lost when its keeper was killed, so that nobody could see how it ended."""
    started_at: float
    """Unix seconds."""
    finished_at: float
    duration_s: float
    """Measured by a clock that is never set."""
    peak_memory_bytes: int | None = None
    """The largest resident set of the command and of those of its children that it waited for."""
    cpu_seconds: float | None = None
    log_size_bytes: int = 0
    log_truncated: bool = False
    log_error: str | None = None
    is_interrupted: bool = False
    """Somebody asked it to end (Ctrl-C, SIGTERM ...), whatever it made of that: it may have ended well."""
    output_error: str | None = None
    """Why output could not be passed on to standard output or error in full, other than that its reader left."""
