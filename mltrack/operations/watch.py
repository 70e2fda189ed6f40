"""`mltrack show --watch`: what a live run looks like now, again and again. Each look reads only what is new."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from mltrack.formats.metrics import read_journal
from mltrack.formats.ranked import in_ranks, in_the_first_place, ranked_name
from mltrack.live.outputlog import GAP, LogLine, new_records
from mltrack.live.rundir import RunDir
from mltrack.nouns import noun
from mltrack.operations.log import last_lines
from mltrack.operations.running.reconcile import judge
from mltrack.operations.series import live_metrics

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point
    from mltrack.project import Project
    from mltrack.records import MetricSummary, Run

TRAIL = 256
"""Values that are kept of a metric, over all of its life."""
RECENT = 40
"""Moments that a rate is measured by."""
LINES = 400
"""Records of output that are kept."""
MOMENT_S = 0.4
"""Seconds of one look that go into reading points."""
LAST = 1 << 16
"""Bytes of the output that the first look reads."""


@noun
class MetricNow:
    """A metric of a live run. `rate` is in steps a second."""

    name: str
    summary: MetricSummary
    trail: tuple[float, ...]
    rate: float | None
    others: tuple[MetricSummary, ...] = ()
    """Where several ranks logged it: what it comes to in those after the first."""


@noun
class Scene:
    """One look at a live run."""

    run: Run
    elapsed_s: float | None
    metrics: tuple[MetricNow, ...]
    resources: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Name of what was sampled -> its trail, the last value last."""
    output: tuple[LogLine, ...] = ()
    """The last records, of a progress bar its last state."""
    is_behind: bool = False
    """There are more points than could be read in this look."""


class Trail:
    """A series in at most TRAIL values: when it is full every second one goes, and from then on every second comes."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._stride = 1
        self._count = 0

    def add(self, value: float) -> None:
        self._count += 1
        if self._count % self._stride:
            return
        self.values.append(value)
        if len(self.values) >= TRAIL:
            self.values = self.values[1::2]
            self._stride *= 2


class Pace:
    """How many steps a second pass, by the times of the points themselves."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, float]] = deque(maxlen=RECENT)

    def add(self, point: Point) -> None:
        if point.step is None or point.at is None:
            return
        if self._moments and point.step < self._moments[-1][1]:
            self._moments.clear()  # it counts anew
        if not self._moments or point.at - self._moments[-1][0] >= 0.25:
            self._moments.append((point.at, float(point.step)))

    def rate(self) -> float | None:
        if len(self._moments) < 2:
            return None
        (first, low), (last, high) = self._moments[0], self._moments[-1]
        return (high - low) / (last - first) if last > first else None


class Watch:
    """Looks at one live run."""

    def __init__(self, project: Project, run: Run) -> None:
        self._project = project
        self._rundir = RunDir(project.runs / run.id)
        self._live = live_metrics(project, run, resume=False)
        self._coming = self._live.take()
        self._trails: dict[str, Trail] = {}
        self._paces: dict[str, Pace] = {}
        self._samples: dict[str, Trail] = {}
        self._samples_offset = self._samples_file = 0
        self._last_sample: dict[str, float] = {}
        self._output: deque[LogLine] = deque(maxlen=LINES)
        self._output_offset = self._last_of_output()

    def look(self) -> Scene | None:
        """The run as it is now; None when it has ended."""
        run = judge(self._project, self._rundir.id)
        if run is None or any(warning.kind == "not-recorded" for warning in run.warnings):
            return None
        is_behind = not self._take_points()
        self._take_samples()
        self._take_output()
        trails, paces = in_the_first_place(self._trails), in_the_first_place(self._paces)
        metrics = tuple(
            MetricNow(name, group[0][1], tuple(trails[name].values), paces[name].rate(), tuple(x for _, x in group[1:]))
            for name, group in in_ranks(self._live.summaries()).items()
        )
        resources = {name: (*trail.values, self._last_sample[name]) for name, trail in self._samples.items()}
        started_at = (self._rundir.read("process") or {}).get("started_at")
        elapsed = time.time() - started_at if started_at else None
        return Scene(run, elapsed, metrics, resources, tuple(last_lines(self._output, LINES)), is_behind)

    def _take_points(self) -> bool:
        """Take what is new, for a moment: the rest of a long series is left to the next look. Is nothing left?"""
        until = time.monotonic() + MOMENT_S
        for points in self._coming:
            self._follow(points)
            if time.monotonic() > until:
                return False
        self._live.write_down()
        self._coming = self._live.take()
        return True

    def _follow(self, points: Iterable[Point]) -> None:
        for point in points:
            name = ranked_name(point.name, point.rank) if point.rank else point.name
            trail = self._trails.get(name)
            if trail is None:
                trail = self._trails[name] = Trail()
                self._paces[name] = Pace()
            trail.add(point.value)
            self._paces[name].add(point)

    def _take_samples(self) -> None:
        try:
            found = self._rundir.samples.stat()
        except OSError:
            return
        if found.st_ino != self._samples_file or found.st_size < self._samples_offset:
            # the file is made again, shorter, when it has grown long
            self._samples_file, self._samples_offset, self._samples = found.st_ino, 0, {}
        samples = read_journal(self._rundir.samples, self._samples_offset, growing=True)
        for point in samples:
            self._samples.setdefault(point.name, Trail()).add(point.value)
            self._last_sample[point.name] = point.value
        self._samples_offset = samples.offset

    def _last_of_output(self) -> int:
        try:
            return max(0, self._rundir.output.stat().st_size - LAST)
        except OSError:
            return 0

    def _take_output(self) -> None:
        while True:
            records, self._output_offset = new_records(self._rundir.output, self._output_offset)
            if not records:
                return
            self._output.extend(record for record in records if record.stream != GAP)
