"""What a run used, in a few lines."""

from __future__ import annotations

from mltrack.records import GpuUse, Resources
from mltrack.views.text import count, duration, number, size


def resource_lines(used: Resources) -> list[str]:
    """Memory and CPU time; how busy its processes were, and what they moved; each GPU. The unknown is left out."""
    lines = [total_line(used), busy_line(used), *map(gpu_line, used.gpus)]
    return [line for line in lines if line]


def total_line(used: Resources) -> str:
    """`3.1 GiB of memory and 12 min of CPU time`."""
    parts = [
        "" if used.peak_memory_bytes is None else f"{size(used.peak_memory_bytes)} of memory",
        "" if used.cpu_seconds is None else f"{duration(used.cpu_seconds)} of CPU time",
    ]
    return " and ".join(part for part in parts if part)


def busy_line(used: Resources) -> str:
    """`180% of a core, 320% at most, 5 processes, 1.2 GiB read from disk, 20 MiB written`."""
    parts = [
        percent(used.mean_cpu_percent, " of a core"),
        percent(used.peak_cpu_percent, " at most"),
        count(used.peak_processes, "process", "processes") if used.peak_processes and used.peak_processes > 1 else "",
        f"{size(used.read_bytes)} read from disk" if used.read_bytes else "",
        f"{size(used.written_bytes)} written" if used.written_bytes else "",
    ]
    return ", ".join(part for part in parts if part)


def gpu_line(gpu: GpuUse) -> str:
    """`GPU 0: NVIDIA H100, 87% busy, 99% at most, 20 GiB of its memory`."""
    parts = [
        gpu.name,
        percent(gpu.mean_percent, " busy"),
        percent(gpu.peak_percent, " at most"),
        f"{size(gpu.peak_memory_bytes)} of its memory" if gpu.peak_memory_bytes is not None else "",
    ]
    known = ", ".join(part for part in parts if part)
    return f"GPU {gpu.index}: {known}" if known else ""


def percent(value: float | None, of: str) -> str:
    return "" if value is None else f"{number(round(value))}%{of}"
