"""Restores a recorded Julia project: its manifest in a directory of its own, its packages by Pkg."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.confine import inside
from mltrack.digest import digest_bytes, digest_json
from mltrack.environments import Finding, RebuildRequest, Rebuilt
from mltrack.environments.cache import Wanted, obtain
from mltrack.environments.command import Command, unwrap
from mltrack.environments.interpreter import locate
from mltrack.environments.julia.capturing import INSTALL
from mltrack.environments.julia.lock import JuliaLock, packages_of, read_lock
from mltrack.environments.julia.projects import SWITCH, ask_version, depots, is_julia, read_manifest, read_project
from mltrack.environments.python.lock import load_toml
from mltrack.environments.tools import Use, use
from mltrack.errors import Damaged, EnvironmentFailed, StorageError
from mltrack.patterns import lazy
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.environments import Recorded

INSTANTIATE = "using Pkg; Pkg.instantiate()"
HOSTILE = "Its code was not recorded with the run, or somebody changed the manifest; nothing was fetched for it."
PATH = lazy(r"""((?:^|[{,])\s*path\s*=\s*)("(?:[^"\\\n]|\\.)*"|'[^'\n]*')""", re.MULTILINE)
"""A package under development, in a manifest (a line of its own) or in the `[sources]` of a project."""


def rebuild_julia(request: RebuildRequest) -> Rebuilt:
    """The command with Julia of this machine and the recorded project. Raises EnvironmentFailed, Damaged."""
    if request.recorded.lock is None:
        raise EnvironmentFailed("The run has no lock of its environment.", "It was not captured; see its warnings.")
    lock = read_lock(request.recorded.lock)
    variables = request.recorded.variables
    program = locate("julia", request.workspace, variables)
    version = ask_version(str(program), request.workspace, variables) if program is not None else None
    if program is None or version is None:
        raise EnvironmentFailed(f"Julia is not on this machine; the run used Julia {lock.version}.", INSTALL)
    if version.split(".")[:2] != lock.version.split(".")[:2]:
        raise EnvironmentFailed(
            f"The run used Julia {lock.version}; the one here is {version}, which resolves other packages.",
            f"Get it with `juliaup add {lock.version} && juliaup default {lock.version}`.",
        )
    told = []
    if version != lock.version:
        told.append(Warning("interpreter", f"The run used Julia {lock.version}; here is Julia {version}."))
    argv, unwrapped = mapped(request, program)
    if lock.project is None:
        return Rebuilt(argv, {}, None, (*told, *unwrapped))
    place = instantiated(request, lock, str(program), version)
    argv = tuple(word for word in argv if word.partition("=")[0] != SWITCH)
    return Rebuilt(argv, {"JULIA_PROJECT": str(place), "JULIA_LOAD_PATH": None}, None, (*told, *unwrapped))


def mapped(request: RebuildRequest, program: Path) -> tuple[tuple[str, ...], tuple[Warning, ...]]:
    """The command, started by the Julia of this machine and without a launcher."""
    taken: Command = unwrap(request.command, request.workspace / request.cwd, request.recorded.variables)
    if not taken.argv:
        return request.command, ()
    first = taken.argv[0]
    if is_julia(first) and (not (taken.cwd / first).exists() if "/" in first else True):
        first = str(program)
    warnings = ()
    if taken.launcher is not None:
        text = f"The command was started without `{' '.join(taken.launcher.words())}`."
        return (*taken.kept, first, *taken.argv[1:]), (Warning("unwrapped", text),)
    return (*taken.kept, first, *taken.argv[1:]), warnings


def instantiated(request: RebuildRequest, lock: JuliaLock, program: str, version: str) -> Path:
    """The directory of the project, its packages in the depot. Raises EnvironmentFailed, StorageError."""
    restored = inside_workspace(request, lock)
    root = restored or request.workspace
    texts = {
        name: moved(text, root, request.workspace)
        for name, text in (("Project.toml", lock.project), ("Manifest.toml", lock.manifest))
        if text is not None
    }
    if restored is not None and is_same(restored, lock, version):
        instantiate(request, program, restored)
        return restored
    place = request.place.absolute()
    place = place.with_name(f"{place.name}-{digest_bytes(os.fsencode(request.workspace.absolute()))[3:15]}")
    identity = digest_json({"kind": "julia", "lock": digest_bytes(request.recorded.lock or b""), "julia": version})
    make, finish = partial(write_project, lock, texts), partial(fill, request, program)
    try:
        obtain(Wanted(place, identity, make, finish, request.recorded.tell, "Project.toml"))
    except OSError as error:
        raise StorageError(
            f"The environment cannot be built in {place}: {error.strerror or error}.",
            "Make room or choose another cache directory, and try again.",
        ) from error
    return place


def inside_workspace(request: RebuildRequest, lock: JuliaLock) -> Path | None:
    """The directory of the project in the restored tree, if it is part of that."""
    if lock.place is None:
        return None
    return request.workspace if lock.place == "." else inside(request.workspace, lock.place)


def is_same(place: Path, lock: JuliaLock, version: str) -> bool:
    """Were project and manifest restored with the code?"""
    return read_project(place) == lock.project and read_manifest(place, version) == lock.manifest


def write_project(lock: JuliaLock, texts: Mapping[str, str], aside: Path) -> dict[str, Any]:
    """Project and manifest, packages under development pointing into the restored tree."""
    aside.mkdir()
    for name, text in texts.items():
        (aside / name).write_text(text, encoding="utf-8")
    return {"packages": len(packages_of(lock.manifest))}


def moved(text: str, root: Path, workspace: Path) -> str:
    """A project or manifest with paths that were relative to `root` made absolute. Raises Damaged if one leaves the
    tree, or cannot be replaced."""

    def absolute(match: re.Match[str]) -> str:
        target = within(load_toml(f"path = {match[2]}")["path"], root, workspace)
        return f"{match[1]}{json.dumps(str(target), ensure_ascii=False)}"

    try:
        wanted = [str(within(path, root, workspace)) for path in paths_in(load_toml(text))]
        done = PATH.sub(absolute, text)
        if list(paths_in(load_toml(done))) != wanted:
            raise ValueError("a path is written in a strange form")
    except ValueError as error:
        raise Damaged(f"The run's Julia project cannot be understood: {error}.", HOSTILE) from error
    return done


def paths_in(value: Any) -> Iterator[str]:
    """Every `path` of a document, wherever it stands."""
    if isinstance(value, list):
        yield from (path for item in value for path in paths_in(item))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from [inner] if name == "path" and isinstance(inner, str) else paths_in(inner)


def within(path: str, root: Path, workspace: Path) -> Path:
    """The directory of a package under development. Raises Damaged if it is not of the restored tree."""
    relative = os.path.relpath(os.path.normpath(root / path), workspace)
    target = workspace if relative == "." else inside(workspace, relative)
    if os.path.isabs(path) or target.is_symlink():
        raise Damaged(f"The run's Julia package in {path!r} is not part of its recorded tree.", HOSTILE)
    return target


def fill(request: RebuildRequest, program: str, place: Path) -> dict[str, Any]:
    instantiate(request, program, place)
    return {}


def instantiate(request: RebuildRequest, program: str, place: Path) -> None:
    """Fetch the packages of a project. Raises EnvironmentFailed with what Julia said last."""
    request.recorded.tell("Julia fetches its packages")
    words = (program, f"{SWITCH}={place}", "--startup-file=no", "-e", INSTANTIATE)
    failure = "The Julia packages cannot be had"
    use(Use("Julia", words, request.workspace, request.recorded.variables, failure, INSTALL))


def look(recorded: Recorded) -> tuple[Finding, ...]:
    """Julia itself, then each package: in the depot here, or to be fetched by Pkg."""
    lock = read_lock(recorded.lock)
    program = locate("julia", Path.cwd(), recorded.variables)
    version = ask_version(str(program), Path.cwd(), recorded.variables) if program is not None else None
    problem = None if version == lock.version else f"Julia here is {version}." if version else "Julia is not here."
    findings = [Finding(f"julia {lock.version}", problem, "this machine")]
    for package in packages_of(lock.manifest):
        is_here = any((depot / "packages" / package.name).is_dir() for depot in depots(recorded.variables))
        where = "this machine" if is_here else "package server, not asked"
        findings.append(Finding(f"{package.name} {package.version}", None, package.path or where))
    return tuple(findings)
