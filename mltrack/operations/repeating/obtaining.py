"""For a plan: where everything that a reproduction needs is to be had, and what that takes. Nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, DataMissing, MltrackError, RemoteError
from mltrack.nouns import noun
from mltrack.operations.keeping.objects import kind_of, named_objects

if TYPE_CHECKING:
    from mltrack.environments import Finding, Package
    from mltrack.project import Project
    from mltrack.records import Run

HERE, NOWHERE, BUILT, NOT_ASKED, STORED, INDEX, MACHINE = (
    *("here", "nowhere", "built already", "not asked", "stored", "an index", "this machine"),
)
CODE, INPUTS, ENVIRONMENT, PACKAGES = "code", "inputs", "environment", "packages"
OF_KINDS = {"code": CODE, "input": INPUTS, "environment": ENVIRONMENT}
PATIENCE = {"UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "5", "PIP_RETRIES": "0"}
"""A plan waits for an index no longer; seconds."""
UNPACKED = 4
"""What is installed takes about so many times the size of its archive."""

SPARED: Mapping[str, tuple[str, ...]] = {"python": ("system", "conda")}
"""Kind -> sources of packages that others than their authors built: a build leaves out those that no index has."""
LEFT_OUT = " It was not installed from an index, and would be left out."
LAID_OUT = ("project", "outside")
"""Sources of packages that are directories: what they take is counted with the code, or small."""
READ_BYTES = 64 << 20
"""Of what is here, a plan reads so much to see whether it is sound: the small objects first."""


@noun
class PlannedSource:
    """So much of one class is to be had in one place."""

    what: str
    """`code`, `inputs`, `environment` (its lock and what was kept with it) or `packages`."""
    where: str
    """`here`, `in its place`, `remote NAME`, `stored`, `an index`, `this machine`, `built already`, `not asked` or
    `nowhere`."""
    count: int
    """Objects of the store, or packages."""
    size_bytes: int | None = None


@noun
class OnRemotes:
    """What remotes have of what is not here."""

    found: Mapping[str, tuple[str, int]]
    """Digest -> the name of a remote that has it whole, and the bytes to fetch."""
    unasked: tuple[str, ...] = ()
    """Remotes that did not answer, with the reason: sentences."""


@noun
class EnvironmentPlan:
    """Whether the environment could be built here, now."""

    sources: tuple[PlannedSource, ...] = ()
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    size_bytes: int = 0
    """Of what is to be installed, estimated by its archives, as far as their sizes are known."""
    unsized: int = 0
    """Packages to be installed of which nobody knows the size."""


def on_remotes(project: Project, wanted: Collection[str]) -> OnRemotes:
    """Ask the remotes one after the other, for what those before do not have."""
    from mltrack.sync.fetch import sizes_on_remote
    from mltrack.sync.packs import Catalogue

    found: dict[str, tuple[str, int]] = {}
    unasked = []
    for name in project.config.remotes if wanted else ():
        try:
            remote = project.remote(name)
            catalogue = Catalogue(remote)
            catalogue.refresh()
            sizes = sizes_on_remote(remote, catalogue, set(wanted) - set(found))
        except RemoteError as error:
            unasked.append(f"The remote {name} could not be asked: {error.message}")
            continue
        found.update({digest: (name, size) for digest, size in sizes.items()})
    return OnRemotes(found, tuple(unasked))


def sources_of(project: Project, run: Run, wanted: Sequence[str], remotes: OnRemotes) -> Iterator[PlannedSource]:
    """By class and place, what is needed of the store. `wanted`: the digests that are needed."""
    absent = project.store.missing(wanted)
    names = {digest: OF_KINDS[kind_of(name)] for name, digest in named_objects(run) if kind_of(name) in OF_KINDS}
    counted: dict[tuple[str, str], list[int]] = {}
    for digest in dict.fromkeys(wanted):
        if digest not in absent:
            where, size = HERE, project.store.size(digest)
        else:
            remote, size = remotes.found.get(digest, (None, 0))
            where = NOWHERE if remote is None else f"remote {remote}"
        counted.setdefault((names.get(digest, ENVIRONMENT), where), []).append(size)
    for (what, where), sizes in sorted(counted.items()):
        yield PlannedSource(what, where, len(sizes), None if where == NOWHERE else sum(sizes))


def damaged(project: Project, run: Run, here: Iterable[str]) -> Iterator[str]:
    """What of it lies here and is not sound, in sentences. Large objects are not read: `mltrack verify` does."""
    store = project.store
    names = {digest: name for name, digest in named_objects(run)}
    left = READ_BYTES
    for size, digest in sorted((store.size(digest), digest) for digest in here):
        left -= size
        if left < 0:
            return
        try:
            for _ in store.read(digest):
                pass
        except (Damaged, DataMissing):
            yield f"What is here of it is damaged ({names.get(digest, ENVIRONMENT)}): mltrack verify --repair."


def environment_plan(project: Project, run: Run, is_built: bool, remotes: OnRemotes) -> EnvironmentPlan:
    """What the kind's own check finds. An environment that is built already is not looked for anywhere else; nor is one
    whose lock is not to be had, which is told with the other objects."""
    from mltrack import environments
    from mltrack.operations.env.kinds import recorded

    many = len(run.environment.packages)
    if is_built:
        return EnvironmentPlan((PlannedSource(PACKAGES, BUILT, many),) if many else ())
    try:
        kind = environments.get(run.environment.kind)
        if not environments.can_check(kind) or not bring_lock(project, run, remotes):
            return EnvironmentPlan()
        with recorded(project, run) as found:
            if found.lock is None:
                text = "There is no lock of its environment, so that it cannot be built again."
                return EnvironmentPlan(missing=(text,))
            found = replace(found, variables={**PATIENCE, **found.variables})
            return judged(environments.check(kind, found), environments.packages(kind, found), run.environment.kind)
    except MltrackError as error:
        return EnvironmentPlan(remarks=(f"Its environment could not be looked at: {error.message}",))


def bring_lock(project: Project, run: Run, remotes: OnRemotes) -> bool:
    """Have the lock here, from a remote that is known to have it: it is small. False if it is not to be had."""
    from mltrack.operations.env.kinds import lock_of
    from mltrack.sync.fetch import fetch_objects

    locks = [digest for digest in (run.environment.lockfile, lock_of(run)) if digest is not None]
    for digest in project.store.missing(locks):
        if digest not in remotes.found:
            return False
        fetch_objects(project.remote(remotes.found[digest][0]), project.store, [digest])
    return True


def judged(findings: Iterable[Finding], packages: Sequence[Package] = (), kind: str = "") -> EnvironmentPlan:
    """Findings as places, as what is missing, and as what would be otherwise; and what the packages take."""
    spared = {f"{one.name} {one.version}".strip() for one in packages if one.source in SPARED.get(kind, ())}
    counted: dict[str, int] = {}
    missing, remarks = [], []
    unasked = 0
    for one in findings:
        is_package = "://" not in one.name and not one.name.startswith("Python ")
        where = place_of(one)
        is_spared = where == NOWHERE and one.name in spared
        if is_package:
            where = MACHINE if is_spared else where
            counted[where] = counted.get(where, 0) + 1
        if where == NOT_ASKED and is_package:
            unasked += 1
        elif where == NOWHERE and "://" not in one.name:
            missing.append(f"{one.name}: {one.problem}")
        elif one.problem is not None:
            remarks.append(f"{one.name}: {one.problem}{LEFT_OUT if is_spared else ''}")
    if unasked:
        remarks.append(f"No index could be asked for {unasked} package{'s' if unasked > 1 else ''}.")
    sources = tuple(PlannedSource(PACKAGES, where, many) for where, many in counted.items())
    installed = [one.size_bytes for one in packages if one.source not in LAID_OUT]
    known = [size for size in installed if size is not None]
    unsized = len(installed) - len(known)
    return EnvironmentPlan(sources, tuple(missing), tuple(remarks), UNPACKED * sum(known), unsized)


def place_of(finding: Finding) -> str:
    """Where it can be had, in a word. What a build leaves out with a warning is not missing: it is remarked on."""
    problem, place = finding.problem, finding.place
    if problem is not None and place is None:
        if problem.startswith("Not known"):
            return NOT_ASKED
        return MACHINE if problem.startswith(("Its ", "It was ", "The run was ")) else NOWHERE
    if place is None or place.startswith(("/", "this machine", "the run's own")):
        return MACHINE
    if place.startswith("stored"):
        return STORED
    return NOT_ASKED if "not asked" in place else INDEX


def nearest_directory(place: Path) -> Path:
    """The nearest directory at or above a place that is there."""
    while not place.is_dir():
        place = place.parent
    return place


@noun
class Room:
    """What is needed on one disk, as far as it can be told, and what is free there for this user; in bytes."""

    place: str
    needed_bytes: int
    free_bytes: int


def rooms(needs: Iterable[tuple[Path, int]]) -> tuple[Room, ...]:
    """Needs at places, summed up by disk; the first place of a disk names it."""
    found: dict[int, Room] = {}
    for place, needed in needs:
        there = nearest_directory(place)
        device = os.stat(there).st_dev
        if device in found:
            found[device] = replace(found[device], needed_bytes=found[device].needed_bytes + needed)
        else:
            disk = os.statvfs(there)
            found[device] = Room(str(place), needed, disk.f_bavail * disk.f_frsize)
    return tuple(found.values())
