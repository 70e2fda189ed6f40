"""What the GPUs of the machine do, asked of NVIDIA's library: by all processes on them, and by a command's own.

`gpu0.percent` (of the time in which something was computed), `gpu0.memory_bytes`, and `gpu0.own_memory_bytes` where the
driver tells processes apart; it does not in most containers. A machine without GPUs costs one look for the driver.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Any

from mltrack.formats.samples import Sample

DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
"""One of them is there where a driver is; the last is that of WSL."""


class Gpus:
    """The GPUs that there are; none where the driver or its library is missing or fails."""

    def __init__(self, drivers: Collection[str] = DRIVERS) -> None:
        self.nvml: Any = None
        self.devices: list[Any] = []
        if not any(map(os.path.exists, drivers)):
            return
        try:
            import pynvml

            pynvml.nvmlInit()
            self.nvml = pynvml
            self.devices = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        except Exception:  # the library and the driver of another version, a device that fell off its bus
            self.close()

    def sample(self, pids: Collection[int]) -> Sample:
        """What each does now; `pids` are the command's processes."""
        found: Sample = {}
        for number, device in enumerate(self.devices):
            for name, ask in (("percent", percent), ("memory_bytes", memory)):
                value = self._asked(ask, device)
                if value is not None:
                    found[f"gpu{number}.{name}"] = value
            own = self._asked(lambda nvml, device: own_memory(nvml, device, pids), device)
            if own:
                found[f"gpu{number}.own_memory_bytes"] = own
        return found

    def _asked(self, ask: Callable[[Any, Any], int | None], device: Any) -> int | None:
        """None where the device does not say, as parts of a device often do not."""
        try:
            return ask(self.nvml, device)
        except Exception:
            return None

    def close(self) -> None:
        """Let go of the library."""
        nvml, self.nvml, self.devices = self.nvml, None, []
        if nvml is not None:
            try:
                nvml.nvmlShutdown()
            except Exception:
                pass


def percent(nvml: Any, device: Any) -> int:
    return int(nvml.nvmlDeviceGetUtilizationRates(device).gpu)


def memory(nvml: Any, device: Any) -> int:
    return int(nvml.nvmlDeviceGetMemoryInfo(device).used)


def own_memory(nvml: Any, device: Any, pids: Collection[int]) -> int | None:
    own = [each.usedGpuMemory or 0 for each in nvml.nvmlDeviceGetComputeRunningProcesses(device) if each.pid in pids]
    return sum(own) if own else None
