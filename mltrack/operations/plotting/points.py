"""The points of a run's metrics and resources as columns of numbers: read in one pass, however many names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.errors import Damaged, DataMissing
from mltrack.formats.ranked import split_rank
from mltrack.formats.series_columns import Columns, columns_of, read_columns
from mltrack.operations.fetch import ensure_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mltrack.formats.metrics import Point
    from mltrack.project import Project
    from mltrack.records import Run


def columns_of_run(
    project: Project, run: Run, names: Sequence[str], wanted: Sequence[str], rank: int | None = None
) -> dict[str, Columns]:
    """Name -> its points in the order logged; a name of which the run has none is left out.

    Names are those of metrics (`loss`, `loss[rank=3]`), else of resources (`cpu_percent`, `gpu0.percent`). `wanted`:
    which columns. Of several ranks those of `rank`, by default of the first that logged the metric. Raises
    DataMissing where the points are not to be had.
    """
    logged = [name for name in names if name in run.metrics]
    sampled = [name for name in names if name not in run.metrics]
    found: dict[str, Columns] = {}
    if logged:
        plain = {name: split_rank(name)[0] for name in logged}
        read = live_columns(project, run) if run.status == "running" else kept(project, run, run.series, plain, wanted)
        for name in logged:
            own = read.get(plain[name])
            chosen = None if own is None else of_rank(own, split_rank(name)[1] if rank is None else rank)
            if chosen is not None and len(chosen):
                found[name] = chosen
    if sampled:
        found |= samples_of_run(project, run, sampled)
    return found


def kept(
    project: Project, run: Run, digest: str | None, names: dict[str, str], wanted: Sequence[str]
) -> dict[str, Columns]:
    """What the store has of some metrics of a run."""
    if digest is None:
        return {}
    ensure_here(project, [digest], of=run)
    try:
        return read_columns(project.store.read(digest), list(dict.fromkeys(names.values())), wanted)
    except ValueError as error:
        raise Damaged(
            f"The points {digest} cannot be read: {error}.", "Run `mltrack verify` to see what else."
        ) from error


def none_here(lost: Sequence[tuple[Run, DataMissing]]) -> DataMissing:
    """The error of runs of which no points are to be had; it names them."""
    runs = [run for run, _ in lost]
    hint = lost[0][1].hint
    if len(runs) == 1 and runs[0].imported is not None:
        return DataMissing(f"{shown_name(runs[0])} was imported without its data.", hint)
    of = shown_name(runs[0]) if len(runs) == 1 else f"these {len(runs):,} runs"
    named = "" if len(runs) == 1 else f": {listed(runs)}"
    return DataMissing(f"The points of {of} are neither here nor on a remote{named}.", hint)


def lost_words(runs: Sequence[Run]) -> str:
    """What is said of runs that are left out because their points are not to be had."""
    return f"Not drawn, for their points are not here: {listed(runs)}."


def listed(runs: Sequence[Run]) -> str:
    """Names of runs, the first few, and how many were imported without their data."""
    shown = ", ".join(shown_name(run) for run in runs[:4]) + (f" and {len(runs) - 4:,} more" if len(runs) > 4 else "")
    many = sum(run.imported is not None for run in runs)
    how = "" if many == len(runs) else f"{many:,} of them "
    return f"{shown} ({how}imported without data)" if many else shown


def shown_name(run: Run) -> str:
    return f"{run.name[:40]} ({run.id[:8]})" if run.name else run.id[:8]


def live_columns(project: Project, run: Run) -> dict[str, Columns]:
    """All metrics of a run that lives, as far as it has come."""
    from mltrack.operations.series import live_metrics

    points: dict[str, list[Point]] = {}
    for batch in live_metrics(project, run, resume=False).take():
        for point in batch:
            points.setdefault(point.name, []).append(point)
    return {name: columns_of(own) for name, own in points.items()}


def samples_of_run(project: Project, run: Run, names: Sequence[str]) -> dict[str, Columns]:
    """What a run used while it ran, by samples: they have times and no steps."""
    from mltrack.operations.series import sampled_series

    if run.status == "running":
        live = {name: sampled_series(project, run, name) for name in names}
        return {name: columns_of(own) for name, own in live.items() if own}
    return kept(project, run, run.resources.series, {name: name for name in names}, ("steps", "values", "times"))


def sampled_names(project: Project, run: Run) -> list[str]:
    """The names of a run's resources, as far as they are here."""
    return list(dict.fromkeys(sampled_in(project, run)))


def sampled_in(project: Project, run: Run) -> Iterator[str]:
    from mltrack.formats.series import all_points

    if run.status == "running":
        from mltrack.formats.samples import read_samples
        from mltrack.live.rundir import RunDir

        for sample in read_samples(RunDir(project.runs / run.id).samples):
            yield from (name for name in sample if name != "t")
    elif run.resources.series is not None and project.store.has(run.resources.series):
        yield from (point.name for point in all_points(project.store.read(run.resources.series)))


def of_rank(columns: Columns, rank: int | None) -> Columns:
    """One rank's points; of None those of the lowest that has any."""
    if columns.ranks is None:
        own = None if not rank else [False] * len(columns)
    else:
        own = columns.ranks == (columns.ranks.min() if rank is None else rank)
    if own is None:
        return columns
    parts = (part[own] if len(part) else part for part in (columns.steps, columns.values, columns.times))
    return Columns(*parts)
