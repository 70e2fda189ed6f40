"""How much room ten versions of a large file take, with one per cent edited or inserted each time."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

from mltrack.records import Input
from mltrack.store.keep import keep_path
from tests.benchmarks.peers import program
from tests.benchmarks.timing import table
from tests.sync.towns import Town

MIB = int(os.environ.get("MLTRACK_BENCH_MIB", "512"))
VERSIONS = 10
PART = 0.01


def measure(scratch: Path) -> None:
    path, remote = scratch / "data", scratch / "remote"
    restic, sizes = start_restic(scratch), []
    data, choice = bytearray(os.urandom(MIB << 20)), random.Random(1)
    with Town(scratch / "town") as town:
        for number in range(VERSIONS):
            if number:
                change(data, number, choice)
            path.write_bytes(data)
            sizes.append(len(data))
            kept = keep_path(path, town.store)
            town.record(inputs=(Input("data", "file", kept.digest, kept.size_bytes, kept=True),))
            town.push(str(remote))
            if restic:
                run_restic(scratch, restic, "backup", str(path))
    whole, least = sum(sizes), sizes[0] + int((VERSIONS - 1) * PART * sizes[0])
    rows = [
        ("mltrack, the store", room(scratch / "town" / ".mltrack" / "store")),
        ("mltrack, the remote", room(remote)),
    ]
    if restic:
        rows.append(("restic", room(scratch / "restic")))
    rows.append(("limit: every changed byte once", least))
    title = f"{VERSIONS} versions of a file of {MIB} MiB, {PART:.0%} edited or inserted each time"
    table(title, ("where", "MiB", "of all bytes"), [(name, size >> 20, f"{size / whole:.2%}") for name, size in rows])


def change(data: bytearray, number: int, choice: random.Random) -> None:
    """Odd versions overwrite, even ones insert, somewhere in the middle half."""
    length = int(len(data) * PART)
    at = choice.randrange(len(data) // 4, len(data) * 3 // 4)
    data[at : at + (length if number % 2 else 0)] = os.urandom(length)


def room(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def start_restic(scratch: Path) -> str | None:
    found = program("restic")
    if found:
        run_restic(scratch, found, "init")
    return found


def run_restic(scratch: Path, restic: str, *arguments: str) -> None:
    place = scratch / "restic"
    variables = {"RESTIC_PASSWORD": "bench", "HOME": str(scratch), "PATH": os.environ["PATH"]}
    command = [restic, "-q", "-r", str(place), "--cache-dir", str(scratch / "restic-cache"), *arguments]
    subprocess.run(command, env=variables, check=True, capture_output=True)
    shutil.rmtree(scratch / "restic-cache", ignore_errors=True)
