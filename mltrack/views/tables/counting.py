"""How many of something are done, on a terminal's standard error, once it has taken a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from mltrack.views.console import is_terminal

DELAY_S = 1.0
EVERY_S = 0.2


class Counting:
    """`with Counting("export", "runs") as advance: advance(1)`; wiped at the end."""

    def __init__(self, title: str, noun: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._noun = noun
        self._clock = clock
        self._next = clock() + DELAY_S
        self._done = 0
        self._width = 0
        self._is_shown = is_terminal(sys.stderr)

    def __call__(self, more: int) -> None:
        """So many more are done."""
        self._done += more
        if self._is_shown and self._clock() >= self._next:
            self._next = self._clock() + EVERY_S
            text = f"{self._title}: {self._done:,} {self._noun}"
            sys.stderr.write(f"\r{text.ljust(self._width)}")
            sys.stderr.flush()
            self._width = len(text)

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._width:
            sys.stderr.write(f"\r{' ' * self._width}\r")
            sys.stderr.flush()
