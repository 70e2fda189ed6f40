"""`mltrack env lock`: hashes for a run whose lock was made without asking an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.operations.env.look import Locked, locked_of
from mltrack.operations.env.seen import Seen, Which, looked_at
from mltrack.operations.request import Tell, silent

if TYPE_CHECKING:
    from mltrack.environments import Package
    from mltrack.records import Warning


@noun
class Completed:
    """A run's lock before and after."""

    run: str
    lockfile: str | None
    before: Locked
    after: Locked
    missing: tuple[str, ...]
    """Packages that are still not certain to be had again."""
    warnings: tuple[Warning, ...] = ()


def complete(start: Path, ref: str, tell: Tell = silent) -> Completed:
    """Ask the indexes for what the lock of a run lacks, and keep the better lock beside the record.

    Raises NotFound, EnvironmentFailed where nobody can be asked.
    """
    from mltrack.operations.env.carry import complete_lock
    from mltrack.operations.find import find_run
    from mltrack.project import Project

    with looked_at(Which(start, ref), tell) as seen:
        before, _ = state_of(seen)
    with Project.get(start) as project:
        run = find_run(project, ref)
        carried = complete_lock(project, run, tell)
    with looked_at(Which(start, run.id), tell) as seen:
        after, packages = state_of(seen)
    missing = tuple(one.name for one in packages if one.problem is not None)
    return Completed(run.id, carried.digest, before, after, missing, carried.warnings)


def state_of(seen: Seen) -> tuple[Locked, tuple[Package, ...]]:
    packages = seen.packages
    return locked_of(seen, packages), packages
