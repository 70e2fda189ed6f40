"""What samples of a command's resources cost, by the number of its processes: percent of one core."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from pathlib import Path

from mltrack.live.rundir import RunDir
from mltrack.observe.resources import Resources
from mltrack.operations.observing.sampling import OFTEN, OFTEN_S, SELDOM_S, Sampling
from tests.benchmarks.timing import ms, table

COUNTS = (1, 20, 200)
ROUNDS = 12


def measure(scratch: Path) -> None:
    rows = []
    for count in COUNTS:
        script = f"for i in $(seq {count - 1}); do sleep 60 & done; sleep 60"
        with subprocess.Popen(["sh", "-c", script], start_new_session=True) as process:
            time.sleep(0.2 + count / 100)
            rows.append((str(count), *cost(process.pid, scratch)))
            os.killpg(process.pid, signal.SIGKILL)
    table(
        "Samples of resources (goal: under 0.5% of one core)",
        ("processes", "a sample", "the first", "every second", "every five, as after ten of them"),
        rows,
    )


def cost(pid: int, scratch: Path) -> tuple[str, str, str, str]:
    """CPU of one sample (median) and of the first, and the share of a core at the pace that is kept for it."""
    resources, sampling = Resources(pid, None, time.monotonic()), Sampling(RunDir(scratch), lambda is_over: None)
    spent = []
    for _ in range(ROUNDS):
        begin = time.thread_time()
        found = resources.sample()
        assert found is not None
        sampling.file.append({"t": time.time(), **found})
        spent.append(time.thread_time() - begin)
        time.sleep(0.02)
    usual = statistics.median(spent)
    shares = []
    for number, pace in ((0, OFTEN_S), (OFTEN, SELDOM_S)):
        sampling.number = number
        pause = sampling.pause(usual)
        remark = "" if pause == pace else f" (every {pause:.1f} s)"
        shares.append(f"{usual / pause * 100:.3f}%{remark}")
    return ms(usual), ms(spent[0]), shares[0], shares[1]
