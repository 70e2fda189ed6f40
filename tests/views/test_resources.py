"""The lines about what a run used."""

from __future__ import annotations

from mltrack.records import GpuUse, Resources
from mltrack.views.resources import resource_lines


def test_what_is_known_is_told_in_a_line_each() -> None:
    used = Resources(
        3 << 30,
        125.0,
        2 << 30,
        180.4,
        320.0,
        5,
        1 << 30,
        20 << 20,
        7,
        7,
        (GpuUse(1, "NVIDIA H100", 87.4, 99, 20 << 30),),
    )
    assert resource_lines(used) == [
        "3.0 GiB of memory and 2 min 05 s of CPU time",
        "180% of a core, 320% at most, 5 processes, 1.0 GiB read from disk, 20.0 MiB written",
        "GPU 1: NVIDIA H100, 87% busy, 99% at most, 20.0 GiB of its memory",
    ]


def test_what_is_not_known_is_left_out() -> None:
    assert resource_lines(Resources()) == []
    assert resource_lines(Resources(1 << 20, None, peak_processes=1, gpus=(GpuUse(0, ""),))) == ["1.0 MiB of memory"]
