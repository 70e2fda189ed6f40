"""Julia and its active project -> what is recorded of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.digest import digest_json
from mltrack.environments import Found
from mltrack.environments.command import Command
from mltrack.environments.interpreter import locate
from mltrack.environments.julia import NAME
from mltrack.environments.julia.lock import JuliaLock, JuliaPackage, packages_of, write_lock
from mltrack.environments.julia.projects import ask_version, find_julia, project_of, read_manifest, read_project
from mltrack.environments.python.distributions import listed, place_within
from mltrack.errors import EnvironmentFailed
from mltrack.records import Environment, Warning
from mltrack.redact import redact_url

if TYPE_CHECKING:
    from mltrack.environments import Request

INSTALL = "Install Julia (https://julialang.org/downloads), or put its directory on PATH, and try again."


def capture_julia(request: Request) -> Found:
    """The Julia of the command, else the one on its PATH. Raises EnvironmentFailed if there is none."""
    command = find_julia(request.argv, request.cwd, request.variables)
    command = command or Command(("julia",), request.cwd, request.variables)
    program = locate(command.argv[0], command.cwd, command.variables)
    version = ask_version(str(program), command.cwd, command.variables) if program is not None else None
    if program is None or version is None:
        raise EnvironmentFailed("This command starts no Julia that works.", INSTALL)
    place = project_of(command, version)
    within = place_within(str(place), request.project or request.cwd) if place is not None else None
    manifest = read_manifest(place, version) if place is not None else None
    project = read_project(place) if place is not None else None
    packages, warnings = understood(manifest)
    lock = JuliaLock(version, within, project, redact_url(manifest) if manifest and packages else None)
    environment = Environment(
        digest=digest_of(version, packages),
        kind=NAME,
        interpreter=str(program),
        packages={"julia": version, **{found.name: found.version or "dev" for found in packages}},
    )
    return Found(environment, write_lock(lock), (*warnings, *warnings_of(lock, packages, place)))


def understood(manifest: str | None) -> tuple[tuple[JuliaPackage, ...], tuple[Warning, ...]]:
    """The packages of a manifest; none, and a warning, if it cannot be read."""
    try:
        return packages_of(manifest), ()
    except ValueError as error:
        return (), (Warning("environment", f"Manifest.toml cannot be understood: {error}."),)


def digest_of(version: str, packages: tuple[JuliaPackage, ...]) -> str:
    """Equal on two machines and in two directories if the same packages are pinned."""
    pins = [[found.name, found.version, found.tree] for found in packages]
    return digest_json({"kind": NAME, "julia": version, "packages": pins})


def warnings_of(lock: JuliaLock, packages: tuple[JuliaPackage, ...], place: Path | None) -> tuple[Warning, ...]:
    """What the reader of the run must know."""
    outside = [found.name for found in packages if found.path and is_outside(found.path, lock.place)]
    told = []
    if outside:
        text = "Julia packages under development outside of the project, whose code is not recorded"
        told.append(Warning("environment", f"{text}: {listed(outside)}."))
    if lock.project is not None and lock.manifest is None:
        told.append(
            Warning("environment", f"The Julia project {lock.place or place} has no manifest: nothing is pinned.")
        )
    return tuple(told)


def is_outside(path: str, place: str | None) -> bool:
    """Does a path of the manifest leave the run's project?"""
    import os

    if place is None or os.path.isabs(path):
        return True
    return os.path.normpath(os.path.join(place, path)).split("/")[0] == ".."
