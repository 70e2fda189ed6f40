"""`mltrack compare`: many runs, what differs between them, and what calibrations say of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.operations.find import find_run
from mltrack.operations.seeing.selection import Choice, chosen_runs, split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mltrack.compare.many import Comparison, Row
    from mltrack.compare.noise.intervals import Noted
    from mltrack.operations.request import Tell
    from mltrack.project import Project
    from mltrack.records import Parent, Run

NEWEST = 5
"""Runs that are compared where nobody said which."""

BASELINE = "baseline"
"""A run of this name, or with this tag, is what others are held against."""


def compare(project: Project, choice: Choice, against: str | None, tell: Tell) -> Comparison:
    """The runs that were asked for, compared; of nothing, the newest few. `against`: the run that changes are held
    against, put first where it is not among them; by default the first, see `runs_in_order`.

    Raises NotFound, Ambiguous or UsageError, as `chosen_runs` does.
    """
    base = None if against is None else find_run(project, against)
    is_asked = not choice.is_empty
    runs = runs_in_order(project, choice if is_asked else replace(choice, limit=NEWEST), tell)
    if not is_asked and len(runs) == NEWEST:
        tell(f"these are {NEWEST} of the runs; or give names, or a query")
    if base is not None and all(run.id != base.id for run in runs):
        runs = [base, *runs]
    return compared(project, runs, base)


def runs_in_order(project: Project, choice: Choice, tell: Tell) -> list[Run]:
    """The runs of `chosen_runs`, in the order in which they are told: the first is what others are held against.

    Named runs stand as they were named, and before all others. What a query found stands by its `--sort`, if there was
    one; else the run called or tagged `baseline` is first, and the oldest next, so that a change is what came of it.
    """
    runs = chosen_runs(project, choice, tell)
    if choice.sort:
        return runs
    named = {run.id for run in split(project, choice.words)[0]}
    first = [run for run in runs if run.id in named]
    found = sorted((run for run in runs if run.id not in named), key=lambda run: (run.created_at, run.id))
    base = None if first else baseline_of(found)
    return [*first, *found] if base is None else [base, *(run for run in found if run.id != base.id)]


def baseline_of(runs: Sequence[Run]) -> Run | None:
    """The newest run that is called `baseline`, else the newest with that tag; `runs` have the oldest first."""
    called = [run for run in runs if run.name == BASELINE] or [run for run in runs if BASELINE in run.tags]
    return called[-1] if called else None


def rows_asked(
    comparison: Comparison, columns: Sequence[str], metrics: Sequence[str], every: bool
) -> Sequence[Row] | None:
    """The rows that are to be shown: those of some fields and metrics, all, or None for those that differ.

    Raises UsageError for a name that none of the runs has.
    """
    from mltrack.compare.picking import picked
    from mltrack.ledger.language.fields import ALIASES

    if columns or metrics:
        return picked(comparison, [ALIASES.get(name, name) for name in columns], metrics)
    return comparison.rows if every else None


def compared(project: Project, runs: Sequence[Run], base: Run | None = None) -> Comparison:
    """Some runs compared: with their packages, the project's goals and what calibrations say. `base` is one of them."""
    from mltrack.compare.many import compare_runs, with_noise

    place = 0 if base is None else [run.id for run in runs].index(base.id)
    comparison = compare_runs(with_packages(project, runs), place, project.config.goals)
    return with_noise(comparison, noise_of(project, comparison))


def with_packages(project: Project, runs: Sequence[Run]) -> list[Run]:
    """Runs with their packages, which a list comes without: one run of each environment is read again."""
    known: dict[str, Mapping[str, str]] = {}
    found = []
    for run in runs:
        seen = run.environment
        key = seen.digest or run.id
        if key not in known:
            known[key] = seen.packages or find_run(project, run.id).environment.packages
        found.append(run if seen.packages else replace(run, environment=replace(seen, packages=known[key])))
    return found


def noise_of(project: Project, comparison: Comparison) -> dict[int, dict[str, Noted]]:
    """Place of a run -> metric -> what a calibration of it, of the baseline, or of one that they repeat says of it."""
    from mltrack.compare.noise.intervals import between
    from mltrack.operations.judging.judging import repeated_by

    origins: dict[Parent | None, Run | None] = {None: None}

    def origin(run: Run) -> Run | None:
        if run.parent not in origins:
            origins[run.parent] = repeated_by(project, run)
        return origins[run.parent]

    base = comparison.runs[comparison.baseline]
    found = {}
    for place, run in enumerate(comparison.runs):
        repeated = [one for one in (origin(base), origin(run)) if one is not None]
        if place != comparison.baseline and any(one.calibrations for one in (base, run, *repeated)):
            found[place] = between(base, run, repeated)
    return found
