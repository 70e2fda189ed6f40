"""`mltrack diff`: every difference between two runs; of the code file names and a patch, of the data what is inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, MltrackError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mltrack.compare.differences import Differences
    from mltrack.operations.seeing.data_differences import DataDifferences
    from mltrack.project import Project
    from mltrack.records import Run

    Series = Mapping[str, Sequence[float]]


@noun
class DataLimits:
    """How much of the data is looked at."""

    table_bytes: int = 8 << 20
    """Larger tables are left out."""
    tables: int = 20
    seconds: float = 1.0
    """For all tables together."""


EVERYTHING = DataLimits(1 << 60, 1 << 60, 1e9)


@noun
class Wanted:
    """What of a comparison costs time, and is asked for."""

    code: bool = True
    data: DataLimits | None = field(default_factory=DataLimits)
    series: int = 0
    """Of how many metrics, the first, the points are to be read where they are here."""


@noun
class Compared:
    """Two runs, what differs, and the points of metrics that differ: metric -> values, for each run."""

    a: Run
    b: Run
    differences: Differences
    series: tuple[Series, Series]


def compare(project: Project, ref_a: str, ref_b: str, wanted: Wanted) -> Compared:
    """Both runs and what differs. Raises DataMissing where the code is asked for and not to be had."""
    from mltrack.compare.differences import diff_runs
    from mltrack.operations.find import find_run

    a, b = find_run(project, ref_a), find_run(project, ref_b)
    found = with_goals(project, with_noise(project, a, b, with_packages(project, a, b, diff_runs(a, b))))
    found = with_contents(project, a, b, found, wanted)
    return Compared(a, b, found, series_of(project, found, (a, b), wanted.series))


def with_contents(project: Project, a: Run, b: Run, found: Differences, wanted: Wanted) -> Differences:
    """The differences with the code's files and patch, and what changed inside of data. Raises DataMissing."""
    has_code = wanted.code and differ_in_code(a, b)
    has_data = wanted.data is not None and bool(found.inputs or found.artifacts)
    looker = None
    if wanted.data is not None and (has_code or has_data):
        from mltrack.operations.seeing.data_differences import DataDifferences

        looker = DataDifferences(project, wanted.data)
    if has_code:
        found = with_code(project, found, (a, b), looker)
    return replace(found, data=looker.of(found)) if looker is not None and has_data else found


def series_of(project: Project, found: Differences, runs: tuple[Run, Run], most: int) -> tuple[Series, Series]:
    """The points of the first metrics that differ, as far as they are here."""
    names = [change.what for change in found.metrics[:most]]
    if not names:
        return {}, {}
    from mltrack.operations.seeing.known_series import known_series

    return known_series(project, runs[0], names), known_series(project, runs[1], names)


def diff(project: Project, ref_a: str, ref_b: str) -> tuple[Run, Run, Differences]:
    """Both runs and what differs, with the code's file names and patch, and what changed inside of the data."""
    found = compare(project, ref_a, ref_b, Wanted())
    return found.a, found.b, found.differences


def differ_in_code(a: Run, b: Run) -> bool:
    """Are there two trees, and not one?"""
    return a.code.tree != b.code.tree and a.code.tree is not None and b.code.tree is not None


def with_goals(project: Project, found: Differences) -> Differences:
    """The differences with which way each metric is better, as far as that is told or can be guessed."""
    from mltrack.compare.goals import goal_of

    known = {change.what: goal_of(change.what, project.config.goals) for change in found.metrics}
    return replace(found, goals={name: goal for name, goal in known.items() if goal is not None})


def with_noise(project: Project, a: Run, b: Run, found: Differences) -> Differences:
    """The differences with what a calibration of either run, or of one that it repeats, says of the metrics."""
    from mltrack.compare.noise.intervals import between
    from mltrack.operations.judging.judging import repeated_by

    if not found.metrics:
        return found
    repeated = [run for run in (repeated_by(project, a), repeated_by(project, b)) if run is not None]
    return replace(found, noise=between(a, b, repeated))


def with_packages(project: Project, a: Run, b: Run, found: Differences) -> Differences:
    """The differences with what two locks say of packages of one version, where both locks can be read."""
    from mltrack.compare.differences import explain_lock
    from mltrack.compare.packages import of_packages
    from mltrack.environments import get, packages
    from mltrack.operations.env.kinds import recorded

    if a.environment.kind != b.environment.kind or all(change.what != "lockfile" for change in found.environment):
        return found
    try:
        kind = get(a.environment.kind)
        with recorded(project, a) as first, recorded(project, b) as second:
            changes = of_packages(packages(kind, first), packages(kind, second))
    except MltrackError:
        return found
    return explain_lock(found, changes, a.environment.digest == b.environment.digest)


def with_code(
    project: Project, found: Differences, runs: tuple[Run, Run], looker: DataDifferences | None
) -> Differences:
    """The differences with names and patch between the trees of two runs, from the objects in the store alone; and,
    where there is one who looks, with the data among them."""
    from mltrack.compare.differences import CodeChange
    from mltrack.git.patch import compare_trees

    a, b = (str(run.code.tree) for run in runs)
    with opened_trees(project, *runs) as (git_dir, _):
        files, patch = compare_trees(git_dir, a, b)
        tracked = None
        if looker is not None:
            from mltrack.operations.seeing.tracked_data import tracked_data

            tracked = tracked_data(looker, git_dir, runs, files)
    names = [one.path if one.before is None else f"{one.before} -> {one.path}" for one in files]
    changes = tuple(CodeChange(one.status, name, one.added, one.removed) for one, name in zip(files, names))
    return replace(found, code_files=changes, patch=patch, tracked=tracked)


def open_tool(project: Project, ref_a: str, ref_b: str, tool: str | None) -> int | None:
    """Show the code of two runs in the user's difftool and wait for it; its exit code, None where the code is the same.

    `tool`: its name, None for what git is configured to use.
    """
    from mltrack.git.difftool import show_trees
    from mltrack.operations.find import find_run

    a, b = find_run(project, ref_a), find_run(project, ref_b)
    if not differ_in_code(a, b):
        return None
    with opened_trees(project, a, b) as (git_dir, scratch):
        return show_trees(git_dir, scratch, (str(a.code.tree), str(b.code.tree)), tool, project.root)


@contextmanager
def opened_trees(project: Project, a: Run, b: Run) -> Iterator[tuple[Path, Path]]:
    """A git directory with the trees of two runs, and a directory for whatever is needed beside it; gone afterwards.

    Raises DataMissing where the code of one of them is not to be had, or cannot be read.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from mltrack.operations.fetch import ensure_here
    from mltrack.snapshot.code import open_trees, scratch_place

    try:
        ensure_here(project, [*a.code.packs, *b.code.packs])
    except DataMissing as error:
        raise DataMissing(f"The code of {a.id} or {b.id} is not here: {error}", error.hint) from error
    with TemporaryDirectory(dir=scratch_place(project.store)) as scratch:
        git_dir = open_trees([a.code, b.code], project.store, Path(scratch))
        try:
            yield git_dir, Path(scratch)
        except DataMissing:
            raise
        except MltrackError as error:
            raise DataMissing(
                f"The code of {a.id} and {b.id} cannot be compared: {error}", "Try: mltrack verify"
            ) from error
