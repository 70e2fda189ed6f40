"""Builds recorded R packages again: nothing where this machine has them all, else a library of their own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mltrack.digest import digest_bytes, digest_json
from mltrack.environments import RebuildRequest, Rebuilt
from mltrack.environments.cache import Wanted, obtain, size_of
from mltrack.environments.command import unwrap
from mltrack.environments.interpreter import locate, shebang
from mltrack.environments.python.distributions import listed
from mltrack.environments.r.interpreter import INSTALL, NAMES, R, ask_r
from mltrack.environments.r.libraries import RPackage, libraries_of, read_packages
from mltrack.environments.r.lock import RLock, read_lock, renv_lock, repositories
from mltrack.environments.tools import Use, use
from mltrack.errors import EnvironmentFailed, StorageError
from mltrack.nouns import noun
from mltrack.records import Warning

SCRIPT = Path(__file__).with_name("restore.R.txt")
LIBRARY = "library"


@noun
class Build:
    """What is built, with which R."""

    request: RebuildRequest
    lock: RLock
    r: R


def rebuild_r(request: RebuildRequest) -> Rebuilt:
    """The command with R of this machine and the recorded packages. Raises EnvironmentFailed, Damaged."""
    if request.recorded.lock is None:
        raise EnvironmentFailed("The run has no lock of its environment.", "It was not captured; see its warnings.")
    lock = read_lock(request.recorded.lock)
    variables = request.recorded.variables
    program = locate("Rscript", request.workspace, variables)
    if program is None:
        raise EnvironmentFailed(f"R is not on this machine; the run used R {lock.version}.", INSTALL)
    build = Build(request, lock, ask_r(program, request.workspace, variables))
    argv, warnings = mapped(build)
    told = (*warnings, *version_warnings(build))
    if not lacking(lock, read_packages(libraries_of(build.r, request.workspace, variables))):
        text = "Every recorded R package is installed on this machine in its version; its libraries are used."
        return Rebuilt(argv, {}, None, (*told, Warning("environment", text)) if lock.packages else told)
    library = obtain_library(build)
    changes = {"R_LIBS": None, "R_LIBS_USER": str(library), "R_LIBS_SITE": "NULL"}
    return Rebuilt(argv, {**changes, "RENV_CONFIG_AUTOLOADER_ENABLED": "FALSE"}, None, told)


def lacking(lock: RLock, here: tuple[RPackage, ...]) -> list[RPackage]:
    """The recorded packages that are not among these."""
    known = {package.name: package.identity for package in here}
    return [package for package in lock.packages if known.get(package.name) != package.identity]


def version_warnings(build: Build) -> tuple[Warning, ...]:
    if build.r.version == build.lock.version:
        return ()
    return (Warning("interpreter", f"The run used R {build.lock.version}; here is R {build.r.version}."),)


def mapped(build: Build) -> tuple[tuple[str, ...], tuple[Warning, ...]]:
    """The command, started by the R of this machine and without a launcher."""
    request = build.request
    taken = unwrap(request.command, request.workspace / request.cwd, request.recorded.variables)
    if not taken.argv:
        return request.command, ()
    first = taken.argv[0]
    if "/" in first and Path(first).name in NAMES and not (taken.cwd / first).exists():
        first = str(build.r.program.with_name(Path(first).name))
    script = taken.cwd / first
    started_by = shebang(script) if "/" in first else ()
    if started_by and Path(started_by[0]).name in NAMES and not Path(started_by[0]).exists():
        taken = replace(taken, argv=(first, *taken.argv))
        first = str(build.r.program.with_name(Path(started_by[0]).name))
    if taken.launcher is None:
        return (*taken.kept, first, *taken.argv[1:]), ()
    text = f"The command was started without `{' '.join(taken.launcher.words())}`."
    return (*taken.kept, first, *taken.argv[1:]), (Warning("unwrapped", text),)


def obtain_library(build: Build) -> Path:
    """The library with the recorded packages, built if it is not there. Raises EnvironmentFailed, StorageError."""
    request = build.request
    place = request.place.absolute()
    identity = digest_json({"kind": "r", "lock": digest_bytes(request.recorded.lock or b""), "r": build.r.version})
    wanted = Wanted(place, identity, begin, partial(finish, build), request.recorded.tell, LIBRARY)
    try:
        obtain(wanted)
    except OSError as error:
        raise StorageError(
            f"The environment cannot be built in {place}: {error.strerror or error}.",
            "Make room or choose another cache directory, and try again.",
        ) from error
    return place / LIBRARY


def begin(aside: Path) -> dict[str, Any]:
    """An empty directory: R packages may note where they were installed."""
    aside.mkdir()
    return {}


def finish(build: Build, place: Path) -> dict[str, Any]:
    """Fill the library, and compare it with the lock."""
    library = place / LIBRARY
    shutil.rmtree(library, ignore_errors=True)
    library.mkdir()
    wanted = in_order(lacking(build.lock, read_packages((build.r.home,))))
    listing, lock = place / "packages.txt", place / "renv.lock"
    listing.write_text("".join(f"{package.name}\t{package.version}\n" for package in wanted))
    lock.write_text(renv_lock(build.lock))
    build.request.recorded.tell(f"installing {len(wanted)} R packages")
    run(build, ["--vanilla", "-e", SCRIPT.read_text(), *map(str, (listing, library, lock))])
    left = lacking(build.lock, read_packages((library, build.r.home)))
    if left:
        raise EnvironmentFailed(
            f"R did not install what was recorded: {listed([f'{one.name} {one.version}' for one in left])}.",
            "Those from no repository must be installed by hand; see `mltrack env check`.",
        )
    return {"packages": len(wanted), "size_bytes": size_of(place)}


def in_order(packages: list[RPackage]) -> list[RPackage]:
    """What a package needs stands before it."""
    left = {package.name: package for package in packages}
    ordered: list[RPackage] = []
    while left:
        ready = [name for name, package in left.items() if not set(package.needs) & left.keys() - {name}]
        ordered += [left.pop(name) for name in ready or [next(iter(left))]]
    return ordered


def run(build: Build, words: list[str]) -> None:
    """Run R. Raises EnvironmentFailed with what it said last."""
    urls = list(repositories(build.lock.renv).values())
    variables = {name: text for name, text in build.request.recorded.variables.items() if name != "R_TESTS"}
    program = (str(build.r.program), *words, *urls)
    use(Use("R", program, build.request.place, variables, "The R packages cannot be installed", INSTALL))
