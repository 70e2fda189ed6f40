"""`mltrack verdict`: two runs judged again, by today's rules and calibrations; nothing is run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.compare.verdict.conditions import conditions
from mltrack.compare.verdict.judge import OUTCOME
from mltrack.digest import plain
from mltrack.errors import CheckFailed, NotFound, UsageError
from mltrack.noun_json import to_dict
from mltrack.nouns import noun
from mltrack.operations.find import find_run
from mltrack.operations.judging.judging import judged_run, keep_verdict
from mltrack.records import Run
from mltrack.verdicts import Condition, Verdict

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.project import Project

REPEATING = ("reproduce", "rerun", "calibrate")
"""Kinds of parents that a run is compared with."""


@noun
class Judged:
    """What `verdict` came to."""

    then: Run
    now: Run
    verdict: Verdict
    before: str | None
    """The grade of the verdict that the run had, if this one is kept in its place."""
    is_kept: bool


def judge_again(project: Project, ref: str, against: str | None = None) -> Judged:
    """The verdict on a run: against the one that it repeats, and kept if it came out otherwise; or against any other,
    which is not kept. Raises NotFound, Ambiguous, UsageError, CheckFailed."""
    now = ended(find_run(project, ref))
    then = ended(find_run(project, against)) if against is not None else repeated(project, now)
    if against is not None:
        return Judged(then, now, judged_run(project, then, now), None, False)
    verdict = judged_run(project, then, now, only_seen_then(then, now))
    old = now.verdict
    if old is not None and old.cause and verdict.cause and old.cause.startswith(verdict.cause):
        verdict = replace(verdict, cause=old.cause)  # with the last words of a command that failed
    if old is not None and plain(to_dict(old)) == plain(to_dict(verdict)):
        return Judged(then, now, verdict, None, False)
    return Judged(then, keep_verdict(project, now, verdict), verdict, old.grade if old else None, True)


def with_verdicts(query: RunQuery) -> RunQuery:
    """The same query, for runs that have a verdict."""
    from mltrack.ledger.language.parser import parse
    from mltrack.ledger.language.tree import Every

    judged = parse("verdict is not null")
    return replace(query, where=judged if query.where is None else Every((query.where, judged)))


def ended(run: Run) -> Run:
    if run.status == "running":
        raise CheckFailed(f"{run.id} is still running.", "Ask for its verdict when it has ended.")
    return run


def repeated(project: Project, run: Run) -> Run:
    """The run that this one repeats. Raises UsageError where it repeats none, NotFound where that is not here."""
    if run.parent is None or run.parent.kind not in REPEATING:
        raise UsageError(
            f"{run.id} repeats no other run.",
            f"Name the one to compare it with: mltrack verdict {run.id} --against RUN",
        )
    try:
        return project.ledger.get(run.parent.run)
    except NotFound as error:
        raise NotFound(
            f"The run {run.parent.run}, which {run.id} repeats, is not here.", "Pull it from a remote: mltrack pull."
        ) from error


def only_seen_then(then: Run, now: Run) -> list[Condition]:
    """Circumstances that were seen when the run was made, and that its record does not hold."""
    known = {item.what for item in conditions(then, now)}
    old = now.verdict.conditions if now.verdict is not None else ()
    return [item for item in old if item.what not in known and item.what not in OUTCOME]
