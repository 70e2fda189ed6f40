"""The points of a run's metrics: kept when it ends, summed up while it lives, read for one metric."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from mltrack.errors import NotFound, StorageError, UsageError
from mltrack.formats.metrics import Point, read_journal
from mltrack.formats.ranked import of_rank, split_rank
from mltrack.formats.series import BATCH, Summing, all_points, encode_blocks, series_points
from mltrack.operations.fetch import ensure_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mltrack.collect.output import Matched
    from mltrack.live.rundir import RunDir
    from mltrack.project import Project
    from mltrack.records import MetricSummary, Run
    from mltrack.store.objects import Store

BLOCK = 1 << 20
SHARE = 0.02
"""Of one core, for `Upkeep`."""
WORTH_KEEPING = 1 << 20
"""Bytes of journals after which what they come to is written down, for the next look at the run."""


def keep_points(store: Store, points: Iterable[Point]) -> tuple[dict[str, MetricSummary], str | None]:
    """Store points as they come, in one pass; what each metric comes to, and the digest (None where there are none)."""
    summing = Summing()
    blocks = encode_blocks(points, summing)
    first, size = [], 0
    for block in blocks:
        first.append(block)
        size += len(block)
        if size >= BLOCK:
            return _long(store, chain(first, blocks), summing)
    digest = store.put_bytes(b"".join(first)) if first else None
    return summing.summaries(), digest


def _long(store: Store, blocks: Iterable[bytes], summing: Summing) -> tuple[dict[str, MetricSummary], str]:
    digest, _ = store.put_stream(blocks)
    return summing.summaries(), digest


def points_of_output(rundir: RunDir, patterns: Sequence[str], started_at: float) -> Iterator[Point]:
    """The points that patterns find in the output of a run that has ended; a pattern that is none finds nothing."""
    if not patterns or not rundir.output.exists():
        return
    from mltrack.collect.output import points_in_output
    from mltrack.live.outputlog import read_log

    with open(rundir.output, "rb") as file:
        try:
            yield from points_in_output(read_log(file), patterns, started_at)
        except UsageError:
            return  # only a record that another machine wrote holds one: our own are checked before the start


class LiveMetrics:
    """The metrics of a live run. Each `take` reads what is new of the journal and of the output."""

    def __init__(
        self, rundir: RunDir, patterns: Sequence[str] = (), started_at: float = 0.0, resume: bool = True
    ) -> None:
        """`patterns`: those of the output; `started_at` in unix seconds; `resume`: where an earlier look came to."""
        self._rundir = rundir
        known = (rundir.read("series") or {}) if resume else {}
        if known.get("patterns") != list(patterns):
            known = {}
        self._known = known
        self._summing = Summing(known.get("metrics"))
        self._metrics_offset: int = known.get("metrics_offset", 0)
        self._output_offset: int = known.get("output_offset", 0)
        self._patterns = list(patterns)
        self._finder = None
        if patterns:
            from mltrack.collect.output import OutputPoints

            self._finder = OutputPoints(patterns, started_at, known.get("output"))

    def take(self) -> Iterator[Sequence[Point]]:
        """The points that came since the last time, some thousands at once."""
        journal = read_journal(self._rundir.metrics, self._metrics_offset, growing=True)
        while batch := list(islice(journal, BATCH)):
            self._summing.add(batch)
            yield batch
        self._metrics_offset = journal.offset
        for matched in self._in_output():
            self._summing.add(matched.points)
            yield matched.points

    def _in_output(self) -> Iterator[Matched]:
        if self._finder is None:
            return
        from mltrack.live.outputlog import new_records

        while True:
            records, self._output_offset = new_records(self._rundir.output, self._output_offset)
            if not records:
                return
            yield from self._finder.take(records)

    def catch_up(self) -> dict[str, MetricSummary]:
        """What each metric comes to now."""
        for _ in self.take():
            pass
        return self.summaries()

    def summaries(self) -> dict[str, MetricSummary]:
        """What each metric comes to, by the points taken so far."""
        return self._summing.summaries()

    def write_down(self) -> None:
        """Let the next look at the run begin here, where that saves it much."""
        before = self._known.get("metrics_offset", 0) + self._known.get("output_offset", 0)
        if self._metrics_offset + self._output_offset - before < WORTH_KEEPING:
            return
        self._known = {
            "patterns": self._patterns,
            "metrics": self._summing.state(),
            "metrics_offset": self._metrics_offset,
            "output_offset": self._output_offset,
            "output": self._finder.state() if self._finder is not None else None,
        }
        try:
            self._rundir.write("series", self._known)
        except StorageError:
            pass  # it saves time, no more; and the run may just have ended


class Upkeep:
    """Sums up the metrics of a run beside its command, so that whoever looks at it finds little left to read.

    Called again and again; takes at most SHARE of a core, and nothing while there is little that is new.
    """

    def __init__(self, rundir: RunDir, patterns: Sequence[str]) -> None:
        self._rundir = rundir
        self._patterns = patterns
        self._live: LiveMetrics | None = None
        self._not_before = 0.0

    def __call__(self, is_over: Callable[[], bool]) -> None:
        """Read what is new; stop where the run is over, for its end reads all of it anyway."""
        if time.monotonic() < self._not_before or self._size() < WORTH_KEEPING:
            return
        spent = time.thread_time()
        if self._live is None:
            started_at = float((self._rundir.read("process") or {}).get("started_at") or 0.0)
            self._live = LiveMetrics(self._rundir, self._patterns, started_at)
        for _ in self._live.take():
            if is_over():
                return
        self._live.write_down()
        self._not_before = time.monotonic() + (time.thread_time() - spent) / SHARE

    def _size(self) -> int:
        try:
            return self._rundir.metrics.stat().st_size + self._rundir.output.stat().st_size
        except OSError:
            return 0


def live_metrics(project: Project, run: Run, resume: bool = True) -> LiveMetrics:
    """The metrics of a live run, those that its output shows among them. Without `resume` all points are new."""
    from mltrack.live.rundir import RunDir

    rundir = RunDir(project.runs / run.id)
    started_at = float((rundir.read("process") or {}).get("started_at") or 0.0)
    return LiveMetrics(rundir, run.declared.get("stdout", ()), started_at, resume)


def with_metrics(project: Project, run: Run) -> Run:
    """A live run with what its metrics come to now."""
    live = live_metrics(project, run)
    found = live.catch_up()
    live.write_down()
    return replace(run, metrics=found)


def sampled_series(project: Project, run: Run, name: str) -> list[Point]:
    """The samples of a resource (`cpu_percent`, `memory_bytes`, `gpu0.percent` ...); empty where there are none."""
    if run.status == "running":
        from mltrack.formats.samples import read_samples
        from mltrack.live.rundir import RunDir
        from mltrack.operations.observing.sampling import points

        samples = read_samples(RunDir(project.runs / run.id).samples)
        return [point for point in points(samples) if point.name == name]
    if run.resources.series is None:
        return []
    ensure_here(project, [run.resources.series])
    return list(series_points(project.store.read(run.resources.series), name))


def read_series(project: Project, run: Run, name: str, rank: int | None = None) -> list[Point]:
    """The points of a metric, or of a resource, in the order in which they came. Raises NotFound with near names.

    Of several ranks those of `rank`, by default of the first.
    """
    if rank is None and split_rank(name)[1] is not None:
        name, rank = split_rank(name)
    if name not in run.metrics:
        sampled = sampled_series(project, run, name)
        if sampled:
            return sampled
        from difflib import get_close_matches

        near = get_close_matches(name, run.metrics, 3, 0.3) or list(run.metrics)[:5]
        raise NotFound(
            f"{run.id} has no metric {name}.", f"It has: {', '.join(near)}" if near else "It logged no metrics."
        )
    if run.status == "running":
        from mltrack.live.rundir import RunDir

        rundir = RunDir(project.runs / run.id)
        started_at = float((rundir.read("process") or {}).get("started_at") or 0.0)
        found = chain(
            read_journal(rundir.metrics),
            points_of_output(rundir, run.declared.get("stdout", ()), started_at),
        )
        return found_of_rank([point for point in found if point.name == name], run, rank)
    assert run.series is not None, "a run with metrics has a series"
    ensure_here(project, [run.series])
    return found_of_rank(list(series_points(project.store.read(run.series), name)), run, rank)


def read_points(project: Project, run: Run) -> list[Point]:
    """All points of a run that has ended, of every metric and rank, in the order in which they came."""
    if run.series is None:
        return []
    ensure_here(project, [run.series])
    return list(all_points(project.store.read(run.series)))


def found_of_rank(points: list[Point], run: Run, rank: int | None) -> list[Point]:
    """One rank's points. Raises NotFound where that rank has none."""
    found = of_rank(points, rank)
    if not found:
        known = sorted({point.rank or 0 for point in points})
        raise NotFound(f"Rank {rank} of {run.id} logged no such metric.", f"Ranks that did: {known[0]} to {known[-1]}.")
    return found
