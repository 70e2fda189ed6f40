"""`mltrack verify`: derive every digest again and say what no longer holds, and which runs it touches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mltrack.ledger.queries import RunQuery
from mltrack.nouns import noun
from mltrack.operations.objects import directories_of, named_objects

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run


@noun
class Problem:
    """Something that does not hold. `run` and `path` say what it touches, where that is known."""

    kind: str
    message: str
    digest: str | None = None
    run: str | None = None
    path: str | None = None


def verify(project: Project) -> list[Problem]:
    """Check the store's bytes, the ledger's records, and that every record finds what it names.

    Data of a run from elsewhere that was not fetched is no problem: `not_fetched` counts such runs.
    """
    damages = list(project.store.check())
    damaged: dict[str, str] = {}
    for item in damages:
        damaged.setdefault(item.digest or "", item.message)  # the first says most
    damaged.pop("", None)
    problems = [Problem("record", sentence) for sentence in project.ledger.check()]
    touched: set[str] = set()
    for run in project.ledger.list(RunQuery(include_deleted=True)):
        from_here = run.origin.get("replica") == project.ledger.replica
        for problem in check_run(project, run, damaged):
            touched.add(problem.digest or "")
            if from_here or problem.kind == "damaged":
                problems.append(problem)
    project.store.forget(damages)
    problems += [Problem("damaged", message, digest) for digest, message in damaged.items() if digest not in touched]
    return problems


def not_fetched(project: Project) -> int:
    """How many runs from elsewhere have data that is not here."""
    runs = project.ledger.list(RunQuery())
    return sum(1 for run in runs if project.store.missing([digest for _, digest in named_objects(run)]))


def check_run(project: Project, run: Run, damaged: dict[str, str]) -> Iterator[Problem]:
    """What of a record's objects is missing or damaged."""
    for name, digest in all_objects(project, run):
        if project.store.missing([digest]):
            yield Problem("missing", f"{name} of {run.id} is not in the store.", digest, run.id, name)
            continue
        bad = next((part for part in parts_of(project, digest) if part in damaged), None)
        if bad is not None:
            yield Problem("damaged", f"{name} of {run.id} is damaged: {damaged[bad]}", bad, run.id, name)


def parts_of(project: Project, digest: str) -> list[str]:
    """The object itself and the chunks that it is made of."""
    from mltrack.digest import from_raw

    return [digest, *(from_raw(raw) for _, raw in project.store.entries(digest))]


def all_objects(project: Project, run: Run) -> Iterator[tuple[str, str]]:
    """The objects of a record, with the files inside its directories."""
    import os

    from mltrack.errors import DataMissing
    from mltrack.store.checkout import manifest_of

    trees = set(directories_of(run))
    for name, digest in named_objects(run):
        yield name, digest
        if digest in trees:
            try:
                entries = manifest_of(project.store, digest)
            except DataMissing:
                continue  # said by the caller: the manifest itself is missing or damaged
            yield from (
                (f"{name}/{os.fsdecode(entry.path)}", entry.digest) for entry in entries if entry.digest is not None
            )
