"""A limit to how long a comparison may take, wherever in it the time goes: a file may be made to take for ever.

The clock is the process's own alarm, which reaches loops that read nothing and code of plug-ins too. What was set for
that alarm before is set again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from mltrack.compare.comparators import Unreadable

T = TypeVar("T")

AGAIN_S = 0.5
"""Seconds after which the alarm comes again, where it was not heeded: what a finaliser raises is lost."""

TOO_LONG = "comparing it took too long"


class TookTooLong(BaseException):
    """No Exception, for decoders pass over those."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns. Raises Unreadable when it takes longer.

    Only the main thread hears the alarm; in another one the work goes on. One call of a decoder in C is waited for.
    """
    import threading

    if threading.current_thread() is not threading.main_thread():
        return work()
    is_armed = True

    def ring(number: int, frame: FrameType | None) -> None:
        if is_armed:
            raise TookTooLong

    before, began = signal.signal(signal.SIGALRM, ring), time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), AGAIN_S)
    try:
        try:
            return work()
        finally:
            is_armed = False
    except TookTooLong:
        raise Unreadable(TOO_LONG) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001), interval)
