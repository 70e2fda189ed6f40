"""How far a long transfer is: drawn on a terminal's standard error, and only once it has taken a second.

A `Progress` is the callback that the rooms below take: it is called with the bytes done since its last call.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mltrack.views.console import console, is_terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

DELAY_S = 1.0
"""What is done sooner than this draws nothing."""


class Progress:
    """`with Progress("push", total) as advance: ...; advance(size_bytes)`. Safe to call from several threads."""

    def __init__(
        self,
        title: str,
        total_bytes: int | None = None,
        *,
        on: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._total = total_bytes
        self._console = on
        self._clock = clock
        self._started = clock()
        self._done = 0
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._is_shown = on is not None or is_terminal(sys.stderr)

    def __call__(self, size_bytes: int) -> None:
        """More bytes are done."""
        if not self._is_shown:
            return
        with self._lock:
            self._done += size_bytes
            if self._bar is None and self._clock() - self._started >= DELAY_S:
                self._start()
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=self._done)

    def expect(self, size_bytes: int) -> None:
        """So many bytes more will come."""
        with self._lock:
            self._total = (self._total or 0) + size_bytes
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, total=self._total)

    def _start(self) -> None:
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar

        parts: list[Any] = [TextColumn("{task.description}", markup=False)]
        parts += [BarColumn(bar_width=24)] if self._total else []
        parts += [DownloadColumn(binary_units=True), TransferSpeedColumn()]
        parts += [TimeRemainingColumn(compact=True)] if self._total else []
        bar = Bar(*parts, console=self._console or console(stderr=True), transient=True)
        task = bar.add_task(self._title, total=self._total)
        bar.start()
        self._bar, self._task = bar, task

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wipe what was drawn."""
        if self._bar is not None:
            self._bar.stop()
