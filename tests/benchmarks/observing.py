"""What the watching of a run costs a training: a loop that reads batches from many files and writes checkpoints.

Ten seconds of work, or a minute: `python -m tests.benchmarks.observing 60`, or under MLTRACK_SOAK.
"""

from __future__ import annotations

import os
import statistics
import struct
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.timing import MLTRACK, Case, ms, quiet_variables, table, timed
from tests.helpers import git_repository, write

FILES = 2000
TRAIN = """import os, sys, time
import numpy as np

steps = int(sys.argv[1])
rng = np.random.default_rng(0)
names = sorted(os.listdir("data"))
weights = rng.normal(size=(256, 256))
for step in range(steps):
    batch = [np.fromfile(f"data/{names[(step * 8 + number) % len(names)]}", dtype=np.float64) for number in range(8)]
    x = np.concatenate(batch).reshape(-1, 256)
    for _ in range(12):
        weights -= 1e-6 * x.T @ np.tanh(x @ weights)
    if step % 100 == 0:
        np.save(f"checkpoints/{step}.npy", weights)
        with open("train.log", "a") as log:
            print(step, float(np.abs(weights).mean()), file=log)
"""


def repository(path: Path) -> Path:
    place = git_repository(path, {"train.py": TRAIN, ".gitignore": "data/\ncheckpoints/\ntrain.log\n"})
    write(place, {f"data/{number:05}.f64": struct.pack("d", number / FILES) * 1024 for number in range(FILES)})
    (place / "checkpoints").mkdir()
    return place


def steps_for(seconds: float, place: Path, variables: dict[str, str]) -> int:
    """As many steps as take that long here, by a short trial."""
    trial = Case("trial", [sys.executable, "train.py", "200"], place)
    short = Case("trial", [sys.executable, "train.py", "1"], place)
    took = min(timed(trial, variables)[0] for _ in range(2)) - min(timed(short, variables)[0] for _ in range(2))
    return max(100, int(seconds / max(took, 0.01) * 200))


def measure(scratch: Path, seconds: float = 0, rounds: int = 5) -> None:
    seconds = seconds or (60 if int(os.environ.get("MLTRACK_SOAK", "1")) > 1 else 10)
    variables = {**quiet_variables(scratch), "MLTRACK_CONFIG_ENVIRONMENT_LOCK": "false", "OMP_NUM_THREADS": "1"}
    variables |= {"OPENBLAS_NUM_THREADS": "1"}
    steps = steps_for(seconds, repository(scratch / "trial"), variables)
    train = [sys.executable, "train.py", str(steps)]
    bare = Case("bare", train, repository(scratch / "bare"))
    off = Case("mltrack run, observe.sources: off", [*MLTRACK, "run", "--", *train], repository(scratch / "off"))
    (scratch / "off" / "mltrack.yaml").write_text("observe:\n  sources: off\n")
    watched = Case("mltrack run", [*MLTRACK, "run", "--", *train], repository(scratch / "run"))
    trace = Case("mltrack run --trace", [*MLTRACK, "run", "--trace", "--", *train], repository(scratch / "trace"))
    cases = [bare, off, watched, trace]
    for number in range(rounds + 1):
        for case in cases:
            wall, cpu = timed(case, variables)
            if number:  # the first fills the caches
                case.wall.append(wall)
                case.cpu.append(cpu)
    rows = [row(case, bare) for case in cases]
    title = f"A training of {bare.median:.0f} s that reads {FILES} files and writes checkpoints (goal: under 1.03)"
    table(
        title, ("case", "wall median", "cpu median", "wall ratio, median of pairs", "cpu ratio", "mltrack's CPU"), rows
    )


def row(case: Case, bare: Case) -> tuple[str, ...]:
    """Pairs of the same round are compared: the machine's speed changes over minutes."""
    wall = statistics.median(one / other for one, other in zip(case.wall, bare.wall))
    cpu = statistics.median(one / other for one, other in zip(case.cpu, bare.cpu))
    spent = statistics.median(one - other for one, other in zip(case.cpu, bare.cpu))
    if cpu < 0.5:  # beside strace the keeper of the output outlives us, and takes the count of the command with it
        return case.name, ms(case.median), "-", f"{wall:.3f}", "-", "-"
    return case.name, ms(case.median), ms(case.cpu_median), f"{wall:.3f}", f"{cpu:.3f}", ms(max(0.0, spent))


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        measure(Path(place), float(sys.argv[1]) if len(sys.argv) > 1 else 0)
