"""What is installed -> a lock: for each distribution the files that would install it again, with their hashes.

From the project's own locks where they match what is installed, for the rest from the package indexes; what neither
has is packed from its installed files. All of it beside the run, and remembered in the user's cache directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mltrack.environments import Request
from mltrack.environments.python.distributions import Distribution, File, Installed, listed
from mltrack.environments.python.indexes import installer_settings
from mltrack.environments.python.lock import read_lock
from mltrack.environments.python.project_locks import ProjectLock, read_project_locks
from mltrack.environments.python.resolve import Answer, Asked, Offer, resolve
from mltrack.environments.python.wheels import fitting, info_directories, pack_installed, sha256_of
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun
from mltrack.records import Warning

TOOLS = frozenset(("pip", "setuptools", "wheel", "uv"))
"""What makes environments and is in no project's lock."""

LARGEST = 2 << 30
"""Bytes of wheels that are kept with a run without being asked for."""

MOSTLY = 0.5
"""A lock whose distributions are installed in this part is the lock of this environment."""


@noun
class Locked:
    """The distributions with what is known of their files; wheels to keep, by file name; what must be said."""

    distributions: tuple[Distribution, ...]
    wheels: Mapping[str, Path]
    warnings: tuple[Warning, ...]


def lock_distributions(installed: Installed, answer: Mapping[str, Any], request: Request) -> Locked:
    """Find the files of what is installed. Never raises: what cannot be found is said in a warning."""
    project = request.project or request.cwd
    locks = read_project_locks(project)
    known = read_known(request.known)
    found = tuple(from_locks(one, [known, *locks]) for one in installed.distributions)
    private = {
        name for name, version in known.private if any((one.name, one.version) == (name, version) for one in found)
    }
    pins = tuple(one for one in found if one.source == "index" and not one.is_locked and one.name not in private)
    offered = ask(pins, answer["version"], project, request)
    found = tuple(with_offer(one, offered.offers.get(one.name)) for one in found)
    absent = {*private, *offered.missing}
    found, wheels, kept = keep_wheels(found, answer, replace(offered, missing=dict.fromkeys(absent, "")), request)
    warnings = (*differences(installed, locks), *unhashed(found, offered, request.may_ask), *kept)
    return Locked(found, wheels, warnings)


def read_known(lock: bytes | None) -> ProjectLock:
    """The lock of the run that is repeated, as one of the project's; wheels that no index had are private."""
    if lock is None:
        return ProjectLock("", {}, {})
    found = [one for one in read_lock(lock).distributions if one.source in ("index", "file")]
    public = {
        (one.name, one.version): Offer(one.index, tuple(file for file in one.wheels if file.url), one.sdist)
        for one in found
        if one.sdist or any(file.url for file in one.wheels)
    }
    private = frozenset(
        (one.name, one.version) for one in found if one.stored and (one.name, one.version) not in public
    )
    return ProjectLock("", public, {}, private)


def from_locks(found: Distribution, locks: list[ProjectLock]) -> Distribution:
    """The distribution with what the first of the project's locks says that has this very version."""
    if found.source != "index":
        return found
    for lock in locks:
        key = (found.name, found.version)
        if key in lock.offers:
            return with_offer(found, lock.offers[key])
        if key in lock.hashes:
            return replace(found, hashes=lock.hashes[key])
    return found


def with_offer(found: Distribution, offer: Offer | None) -> Distribution:
    if offer is None or found.source != "index":
        return found
    return replace(found, index=offer.index, wheels=offer.wheels, sdist=offer.sdist)


def ask(pins: tuple[Distribution, ...], python: str, project: Path, request: Request) -> Answer:
    """What the indexes have of these; an answer with an error where nobody may or can be asked."""
    from mltrack.environments.python.installer import find_uv

    if not pins:
        return Answer({}, {})
    if not request.may_ask:
        return Answer({}, {}, "environment.lock is false")
    settings = installer_settings(request.variables)
    if settings.options and not settings.variables.get("UV_FIND_LINKS"):
        return Answer({}, {}, "no package index may be asked")
    try:
        uv = find_uv(request.variables)
    except EnvironmentFailed as error:
        return Answer({}, {}, error.message)
    return resolve(Asked(pins, python, uv, settings, project, request.cache, request.tell))


def keep_wheels(
    found: tuple[Distribution, ...], answer: Mapping[str, Any], offered: Answer, request: Request
) -> tuple[tuple[Distribution, ...], dict[str, Path], tuple[Warning, ...]]:
    """Wheels that no index has: files of this machine as they are, private builds packed from what is installed."""
    infos = info_directories(answer)
    wheels: dict[str, Path] = {}
    problems: list[str] = []
    done, left = [], LARGEST
    for one in found:
        try:
            wheel = wheel_to_keep(one, infos, answer, offered, request.cache)
            size = wheel.stat().st_size if wheel is not None else 0
            if size > left:
                raise EnvironmentFailed(f"{size >> 20} MiB are too much; `push --wheels` sends it")
        except (EnvironmentFailed, OSError) as error:
            problems.append(f"{one.name} ({error})")
            wheel = None
        if wheel is None:
            done.append(one)
            continue
        left -= size
        wheels[wheel.name] = wheel
        done.append(with_stored(one, wheel))
    text = "On no package index, and not kept with the run either"
    told = (Warning("environment", f"{text}: {listed(problems)}."),) if problems else ()
    return tuple(done), wheels, told


def wheel_to_keep(
    found: Distribution, infos: Mapping[str, Path], answer: Mapping[str, Any], offered: Answer, cache: Path
) -> Path | None:
    """The wheel of a distribution that no index has; None for one that an index has. Raises EnvironmentFailed."""
    file = fitting(found)
    if file is not None and file.name in offered.local:
        return Path(offered.local[file.name])
    if found.source == "file" or (found.source == "index" and found.name in offered.missing):
        return packed_wheel(found, infos, answer, cache)
    return None


def packed_wheel(found: Distribution, infos: Mapping[str, Path], answer: Mapping[str, Any], cache: Path) -> Path:
    """The wheel of an installed distribution, packed once. Raises EnvironmentFailed, OSError."""
    if found.name not in infos or found.installed is None:
        raise EnvironmentFailed("it has no RECORD of its files")
    place = cache / "packed" / found.installed.removeprefix("sha256:")[:32]
    made = sorted(place.glob("*.whl"))
    return made[0] if made else pack_installed(found, infos[found.name], Path(answer["prefix"]), place)


def with_stored(found: Distribution, wheel: Path) -> Distribution:
    """The distribution with a wheel that is kept with the environment, known by its hash."""
    file = File(wheel.name, sha256_of(wheel), None, wheel.stat().st_size)
    others = tuple(one for one in found.wheels if one.name != wheel.name)
    return replace(found, stored=wheel.name, wheels=(*others, file))


def unhashed(found: tuple[Distribution, ...], offered: Answer, may_ask: bool) -> tuple[Warning, ...]:
    """What is known by name and version alone."""
    names = [one.name for one in found if one.source in ("index", "url", "file") and not one.is_locked]
    if not names or not may_ask:  # who does not want it knows
        return ()
    why = f" ({offered.error})" if offered.error else ""
    remedy = "Complete it when an index can be asked: mltrack env lock RUN."
    text = f"The environment's lock has no hashes of {len(names)} packages{why}: {listed(names)}. {remedy}"
    return (Warning("unhashed", text),)


def differences(installed: Installed, locks: list[ProjectLock]) -> tuple[Warning, ...]:
    """Where the project's own lock says another version than the one that is installed."""
    versions = {one.name: one.version for one in installed.distributions if one.source == "index"}
    for lock in locks:
        names = {name for name, _ in {**lock.offers, **lock.hashes}}
        if not names or len(names & versions.keys()) < MOSTLY * len(versions):
            continue
        other = [
            f"{name} {versions[name]} (not {' or '.join(lock.versions(name))})"
            for name in sorted(names & versions.keys())
            if versions[name] not in lock.versions(name)
        ]
        more = sorted(versions.keys() - names - TOOLS)
        texts = [f"Installed are other versions than {lock.file} says: {listed(other)}."] if other else []
        texts += [f"Installed besides what {lock.file} says: {listed(more)}."] if more else []
        return tuple(Warning("lock", text) for text in texts)
    return ()
