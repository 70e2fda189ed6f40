"""`samples.jsonl`: what a live run uses, a JSON object a line (the keys: `docs/reference/format.md`).

Written by whoever sees the command's processes: a thread of mltrack here, the client of a container there. A long run
has no more lines than a short one: when there are MOST, every two become one.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Sample = dict[str, float]
NAME = "samples.jsonl"
"""In the run's directory."""
MOST = 2000
LARGEST = 16 << 20
"""Bytes of a file of samples; ours are a tenth of it."""
MUCH = 2**63
SUMS = ("cpu_seconds", "read_bytes", "written_bytes", "received_bytes", "sent_bytes")
"""What only grows; of everything else, a sample tells how much it is."""


class SampleFile:
    """A file of samples that one writer adds to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pace = 1
        """How many times as long as usual it should be until the next sample."""
        self.lines = 0

    def append(self, sample: Mapping[str, float]) -> None:
        """Add a sample, which has its time as `t`. Raises OSError."""
        if self.lines >= MOST:
            thinned = thin(read_samples(self.path))
            new = self.path.with_suffix(".new")
            new.write_bytes(b"".join(map(encode, thinned)))
            os.replace(new, self.path)
            self.lines, self.pace = len(thinned), self.pace * 2
        with open(self.path, "ab") as file:
            file.write(encode(sample))
        self.lines += 1


def encode(sample: Mapping[str, float]) -> bytes:
    return json.dumps(sample, separators=(",", ":")).encode() + b"\n"


def read_samples(path: Path) -> list[Sample]:
    """The samples of a file; lines that are none (a torn last one) are passed over.

    The command could write to it too, so that nothing in it is trusted.
    """
    found = []
    for line in read_file(path).splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and is_amount(value.get("t")):
            found.append({name: number for name, number in value.items() if is_amount(number)})
    return found


def read_file(path: Path) -> bytes:
    """At most LARGEST bytes of a regular file; nothing of anything else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return b""
    with open(fd, "rb") as file:
        return file.read(LARGEST)


def is_amount(value: object) -> bool:
    """Is it a number that something can amount to?"""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < MUCH


def thin(samples: Sequence[Sample]) -> list[Sample]:
    """Of every two samples one: what only grows as in the second, memory and counts the larger, shares the mean."""
    pairs = list(zip(samples[::2], samples[1::2]))
    joined = [{name: join(name, first, second) for name in (*first, *second)} for first, second in pairs]
    return joined + list(samples[len(pairs) * 2 :])


def join(name: str, first: Sample, second: Sample) -> float:
    if name not in first or name not in second or name == "t" or name in SUMS:
        return second.get(name, first.get(name, 0))
    if name.endswith("percent"):
        return round((first[name] + second[name]) / 2, 1)
    return max(first[name], second[name])
