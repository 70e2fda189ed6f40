"""What a remote is to carry so that a run's environment needs nothing else: hashes, wheels, images.

Put together late, when somebody asks for it; the store keeps it, and an event names it to the run.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mltrack.errors import MltrackError, UsageError
from mltrack.nouns import noun
from mltrack.operations.env.kinds import keep_tree, lock_of, recorded
from mltrack.operations.request import Tell, silent
from mltrack.records import Warning, new_id

if TYPE_CHECKING:
    from mltrack.environments import Gathered, Recorded
    from mltrack.project import Project
    from mltrack.records import Run

WHEELS, IMAGE = "wheels", "image"


@noun
class Carried:
    """What became of one run's environment."""

    run: str
    what: str
    digest: str | None
    """Of the manifest that names the files; None where there is no such thing, or it could not be had."""
    files: int = 0
    size_bytes: int = 0
    warnings: tuple[Warning, ...] = ()


def carry(project: Project, runs: Sequence[Run], whats: Sequence[str], tell: Tell = silent) -> list[Carried]:
    """Put together what is asked for and not kept yet, once for each environment. What cannot be had is a warning."""
    done: list[Carried] = []
    known: dict[tuple[str, str], dict[str, str]] = {}
    for what in whats:
        for run in runs:
            if is_kept(project, run, what) or not can_carry(run, what):
                continue
            key = (what, lock_of(run) or run.environment.digest or run.id)
            if key in known:
                project.ledger.add_event("environment", run.id, known[key])
                continue
            result, value = carry_one(project, run, what, tell)
            done.append(result)
            if value:
                known[key] = value
                project.ledger.add_event("environment", run.id, value)
    return done


def is_kept(project: Project, run: Run, what: str) -> bool:
    """Is it kept already, here or with the run on a remote?"""
    digest = run.environment_kept.get(what)
    if digest is None or not project.store.missing([digest]):
        return digest is not None
    return any(run.id in project.ledger.runs_wholly_on(project.remote(name).url) for name in project.config.remotes)


def can_carry(run: Run, what: str) -> bool:
    """Has this run's environment such a thing?"""
    from mltrack.environments import carries, get

    if run.status == "running" or run.environment.lockfile is None:
        return False
    try:
        return what in carries(get(run.environment.kind))
    except MltrackError:
        return False  # a plug-in that is not installed here


def carry_one(project: Project, run: Run, what: str, tell: Tell) -> tuple[Carried, dict[str, str]]:
    """Put together one tree for one run, and keep it; what happened, and the value of its event."""
    tell(f"putting together the {what if what == WHEELS else 'image'} of {run.id}")
    scratch = project.work / f"carry-{new_id()}"
    try:
        with recorded(project, run, tell) as environment:
            gathered = gather(environment, what, scratch)
            return keep(project, run, what, gathered)
    except MltrackError as error:
        text = f"{error.message} {error.hint or ''}".strip()
        return Carried(run.id, what, None, warnings=(Warning(what, text),)), {}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def gather(environment: Recorded, what: str, scratch: Path) -> Gathered:
    """Ask the kind. Raises EnvironmentFailed."""
    from mltrack.environments import Carried as CarryingKind
    from mltrack.environments import get

    kind = get(environment.environment.kind)
    scratch.mkdir(parents=True)
    return cast(CarryingKind, kind).gather(environment, what, scratch)


def keep(project: Project, run: Run, what: str, gathered: Gathered) -> tuple[Carried, dict[str, str]]:
    """Put what was gathered into the store; flushed before any event names it."""
    value: dict[str, str] = {}
    size = 0
    if gathered.tree:
        size = sum(path.stat().st_size for path in gathered.tree.values())
        value[what] = keep_tree(project, gathered.tree)
    if gathered.lock is not None and value:
        value["lock"] = project.store.put_bytes(gathered.lock)
    project.store.flush()
    return Carried(run.id, what, value.get(what), len(gathered.tree or ()), size, gathered.warnings), value


def complete_lock(project: Project, run: Run, tell: Tell = silent) -> Carried:
    """Give the lock of a run's environment the hashes that it lacks, from the indexes that can be asked now.

    Raises EnvironmentFailed for a kind without such a lock, DataMissing.
    """
    from mltrack.environments import get

    kind = get(run.environment.kind)
    if not hasattr(kind, "complete"):
        raise UsageError(f"An environment of the kind {kind.NAME} has no hashes to complete.", "Nothing is to be done.")
    with recorded(project, run, tell) as environment:
        gathered: Gathered = kind.complete(environment, project.root)
    digest = project.store.put_bytes(gathered.lock or b"")
    project.store.flush()
    if digest != lock_of(run):
        project.ledger.add_event("environment", run.id, {"lock": digest})
    return Carried(run.id, "lock", digest, warnings=gathered.warnings)
