"""Runs a command in the foreground, with nothing between it and the terminal, and records nothing.

The command is a child of ours in our own process group, so that a shell takes the terminal as it would anywhere; what
only it is to see is bound in the child alone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from mltrack.errors import StartError
from mltrack.executors import Command
from mltrack.executors.program import failed_to_start, find_program

PASSED_ON = (signal.SIGTERM, signal.SIGHUP)
IGNORED = (signal.SIGINT, signal.SIGQUIT)
"""What a terminal sends to all of us is the shell's business."""
DEFAULT = (*PASSED_ON, *IGNORED, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU)
BINDS = b"binds:"
"""What the child says where its binds could not be made."""


def execute(command: Command) -> int:
    """Start a command in our own process group and wait for its end; its exit code, as a shell would say it."""
    program = find_program(command)
    sys.stdout.flush()
    sys.stderr.flush()
    dispositions = {number: signal.getsignal(number) for number in DEFAULT}
    ends = os.pipe()
    pids: list[int] = []
    passed: set[int] = set()

    def pass_on(number: int, frame: object) -> None:
        passed.add(number)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    for number in PASSED_ON:
        if dispositions[number] != signal.SIG_IGN:
            signal.signal(number, pass_on)
    foreground = foreground_group()
    try:
        pid = os.fork()
        if pid == 0:
            become(program, command, ends[1], dispositions)
        pids.append(pid)
        os.close(ends[1])
        problem = read_all(ends[0])
        status = await_end(pid)
        pids.clear()
    finally:
        take_terminal(foreground)
        for number, before in dispositions.items():  # the same again must not end us while we tidy up
            signal.signal(number, signal.SIG_IGN if number in passed else before)
    if problem:
        raise start_error(command, program, problem)
    ending = os.waitstatus_to_exitcode(status)
    return ending if ending >= 0 else 128 - ending


def await_end(pid: int) -> int:
    """The status with which a child ended. A shell that suspends itself has us stop too, so that whoever started us has
    the terminal; it gets that back when we are told to go on."""
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        group = os.getpgid(pid)
        if group == os.getpgrp():
            continue  # what stopped it stopped us too
        os.kill(os.getpid(), signal.SIGSTOP)
        with suppress(OSError):
            os.tcsetpgrp(0, group)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGCONT)


def start_error(command: Command, program: str, problem: bytes) -> StartError:
    """What the child said: the error's number, and of what."""
    code, _, name = problem.partition(b" ")
    error = OSError(int(code), os.strerror(int(code)), os.fsdecode(name) or None)
    if name != BINDS:
        return failed_to_start(command, program, error)
    return StartError(
        f"The command was not started: its own places could not be made: {error.strerror}.",
        "Put the data at its place, then try again.",
    )


def become(program: str, command: Command, failed: int, dispositions: Mapping[signal.Signals, Any]) -> NoReturn:
    """Turn the process that was forked into the command."""
    from mltrack.executors.keeping import execute_program

    of = ""
    try:
        for number, before in dispositions.items():
            signal.signal(number, signal.SIG_IGN if is_asked_to_ignore(number, before) else signal.SIG_DFL)
        if command.binds:
            from mltrack.executors.mounts import make_binds

            of = BINDS.decode()
            make_binds(command.binds)
        of = str(command.cwd)
        os.chdir(command.cwd)
        of = ""
        execute_program(program, command)
    except OSError as error:
        os.write(failed, b"%d %s" % (error.errno or 0, os.fsencode(of)))
    finally:
        os._exit(StartError.exit_code)


def is_asked_to_ignore(number: int, before: object) -> bool:
    """Did whoever started us want a signal ignored? (`nohup`.) Python itself ignores two."""
    return before == signal.SIG_IGN and number not in (signal.SIGPIPE, signal.SIGXFSZ)


def read_all(fd: int) -> bytes:
    """What the child says before it becomes another program; nothing if it did become it."""
    with open(fd, "rb") as file:
        return file.read()


def foreground_group() -> int | None:
    """Our process group, if it has the terminal."""
    try:
        group = os.tcgetpgrp(0)
    except OSError:
        return None
    return group if group == os.getpgrp() else None


def take_terminal(group: int | None) -> None:
    """Take the terminal back from a shell that was killed while it had it."""
    if group is None or foreground_group() is not None:
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with suppress(OSError):
        os.tcsetpgrp(0, group)
