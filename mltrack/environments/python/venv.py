"""Builds a recorded Python environment again: a virtual environment of what its lock names, and nothing else.

What comes from indexes and archives is built aside once and shared by all projects (`cache.py`). An environment with
directories in it, the project itself say, is a copy of that one by hard links, in a place of its own, with these added.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.digest import digest_bytes, digest_json
from mltrack.environments import RebuildRequest, Rebuilt, cache
from mltrack.environments.mapping import Move, map_command
from mltrack.environments.python.bases import Base, Wanted, find_base
from mltrack.environments.python.directories import identity_of, install_directories, of_directories
from mltrack.environments.python.distributions import listed, normalise
from mltrack.environments.python.indexes import Settings, installer_settings
from mltrack.environments.python.installer import Uv, find_uv
from mltrack.environments.python.installing import WATCHED, Installed, Task, create, install_pinned, stored_hashes
from mltrack.environments.python.lock import WHEELS, Lock, read_lock
from mltrack.environments.python.verifying import differing, mark_origins
from mltrack.errors import EnvironmentFailed, StorageError
from mltrack.nouns import noun
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.environments import Recorded


@noun
class Build:
    """What is built, where, with what."""

    request: RebuildRequest
    lock: Lock
    base: Base
    uv: Uv
    settings: Settings
    shared: Path
    """The place of what every project can share."""
    place: Path
    """The place of the environment: the same, or where directories belong to it, one beside it."""
    root: Path
    """The tree that the project's own distributions are installed from."""

    @property
    def recorded(self) -> Recorded:
        return self.request.recorded


def rebuild_python(request: RebuildRequest) -> Rebuilt:
    """Build the environment, or take the one that is there, and map the command into it. It stays until this process
    ends, at least. Raises EnvironmentFailed, StorageError."""
    build, began = plan_build(request), time.time()
    try:
        marker = cache.obtain(whole(build))
        if marker["built_at"] < began:
            build.recorded.tell(f"the environment is there already, in {marker['place']}")
        else:
            cache.tidy(build.recorded.cache)
    except OSError as error:
        raise StorageError(
            f"The environment cannot be built in {build.place}: {error.strerror or error}.",
            "Make room, or set XDG_CACHE_HOME to a directory that can be written.",
        ) from error
    place = Path(marker["place"])
    programs = place / "bin"
    recorded = build.recorded
    old = Path(recorded.environment.interpreter).parent if recorded.environment.interpreter else None
    move = Move(old, programs, request.workspace / request.cwd, recorded.variables)
    argv, warnings = map_command(request.command, move)
    path = os.pathsep.join([str(programs), *foreign_free(recorded.variables.get("PATH", os.defpath))])
    changes = {"PATH": path, "VIRTUAL_ENV": str(place), "PYTHONHOME": None, "__PYVENV_LAUNCHER__": None}
    told = tuple(Warning("environment", text) for text in marker["warnings"])
    return Rebuilt(argv, changes, build.base.version, (*version_warning(build), *told, *warnings))


def plan_build(request: RebuildRequest) -> Build:
    """Everything that can be known, and can fail, before a file is written."""
    recorded = request.recorded
    if recorded.lock is None:
        raise EnvironmentFailed(
            "The run has no lock of its environment, so that it cannot be built again.",
            "It was not captured; see the run's warnings. Run the command in an environment of your own.",
        )
    lock = read_lock(recorded.lock)
    program = find_uv(recorded.variables)
    settings = installer_settings(recorded.variables)
    wanted = Wanted(lock.python, lock.implementation, recorded.own_interpreter)
    base = find_base(wanted, settings.variables, program)
    root = (request.editable_root or request.workspace).absolute()
    shared = request.place.absolute()
    if base.version != lock.python:
        shared = shared.with_name(f"{shared.name}-{base.version}")
    place = shared
    found = of_directories(lock)
    if found:  # what points into one tree is of no use to another
        tree = os.fsencode(root) if any(one.source == "project" for one in found) else b""
        place = shared.with_name(f"{shared.name}-{digest_bytes(tree)[3:15]}")
    log = place.with_name(f"{place.name}.log")
    uv = Uv(program, settings.variables, request.workspace, log, place.with_name(f".{place.name}.uv"), recorded.tell)
    return Build(request, lock, base, uv, settings, shared, place, root)


def whole(build: Build) -> cache.Wanted:
    """The environment that is asked for."""
    if build.place == build.shared:
        return pinned(build)
    return cache.Wanted(
        place=build.place,
        identity=digest_json({**what(build), "directories": identity_of(build.lock, build.root)}),
        make=lambda aside: copy_shared(build, aside),
        finish=lambda place: add_directories(build, place),
        watched=WATCHED,
        tell=build.recorded.tell,
    )


def pinned(build: Build) -> cache.Wanted:
    """The part of it that is the same for every project."""
    return cache.Wanted(
        place=build.shared,
        identity=digest_json(what(build)),
        make=lambda aside: make_pinned(build, aside),
        watched=WATCHED,
        tell=build.recorded.tell,
    )


def what(build: Build) -> dict[str, Any]:
    return {"lock": digest_bytes(build.recorded.lock or b""), "python": build.base.version}


def make_pinned(build: Build, aside: Path) -> dict[str, Any]:
    """Create an environment and install into it; the facts for its marker."""
    tell = build.recorded.tell
    tell(f"the interpreter is Python {build.base.version}, {build.base.path}")
    task = task_of(build)
    uv = build.uv
    try:
        create(uv, build.base.path, aside)
        done = install_pinned(task, aside)
    finally:
        cache.remove(uv.scratch)
    mark_origins(aside, build.lock, done.stored)
    sentences = warnings_of(build, aside, done)
    many = len(build.lock.distributions) - len(done.left_out) - len(of_directories(build.lock))
    if done.where:
        source = f", {len(done.built)} of them from source ({listed(list(done.built))})" if done.built else ""
        tell(f"installed {many} distribution{'s' if many > 1 else ''}{source}, from {done.where}")
    return {"python": build.base.version, "packages": many, "warnings": sentences, "from": done.where}


def task_of(build: Build) -> Task:
    """What is to be installed, with the wheels that were stored laid out."""
    wheels = build.recorded.lay_out(WHEELS)
    names = build.recorded.environment.imported
    imported = None if names is None else frozenset(map(normalise, names))
    return Task(build.lock, build.uv, build.settings, wheels, stored_hashes(build.lock, wheels), imported)


def warnings_of(build: Build, place: Path, done: Installed) -> list[str]:
    """What of the environment is not as it was, or not certain."""
    left_out = sorted(done.left_out)
    sentences = [f"Not in the rebuilt environment, for it cannot be had: {listed(left_out)}."] if left_out else []
    if done.unverified:
        names = listed(sorted(done.unverified))
        sentences.append(f"Not verified by hashes, installed by version alone: {names}.")
    expected = tuple(one for one in build.lock.distributions if one.name not in left_out)
    others = differing(replace(build.lock, distributions=expected), place, build.recorded)
    kept = [f"{one.name} {one.version}" for one in expected if one.name in done.stored]
    forged = sorted(set(kept) & set(others))
    if forged:  # whoever may write to a remote may send wheels; RECORD of the run's own, sealed lock decides
        raise EnvironmentFailed(
            f"The stored wheels of {listed(forged)} hold other files than the run had installed.",
            "Somebody sent others later. Look at who pushed to the remote, and do not use them.",
        )
    if others:
        sentences.append(f"Another build than the run's, whose files differ: {listed(others)}.")
    return sentences


def copy_shared(build: Build, aside: Path) -> dict[str, Any]:
    """Start from the shared environment; the facts for the marker."""
    shared = cache.obtain(pinned(build))
    place = Path(shared["place"])
    cache.link_copy(place, aside)
    cache.release(place)
    return {key: shared[key] for key in ("python", "packages", "warnings", "from")}


def add_directories(build: Build, place: Path) -> dict[str, Any]:
    """Add what is installed from directories; more facts for the marker."""
    names = [found.name for found in of_directories(build.lock)]
    build.recorded.tell(f"installing from directories: {listed(names)}")
    try:
        sentences = install_directories(task_of(build), place, build.root, build.recorded.lay_out)
    finally:
        cache.remove(build.uv.scratch)
    marker = cache.read_marker(place) or {}
    return {
        "packages": marker.get("packages", 0) + len(names),
        "warnings": [*marker.get("warnings", []), *sentences],
    }


def version_warning(build: Build) -> tuple[Warning, ...]:
    if build.base.version == build.lock.python:
        return ()
    text = f"The run used Python {build.lock.python}; the nearest one here is {build.base.version}."
    return (Warning("interpreter", text),)


def foreign_free(path: str) -> list[str]:
    """The directories of a PATH that are not those of a virtual environment: today's must not help out."""
    return [part for part in path.split(os.pathsep) if not (Path(part).parent / "pyvenv.cfg").is_file()]
