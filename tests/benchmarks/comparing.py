"""How long large pairs of files take to compare, and how much memory, beside the plainest way to do the same.

`MLTRACK_BENCH_MIB` chooses another size than 1 GiB for the arrays; tables and archives follow it. A peak is never told
smaller than that of this process, which starts the others.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.timing import table

MIB = int(os.environ.get("MLTRACK_BENCH_MIB", "1024"))
ROUNDS = 3

OURS = """
import os, sys
from pathlib import Path
from mltrack.compare.comparators import Around
from mltrack.compare.contents.finding import compare_contents
class File:
    def __init__(self, path): self.path, self.size = path, os.path.getsize(path)
    def open(self): return open(self.path, "rb")
found = compare_contents(sys.argv[1], File(sys.argv[1]), File(sys.argv[2]), Around())
print(found.grade, "|", found.reason)
"""
NUMPY = """
import sys, numpy
a, b = map(numpy.load, sys.argv[1:])
print((a != b).sum(), numpy.abs(a - b).max())
"""
ZIPFILE = """
import sys, zipfile
a, b = (zipfile.ZipFile(path) for path in sys.argv[1:])
print(all(a.read(name) == b.read(name) for name in a.namelist()))
"""
CSV = """
import csv, sys
print(sum(a != b for a, b in zip(*(csv.reader(open(path, newline="")) for path in sys.argv[1:]))))
"""
CMP = ("cmp", "-s")


def measure(scratch: Path) -> None:
    for title, pair, plain in (
        (f"{MIB} MiB of float32 (.npy), 1 of 1000 values changed", arrays(scratch), NUMPY),
        (f"{MIB * 1000:,} rows of CSV, 1 of 1000 values changed", rows(scratch), CSV),
        (f"a zip of {MIB // 5} MiB, only times differ", archives(scratch), ZIPFILE),
    ):
        cases = {
            "mltrack": [sys.executable, "-c", OURS],
            "in Python, as a whole": [sys.executable, "-c", plain],
            "cmp (stops at the first byte)": [*CMP],
            "reading both (cat)": ["cat"],
        }
        show(title, {name: [*words, *map(str, pair)] for name, words in cases.items()})
        for path in pair:
            path.unlink()


def show(title: str, cases: dict[str, Sequence[str]]) -> None:
    times: dict[str, list[float]] = {name: [] for name in cases}
    memory, said = dict.fromkeys(cases, 0), ""
    for _ in range(ROUNDS):
        for name, words in cases.items():
            seconds, peak, output = timed(words, keep=name == "mltrack")
            times[name].append(seconds)
            memory[name] = max(memory[name], peak)
            said = output or said
    base = min(times["mltrack"])
    lines = [
        (name, f"{min(each):.2f} s", f"{min(each) / base:.2f}", f"{memory[name] >> 10} MiB")
        for name, each in times.items()
    ]
    table(title, ("case", "fastest", "ratio to mltrack", "peak memory"), lines)
    print(f"\nmltrack said: {said}")


def timed(words: Sequence[str], keep: bool) -> tuple[float, int, str]:
    """Seconds, peak memory in KiB, and what it printed if that is to be kept."""
    begin = time.perf_counter()
    child = subprocess.Popen(words, stdout=subprocess.PIPE if keep else subprocess.DEVNULL, text=True)
    output = child.stdout.read() if child.stdout else ""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode > 1:
        raise SystemExit(f"{words[:2]} failed")
    return time.perf_counter() - begin, peak_of(usage), output.strip()


def peak_of(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss >> 10


def arrays(scratch: Path) -> tuple[Path, Path]:
    """Written in blocks: a child's peak memory would begin with what its parent had."""
    import numpy as np

    header = {"descr": "<f4", "fortran_order": False, "shape": (MIB << 18,)}
    block = np.random.default_rng(0).random(1 << 18, np.float32)
    for name, changed in (("a.npy", 0), ("b.npy", 0.001)):
        block[::1000] += np.float32(changed)
        with open(scratch / name, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for _ in range(MIB):
                file.write(block.tobytes())
    return scratch / "a.npy", scratch / "b.npy"


def rows(scratch: Path) -> tuple[Path, Path]:
    for name, changed in (("a.csv", 0), ("b.csv", 1)):
        with open(scratch / name, "w") as file:
            file.write("step,loss,name\n")
            for step in range(MIB * 1000):
                loss = 1 / (step + 1) + (0.001 if changed and step % 1000 == 0 else 0)
                file.write(f"{step},{loss:.6f},run{step % 17}\n")
    return scratch / "a.csv", scratch / "b.csv"


def archives(scratch: Path) -> tuple[Path, Path]:
    block = os.urandom(1 << 20)
    for name, year in (("a.zip", 2025), ("b.zip", 2026)):
        with zipfile.ZipFile(scratch / name, "w") as archive:
            for number in range(MIB // 50):
                info = zipfile.ZipInfo(f"part{number}.bin", (year, 1, 1, 0, 0, 0))
                archive.writestr(info, block[number:] * 10)
    return scratch / "a.zip", scratch / "b.zip"
