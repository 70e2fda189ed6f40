"""How long a request may take, and when it is made again: few tries, waits that grow, an end.

Every request to a remote may be repeated: files are written whole, under names that say what they hold.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from mltrack.nouns import noun
from mltrack.sync.troubles import is_transient, reason_of

T = TypeVar("T")

CONNECT = 15.0
"""Seconds for a connection to be made."""

STALL = 120.0
"""Seconds without a byte after which a server counts as stalled."""

SLOWEST = 64 << 10
"""Bytes a second of all requests together. What is slower is given up, so that no request lasts for ever: most servers
that stall are seen by `STALL`, but not all that stall while something is sent to them."""

CONNECTIONS = 32
"""Of one remote, at most."""


def allowance(size: int) -> float:
    """Seconds that a request may take in all, when so many bytes are under way."""
    return CONNECT + STALL + size / SLOWEST


@noun
class Patience:
    """How often a request is tried, and how long is waited between: about 0.2, 0.8, 3.2 and 10 s, with jitter."""

    tries: int = 5
    first_s: float = 0.2
    factor: float = 4.0
    longest_s: float = 10.0
    total_s: float = 300.0
    """No try begins later than this after the first one."""

    def wait_s(self, tried: int) -> float:
        """Seconds to wait after so many tries. Jitter, so that threads and machines do not come back together."""
        longest = min(self.longest_s, self.first_s * self.factor ** (tried - 1))
        return longest * random.uniform(0.5, 1.0)

    def ask(self, request: Callable[[], T], stopped: threading.Event, tell: Callable[[str], None]) -> T:
        """The answer to a request, which is made again after an error that may pass, unless `stopped` is set."""
        began, tried = time.monotonic(), 1
        while True:
            try:
                return request()
            except Exception as error:
                wait = self.wait_s(tried)
                late = time.monotonic() - began + wait > self.total_s
                if tried >= self.tries or late or not is_transient(error):
                    raise
                tried += 1
                tell(f"retrying ({tried} of {self.tries}): {reason_of(error)}")
                if stopped.wait(wait):
                    raise
