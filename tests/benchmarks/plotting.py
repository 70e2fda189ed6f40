"""A plot of 20 series of 1,000,000 points, from the command line: wall time, peak memory, and what the limit is.

The limit is what any program must do that has the points as arrays already: `numpy.load` of the same 20 series, and a
bare draw of as many points as the picture keeps. `MLTRACK_BENCH_POINTS` chooses another number of points. A peak is
never told smaller than that of this process, which starts the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.timing import quiet_variables, table

POINTS = int(os.environ.get("MLTRACK_BENCH_POINTS", "1000000"))
RUNS = 20
ROUNDS = 3
KEPT = 4000
"""Points of a curve that a picture keeps."""

MAKE = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy
from mltrack.formats.metrics import Point
from mltrack.formats.series import encode_series
from mltrack.project import Project
from mltrack.records import MetricSummary, new_id
from tests.compare.samples import sample_run
root, runs, points = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
random = numpy.random.default_rng(0)
steps = numpy.arange(points)
values = numpy.exp(-steps / points * 5) + random.normal(0, 0.05, points)
times = 1.7e9 + steps * 0.01 + random.random(points) * 0.001
text = encode_series(Point("loss", float(v), int(s), float(t)) for v, s, t in zip(values, steps, times))
root.mkdir()
with Project.open(root) as project:
    for number in range(runs):  # other bytes for each, so that no chunk is read twice
        own = text
        for digit in range(10):  # the first digits of its times, which no step has
            own = own.replace(b",170000%d" % digit, b",1%d0000%d" % (number + 20, digit))
        digest, _ = project.store.put_stream([own])
        summary = MetricSummary(0.1, 0.0, 1.0, points, points - 1)
        params = {"seed": number, "lr": 0.1}
        run = sample_run(id=new_id(), name=None, params=params, metrics={"loss": summary}, series=digest)
        project.ledger.seal(replace(run, record_digest=None, verdict=None))
        project.store.flush()
        numpy.save(root / f"{number}.npy", numpy.array([steps, values]))
"""
LIMIT = (
    """
import sys
import numpy
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
figure = Figure()
axes = figure.add_subplot()
for path in sys.argv[2:]:
    xs, ys = numpy.load(path)
    step = max(1, len(xs) // %d)
    axes.plot(xs[::step], ys[::step])
with open(sys.argv[1], "wb") as out:
    FigureCanvasAgg(figure).print_png(out)
"""
    % KEPT
)


def measure(scratch: Path) -> None:
    project = scratch / "project"
    variables = quiet_variables(scratch)
    make = [sys.executable, "-c", MAKE, str(project), str(RUNS), str(POINTS)]
    subprocess.run(make, check=True, cwd=Path(__file__).parents[2])
    mltrack = [sys.executable, "-m", "mltrack", "plot", "--where", "status = finished", "--metric", "loss"]
    cases = {
        "mltrack plot -o plot.png": [*mltrack, "-o", "plot.png"],
        "mltrack plot --smooth 0.9 -o plot.svg": [*mltrack, "--smooth", "0.9", "-o", "plot.svg"],
        "mltrack plot --band -o plot.png": [*mltrack, "--band", "-o", "plot.png"],
        "mltrack plot --text": [*mltrack, "--text"],
        "the limit: numpy.load, bare matplotlib": [
            *(sys.executable, "-c", LIMIT, "limit.png"),
            *(f"{number}.npy" for number in range(RUNS)),
        ],
    }
    rows = []
    for name, command in cases.items():
        found = [timed(command, project, variables) for _ in range(ROUNDS)]
        rows.append((name, f"{min(one[0] for one in found):.2f} s", f"{max(one[1] for one in found):,.0f} MB"))
    table(f"{RUNS} series of {POINTS:,} points (the best of {ROUNDS}, largest peak)", ("", "wall", "peak"), rows)


def timed(command: Sequence[str], cwd: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Seconds, and megabytes at the peak."""
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=cwd, env={**os.environ, **variables}, stdout=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} failed: {child.returncode}")
    return time.perf_counter() - started, used.ru_maxrss * 1024 / 1e6
