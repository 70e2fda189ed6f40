"""A name on the command line -> a run; lists of runs, the living among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mltrack.digest import plain
from mltrack.errors import Ambiguous, NotFound
from mltrack.noun_json import to_dict
from mltrack.operations.running.reconcile import reconcile
from mltrack.operations.series import with_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.request import Tell
    from mltrack.project import Project
    from mltrack.records import Run

T = TypeVar("T")

FEW = 100
"""As many runs or fewer are read at once."""


def find_run(project: Project, ref: str) -> Run:
    """The run that `ref` names: an id, a name, a tag, a unique prefix, `@`. Raises NotFound or Ambiguous."""
    live = reconcile(project)
    try:
        named = [run for run in live if not (ref.startswith("@") and is_repetition(run))]
        run_id = project.ledger.resolve(ref, [(run.id, run.name, run.created_at) for run in named])
    except NotFound as error:
        hidden = [one for one in project.ledger.deleted_ids() if one.startswith(ref.lower())]
        if len(hidden) != 1 or isinstance(error, Ambiguous):
            raise
        raise NotFound(f"The run {hidden[0]} is hidden.", f"Bring it back: mltrack restore {hidden[0]}") from error
    found = next((run for run in live if run.id == run_id), None)
    return with_metrics(project, found) if found is not None else project.ledger.get(run_id)


def newest_ids(project: Project, count: int, tell: Tell) -> list[str]:
    """The ids of the newest runs that were created in this checkout, the newest first; where there are fewer, as in a
    copied project, of all runs, which is told. Raises NotFound where there are fewer even so."""
    from mltrack.ledger.asking.queries import RunQuery

    try:
        return [find_run(project, f"@~{back}" if back else "@").id for back in range(count)]
    except NotFound:
        found = [run.id for run in list_runs(project, RunQuery(count, brief=True))]
        if len(found) < count:
            raise
        ids = " and ".join(found)
        tell(f"this checkout has not created {'a run' if count == 1 else f'{count} runs'}: taking the newest, {ids}")
        return found


def is_repetition(run: Run) -> bool:
    """Does it only measure the noise of another run?"""
    from mltrack.ledger.asking.choosing import REPETITION

    return run.parent is not None and run.parent.kind == REPETITION


def list_runs(project: Project, query: RunQuery) -> list[Run]:
    """The runs that fit, live ones first when the order is by time."""
    live = [run for run in alive(project) if fits(run, query)]
    if query.without_packages:
        live = [replace(run, environment=replace(run.environment, packages={})) for run in live]
    return joined(live, project.ledger.list(query), query)


def list_documents(project: Project, query: RunQuery) -> list[dict[str, Any]]:
    """The same as the machine interface's JSON values, which for many runs is several times faster."""
    return list(each_document(project, query))


def each_document(project: Project, query: RunQuery) -> Iterator[dict[str, Any]]:
    """The same one after another: however many there are, only some are in memory."""
    live = [plain(to_dict(run)) for run in alive(project) if fits(run, query)]
    if query.without_packages:
        for document in live:
            del document["environment"]["packages"]
    is_live_first = query.sort in ("", "-created_at", "-created")
    hidden = project.ledger.deleted_ids() if query.include_deleted else None
    room = query.limit
    for group in (live, None) if is_live_first else (None, live):
        for document in each_ended(project, replace(query, limit=room)) if group is None else group:
            if room is not None:
                if room <= 0:
                    return
                room -= 1
            if hidden is not None and group is None:
                document["hidden"] = document["id"] in hidden
            yield document


def each_ended(project: Project, query: RunQuery) -> Iterator[dict[str, Any]]:
    """Those that are in the ledger; a few are read at once, as there are few."""
    if query.limit is not None and query.limit <= FEW:
        return iter(project.ledger.documents(query))
    from mltrack.ledger.asking.walking import each_document as each_in

    return each_in(project.ledger, query)


def alive(project: Project) -> list[Run]:
    """The runs that have no record yet, with what they have logged, newest first."""
    return [with_metrics(project, run) for run in reconcile(project)]


def joined(live: list[T], found: list[T], query: RunQuery) -> list[T]:
    """Live and ended runs as one list."""
    runs = [*live, *found] if query.sort in ("", "-created_at", "-created") else [*found, *live]
    return runs[: query.limit] if query.limit is not None else runs


def fits(run: Run, query: RunQuery) -> bool:
    """Does a run that is still alive belong into the list?"""
    from mltrack.ledger.asking.choosing import hides_repetitions

    if is_repetition(run) and hides_repetitions(query):
        return False
    if query.where is not None:
        from mltrack.ledger.language.evaluate import fits as holds

        if not holds(query.where, plain(to_dict(run))):
            return False
    return (
        (query.experiment is None or run.experiment == query.experiment)
        and (query.status is None or run.status == query.status)
        and all(tag in run.tags for tag in query.tags)
    )
