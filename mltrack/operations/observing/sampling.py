"""Samples of what a command uses, taken beside it, and what they come to.

A thread appends a line of JSON to `samples.jsonl` at a time: often at first, then seldom, and never so often that it
takes more than SHARE of one core. The thread ends with the command; nobody waits for a sample that is being taken.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.formats.samples import SampleFile, read_samples
from mltrack.patterns import lazy
from mltrack.records import GpuUse, Resources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mltrack.formats.metrics import Point
    from mltrack.formats.samples import Sample
    from mltrack.live.rundir import RunDir
    from mltrack.records import Gpu
    from mltrack.store.objects import Store

FIRST_S = 0.25
OFTEN_S = 1.0
SELDOM_S = 5.0
OFTEN = 11
"""Samples, the first among them, after which they are seldom."""
SHARE = 0.004
GPU = lazy(r"gpu[0-9]{1,4}\.")
PATIENCE_S = 0.2
"""How long the end of a run waits for a sample that is being taken."""


class Sampling:
    """The samples of one run, as they are taken."""

    def __init__(self, rundir: RunDir, tend: Callable[[Callable[[], bool]], None]) -> None:
        self.rundir = rundir
        self.tend = tend
        self.file = SampleFile(rundir.samples)
        self.number = 0

    def start(self) -> None:
        """Begin, in a thread; costs next to nothing until the command has run for FIRST_S."""
        import threading

        self.started = time.monotonic()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.follow, name="mltrack-sampling", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """The command has ended."""
        self.is_over.set()
        self.thread.join(PATIENCE_S)

    def follow(self) -> None:
        """Take samples until the command ends. Whatever fails ends the samples, never the run."""
        if self.is_over.wait(FIRST_S):
            return
        facts = self.rundir.read("process")
        if facts is None:
            return
        try:
            self.take_all(self.sampler(int(facts["pid"]), facts.get("start_time")))
        except Exception as error:
            import logging

            logging.getLogger(__name__).debug("no more samples: %r", error)

    def sampler(self, pid: int, began: str | None) -> Callable[[], Sample | None]:
        from mltrack.observe.gpus import Gpus
        from mltrack.observe.resources import Resources as Observed

        observed = Observed(pid, began, self.started)
        gpus: list[Gpus] = []

        def sample() -> Sample | None:
            found = observed.sample()
            if found is None:
                for each in gpus:
                    each.close()
                return None
            if not gpus and self.number:  # the library takes long to load: not for a command that ends at once
                gpus.append(Gpus())
            for each in gpus:
                found |= each.sample(observed.tree.found.keys())
            return found

        return sample

    def take_all(self, sample: Callable[[], Sample | None]) -> None:
        while True:
            spent = time.thread_time()
            found = sample()
            if found is None:
                return
            self.file.append({"t": round(time.time(), 3), **found})
            self.number += 1
            cost_s = time.thread_time() - spent
            self.tend(self.is_over.is_set)
            if self.is_over.wait(self.pause(cost_s)):
                return

    def pause(self, cost_s: float) -> float:
        """Seconds until the next sample, for what the last one cost."""
        usual = OFTEN_S if self.number < OFTEN else SELDOM_S
        return max(usual * self.file.pace, cost_s / SHARE)


def sample(rundir: RunDir, tend: Callable[[Callable[[], bool]], None]) -> Callable[[], None]:
    """Begin to take samples of the command of that directory; call what is returned when it has ended.

    `tend` is called after each; it is given a function that says whether the command has ended.
    """
    sampling = Sampling(rundir, tend)
    sampling.start()
    return sampling.stop


def with_samples(used: Resources, samples: Sequence[Sample], began: float, gpus: Sequence[Gpu] = ()) -> Resources:
    """What the command used, by its samples too. `used` is what its end told; `began` its start, in unix seconds."""
    if not samples:
        return used
    last, elapsed = samples[-1], samples[-1]["t"] - began
    cpu = last.get("cpu_seconds")
    memory = [sample["memory_bytes"] for sample in samples if "memory_bytes" in sample]
    return replace(
        used,
        peak_memory_bytes=whole(max([*memory, used.peak_memory_bytes or 0])) or None,
        cpu_seconds=max(cpu or 0.0, used.cpu_seconds or 0.0) if cpu is not None else used.cpu_seconds,
        mean_memory_bytes=whole(mean(samples, "memory_bytes", began)),
        mean_cpu_percent=round(cpu / elapsed * 100, 1) if cpu is not None and elapsed > 0 else None,
        peak_cpu_percent=peak(samples, "cpu_percent"),
        peak_processes=whole(peak(samples, "processes")),
        read_bytes=whole(peak(samples, "read_bytes")),
        written_bytes=whole(peak(samples, "written_bytes")),
        received_bytes=whole(peak(samples, "received_bytes")),
        sent_bytes=whole(peak(samples, "sent_bytes")),
        gpus=tuple(gpus_of(samples, began, gpus)),
    )


def gpus_of(samples: Sequence[Sample], began: float, gpus: Sequence[Gpu]) -> list[GpuUse]:
    """The GPUs that the command used, as far as the driver told; all, where it did not."""
    names = {name for sample in samples for name in sample if GPU.match(name)}
    found = sorted({int(name[3:].partition(".")[0]) for name in names})
    own = [number for number in found if f"gpu{number}.own_memory_bytes" in names]
    return [
        GpuUse(
            number,
            gpus[number].name if number < len(gpus) else "",
            rounded(mean(samples, f"gpu{number}.percent", began)),
            peak(samples, f"gpu{number}.percent"),
            whole(peak(samples, f"gpu{number}.memory_bytes")),
        )
        for number in own or found
    ]


def peak(samples: Sequence[Sample], name: str) -> float | None:
    return max((sample[name] for sample in samples if name in sample), default=None)


def mean(samples: Sequence[Sample], name: str, began: float) -> float | None:
    """The mean over time: a sample stands for the time since the one before it."""
    total = weights = 0.0
    before = began
    for sample in samples:
        weight = max(sample["t"] - before, 0.001)
        before = sample["t"]
        if name in sample:
            total, weights = total + sample[name] * weight, weights + weight
    return total / weights if weights else None


def whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def points(samples: Sequence[Sample]) -> list[Point]:
    """The samples as points: a name each, no step."""
    from mltrack.formats.metrics import Point

    return [
        Point(name, value, None, sample["t"]) for sample in samples for name, value in sample.items() if name != "t"
    ]


def keep_samples(used: Resources, rundir: RunDir, store: Store, gpus: Sequence[Gpu] = ()) -> Resources:
    """What the command used, with the samples of its run directory folded in and kept in the store."""
    samples = read_samples(rundir.samples)
    if not samples:
        return used
    from mltrack.operations.series import keep_points

    process: Mapping[str, Any] = rundir.read("process") or {}
    used = with_samples(used, samples, float(process.get("started_at") or samples[0]["t"]), gpus)
    return replace(used, series=keep_points(store, points(samples))[1])
