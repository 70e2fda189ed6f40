"""`mltrack log`: the output of a run, whole or its last lines, now or as it grows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from mltrack.errors import NotFound
from mltrack.live.outputlog import GAP, LogLine, read_log
from mltrack.nouns import noun
from mltrack.operations.fetch import ensure_here
from mltrack.operations.find import find_run
from mltrack.operations.running.reconcile import ALIVE, UNKNOWN, life_of

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.live.rundir import RunDir
    from mltrack.project import Project
    from mltrack.records import Log, Run

POLL_S = 0.2
JUDGE_S = 1.0
"""Seconds between two questions whether a silent run still lives: each takes its lock for a moment."""
BLOCK = 1 << 16


@noun
class Part:
    """What is wanted of a run's output."""

    follow: bool = False
    """Go on until the run ends."""
    lines: int | None = None
    """Only so many of the last lines that are there already; None for all."""
    stream: str | None = None
    """Only this one, `o` or `e`."""
    rank: int | None = None
    """What one process of several wrote, where a log of that is kept."""


def read_output(project: Project, ref: str, part: Part) -> Iterator[LogLine]:
    """The records of a run's output. Where only its last lines are wanted, states that were drawn over are left out."""
    run = find_run(project, ref)
    if run.status == "running":
        from mltrack.live.rundir import RunDir

        rundir = RunDir(project.runs / run.id)
        try:
            with open(rundir.output if part.rank is None else rank_log(rundir, run, part.rank), "rb") as file:
                yield from wanted(read_log(blocks(file, whole_size(file))), part)
                if part.follow:
                    yield from chosen(read_log(growing(file, rundir)), part.stream)
            return
        except FileNotFoundError:
            run = find_run(project, run.id)  # it has ended in this moment
    log = run.log if part.rank is None else log_of_rank(run, part.rank)
    if log is not None:
        ensure_here(project, [log.digest], of=run)
        yield from wanted(read_log(project.store.read(log.digest)), part)


def rank_log(rundir: RunDir, run: Run, rank: int) -> Path:
    """Where the keeper of a live run writes what a rank writes. Raises NotFound where there is nothing yet."""
    log_of_rank(run, rank)
    place = rundir.path / "ranks" / f"{rank}.log"
    if rundir.path.exists() and not place.exists():
        raise NotFound(f"Rank {rank} has written nothing yet.", f"See the whole output: mltrack log {run.id}")
    return place


def log_of_rank(run: Run, rank: int) -> Log | None:
    """The log of a rank; None where it wrote nothing. Raises NotFound when the run has no such rank."""
    found = [item for item in run.ranks if item.rank == rank]
    if not found:
        known = f"It has the ranks {run.ranks[0].rank} to {run.ranks[-1].rank}." if run.ranks else "It has no ranks."
        raise NotFound(f"{run.id} has no rank {rank}.", known)
    return found[0].log


def wanted(records: Iterable[LogLine], part: Part) -> Iterable[LogLine]:
    """Of the records that are there, those that are asked for."""
    records = chosen(records, part.stream)
    return records if part.lines is None else last_lines(records, part.lines)


def chosen(records: Iterable[LogLine], stream: str | None) -> Iterator[LogLine]:
    """The records of one stream, or all."""
    return (record for record in records if stream in (None, record.stream) or record.stream == GAP)


def whole_size(file: BinaryIO) -> int:
    """The bytes of a growing log up to its last whole record."""
    size = file.seek(0, os.SEEK_END)
    while size > 0:
        start = max(0, size - BLOCK)
        file.seek(start)
        end = file.read(size - start).rfind(b"\n")
        if end >= 0:
            return start + end + 1
        size = start
    return 0


def blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file."""
    file.seek(0)
    while size > 0 and (block := file.read(min(BLOCK, size))):
        size -= len(block)
        yield block


def growing(file: BinaryIO, rundir: RunDir) -> Iterator[bytes]:
    """What comes to a live run's log, in blocks, until the run ends."""
    asked = time.monotonic()
    while True:
        block = file.read(BLOCK)
        if block:
            yield block
            continue
        is_due = time.monotonic() - asked >= JUDGE_S
        if has_ended(rundir, is_due):
            yield file.read()
            return
        if is_due:
            asked = time.monotonic()
        time.sleep(POLL_S)


def has_ended(rundir: RunDir, may_ask: bool) -> bool:
    """Has the run ended? One on another machine ends for us when its directory goes."""
    return not rundir.path.exists() or (may_ask and life_of(rundir) not in (ALIVE, UNKNOWN))


def last_lines(records: Iterable[LogLine], count: int) -> list[LogLine]:
    """The records of the last `count` lines, as a terminal would show them: of a progress bar its last state."""
    from collections import deque

    lines: deque[list[LogLine]] = deque(maxlen=count)
    unfinished: dict[str, list[LogLine]] = {}
    for record in records:
        line = unfinished.get(record.stream)
        if line is None:
            line = []
            lines.append(line)
        elif line and line[-1].data.endswith(b"\r"):
            line.clear()
        line.append(record)
        unfinished[record.stream] = line
        if record.ends:
            del unfinished[record.stream]
    return [record for line in lines for record in line]
