"""`mltrack reproduce --plan`: what a reproduction would fetch, build, lay out and show, and what it would lack.

Nothing starts, nothing is laid out; only records, and the lists of partly read directories, come here.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.compare.differences import here_differs, in_words
from mltrack.nouns import noun
from mltrack.operations.outside.arrange import Refused, allowed
from mltrack.operations.outside.places import Outside, Way, facts_of, outside_inputs, told_of
from mltrack.operations.outside.presence import is_same
from mltrack.operations.outside.writings import writings_of
from mltrack.operations.repeating.workspace import is_outside, is_unknown
from mltrack.operations.request import Tell, silent
from mltrack.records import Run, new_id

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Input

THERE, SHOWN, PUT_BACK, LAID_OUT, UNKNOWN, LACKING = "there", "shown", "put back", "laid out", "unknown", "lacking"


@noun
class PlannedInput:
    """One input, and how the command would have it.

    `way`: `there` as recorded, `shown` to the command alone, `put back` at its own place, `laid out` in the workspace,
    `unknown` to everybody, or `lacking`, with the reason in `why`.
    """

    path: str
    way: str
    size_bytes: int | None = None
    why: str | None = None


@noun
class Foretold:
    """What a reproduction of `run` would be. Sizes are in bytes."""

    run: str
    command: tuple[str, ...]
    fetch_objects: int
    """Objects that are not here and that a remote has; of directories the list counts, not what it lists."""
    fetch_bytes: int
    environment: str
    """Its kind."""
    packages: int
    is_built: bool
    """It is in this user's cache already."""
    inputs: tuple[PlannedInput, ...]
    guarded: tuple[str, ...]
    """Paths outside of the project that the command writes, changes or removes, and that are kept from it."""
    missing: tuple[str, ...]
    """What is needed, and neither here nor on a remote: sentences. A reproduction would stop."""
    conditions: tuple[str, ...]
    """What would be otherwise than it was: sentences."""
    duration_s: float | None
    """Of the recorded run."""


def foretell(ref: str, start: Path, url: str | None, put_back: bool, tell: Tell = silent) -> Foretold:
    """Look at what a reproduction would do. Raises NotFound, RemoteError, Damaged, CheckFailed."""
    from mltrack.operations.repeating.reproduce import begin

    with place_to_look(start, url) as top:
        project, run, _ = begin(ref, start, url, top, tell)
        with project:
            return of_run(project, run, put_back)


@contextmanager
def place_to_look(start: Path, url: str | None) -> Iterator[Path | None]:
    """Where the records go that no project here can take; for as long as they are looked at."""
    from tempfile import TemporaryDirectory

    from mltrack.project import Project

    found = Project.find(start)
    if found is not None or url is None:
        if found is not None:
            found.close()
        yield None
        return
    with TemporaryDirectory(prefix="mltrack-") as scratch:
        yield Path(scratch, "clone")


def of_run(project: Project, run: Run, put_back: bool) -> Foretold:
    from mltrack.operations.repeating.repetition import needed

    root = project.work / new_id() / run.code.prefix
    way = Way(project.work / "outside", root, put_back, in_container=bool(run.environment.image))
    outside = Outside(project, run, way, silent)
    there = outside.already_there()
    wanted = project.store.missing(needed(run, there))
    sizes = on_remotes(project, wanted)
    lacking = set(wanted) - set(sizes)
    inputs = tuple(planned(outside, item, there, lacking) for item in run.inputs if item.kind != "url")
    missing = [f"{one.path}: {one.why}." for one in inputs if one.way == LACKING]
    of_inputs = {item.digest for item in run.inputs}
    others = lacking - of_inputs
    if others:
        missing.append(f"{len(others)} objects of its code or environment are neither here nor on a remote.")
    return Foretold(
        run.id,
        run.command,
        len(sizes),
        sum(sizes.values()),
        run.environment.kind,
        len(run.environment.packages),
        is_built(run),
        inputs,
        tuple(one.path for one in writings_of(project, run)),
        tuple(missing),
        tuple(conditions_of(outside, run)),
        run.duration_s,
    )


def is_built(run: Run) -> bool:
    """Is its environment in this user's cache?"""
    from mltrack.operations.env.kinds import lock_of, user_cache

    lock = lock_of(run)
    return lock is not None and (user_cache(os.environ) / "environments" / lock.removeprefix("b3:")[:32]).is_dir()


def on_remotes(project: Project, wanted: Collection[str]) -> dict[str, int]:
    """Those of the objects that a remote has whole -> their size."""
    from mltrack.sync.fetch import sizes_on_remote
    from mltrack.sync.packs import Catalogue

    found: dict[str, int] = {}
    for name in project.config.remotes if wanted else ():
        remote = project.remote(name)
        catalogue = Catalogue(remote)
        catalogue.refresh()
        found = {**sizes_on_remote(remote, catalogue, set(wanted) - set(found)), **found}
    return found


def planned(outside: Outside, item: Input, there: Collection[str], lacking: Collection[str]) -> PlannedInput:
    """How the command would have an input."""
    places = outside.targets(item.path) if is_outside(item) else ()
    if item.path in there or any(is_same(outside.project, item, path) for path in places):
        return PlannedInput(item.path, THERE, item.size_bytes)
    if item.digest is None:
        why = told_of(item).rstrip(".") if is_unknown(item) else "it changed while the run used it"
        return PlannedInput(item.path, UNKNOWN if is_unknown(item) else LACKING, item.size_bytes, why)
    if not item.kept or item.digest in lacking:
        why = facts_of(item) if not item.kept else f"{facts_of(item)}, neither here nor on a remote"
        return PlannedInput(item.path, LACKING, item.size_bytes, why)
    if not is_outside(item):
        return PlannedInput(item.path, LAID_OUT, item.size_bytes)
    try:
        real = allowed(item.path)
        is_free = outside.way.put_back and not os.path.lexists(real)
        if is_free:
            outside.check_writable(real)
            return PlannedInput(item.path, PUT_BACK, item.size_bytes)
    except Refused as error:
        return PlannedInput(item.path, LACKING, item.size_bytes, str(error))
    if outside.why_no_binds is not None:
        return PlannedInput(item.path, LACKING, item.size_bytes, outside.why_no_binds)
    return PlannedInput(item.path, SHOWN, item.size_bytes)


def conditions_of(outside: Outside, run: Run) -> Iterator[str]:
    """What of the network, of unknown inputs and of this machine would not be as it was."""
    from mltrack.environments.libraries import of_machine
    from mltrack.snapshot.hardware import capture_hardware

    yield from (told_of(item) for item in outside_inputs(run) if item.kind == "url" or is_unknown(item))
    changes = here_differs(run, capture_hardware(), {} if run.environment.image else of_machine())
    if changes:
        yield f"This machine may give other numbers in the last digits: {in_words(changes)}."
    if outside.why_no_binds is not None:
        yield f"Nothing can be shown to the command alone: {outside.why_no_binds}."
