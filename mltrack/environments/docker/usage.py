"""What a container uses, sampled while it runs: an engine says nothing of one that has ended.

Peaks between two samples are not seen: the numbers are lower bounds. Runs that end before the first sample have none.
Each sample is also a line of the run's `samples.jsonl`, under the names that those of a process have.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltrack.environments.docker.engine import connect
from mltrack.errors import EnvironmentFailed
from mltrack.formats.samples import SampleFile

PAUSES_S = (0.3, 0.5, 1.0, 2.0)
LATER_S = 5.0
CACHE_FIELDS = ("total_inactive_file", "inactive_file")
"""Of the memory statistics: what the system would give back, in control groups of version 1 and 2."""


class Usage:
    """The largest memory and the processor time that were seen."""

    def __init__(self, variables: Mapping[str, str], container: str, samples: Path | None = None) -> None:
        """`samples`: the file that they are added to, if any."""
        self.samples = SampleFile(samples) if samples is not None else None
        self.last_at = time.time()
        self.variables = variables
        self.container = container
        self.peak_memory_bytes: int | None = None
        self.cpu_seconds: float | None = None
        self._stop = threading.Event()

    def follow(self) -> None:
        """Take samples until `stop`; to be run in a thread."""
        pauses = iter(PAUSES_S)
        with suppress(EnvironmentFailed), connect(self.variables) as engine:
            while not self._stop.wait(next(pauses, LATER_S * (self.samples.pace if self.samples else 1))):
                self.note(engine.sample(self.container))

    def stop(self) -> None:
        self._stop.set()

    def note(self, stats: Mapping[str, Any]) -> None:
        """Take what the engine says of this moment."""
        now = used(stats)
        if not now:
            return
        at, before = time.time(), self.cpu_seconds or 0.0
        if "memory_bytes" in now:
            self.peak_memory_bytes = max(self.peak_memory_bytes or 0, int(now["memory_bytes"]))
        if "cpu_seconds" in now:
            self.cpu_seconds = max(before, now["cpu_seconds"])
            now["cpu_percent"] = round((self.cpu_seconds - before) / max(at - self.last_at, 0.01) * 100, 1)
        self.last_at = at
        if self.samples is not None:
            with suppress(OSError):
                self.samples.append({"t": round(at, 3), **now})

    def write(self, path: Path, is_out_of_memory: bool) -> None:
        """Leave what was seen for whoever folds the run; a full disk is no harm."""
        seen = {
            "peak_memory_bytes": self.peak_memory_bytes,
            "cpu_seconds": self.cpu_seconds,
            "out_of_memory": is_out_of_memory,
        }
        aside = path.with_name(f"{path.name}.tmp")
        with suppress(OSError):
            aside.write_text(json.dumps(seen))
            os.replace(aside, path)


def used(stats: Mapping[str, Any]) -> dict[str, float]:
    """The engine's statistics by the names of samples; what it does not say is left out."""
    found: dict[str, float] = {}
    memory, cpu = stats.get("memory_stats") or {}, (stats.get("cpu_stats") or {}).get("cpu_usage") or {}
    if memory.get("usage"):
        details = memory.get("stats") or {}
        found["memory_bytes"] = memory["usage"] - next((details[name] for name in CACHE_FIELDS if name in details), 0)
    if cpu.get("total_usage"):
        found["cpu_seconds"] = round(cpu["total_usage"] / 1e9, 6)
    threads = (stats.get("pids_stats") or {}).get("current")
    if threads:
        found["threads"] = threads
    moved = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    networks = (stats.get("networks") or {}).values()
    for name, op, field in (("read_bytes", "read", "rx_bytes"), ("written_bytes", "write", "tx_bytes")):
        amounts = [entry.get("value", 0) for entry in moved if str(entry.get("op")).lower() == op]
        if amounts:
            found[name] = sum(amounts)
        passed = [network.get(field, 0) for network in networks]
        if passed:
            found["received_bytes" if op == "read" else "sent_bytes"] = sum(passed)
    return found
