"""A name on the command line -> a run; lists of runs, the living among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.digest import plain
from mltrack.errors import Ambiguous, NotFound
from mltrack.noun_json import to_dict
from mltrack.operations.running.reconcile import reconcile
from mltrack.operations.series import with_metrics

if TYPE_CHECKING:
    from mltrack.ledger.queries import RunQuery
    from mltrack.project import Project
    from mltrack.records import Run


def find_run(project: Project, ref: str) -> Run:
    """The run that `ref` names: an id, a name, a tag, a unique prefix, `@`. Raises NotFound or Ambiguous."""
    live = reconcile(project)
    try:
        run_id = project.ledger.resolve(ref, [(run.id, run.name, run.created_at) for run in live])
    except NotFound as error:
        hidden = [one for one in project.ledger.deleted_ids() if one.startswith(ref.lower())]
        if len(hidden) != 1 or isinstance(error, Ambiguous):
            raise
        raise NotFound(f"The run {hidden[0]} is hidden.", f"Bring it back: mltrack restore {hidden[0]}") from error
    found = next((run for run in live if run.id == run_id), None)
    return with_metrics(project, found) if found is not None else project.ledger.get(run_id)


def list_runs(project: Project, query: RunQuery) -> list[Run]:
    """The runs that fit, live ones first when the order is by time."""
    live = [with_metrics(project, run) for run in reconcile(project) if fits(run, query)]
    found = project.ledger.list(query)
    runs = [*live, *found] if query.sort in ("", "-created_at") else [*found, *live]
    runs = [replace(run, environment=replace(run.environment, packages={})) for run in runs] if live else runs
    return runs[: query.limit] if query.limit is not None else runs


def list_documents(project: Project, query: RunQuery) -> list[dict[str, Any]]:
    """The same as the machine interface's JSON values, which for many runs is several times faster."""
    live = [plain(to_dict(with_metrics(project, run))) for run in reconcile(project) if fits(run, query)]
    for document in live:
        del document["environment"]["packages"]
    found = project.ledger.documents(query)
    if query.include_deleted:
        hidden = project.ledger.deleted_ids()
        for document in found:
            document["hidden"] = document["id"] in hidden
    runs = [*live, *found] if query.sort in ("", "-created_at") else [*found, *live]
    return runs[: query.limit] if query.limit is not None else runs


def fits(run: Run, query: RunQuery) -> bool:
    return (
        (query.experiment is None or run.experiment == query.experiment)
        and (query.status is None or run.status == query.status)
        and all(tag in run.tags for tag in query.tags)
    )
