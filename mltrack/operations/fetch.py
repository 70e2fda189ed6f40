"""Bring objects here from the project's remotes when they are needed and missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, DataMissing, RemoteError
from mltrack.operations.request import Tell, silent

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run


WITHOUT_DATA = "Its record was imported without its data: mltrack pull --data, or push from where it was made."


def ensure_here(
    project: Project,
    digests: Sequence[str],
    tell: Tell = silent,
    directories: Iterable[str] = (),
    of: Run | None = None,
) -> None:
    """Every digest is in the local store when this returns, and for those in `directories` all that they list.

    Raises DataMissing with how many are not to be had; where `of` is the run they belong to, also why.
    """
    try:
        bring_all(project, digests, directories)
    except DataMissing as error:
        if of is None or of.imported is None or isinstance(error, Damaged):
            raise
        raise DataMissing(error.message, WITHOUT_DATA) from error


def bring_all(project: Project, digests: Sequence[str], directories: Iterable[str]) -> None:
    from mltrack.store.checkout import manifest_of

    bring(project, digests)
    wanted = set(digests)
    inside = {
        entry.digest
        for tree in directories
        if tree in wanted
        for entry in manifest_of(project.store, tree)
        if entry.digest is not None
    }
    bring(project, sorted(inside))


def bring(project: Project, digests: Sequence[str]) -> None:
    """Fetch what is missing of some objects, from one remote after the other."""
    missing = project.store.missing(digests)
    failures: list[str] = []
    for name in project.config.remotes if missing else ():
        from mltrack.sync.fetch import fetch_objects

        try:
            fetch_objects(project.remote(name), project.store, sorted(missing))
        except (Damaged, RemoteError) as error:
            failures.append(str(error))
        except DataMissing:  # which names digests only
            failures.append(f"the remote {name} does not have {'all of them' if len(missing) > 1 else 'it'}.")
        missing = project.store.missing(digests)
        if not missing:
            return
    if missing:
        many = f"{len(missing)} objects are" if len(missing) > 1 else "An object is"
        tried = (
            f"Tried: {'; '.join(failures)}" if failures else "There is no remote to fetch it from: mltrack remote add."
        )
        raise DataMissing(f"{many} neither here nor on a remote.", tried)
