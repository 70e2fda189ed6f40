"""What a container uses, sampled while it runs: an engine says nothing of one that has ended.

Peaks between two samples are not seen: the numbers are lower bounds. Runs that end before the first sample have none.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltrack.environments.docker.engine import connect
from mltrack.errors import EnvironmentFailed

PAUSES_S = (0.3, 0.5, 1.0, 2.0)
LATER_S = 5.0
CACHE_FIELDS = ("total_inactive_file", "inactive_file")
"""Of the memory statistics: what the system would give back, in control groups of version 1 and 2."""


class Usage:
    """The largest memory and the processor time that were seen."""

    def __init__(self, variables: Mapping[str, str], container: str) -> None:
        self.variables = variables
        self.container = container
        self.peak_memory_bytes: int | None = None
        self.cpu_seconds: float | None = None
        self._stop = threading.Event()

    def follow(self) -> None:
        """Take samples until `stop`; to be run in a thread."""
        pauses = iter(PAUSES_S)
        with suppress(EnvironmentFailed), connect(self.variables) as engine:
            while not self._stop.wait(next(pauses, LATER_S)):
                self.note(engine.sample(self.container))

    def stop(self) -> None:
        self._stop.set()

    def note(self, sample: Mapping[str, Any]) -> None:
        memory, cpu = sample.get("memory_stats") or {}, (sample.get("cpu_stats") or {}).get("cpu_usage") or {}
        if memory.get("usage"):
            details = memory.get("stats") or {}
            spare = next((details[name] for name in CACHE_FIELDS if name in details), 0)
            self.peak_memory_bytes = max(self.peak_memory_bytes or 0, memory["usage"] - spare)
        if cpu.get("total_usage"):
            self.cpu_seconds = max(self.cpu_seconds or 0.0, round(cpu["total_usage"] / 1e9, 6))

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
