from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mltrack.noun_json import from_dict, to_dict
from mltrack.records import Gpu
from mltrack.records import Hardware as HardwareRecord
from mltrack.snapshot.hardware import capture_hardware, cuda_version
from tests.helpers import write

MEMINFO = "MemTotal:       1000 kB\nMemFree: 1 kB\n"
V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n"
    "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def test_this_machine_is_described() -> None:
    found = capture_hardware()
    assert found.cpu
    assert found.cores == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else found.cores
    assert found.memory_bytes is not None
    assert found.memory_bytes > 1 << 20
    assert (found.kernel, found.machine) == (os.uname().release, os.uname().machine)
    assert found.os
    assert from_dict(HardwareRecord, to_dict(found)) == found


def test_nothing_readable_is_no_error(tmp_path: Path) -> None:
    found = capture_hardware(tmp_path)
    assert (found.gpus, found.cpu_limit, found.memory_limit_bytes) == ((), None, None)


def test_words_are_taken_from_the_systems_files(tmp_path: Path) -> None:
    cpu = "processor\t: 0\nmodel name\t: First CPU @ 3GHz\n\nprocessor\t: 1\nmodel name\t: Second CPU\n"
    release = 'NAME=x\nPRETTY_NAME="An OS 12 (codename)"\n'
    write(tmp_path, {"proc/cpuinfo": cpu, "proc/meminfo": MEMINFO, "etc/os-release": release})
    found = capture_hardware(tmp_path)
    assert (found.cpu, found.memory_bytes, found.os) == ("First CPU @ 3GHz", 1024000, "An OS 12 (codename)")


def test_a_processor_without_a_name_is_told_by_its_numbers(tmp_path: Path) -> None:
    write(tmp_path, {"proc/cpuinfo": "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n"})
    assert capture_hardware(tmp_path).cpu == "ARM implementer 0x41 part 0xd0c"
    write(tmp_path, {"proc/cpuinfo": "processor : 0\n", "proc/device-tree/model": "A Board Rev 1\0"})
    assert capture_hardware(tmp_path).cpu == "A Board Rev 1"


def group(tmp_path: Path, mounts: str, cgroup: str, **files: str) -> tuple[float | None, int | None]:
    write(tmp_path, {"proc/self/mountinfo": mounts, "proc/self/cgroup": cgroup, "proc/meminfo": MEMINFO})
    write(tmp_path, {f"sys/fs/cgroup/{name}": text for name, text in files.items()})
    found = capture_hardware(tmp_path)
    return found.cpu_limit, found.memory_limit_bytes


def test_limits_of_version_2_are_the_tightest_of_all_parents(tmp_path: Path) -> None:
    files = {
        "a/b/cpu.max": "max 100000\n",
        "a/b/memory.max": "600000\n",
        "a/cpu.max": "150000 100000\n",
        "a/memory.max": "500000\n",
        "cpu.max": "800000 100000\n",
        "c/memory.max": "1\n",
    }
    assert group(tmp_path, V2, "0::/a/b\n", **files) == (1.5, 500000)


def test_limits_of_version_1_are_found_below_their_mounts(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/sub/cpu.cfs_quota_us": "50000\n",
        "cpu,cpuacct/sub/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "memory/memory.limit_in_bytes": "400000\n",
    }
    groups = "9:name=systemd:/\n4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc/sub\n0::/\n"
    assert group(tmp_path, V1, groups, **files) == (0.5, 400000)


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "1024000", "broken", ""])
def test_a_limit_that_limits_nothing_is_none(tmp_path: Path, text: str) -> None:
    assert group(tmp_path, V2, "0::/\n", **{"memory.max": text, "cpu.max": text}) == (None, None)


@pytest.mark.parametrize("cgroup", ["0::/../outside\n", "0::/gone\n", "broken\n", "0::\n", ""])
def test_a_group_out_of_sight_leaves_the_mount_itself(tmp_path: Path, cgroup: str) -> None:
    found = group(tmp_path, V2, cgroup, **{"memory.max": "5", "../outside/memory.max": "1"})
    assert found[1] in (5, None)


DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version: 12\n"


def nvml(**more: object) -> SimpleNamespace:
    """The names of pynvml that are used, with two devices: machines that test this have no GPU."""

    class NVMLError(Exception):
        pass

    def memory(device: int) -> SimpleNamespace:
        if device == 1:
            raise NVMLError("not supported")
        return SimpleNamespace(total=80 << 30)

    plain = {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: b"550.54.15",
        "nvmlSystemGetCudaDriverVersion_v2": lambda: 12040,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda device: f"GPU {device}",
        "nvmlDeviceGetMemoryInfo": memory,
    }
    return SimpleNamespace(**{**plain, **more})


def test_gpus_are_asked_of_the_drivers_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())  # type: ignore[arg-type]
    assert capture_hardware(tmp_path).gpus == ()
    write(tmp_path, {"proc/driver/nvidia/version": DRIVER})
    assert capture_hardware(tmp_path).gpus == (
        Gpu("GPU 0", 80 << 30, "550.54.15", "12.4"),
        Gpu("GPU 1", None, "550.54.15", "12.4"),
    )


def test_gpus_are_listed_by_the_driver_where_its_library_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("driver/library version mismatch")

    monkeypatch.setitem(sys.modules, "pynvml", nvml(nvmlInit=fail))  # type: ignore[arg-type]
    information = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 1\n"
    files = {f"proc/driver/nvidia/gpus/0000:0{number}:00.0/information": information for number in (1, 2)}
    write(tmp_path, {"proc/driver/nvidia/version": DRIVER, **files})
    assert capture_hardware(tmp_path).gpus == (Gpu("NVIDIA H100 80GB HBM3", None, "550.54.15"),) * 2


def test_the_real_library_without_a_driver_is_no_harm(tmp_path: Path) -> None:
    write(tmp_path, {"dev/nvidiactl": ""})
    assert isinstance(capture_hardware(tmp_path).gpus, tuple)


@pytest.mark.parametrize(("number", "text"), [(12040, "12.4"), (11080, "11.8"), (13000, "13.0")])
def test_cuda_versions(number: int, text: str) -> None:
    assert cuda_version(number) == text


X86 = """processor\t: {n}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R)
stepping\t: 8
physical id\t: 0
core id\t\t: {core}
flags\t\t: fpu sse sse4_2 ssse3 avx avx2 fma f16c avx512f {more} smep sme amx_tile bmi1
"""


def test_instruction_sets_are_those_that_every_processor_has(tmp_path: Path) -> None:
    blocks = [X86.format(n=0, core=0, more="avx512_fp16"), X86.format(n=1, core=0, more="avx512vl")]
    write(tmp_path, {"proc/cpuinfo": "\n".join(blocks)})
    found = capture_hardware(tmp_path)
    expected = ("amx_tile", "avx", "avx2", "avx512f", "bmi1", "f16c", "fma", "sse4_2", "ssse3")
    assert (found.cpu_flags, found.cpu_id) == (expected, "GenuineIntel 6 143 8")


def test_threads_of_one_core_are_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [X86.format(n=number, core=number // 2, more="") for number in range(4)]
    write(tmp_path, {"proc/cpuinfo": "\n".join(blocks)})
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert (capture_hardware(tmp_path).cores, capture_hardware(tmp_path).physical_cores) == (3, 2)


def test_an_arm_processor_has_features_and_its_cores_are_in_sys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = "processor : {n}\nFeatures : fp asimd asimddp sve crc32 sb\nCPU implementer : 0x41\nCPU variant : 0x1\nCPU part : 0xd40\n"
    topology = {f"sys/devices/system/cpu/cpu{n}/topology/core_cpus_list": f"{n}\n" for n in range(2)}
    write(tmp_path, {"proc/cpuinfo": "\n".join(block.format(n=n) for n in range(2)), **topology})
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    found = capture_hardware(tmp_path)
    assert found.cpu_flags == ("asimd", "asimddp", "sve")
    assert (found.cpu_id, found.physical_cores) == ("0x41 0xd40 0x1 ?", 2)
