"""Many past runs again, one after another: which ones, and how each went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError, NotFound, StorageError, UsageError
from mltrack.ledger.asking.choosing import REPETITION, hides_repetitions
from mltrack.nouns import noun
from mltrack.operations.find import find_run, list_runs
from mltrack.operations.repeating.rerun import rerun
from mltrack.records import Run

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.request import RunRequest, Tell
    from mltrack.project import Project

REPEATS = ("rerun", "reproduce", REPETITION)
"""What a run is to one that it repeats."""


@noun
class Chosen:
    """What is to be run again, the oldest first, and what cannot be yet."""

    runs: tuple[Run, ...]
    running: tuple[Run, ...] = ()
    """Left out: they have not ended."""
    repeats: tuple[Run, ...] = ()
    """Left out: they repeat others of these."""


@noun
class Again:
    """How one of them went."""

    then: Run
    now: Run | None = None
    """None where the command was not started."""
    error: str | None = None
    is_interrupted: bool = False
    """Somebody asked it to end, even if it then ended well."""

    @property
    def is_well(self) -> bool:
        """Did the command end with 0?"""
        return self.now is not None and self.now.status == "finished"


def choose(project: Project, refs: Sequence[str], query: RunQuery | None = None) -> Chosen:
    """The runs of these names, or those that fit a query, each once.

    Of those that fit, one that repeats another is left out, or asking twice would run all twice as often; a query that
    names what a run is the child of has them. Raises NotFound where there is none, Ambiguous, UsageError.
    """
    found = (
        [find_run(project, ref) for ref in refs] if query is None else list_runs(project, replace(query, limit=None))
    )
    runs = sorted({run.id: run for run in found}.values(), key=lambda run: (run.created_at, run.id))
    repeats: tuple[Run, ...] = ()
    if query is not None:
        if hides_repetitions(query):
            repeats = repeating(project, runs)
        runs = [run for run in runs if run not in repeats][-(query.limit or len(runs)) :]
    ended = tuple(run for run in runs if run.status != "running")
    if not ended:
        what = "No run fits that has ended." if runs else "No run fits."
        raise NotFound(what, "See which there are: mltrack ls QUERY")
    return Chosen(ended, tuple(run for run in runs if run.status == "running"), repeats)


def repeating(project: Project, runs: Sequence[Run]) -> tuple[Run, ...]:
    """Those that repeat another of these, also by way of runs that are not among them."""
    known = {run.id: run for run in runs}
    among = frozenset(known)

    def goes_back(run: Run) -> bool:
        seen = {run.id}
        while run.parent is not None and run.parent.kind in REPEATS and run.parent.run not in seen:
            if run.parent.run in among:
                return True
            above = run.parent.run
            seen.add(above)
            try:
                run = known[above] = known.get(above) or project.ledger.get(above)
            except NotFound:
                return False
        return False

    return tuple(run for run in runs if goes_back(run))


def rerun_many(
    project: Project, runs: Sequence[Run], options: RunRequest, begun: Callable[[int, Run], None], tell: Tell
) -> Iterator[Again]:
    """Run each again; what one came to is given when it has ended. `begun` is told the number of each, from 0.

    One that cannot be started stops no other. Raises UsageError for options that only one run can have, StorageError
    when nothing more can be recorded.
    """
    if options.name is not None:
        raise UsageError("--name is for one run.", "Leave it away: each takes the name of the one that it repeats.")
    interrupts: list[int] = []
    for number, run in enumerate(runs):
        begun(number, run)
        asked = replace(options, when_interrupted=partial(interrupts.append, number))
        try:
            now = rerun(project, run.id, asked, tell)
            yield Again(run, now, is_interrupted=number in interrupts or now.status == "interrupted")
        except StorageError:
            raise
        except MltrackError as error:
            yield Again(run, error=error.message)
