r"""Writes `output.log` (its format: `outputlog.py`) from the blocks of bytes that a command's streams bring.

Nothing unredacted is written, and nothing here raises: a full disk or a failing redactor stops the log and leaves a
word in `error`, never the command. When the log is full its last records are held in memory, and written at the end:
a failure is explained in the last lines.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

LONGEST = 1 << 16
"""Bytes after which a line without an end is recorded in pieces."""

IDLE_S = 1.0
"""Seconds after which an unfinished line is recorded as it is."""

TAIL = 1 << 16
"""Bytes of the log's limit, at most, that are kept for its end."""


GAP_SIZE = 64
"""Bytes that the record of a gap takes, at most."""


class LogWriter:
    """An output log that is being written. `size`, `truncated` and `error` are true once it is closed."""

    def __init__(self, path: Path, limit: int, redact: Callable[[bytes], bytes], returns: str = "") -> None:
        """`limit` in bytes; `returns` names the streams whose `\\n` a terminal driver turns into `\\r\\n`."""
        self.size = 0
        self.left_out = 0
        self.error: str | None = None
        self._redact = redact
        self._returns = returns
        self._tail_room = min(TAIL, limit // 4)
        self._head_room = limit - self._tail_room
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._is_full = False
        self._rest: dict[str, bytes] = {}
        self._since: dict[str, float] = {}
        self._fd: int | None = None
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            self._stop(error)

    @property
    def truncated(self) -> bool:
        return self.left_out > 0

    @property
    def is_waiting(self) -> bool:
        """Is there an unfinished line that `flush_idle` will have to record?"""
        return bool(self._rest)

    def feed(self, stream: str, data: bytes, at_s: float) -> None:
        """Record what a stream (`o` or `e`) brought, `at_s` seconds after the start."""
        if self._fd is None:
            return
        try:
            self._feed(stream, data, at_s)
        except Exception as error:
            self._stop(error)

    def flush_idle(self, at_s: float, idle_s: float = IDLE_S) -> None:
        """Record the unfinished lines of streams that brought nothing for `idle_s` seconds."""
        for stream in [name for name, since in self._since.items() if at_s - since >= idle_s]:
            rest = self._rest.pop(stream)
            del self._since[stream]
            try:
                self._record([b"%.3f %c %s\n" % (at_s, ord(stream.upper()), self._redact(rest))])
            except Exception as error:
                self._stop(error)

    def close(self, at_s: float) -> None:
        """Record what is left and close."""
        self.flush_idle(at_s, idle_s=float("-inf"))
        try:
            if self.left_out:
                self._write(b"%.3f x %d bytes left out\n" % (at_s, self.left_out))
            self._write(b"".join(self._tail))
        except OSError as error:
            self._stop(error)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _feed(self, stream: str, data: bytes, at_s: float) -> None:
        data = self._rest.pop(stream, b"") + data
        self._since.pop(stream, None)
        lines = data.split(b"\n")
        rest = lines.pop()
        whole, part = b"%.3f %c " % (at_s, ord(stream)), b"%.3f %c " % (at_s, ord(stream.upper()))
        redact = self._redact
        if b"\r" in data:
            drop = stream in self._returns
            records = [
                (whole if ends else part) + redact(text) + b"\n" for line in lines for text, ends in states(line, drop)
            ]
            done, rest = cut_rest(rest)
            records += [part + redact(text) + b"\n" for text in done]
        else:
            records = [whole + redact(line) + b"\n" for line in lines]
        while len(rest) > LONGEST:
            piece, rest = cut_long(rest)
            records.append(part + redact(piece) + b"\n")
        if rest:
            self._rest[stream], self._since[stream] = rest, at_s
        if records:
            self._record(records)

    def _record(self, records: list[bytes]) -> None:
        if not self._is_full:
            block = b"".join(records)
            if self.size + len(block) <= self._head_room:
                self._write(block)
                return
            while self.size + len(records[0]) <= self._head_room:
                self._write(records.pop(0))
            self._is_full = True
        self._tail.extend(records)
        self._tail_size += sum(map(len, records))
        self._shorten_tail()

    def _shorten_tail(self) -> None:
        """Drop the oldest records of the tail until it fits, beside the record that tells of the gap."""
        while self._tail and self._tail_size > self._tail_room - (GAP_SIZE if self.left_out else 0):
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self.left_out += gone

    def _write(self, data: bytes) -> None:
        """Append whole records; on an error the log ends with its last whole record."""
        if self._fd is None:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)

    def _stop(self, error: Exception) -> None:
        """No more log: the command goes on."""
        self.error = self.error or (isinstance(error, OSError) and error.strerror) or f"{type(error).__name__}: {error}"
        self._rest.clear()
        self._since.clear()
        self._tail.clear()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def states(line: bytes, drop_return: bool) -> list[tuple[bytes, bool]]:
    """A line (its newline gone) as the states of a progress bar, each with its `\\r`, and the text that ends it."""
    tail = b""
    if line.endswith(b"\r"):
        line, tail = line[:-1], b"" if drop_return else b"\r"
    *before, last = line.split(b"\r")
    return [(text + b"\r", False) for text in before] + [(last + tail, True)]


def cut_rest(rest: bytes) -> tuple[list[bytes], bytes]:
    """Finished states of a progress bar, and what is still unfinished; a `\\r` at the end may yet be a `\\r\\n`."""
    held = b""
    if rest.endswith(b"\r"):
        rest, held = rest[:-1], b"\r"
    *before, last = rest.split(b"\r")
    return [text + b"\r" for text in before], last + held


def cut_long(rest: bytes) -> tuple[bytes, bytes]:
    """The first piece of a very long line, and the others: cut at a blank if one is near, not inside of a token."""
    blank = rest.rfind(b" ", LONGEST - 4096, LONGEST)
    at = blank + 1 if blank >= 0 else LONGEST
    return rest[:at], rest[at:]
