"""The pipes and the pseudo-terminal between a command, its keeper and the user.

What is a terminal for us is one for the command, so that progress bars look as they would without mltrack; the rest
are pipes, one a stream. With --quiet all are pipes. Only when standard input and output are both terminals does the
pseudo-terminal become the command's controlling terminal, in a session of its own, with the keys forwarded to it;
otherwise the command stays in our session, and reads standard input and /dev/tty itself. (Else a `mltrack run ... |
less` would take less's keys.)
"""

from __future__ import annotations

import os

from mltrack.executors.terminal import Settings, copy_settings, copy_size, settings_of
from mltrack.nouns import noun

LOWEST = 3
"""Descriptors below are standard streams, even if they were closed when we were started."""


@noun
class Wires:
    """Descriptors of a run. The command's end and ours of each stream; `master` is ours of the pseudo-terminal."""

    stdin: int | None
    """None: the command inherits ours."""
    stdout: int
    stderr: int
    sources: tuple[tuple[str, int, int | None], ...]
    """(letter in the log, our reading end, where to pass the bytes on) of each stream."""
    master: int | None
    shown_on: int
    """The user's terminal that the pseudo-terminal stands for."""
    settings: Settings | None
    """The settings of the terminal that standard input is, where its keys are forwarded."""

    @property
    def is_session(self) -> bool:
        return self.stdin is not None

    @property
    def command_ends(self) -> set[int]:
        return {self.stdout, self.stderr}


def lay_wires(quiet: bool) -> Wires:
    """Make the pipes and the pseudo-terminal that the standard streams of this process ask for."""
    show_out, show_err = (not quiet and is_open(fd) for fd in (1, 2))
    out_is_terminal, err_is_terminal = show_out and os.isatty(1), show_err and os.isatty(2)
    settings = settings_of(0) if out_is_terminal and is_open(0) and os.isatty(0) else None
    shown_on = 1 if out_is_terminal else 2
    master = slave = None
    if out_is_terminal or err_is_terminal:
        master, slave = open_terminal(shown_on, settings is not None)
    sources: list[tuple[str, int, int | None]] = []
    if master is not None:
        sources.append(("o" if out_is_terminal else "e", master, shown_on))
    ends: list[int] = []
    for fd, letter, show, is_terminal in ((1, "o", show_out, out_is_terminal), (2, "e", show_err, err_is_terminal)):
        if is_terminal and slave is not None:
            ends.append(slave)
        else:
            reading, writing = (high(end) for end in os.pipe())
            os.set_blocking(reading, False)
            sources.append((letter, reading, fd if show else None))
            ends.append(writing)
    stdin = slave if settings is not None else None
    return Wires(stdin, ends[0], ends[1], tuple(sources), master, shown_on, settings)


def open_terminal(like: int, process_output: bool) -> tuple[int, int]:
    """A pseudo-terminal (master, slave) that looks like a terminal of the user's."""
    master, slave = (high(end) for end in os.openpty())
    os.set_blocking(master, False)
    copy_settings(like, slave, process_output)
    copy_size(like, slave)
    return master, slave


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def high(fd: int) -> int:
    """The same descriptor, not among the standard streams."""
    if fd >= LOWEST:
        return fd
    import fcntl

    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOWEST)
    os.close(fd)
    return copy
