"""What a run stood on: processor, memory, GPUs, operating system, and the limits of its control group.

Reads `/proc`, `/sys` and `/etc/os-release`; asks NVIDIA's library only where a driver is loaded. Never raises: what
cannot be read is None. psutil answers only where there is no `/proc`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mltrack.patterns import lazy
from mltrack.records import Gpu, Hardware

SIGNS_OF_A_DRIVER = ("proc/driver/nvidia/version", "dev/nvidiactl", "dev/dxg")
"""Files that are there where a GPU may be asked for; starting the library without a driver costs, and finds nothing."""

MATTERS = {
    "flags": lazy(r"ssse3|sse4_[12]|avx\w*|fma4?|f16c|bmi[12]|amx\w*"),
    "Features": lazy(r"neon|asimd\w*|fphp|sve\w*|sme\w*|bf16|i8mm"),
}
"""The flags that OpenBLAS, MKL, oneDNN and NumPy look at: of x86, and of ARM."""

MOST_ASKED = 64
"""Processors whose files are read one by one; for more than that it would take too long."""


def capture_hardware(root: Path = Path("/")) -> Hardware:
    """The hardware of this machine, as this process may use it. `root` is where `/proc` and its like lie."""
    memory = memory_of(root)
    limit = memory_limit(root)
    processors = processors_of(root)
    return Hardware(
        cpu=cpu_of(root, processors),
        cores=cores(),
        memory_bytes=memory,
        gpus=gpus_of(root),
        os=os_of(root),
        kernel=os.uname().release,
        machine=os.uname().machine,
        cpu_limit=cpu_limit(root),
        memory_limit_bytes=limit if limit is not None and (memory is None or limit < memory) else None,
        cpu_flags=flags_of(processors),
        cpu_id=id_of(processors),
        physical_cores=physical_cores(root, processors),
    )


def read(path: Path) -> str:
    """The text of a small file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().strip("\0")
    except OSError:
        return ""


def cores() -> int | None:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def processors_of(root: Path) -> list[dict[str, str]]:
    """The blocks of `/proc/cpuinfo`: one a processor, and on some machines one more that is of no processor."""
    found = []
    for block in read(root / "proc/cpuinfo").split("\n\n"):
        lines = [line.partition(":") for line in block.splitlines()]
        found.append({key.strip(): text.strip() for key, _, text in reversed(lines)})
    return found


def first_of(processors: list[dict[str, str]], *keys: str) -> str | None:
    """The value of the first of the keys that any processor has."""
    return next((words[key] for key in keys for words in processors if words.get(key)), None)


def cpu_of(root: Path, processors: list[dict[str, str]]) -> str | None:
    """The processor's model; where it has no name (ARM), its maker's and its own number, or the board's name."""
    name = first_of(processors, "model name", "cpu model", "Processor", "cpu", "uarch")
    if name:
        return name
    maker, part = first_of(processors, "CPU implementer"), first_of(processors, "CPU part")
    if maker and part:
        return f"ARM implementer {maker} part {part}"
    import platform

    return read(root / "proc/device-tree/model") or platform.processor() or None


def id_of(processors: list[dict[str, str]]) -> str | None:
    """What libraries know the microarchitecture by: a cloud's model names ("AMD EPYC") do not tell it."""
    for words in (
        ("vendor_id", "cpu family", "model", "stepping"),
        ("CPU implementer", "CPU part", "CPU variant", "CPU revision"),
    ):
        found = [first_of(processors, word) for word in words]
        if found[0] and found[1]:
            return " ".join(text or "?" for text in found)
    return None


def flags_of(processors: list[dict[str, str]]) -> tuple[str, ...]:
    """The instruction sets that numeric libraries choose their code by, sorted; those that every processor has."""
    for key, pattern in MATTERS.items():
        sets = [set(text.split()) for text in {words[key] for words in processors if words.get(key)}]
        if sets:
            return tuple(sorted(flag for flag in set.intersection(*sets) if pattern.fullmatch(flag)))
    return ()


def physical_cores(root: Path, processors: list[dict[str, str]]) -> int | None:
    """Cores behind the processors that this process may run on: two of these may be threads of one core."""
    mine = {str(number) for number in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
    known = [words for words in processors if words.get("processor") in mine]
    if known and all("physical id" in words and "core id" in words for words in known):
        return len({(words["physical id"], words["core id"]) for words in known})
    if len(mine) > MOST_ASKED:
        return None
    places = [root / f"sys/devices/system/cpu/cpu{number}/topology" for number in mine]
    siblings = [read(place / "core_cpus_list") or read(place / "thread_siblings_list") for place in places]
    return len(set(siblings)) if siblings and all(siblings) else None


def memory_of(root: Path) -> int | None:
    """Bytes of main memory."""
    for line in read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    try:
        import psutil

        return int(psutil.virtual_memory().total)
    except (ImportError, OSError, RuntimeError):
        return None


def os_of(root: Path) -> str | None:
    """The operating system, as it calls itself."""
    for place in ("etc/os-release", "usr/lib/os-release"):
        for line in read(root / place).splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip().strip("\"'")
    import platform

    version = platform.mac_ver()[0]
    return f"macOS {version}" if version else platform.system() or None


def cpu_limit(root: Path) -> float | None:
    """Processors that the control group allows, the tightest of its parents; None if none sets a limit."""
    limits = []
    for place in groups(root, "cpu"):
        quota, _, period = read(place / "cpu.max").partition(" ")
        quota = quota or read(place / "cpu.cfs_quota_us")
        period = period or read(place / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_limit(root: Path) -> int | None:
    """Bytes that the control group allows, the tightest of its parents; None if none sets a limit."""
    texts = [read(place / name) for place in groups(root, "memory") for name in ("memory.max", "memory.limit_in_bytes")]
    return min((int(text) for text in texts if text.isdigit()), default=None)


def groups(root: Path, controller: str) -> list[Path]:
    """The directories of this process's control group and its parents, in version 2 and for one controller in 1."""
    found = []
    for line in read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, group = rest.partition(":")
        wanted = None if number == "0" and not names else controller
        if wanted is None or controller in names.split(","):
            found += [path for mount, top in mounts(root, wanted) for path in upwards(mount, top, group)]
    return found


def mounts(root: Path, controller: str | None) -> list[tuple[Path, str]]:
    """Where control groups are mounted, with the group that each mount shows as its top. None asks for version 2."""
    found = []
    for line in read(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        is_wanted = kind[0] == "cgroup2" if controller is None else controller in kind[2].split(",")
        if is_wanted and kind[0].startswith("cgroup"):
            found.append((root / fields[4].lstrip("/"), fields[3]))
    return found


def upwards(mount: Path, top: str, group: str) -> list[Path]:
    """The group's directory below a mount and those above it. A group out of the mount's sight leaves the mount."""
    is_below = top == "/" or group == top or group.startswith(top + "/")
    parts = group[len(top.rstrip("/")) :].strip("/") if is_below else ""
    place = mount / parts if ".." not in parts.split("/") else mount
    return [place, *(parent for parent in place.parents if mount in (parent, *parent.parents))]


def gpus_of(root: Path) -> tuple[Gpu, ...]:
    """NVIDIA's GPUs, from its library, else by name from its driver; none where no driver is loaded."""
    if not any((root / sign).exists() for sign in SIGNS_OF_A_DRIVER):
        return ()
    try:
        return ask_nvml()
    except Exception as error:  # the library speaks to a driver of any age: whatever fails means "no answer"
        import logging

        logging.getLogger(__name__).debug("NVML does not answer: %s", error)
    return gpus_of_driver(root)


def ask_nvml() -> tuple[Gpu, ...]:
    """What the driver's management library says. Raises whatever it raises."""
    import pynvml

    pynvml.nvmlInit()
    try:
        driver = text_of(pynvml.nvmlSystemGetDriverVersion())
        cuda = cuda_version(int(pynvml.nvmlSystemGetCudaDriverVersion_v2()))
        devices = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return tuple(
            Gpu(text_of(pynvml.nvmlDeviceGetName(device)), nvml_memory(pynvml, device), driver, cuda)
            for device in devices
        )
    finally:
        pynvml.nvmlShutdown()


def nvml_memory(pynvml: Any, device: Any) -> int | None:
    """Bytes of a GPU's memory; None where it has none of its own."""
    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(device).total)
    except pynvml.NVMLError:
        return None


def text_of(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def cuda_version(number: int) -> str:
    """12040 -> "12.4"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def gpus_of_driver(root: Path) -> tuple[Gpu, ...]:
    """The GPUs that the driver lists in `/proc`, where its library is not installed (as in some containers)."""
    words = read(root / "proc/driver/nvidia/version").partition("\n")[0].split()
    driver = next((word for word in words if word[:1].isdigit() and "." in word), None)
    gpus = []
    for place in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        for line in read(place).splitlines():
            key, _, text = line.partition(":")
            if key == "Model":
                gpus.append(Gpu(text.strip(), None, driver))
    return tuple(gpus)
