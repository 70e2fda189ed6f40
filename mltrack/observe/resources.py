"""What a command and its processes use, read from `/proc` (by psutil where there is none): one sample at a time.

Nothing here waits, writes or starts a thread; `operations/observing/sampling.py` says when. A sample maps names to
numbers: `cpu_percent` (of one core, since the sample before), `memory_bytes` (resident, added up over the processes),
`processes`, `threads`; and since the command's start `cpu_seconds`, `read_bytes` and `written_bytes` (of disks),
`received_bytes` and `sent_bytes` (of the whole machine).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mltrack.formats.samples import Sample

PROC = "/proc"
VIRTUAL = ("lo", "veth", "docker", "br-", "virbr", "cni", "flannel", "cali", "tun", "tap")
"""Interfaces that carry again what another one carries."""


@dataclass
class Process:
    """One process of the tree, as it was when it was last seen."""

    parent: int
    group: int
    session: int
    began: str
    """Clock ticks from the boot to its start: with the pid, its identity."""
    cpu: float = 0.0
    """Seconds, of its ended children too that it waited for; so with the bytes."""
    memory: int = 0
    threads: int = 1
    read: int = 0
    written: int = 0


class Tree:
    """The processes of a command: its descendants, and those of its process group or session that lost their parents.

    A process found once belongs to it until it ends. What an ended process used is counted as far as it was seen.
    """

    def __init__(self, pid: int, began: str | None, started: float) -> None:
        """`began` as `live.process.start_time` gives it; `started`: when, by the clock of `sample`."""
        self.pid = pid
        self.began = began
        self.read = reader()
        self.found: dict[int, Process] = {}
        self.strangers: set[int] = set()
        """Processes that were looked at, and are not the command's."""
        self.ours = {os.getpid(), os.getppid()}
        self.group = self.session = 0
        self.cpu_seconds = 0.0
        self.read_bytes = 0
        self.written_bytes = 0
        self.last_at = started

    def sample(self, now: float) -> Sample | None:
        """Look at all of them; None when the command has ended. `now` is of a clock that is never set, in seconds."""
        first = self.read(self.pid)
        if first is None or (self.began is not None and first.began != self.began):
            return None
        if not self.group:
            self._begin(first)
        seen = {self.pid: first}
        for pid in self.found:
            process = self.read(pid) if pid != self.pid else None
            if process is not None and process.began == self.found[pid].began:
                seen[pid] = process
        self._add_new(seen)
        used = self._count(seen)
        elapsed, self.last_at, self.found = max(now - self.last_at, 0.01), now, seen
        return {
            "cpu_percent": round(used / elapsed * 100, 1),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "memory_bytes": sum(process.memory for process in seen.values()),
            "processes": len(seen),
            "threads": sum(process.threads for process in seen.values()),
            "read_bytes": self.read_bytes,
            "written_bytes": self.written_bytes,
        }

    def _begin(self, first: Process) -> None:
        """Learn what marks the command's own: a group or session that is ours too marks nothing."""
        self.ours |= {first.parent, *tracer_of(self.pid)}
        self.group = first.group if first.group != os.getpgrp() else -1
        self.session = first.session if first.session != os.getsid(0) else -1

    def _add_new(self, seen: dict[int, Process]) -> None:
        """Processes that came since, in the order of their ids: mostly, parents come before their children."""
        listed = pids()
        known = self.strangers & listed
        candidates = {pid: self.read(pid) for pid in sorted(listed - known - seen.keys() - self.ours)}
        is_changed = True
        while is_changed:
            is_changed = False
            for pid, process in list(candidates.items()):
                if process is not None and self._is_ours(process, seen):
                    seen[pid] = process
                    del candidates[pid]
                    is_changed = True
        self.strangers = known | candidates.keys()

    def _is_ours(self, process: Process, seen: dict[int, Process]) -> bool:
        return process.parent in seen or process.group == self.group or process.session == self.session

    def _count(self, seen: dict[int, Process]) -> float:
        """Add what was used since the last sample; returns the seconds of CPU.

        A process that ended is in the counts of its parent, if that has waited for it: what was counted of it before
        comes off again.
        """
        cpu, read, written = 0.0, 0, 0
        for pid, process in seen.items():
            before = self.found.get(pid)
            last = (before.read, before.written) if before else (0, 0)
            process.read, process.written = disk_bytes(pid) or last
            cpu += process.cpu - (before.cpu if before else 0)
            read += process.read - (before.read if before else 0)
            written += process.written - (before.written if before else 0)
        for pid, gone in self.found.items():
            if pid not in seen and gone.parent in seen:
                cpu, read, written = cpu - gone.cpu, read - gone.read, written - gone.written
        cpu = max(cpu, 0.0)
        self.cpu_seconds += cpu
        self.read_bytes += max(read, 0)
        self.written_bytes += max(written, 0)
        return cpu


def pids() -> set[int]:
    """Of all processes that are to be seen here."""
    try:
        return {int(name) for name in os.listdir(PROC) if name.isdecimal()}
    except OSError:
        import psutil

        return set(psutil.pids())


TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def read_process(pid: int) -> Process | None:
    """The process as it is now; None when it is gone, ended, or may not be looked at."""
    stat = read_file(f"{PROC}/{pid}/stat")
    if stat is None:
        return None
    words = stat.rpartition(b")")[2].split()
    if len(words) < 22 or words[0] in (b"Z", b"X"):
        return None
    process = Process(int(words[1]), int(words[2]), int(words[3]), words[19].decode())
    process.cpu = sum(map(int, words[11:15])) / TICK
    process.threads = int(words[17])
    process.memory = int(words[21]) * PAGE
    return process


def disk_bytes(pid: int) -> tuple[int, int] | None:
    """Read and written by a process, and by those that it waited for; None where that is not told."""
    text = read_file(f"{PROC}/{pid}/io")
    if text is None:
        return None
    counts = dict(line.split(b": ", 1) for line in text.splitlines() if b": " in line)
    return int(counts.get(b"read_bytes", 0)), int(counts.get(b"write_bytes", 0))


def read_by_psutil(pid: int) -> Process | None:
    """The same where there is no `/proc`. What ended children used is not told there, nor are bytes, mostly."""
    import psutil

    try:
        one = psutil.Process(pid)
        with one.oneshot():
            if one.status() == psutil.STATUS_ZOMBIE:
                return None
            process = Process(one.ppid(), os.getpgid(pid), os.getsid(pid), repr(one.create_time()))
            times = one.cpu_times()
            process.cpu = times.user + times.system
            process.memory, process.threads = one.memory_info().rss, one.num_threads()
    except (psutil.Error, OSError):
        return None
    return process


def reader() -> Callable[[int], Process | None]:
    """How processes are looked at on this system."""
    return read_process if os.path.exists(f"{PROC}/self/stat") else read_by_psutil


def tracer_of(pid: int) -> list[int]:
    """The process that traces this one, as strace does."""
    for line in (read_file(f"{PROC}/{pid}/status") or b"").splitlines():
        if line.startswith(b"TracerPid:") and line[10:].strip() != b"0":
            return [int(line[10:])]
    return []


def read_file(path: str) -> bytes | None:
    """A small file of the kernel's, without the machinery of Python's files."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, 1 << 16)
    except OSError:
        return None
    finally:
        os.close(fd)


class Network:
    """Bytes that the machine received and sent since this was made."""

    def __init__(self, pid: int) -> None:
        """`pid`: a process in whose network we look."""
        self.path = f"{PROC}/{pid}/net/dev"
        self.began = self._counts()

    def sample(self) -> Sample:
        now = self._counts()
        if now is None or self.began is None:
            return {}
        return {
            "received_bytes": max(0, now[0] - self.began[0]),
            "sent_bytes": max(0, now[1] - self.began[1]),
        }

    def _counts(self) -> tuple[int, int] | None:
        text = read_file(self.path)
        return counts_of(text) if text is not None else self._counts_by_psutil()

    def _counts_by_psutil(self) -> tuple[int, int] | None:
        if os.path.exists(f"{PROC}/self/stat"):
            return None  # the process has ended
        import psutil

        counters = psutil.net_io_counters(pernic=True)
        real = [counters[name] for name in interfaces(counters)]
        return sum(each.bytes_recv for each in real), sum(each.bytes_sent for each in real)


def counts_of(text: bytes) -> tuple[int, int]:
    """The text of /proc/net/dev -> bytes received and sent."""
    lines = {}
    for line in text.splitlines()[2:]:
        name, _, counts = line.partition(b":")
        lines[name.strip().decode(errors="replace")] = counts.split()
    real = [lines[name] for name in interfaces(lines)]
    return sum(int(words[0]) for words in real), sum(int(words[8]) for words in real)


def interfaces(names: Iterable[str]) -> list[str]:
    """Those that count: inside a container, all but the loopback; elsewhere not those of containers either."""
    names = list(names)
    real = [name for name in names if not name.startswith(VIRTUAL)]
    return real or [name for name in names if not name.startswith("lo")]


class Resources:
    """Everything that can be sampled of one command."""

    def __init__(self, pid: int, began: str | None, started: float) -> None:
        self.tree = Tree(pid, began, started)
        self.network = Network(pid)

    def sample(self) -> Sample | None:
        """What is used now; None when the command has ended."""
        found = self.tree.sample(time.monotonic())
        return None if found is None else {**found, **self.network.sample()}
