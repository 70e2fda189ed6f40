"""Reads the journal that the sources write below `observed/`: lines in, `Event`s out.

What stands in it was written by the user's own processes, so nothing in it is trusted: only regular files are opened,
and a line that is torn, strange or too long is counted and passed over. The format is in `mltrack/observe/__init__.py`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from heapq import merge
from pathlib import Path

from mltrack.observe import Event

SUFFIX = ".log"
LETTERS = frozenset("rwulmdskbnphxi!")
LONGEST_LINE = 1 << 16
"""Bytes; two paths of the longest kind, all of it escaped, have 33,000."""
LONGEST_JOURNAL = 2 << 30
"""Bytes of one host's journal that are read; what comes after is as good as not told."""
MOST_HOSTS = 4096
LONGEST_PATH = 1 << 12
"""Bytes of a path that the kernel takes."""
BLOCK = 8 << 20
"""Bytes that are read of one journal at a time."""
HOST_SHIFT = 32
"""A process id of the second host and later ones has the host's number above its own 32 bits."""

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
ESCAPED = {b"t": b"\t", b"n": b"\n", b"\\": b"\\"}


def read(directory: Path) -> Iterator[Event]:
    """Every event in the journals of a directory, those of several hosts by their time; none where there is none."""
    tail = Tail(directory)
    tail.stop_here()
    try:
        while events := tail.take():
            yield from events
    finally:
        tail.close()


class Tail:
    """The journals of a directory while they grow. `take` gives each whole event once; `close` when done."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.strange = 0
        """Lines that were passed over."""
        self._journals: dict[str, _Journal] = {}
        self._is_stopped = False

    def stop_here(self) -> None:
        """Take nothing that comes from now on: a process that outlives the command could tell for ever."""
        self._find()
        self._is_stopped = True
        for journal in self._journals.values():
            journal.stop_here()

    def take(self) -> list[Event]:
        """The events since the last time, at most a block of each journal; empty when there are none now."""
        if not self._is_stopped:
            self._find()
        found: list[list[Event]] = []
        for journal in self._journals.values():
            events, strange = journal.take()
            self.strange += strange
            if events:
                found.append(events)
        if len(found) == 1:
            return found[0]
        return list(merge(*found, key=lambda event: event.at_ns))

    def close(self) -> None:
        for journal in self._journals.values():
            journal.close()
        self._journals.clear()

    def _find(self) -> None:
        """Open the journals that came since."""
        try:
            names = os.listdir(self.directory)
        except OSError:
            return
        for name in sorted(names):
            if name.endswith(SUFFIX) and name not in self._journals and len(self._journals) < MOST_HOSTS:
                handle = _open(self.directory / name)
                if handle is not None:
                    self._journals[name] = _Journal(handle, len(self._journals) << HOST_SHIFT)


def _open(path: Path) -> int | None:
    """A regular file, open for reading; None for anything else."""
    try:
        handle = os.open(path, FLAGS)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None


class _Journal:
    """One host's journal, open, and how far it was read."""

    def __init__(self, handle: int, base: int) -> None:
        self._handle = handle
        self._base = base
        self._read = 0
        self._rest = b""
        self._end = LONGEST_JOURNAL
        self._is_skipping = False
        """Within a line that is too long."""

    def take(self) -> tuple[list[Event], int]:
        """The whole events of the next block, and how many lines were passed over."""
        events: list[Event] = []
        strange = 0
        while not events:
            if self._read >= LONGEST_JOURNAL:
                return self._stop()
            try:
                block = os.pread(self._handle, min(BLOCK, self._end - self._read), self._read)
            except OSError:  # the file's server has gone
                block = b""
            if not block:
                break
            self._read += len(block)
            lines = (self._rest + block).split(b"\n")
            self._rest = lines.pop()
            if self._is_skipping and lines:
                del lines[0]
                self._is_skipping = False
            if len(self._rest) > LONGEST_LINE or self._is_skipping:
                strange += not self._is_skipping
                self._rest, self._is_skipping = b"", True
            strange += self._parse(lines, events)
        return events, strange

    def stop_here(self) -> None:
        with suppress(OSError):
            self._end = min(self._end, max(self._read, os.fstat(self._handle).st_size))

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _parse(self, lines: list[bytes], events: list[Event]) -> int:
        """Append the events of whole lines; returns how many lines were none."""
        strange = 0
        base = self._base
        for line in lines:
            event = parse(line, base)
            if event is None:
                strange += 1
            else:
                events.append(event)
        return strange

    def _stop(self) -> tuple[list[Event], int]:
        """Tell once that the rest is not read."""
        if self._handle < 0:
            return [], 0
        self.close()
        return [Event("!", self._base, 0, "", "its journal is too long")], 0


def parse(line: bytes, base: int = 0) -> Event | None:
    """The event of a line without its newline; None if it is none. `base` is added to the process id."""
    fields = line.split(b"\t")
    head = fields[0].split(b" ")
    if len(head) != 3 or not 2 <= len(fields) <= 3 or len(line) > LONGEST_LINE:
        return None
    letter, pid, at = head[0].decode("latin-1"), head[1], head[2]
    if letter not in LETTERS or not (pid.isdigit() and at.isdigit()) or len(pid) > 10 or len(at) > 19:
        return None
    path = _text(fields[1])
    other = _text(fields[2]) if len(fields) == 3 else ""
    if "\0" in path or "\0" in other or (letter != "n" and letter != "!" and path[:1] != "/"):
        return None
    if letter != "n" and letter != "!" and len(path) > LONGEST_PATH:
        return None
    if letter == "m" and (other[:1] != "/" or len(other) > LONGEST_PATH):
        return None
    return Event(letter, base + int(pid), int(at), path, other)


def _text(field: bytes) -> str:
    if b"\\" in field:
        field = ESCAPE.sub(lambda match: ESCAPED.get(match[1], match[0]), field)
    return field.decode("utf-8", "surrogateescape")
