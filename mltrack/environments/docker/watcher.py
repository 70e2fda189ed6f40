"""A small process that removes the client's container when the client could not: it was killed, or crashed.

It is forked from the client, lives in a session of its own, and holds the reading end of a pipe, whose end is the
client's. It makes no sound. Started as a program it watches another container of ours, its standard input is the pipe.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from mltrack.environments.docker.engine import connect
from mltrack.errors import EnvironmentFailed

TRIES_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses before each try: the engine may be about to make the container at the very moment, or being started again."""

ALL_WELL = b"."


class Watcher:
    """The client's side: say `done` when the container is gone, else `take_over`."""

    def __init__(self, container: str, variables: Mapping[str, str]) -> None:
        """Fork; to be called while the process has one thread, after the SDK was imported."""
        reading, self.pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                watch(reading, container, variables)
            finally:
                os._exit(0)
        os.close(reading)

    def done(self) -> None:
        with suppress(OSError):
            os.write(self.pipe, ALL_WELL)
        os.close(self.pipe)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def take_over(self) -> None:
        """The container could not be removed: try on, when we are gone."""
        os.close(self.pipe)


def watch(pipe: int, container: str, variables: Mapping[str, str]) -> None:
    """Wait for the client's word, or its end."""
    with suppress(PermissionError):  # a program was started in one
        os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    let_go(pipe)
    if os.read(pipe, 1) != ALL_WELL:
        remove(container, variables)


def let_go(pipe: int) -> None:
    """Hold nothing open but the pipe: the keeper waits for the ends of the streams."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, max(pipe + 64, 1024))


def remove(container: str, variables: Mapping[str, str]) -> None:
    for pause in TRIES_S:
        time.sleep(pause)
        with suppress(EnvironmentFailed), connect(variables) as engine:
            if engine.remove(container):
                return


if __name__ == "__main__":
    watch(os.dup(0), sys.argv[1], dict(os.environ))
