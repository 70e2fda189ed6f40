"""What supervisor and keeper say to each other, over two pipes.

To the keeper: bytes, each the number of a signal for the command, or TYPED for an interrupt that came as a key. The
end of this pipe is the supervisor's death. From the keeper: lines of JSON.

    {"started": facts}      the command runs; facts are those of `process.json`
    {"error": [errno, of]}  it could not be started; `of` is "cwd" when its directory is to blame, "bind" with
                            a path when that could not be bound
    {"stopped": signal}     it was stopped
    {"ended": outcome, "background": bool}      it ended, and all that it wrote before has been passed on; outcome as in
                            `outcome.json`; background tells whether processes that it left behind hold its output
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

TYPED = 128

INTERRUPTS = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
"""After one of these a run that fails is interrupted."""

PASSED_ON = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
    signal.SIGTSTP,
    signal.SIGWINCH,
)
"""Signals to the supervisor that the command gets."""


def tell(pipe: int, message: dict[str, Any]) -> None:
    """Send a message to the supervisor; it may be gone."""
    try:
        os.write(pipe, json.dumps(message).encode() + b"\n")
    except OSError:
        pass


class Inbox:
    """Messages from the keeper, as they come."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.is_closed = False
        self._rest = b""

    def receive(self) -> list[dict[str, Any]]:
        """Wait for bytes; the messages that are complete by now."""
        data = os.read(self.pipe, 1 << 16)
        self.is_closed = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]
