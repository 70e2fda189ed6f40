r"""A log for each rank: what the processes of a training send to the keeper, beside what they write to their output.

Each rank's process (`inside/_mltrack_rank.py`) sends frames through a FIFO in the run directory; the keeper writes
`ranks/<rank>.log` in the format of `output.log`, redacted and limited as that is. A frame is
`\1R<rank> <stream> <bytes lost before it> <length>\n` and the bytes. Nothing that comes is trusted, and nothing here
raises or waits. On the path to a command's start: only light imports.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mltrack.live.logwriter import LogWriter

FIFO = "ranks.fifo"
DIRECTORY = "ranks"

REST_MS = 20
"""Milliseconds between two looks at the FIFO while ranks write: waking us for each line would cost them more than the
line."""
FAST = 1 << 17
"""Bytes of one look after which there is no rest: the FIFO would be full before the next."""
MOST_LOGS = 256
"""Ranks of one host that get a log: each is an open file of the keeper."""
BLOCK = 1 << 20
LONGEST = 1 << 16
"""Bytes of a frame that one of ours could have sent, at the most."""

Redact = Callable[[bytes], bytes]

_HEAD = b"\1R"
_FRAME = rb"\x01R(\d{1,7}) ([oe]) (\d{1,12}) (\d{1,5})\n"


class RankLogs:
    """The logs of a run's ranks, while the keeper writes them."""

    def __init__(self, run_dir: Path, limit: int, new_redact: Callable[[], Redact]) -> None:
        """`limit`: bytes of each log. `new_redact` makes what takes the secrets out of the lines of one log."""
        self.directory = run_dir / DIRECTORY
        self.fd: int | None = None
        self._limit = limit
        self._new_redact = new_redact
        self._logs: dict[int, LogWriter] = {}
        self._lost: dict[int, int] = {}
        self._unkept: set[int] = set()
        self._rest = b""
        self._error: str | None = None
        self._open(run_dir / FIFO)

    def _open(self, fifo: Path) -> None:
        """Make the FIFO; where the filesystem has none, there are no logs of ranks."""
        try:
            os.mkfifo(fifo, 0o600)
            # A writer ourselves, we never see an end of it when a rank goes.
            self.fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, AttributeError):
            self.fd = None

    @property
    def is_waiting(self) -> bool:
        """Is there an unfinished line that `flush_idle` will have to record?"""
        return any(log.is_waiting for log in self._logs.values())

    def read(self, at_s: float, most: int = BLOCK) -> int:
        """Record what has come by now, `at_s` seconds after the start; how many bytes that were."""
        if self.fd is None:
            return 0
        try:
            data = os.read(self.fd, most)
        except OSError:
            return 0
        try:
            for rank, parts in self._parsed(data).items():
                for letter, blocks in parts:
                    self._feed(rank, letter, b"".join(blocks), at_s)
        except Exception as error:  # the output itself must go on
            self._stop(error)
        return len(data)

    def _stop(self, error: Exception) -> None:
        """No more logs of ranks."""
        self._error = f"{type(error).__name__}: {error}"
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _parsed(self, data: bytes) -> dict[int, list[tuple[str, list[bytes]]]]:
        """Rank -> its streams' bytes in their order; what follows the last whole frame is kept for the next time."""
        data, self._rest = self._rest + data, b""
        found: dict[int, list[tuple[str, list[bytes]]]] = {}
        match = re.compile(_FRAME).match
        at, end = 0, len(data)
        while at < end:
            frame = match(data, at)
            if frame is None or int(frame[4]) > LONGEST:
                again = data.find(_HEAD, at + 1)
                if again < 0 or end - at < 32:
                    self._rest = data[at:] if end - at < 32 else b""
                    break
                at = again
                continue
            start, size = frame.end(), int(frame[4])
            if start + size > end:
                self._rest = data[at:]
                break
            rank, letter = int(frame[1]), frame[2].decode()
            if frame[3] != b"0":
                self._lost[rank] = self._lost.get(rank, 0) + int(frame[3])
            parts = found.setdefault(rank, [])
            if not parts or parts[-1][0] != letter:
                parts.append((letter, []))
            parts[-1][1].append(data[start : start + size])
            at = start + size
        return found

    def _feed(self, rank: int, letter: str, data: bytes, at_s: float) -> None:
        log = self._logs.get(rank)
        if log is None:
            if len(self._logs) >= MOST_LOGS:
                self._unkept.add(rank)
                return
            try:
                self.directory.mkdir(exist_ok=True)
            except OSError:
                return
            log = self._logs[rank] = LogWriter(self.directory / f"{rank}.log", self._limit, self._new_redact())
        log.feed(letter, data, at_s)

    def flush_idle(self, at_s: float) -> None:
        """Record the unfinished lines of ranks that brought nothing for a second."""
        for log in self._logs.values():
            if log.is_waiting:
                log.flush_idle(at_s)

    def close(self, at_s: float, most: int) -> dict[str, Any]:
        """Record at most `most` bytes that are still there, and close. Returns what `collect/ranks.py` has to know."""
        while most > 0:
            got = self.read(at_s)
            most = most - got if got else 0
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
        for log in self._logs.values():
            log.close(at_s)
        return {
            "truncated": [rank for rank, log in sorted(self._logs.items()) if log.truncated],
            "errors": {str(rank): log.error for rank, log in sorted(self._logs.items()) if log.error},
            "lost": {str(rank): size for rank, size in sorted(self._lost.items())},
            "unkept": len(self._unkept),
            "error": self._error,
        }
