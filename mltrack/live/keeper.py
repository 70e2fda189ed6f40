"""The keeper: the process between a command's output and the user, forked before the command starts.

It reads the pipes (or the pseudo-terminal) that the command writes to, logs the bytes with their times, and passes
them on unredacted. It cannot be interrupted and outlives the supervisor, so a command survives mltrack's death. When
the reader of a stream goes away (EPIPE), the keeper closes the source, so that the command gets the SIGPIPE that it
would have got without us; after any other failure to pass bytes on it goes on reading and logging.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mltrack.live.logwriter import LogWriter

from mltrack.live.ranks import FAST, REST_MS, RankLogs

BLOCK = 1 << 16
DRAIN = 4 << 20
"""Bytes that are read after the command's end; processes that it left behind may go on writing."""
ATOMIC = 4096
"""What a pipe takes in one piece without blocking when poll() calls it writable (PIPE_BUF)."""


class Stream:
    """One stream of the command: `source` is read; what came is logged under `letter` and written to `destination`.

    `shape` makes of the bytes that came those that are to be shown.
    """

    def __init__(
        self, letter: str, source: int, destination: int | None, shape: Callable[[bytes], bytes] | None = None
    ) -> None:
        self.letter = letter
        self.source: int | None = source
        self.destination = destination
        self.shape = shape
        self.pending = b""
        self.error: str | None = None
        self._chunk = chunk_of(destination)

    def read(self) -> bytes:
        """What is there to read now, at most one block; closes the source at its end."""
        assert self.source is not None
        try:
            data = os.read(self.source, BLOCK)
        except BlockingIOError:
            return b""
        except OSError:  # EIO: nobody holds the pseudo-terminal any more
            data = b""
        if not data:
            self.close()
        elif self.destination is not None:
            self.pending += data if self.shape is None else self.shape(data)
        return data

    def pass_on(self) -> None:
        """Write what the destination takes without blocking."""
        assert self.destination is not None
        try:
            done = os.write(self.destination, self.pending[: self._chunk])
        except BlockingIOError:
            return
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                self.close()
            else:
                self.error = error.strerror
            self.pending, self.destination = b"", None
            return
        self.pending = self.pending[done:]

    def close(self) -> None:
        if self.source is not None:
            os.close(self.source)
            self.source = None


class Pump:
    """Moves bytes of several streams, whichever is ready; no stream waits for another one's slow reader."""

    def __init__(self, streams: Iterable[Stream], log: LogWriter, began: float, ranks: RankLogs | None = None) -> None:
        """`began`: the monotonic time from which the log counts. `ranks`: what else is read and kept, not passed on."""
        self.streams = list(streams)
        self.ranks_told: dict[str, Any] = {}
        """Once the log is closed: how it went with the logs of ranks."""
        self._log: LogWriter | None = log
        self._ranks = ranks
        self._rests_until = 0.0
        self._began = began

    @property
    def is_open(self) -> bool:
        """Can more bytes come?"""
        return any(stream.source is not None for stream in self.streams)

    @property
    def is_pending(self) -> bool:
        """Do bytes that came still have to be passed on?"""
        return any(stream.pending for stream in self.streams)

    def step(self, others: Collection[int]) -> set[int]:
        """Wait until something can move, or one of the `others` can be read; move; return the others that are ready."""
        import select

        poll = select.poll()
        for fd in others:
            poll.register(fd, select.POLLIN)
        wanted = self._wanted()
        for fd, (_, is_source) in wanted.items():
            poll.register(fd, select.POLLIN if is_source else select.POLLOUT)
        timeout = 1000 if self._is_waiting() else None
        if self._ranks is not None and self._ranks.fd is not None:
            if self._rests_until > self.now():
                timeout = REST_MS
            else:
                poll.register(self._ranks.fd, select.POLLIN)
        events = poll.poll(timeout)
        for fd, _ in events:
            if fd in wanted:
                stream, is_source = wanted[fd]
                if is_source:
                    self._read(stream)
                else:
                    stream.pass_on()
        if self._ranks is not None and self._rests_until <= self.now():
            if 0 < self._ranks.read(self.now()) < FAST:
                self._rests_until = self.now() + REST_MS / 1000
            self._ranks.flush_idle(self.now())
        if self._log is not None:
            self._log.flush_idle(self.now())
        return {fd for fd, _ in events if fd in others}

    def drain(self, limit: int) -> None:
        """Read and log what is there now, without waiting for the readers; at most `limit` bytes of a stream."""
        for stream in self.streams:
            left = limit
            while left > 0 and stream.source is not None:
                got = len(self._read(stream))
                left = left - got if got else 0

    def end_log(self) -> None:
        """Close the log; bytes that still come are passed on only."""
        if self._log is not None:
            self._log.close(self.now())
            self._log = None
        if self._ranks is not None:
            self.ranks_told = self._ranks.close(self.now(), DRAIN)
            self._ranks = None

    def _is_waiting(self) -> bool:
        """Is there an unfinished line that is to be recorded within the second?"""
        logs = (self._log, self._ranks)
        return any(log is not None and log.is_waiting for log in logs)

    def now(self) -> float:
        """Seconds since the start of the command."""
        import time

        return time.monotonic() - self._began

    def _wanted(self) -> dict[int, tuple[Stream, bool]]:
        """Descriptor -> its stream, and whether it is to be read (a stream with pending bytes is not read)."""
        wanted = {}
        for stream in self.streams:
            if stream.pending and stream.destination is not None:
                wanted[stream.destination] = (stream, False)
            elif stream.source is not None:
                wanted[stream.source] = (stream, True)
        return wanted

    def _read(self, stream: Stream) -> bytes:
        data = stream.read()
        if data and self._log is not None:
            self._log.feed(stream.letter, data, self.now())
        return data


def chunk_of(destination: int | None) -> int:
    """How many bytes to write at once: a file takes all, anything else what it can take without blocking."""
    if destination is None:
        return BLOCK
    mode = os.fstat(destination).st_mode
    never_blocks = stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(destination))
    return BLOCK if never_blocks else ATOMIC


def close_all_but(wanted: Collection[int]) -> None:
    """Close every descriptor that is not wanted: a pipe held open by accident never ends for its reader."""
    directory = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for name in os.listdir(directory):
        if int(name) not in wanted:
            try:
                os.close(int(name))
            except OSError:
                pass
