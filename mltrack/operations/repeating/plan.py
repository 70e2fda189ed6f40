"""`mltrack reproduce --plan`: what a reproduction would fetch, build, lay out and show, and what it would lack.

Nothing starts, nothing is laid out; only records, and the lists of partly read directories, come here.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.compare.differences import here_differs, in_words
from mltrack.errors import UsageError
from mltrack.nouns import noun
from mltrack.operations.outside.arrange import Refused, allowed
from mltrack.operations.outside.places import Outside, Way, facts_of, outside_inputs, told_of
from mltrack.operations.outside.presence import is_same
from mltrack.operations.outside.writings import writings_of
from mltrack.operations.repeating.obtaining import (
    CODE,
    OnRemotes,
    PlannedSource,
    Room,
    damaged,
    environment_plan,
    on_remotes,
    rooms,
    sources_of,
)
from mltrack.operations.repeating.workspace import check_empty, is_outside, is_unknown
from mltrack.operations.request import Tell, silent
from mltrack.records import Run, new_id
from mltrack.redact import PLACEHOLDER

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Input

CODE_LAID_OUT = 4
"""Files and history take about so many times the size of their packs."""
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


YES, BUT, NO = "yes", "yes, but", "no"


@noun
class Foretold:
    """What a reproduction of `run` would be. Sizes are in bytes."""

    run: str
    command: tuple[str, ...]
    answer: str
    """Can it be got again here, now? `yes`; `yes, but`: with `conditions`; `no`: something is in `missing` or
    `obstacles`."""
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
    obstacles: tuple[str, ...] = ()
    """What else stands against it: no room, no GPU where it used one. Sentences."""
    sources: tuple[PlannedSource, ...] = ()
    """What is to be had where."""
    rooms: tuple[Room, ...] = ()
    """By disk: what it needs, and what is free."""
    earlier_s: tuple[float, ...] = ()
    """How long the command took in reproductions that are known here, the oldest first."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Recorded variables that the command would be given."""
    secrets: tuple[str, ...] = ()
    """What it read or was given and may hold secrets, is not kept, and must be there: sentences."""
    network: tuple[str, ...] = ()
    """What it asked the network for: URLs."""
    unsized: int = 0
    """Packages to be installed of which nobody knows the size: `rooms` are without them."""


@noun
class Foretelling:
    """Of which run, seen from where; the rest as `reproduce` has it."""

    ref: str
    start: Path
    url: str | None = None
    into: Path | None = None
    put_back: bool = False


def foretell(asked: Foretelling, tell: Tell = silent) -> Foretold:
    """Look at what a reproduction would do. Raises NotFound, RemoteError, Damaged, CheckFailed."""
    from mltrack.operations.repeating.beginning import begin
    from mltrack.sync.patience import Patience

    with place_to_look(asked.start, asked.url) as scratch:
        project, run, _ = begin(asked.ref, asked.start, asked.url, scratch, tell)
        with project:
            project.patience = Patience(tries=1)  # nothing depends on a remote yet
            top = asked.into or (project.work if scratch is None else asked.start)
            return of_run(project, run, asked, (top, project.state if scratch is None else top))


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


def of_run(project: Project, run: Run, asked: Foretelling, places: tuple[Path, Path]) -> Foretold:
    """What a reproduction would be. `places`: where its workspace would lie, and where what is fetched would."""
    from mltrack.operations.repeating.repetition import recorded_variables

    top = project.work / new_id() / run.code.prefix
    way = Way(project.work / "outside", top, asked.put_back, in_container=bool(run.environment.image))
    outside = Outside(project, run, way, silent)
    seen = look_for(outside)
    environment = environment_plan(project, run, is_built(run), seen.remotes)
    laid_out = CODE_LAID_OUT * sum(one.size_bytes or 0 for one in seen.sources if one.what == CODE)
    room = rooms(needs_of(run, places, seen.inputs, (laid_out, seen.fetch_bytes, environment.size_bytes)))
    missing = (*seen.missing, *environment.missing)
    obstacles = (*taken_place(asked.into), *obstacles_of(run, room))
    conditions = (*environment.remarks, *seen.remotes.unasked, *conditions_of(outside, run))
    secrets = tuple(secrets_of(run, os.environ))
    return Foretold(
        run=run.id,
        command=run.command,
        answer=NO if missing or obstacles else BUT if conditions or secrets else YES,
        fetch_objects=len(seen.remotes.found),
        fetch_bytes=seen.fetch_bytes,
        environment=run.environment.kind,
        packages=len(run.environment.packages),
        is_built=is_built(run),
        inputs=seen.inputs,
        guarded=tuple(one.path for one in writings_of(project, run)),
        missing=missing,
        conditions=conditions,
        duration_s=run.duration_s,
        obstacles=obstacles,
        sources=(*seen.sources, *environment.sources),
        rooms=room,
        earlier_s=tuple(project.ledger.repetition_times(run.id)),
        variables={name: text for name, text in recorded_variables(run).items() if text is not None},
        secrets=secrets,
        network=tuple(item.path for item in run.inputs if item.kind == "url"),
        unsized=environment.unsized,
    )


@noun
class Seen:
    """What there is of the objects that it needs."""

    remotes: OnRemotes
    inputs: tuple[PlannedInput, ...]
    sources: tuple[PlannedSource, ...]
    missing: tuple[str, ...]
    fetch_bytes: int


def look_for(outside: Outside) -> Seen:
    """Look for the objects of a run in the store, at their own places, and on remotes."""
    from mltrack.operations.repeating.repetition import needed

    project, run = outside.project, outside.run
    there = outside.already_there()
    wanted = needed(run, (*there, *outside.lying_here(there)))
    absent = project.store.missing(wanted)
    remotes = on_remotes(project, absent)
    lacking = absent - set(remotes.found)
    inputs = tuple(planned(outside, item, there, lacking) for item in run.inputs if item.kind != "url")
    sources = tuple(sources_of(project, run, wanted, remotes))
    missing = (*lacking_of(run, inputs, lacking), *damaged(project, run, set(wanted) - absent))
    return Seen(remotes, inputs, sources, missing, sum(size for _, size in remotes.found.values()))


def lacking_of(run: Run, inputs: Iterable[PlannedInput], lacking: Collection[str]) -> Iterator[str]:
    """What a reproduction would stop at, in sentences."""
    yield from (f"{one.path}: {one.why}." for one in inputs if one.way == LACKING)
    others = set(lacking) - {item.digest for item in run.inputs}
    if others:
        many = f"{len(others)} objects of its code or environment are" if len(others) > 1 else "A part of its code is"
        yield f"{many} neither here nor on a remote."


def needs_of(
    run: Run, places: tuple[Path, Path], inputs: Iterable[PlannedInput], sizes: tuple[int, int, int]
) -> Iterator[tuple[Path, int]]:
    """Where it needs how many bytes. `sizes`: of the code, to fetch, and of the environment. What the command wrote
    last time it writes again."""
    from mltrack.operations.env.kinds import user_cache

    code, fetched, environment = sizes
    laid_out = sum(one.size_bytes or 0 for one in inputs if one.way in (SHOWN, PUT_BACK, LAID_OUT))
    written = sum(item.size_bytes or 0 for item in run.artifacts)
    yield places[0], code + laid_out + written
    yield places[1], fetched
    yield user_cache(os.environ), environment


def obstacles_of(run: Run, room: Iterable[Room]) -> Iterator[str]:
    """What stands against it though everything can be had."""
    from mltrack.snapshot.hardware import capture_hardware

    for one in room:
        if one.needed_bytes > one.free_bytes:
            yield (f"{one.place} has {one.free_bytes:,} bytes free, and about {one.needed_bytes:,} are needed there.")
    used = [gpu.name for gpu in run.resources.gpus if gpu.peak_percent]
    if used and not capture_hardware().gpus:
        yield f"A GPU was at work in it ({', '.join(dict.fromkeys(used))}), and this machine shows none."


def taken_place(into: Path | None) -> Iterator[str]:
    """The directory that was named must be empty."""
    try:
        if into is not None:
            check_empty(into)
    except UsageError as error:
        yield error.message


def secrets_of(run: Run, variables: Mapping[str, str]) -> Iterator[str]:
    """What must be there and is not kept: files, and variables that the record names without their text. `variables`:
    those of today."""
    yield from (one.message for one in run.warnings if one.kind == "reads-secret")
    hidden = {name for name, text in run.environment.variables.items() if PLACEHOLDER in text}
    given = run.environment.options.get("env")
    if isinstance(given, Mapping):
        hidden |= {name for name, text in given.items() if text is None}
    for name in sorted(hidden - set(variables)):
        yield f"The variable {name} was set and may hold a secret: it is not kept, and not set here."


def is_built(run: Run) -> bool:
    """Is its environment in this user's cache?"""
    from mltrack.operations.env.kinds import lock_of, user_cache

    lock = lock_of(run)
    return lock is not None and (user_cache(os.environ) / "environments" / lock.removeprefix("b3:")[:32]).is_dir()


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
    from mltrack.operations.repeating.repetition import lacking_locale, recorded_variables
    from mltrack.snapshot.habits import time_zone
    from mltrack.snapshot.hardware import capture_hardware

    yield from (told_of(item) for item in outside_inputs(run) if item.kind == "url" or is_unknown(item))
    if run.preflight and any(one.kind == "stdin" for one in run.preflight.concerns):
        yield "Its standard input was a pipe: what came through it is not kept, and would not be there."
    changes = here_differs(run, capture_hardware(), {} if run.environment.image else of_machine())
    if changes:
        yield f"This machine may give other numbers in the last digits: {in_words(changes)}."
    locale = lacking_locale(run)
    if locale is not None:
        yield f"The locale {locale} is not on this machine: programs would do as in C."
    zone = run.origin.get("time_zone")
    if zone and "TZ" not in {*recorded_variables(run), *run.environment.variables} and zone != time_zone():
        yield f"The time zone {zone} is not known on this machine: it would be that of {time_zone()}."
    if outside.why_no_binds is not None:
        yield f"Nothing can be shown to the command alone: {outside.why_no_binds}."
