"""Builds a recorded conda environment again: a prefix made by the tool that is here, then what pip had added.

The prefix stands in the directory `env` of its place, beside the archives of packages that no channel has. What was
installed is compared with the lock, for no tool is trusted to have taken the very archives.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mltrack.digest import digest_bytes, digest_json
from mltrack.environments import RebuildRequest, Rebuilt
from mltrack.environments.asking import together
from mltrack.environments.cache import Wanted, obtain, size_of
from mltrack.environments.command import Command, unwrap
from mltrack.environments.conda.activating import activation
from mltrack.environments.conda.archives import fetch, is_that
from mltrack.environments.conda.capturing import ARCHIVES, own_platform
from mltrack.environments.conda.channels import channel_of
from mltrack.environments.conda.keeping import package_cache
from mltrack.environments.conda.lock import CondaLock, CondaPackage, read_lock
from mltrack.environments.conda.meta import META, read_prefix
from mltrack.environments.conda.piping import install_pip, needs_project
from mltrack.environments.conda.pixi import PixiProject, find_project, frozen_command, install_frozen
from mltrack.environments.conda.tools import MISSING, REMEDY, Job, Tool, find_tool, make_prefix
from mltrack.environments.interpreter import locate, shebang
from mltrack.environments.mapping import Move, map_command
from mltrack.environments.python.distributions import listed
from mltrack.errors import Damaged, DataMissing, EnvironmentFailed, StorageError
from mltrack.nouns import noun
from mltrack.records import Warning

PREFIX = "env"
KEPT = "archives"
WORK = "work"


@noun
class Build:
    """What is built, with what."""

    request: RebuildRequest
    lock: CondaLock
    tool: Tool
    place: Path
    root: Path
    """The tree that the project's own distributions are installed from."""

    @property
    def prefix(self) -> Path:
        return self.place / PREFIX


def rebuild_prefix(request: RebuildRequest) -> Rebuilt:
    """Build the environment, or take the one that is there, and map the command into it. Raises EnvironmentFailed."""
    variables = request.recorded.variables
    command = unwrap(request.command, request.workspace / request.cwd, variables)
    project = find_project(command, request.workspace, variables)
    if project is not None:
        return rebuild_by_pixi(request, project, command)
    build = plan(request)
    identity = digest_json(
        {
            "kind": "conda",
            "lock": digest_bytes(request.recorded.lock or b""),
            "root": str(build.root) if needs_project(build.lock.pip) else None,
        }
    )
    proof = f"{PREFIX}/{META}/history"
    wanted = Wanted(build.place, identity, partial(begin, build), partial(finish, build), request.recorded.tell, proof)
    try:
        marker = obtain(wanted)
    except OSError as error:
        raise StorageError(
            f"The environment cannot be built in {build.place}: {error.strerror or error}.",
            "Make room or choose another cache directory, and try again.",
        ) from error
    return enter(build, marker, command)


def rebuild_by_pixi(request: RebuildRequest, project: PixiProject, command: Command) -> Rebuilt:
    """The environment of a project of pixi, in the project, as pixi keeps it: its tasks are known to pixi alone."""
    lock = lock_for_here(request)
    request.recorded.tell(f"pixi installs {len(lock.packages)} packages")
    install_frozen(project, request.recorded.variables)
    compare(lock, project.prefix, "pixi", request.recorded.cache)
    return Rebuilt(frozen_command(command, project.program), {"PIXI_PROJECT_MANIFEST": None}, lock.python)


def lock_for_here(request: RebuildRequest) -> CondaLock:
    """The lock, if its packages are for this platform. Raises EnvironmentFailed, Damaged."""
    if request.recorded.lock is None:
        raise EnvironmentFailed(
            "The run has no lock of its environment, so that it cannot be built again.",
            "It was not captured; see the run's warnings. Run the command in an environment of your own.",
        )
    lock = read_lock(request.recorded.lock)
    if lock.platform != own_platform() and any(package.subdir != "noarch" for package in lock.packages):
        raise EnvironmentFailed(
            f"The run's conda packages are for {lock.platform}, and this machine is {own_platform()}.",
            f"Reproduce it on a {lock.platform} machine, or in a container of that platform.",
        )
    return lock


def plan(request: RebuildRequest) -> Build:
    """Everything that can be known, and can fail, before a file is written."""
    lock = lock_for_here(request)
    tool = find_tool(request.recorded.variables)
    if tool is None:
        raise EnvironmentFailed(MISSING, REMEDY)
    root = (request.editable_root or request.workspace).absolute()
    place = request.place.absolute()
    if needs_project(lock.pip):  # it points into one tree: another tree needs an environment of its own
        place = place.with_name(f"{place.name}-{digest_bytes(os.fsencode(root))[3:15]}")
    return Build(request, lock, tool, place, root)


def begin(build: Build, aside: Path) -> dict[str, Any]:
    """An empty directory: a prefix knows its own path, so that all is made in the final place."""
    aside.mkdir()
    return {"python": build.lock.python, "packages": len(build.lock.packages)}


def finish(build: Build, place: Path) -> dict[str, Any]:
    """Make the prefix, compare it with the lock, and add what pip had installed."""
    request = build.request
    scratch = place / WORK
    for directory in (build.prefix, scratch):  # of an attempt that was killed
        shutil.rmtree(directory, ignore_errors=True)
    scratch.mkdir()
    stored = laid_out(request)
    urls = addresses(build, stored)
    urls |= fetched(build, urls, scratch)
    request.recorded.tell(f"{build.tool.name} installs {len(urls)} conda packages")
    variables = request.recorded.variables
    with package_cache(request.recorded.cache, build.lock.packages, scratch) as cache:
        make_prefix(build.tool, Job(build.prefix, build.lock.packages, urls, scratch, cache, variables))
    compare(build.lock, build.prefix, build.tool.name, request.recorded.cache)
    restore_origins(build)
    told = install_pip(request, build.lock.pip, build.prefix, stored)
    shutil.rmtree(scratch, ignore_errors=True)
    return {"told": [[warning.kind, warning.message] for warning in told], "size_bytes": size_of(place)}


def laid_out(request: RebuildRequest) -> Path | None:
    """The archives and wheels that were kept with the run; None if there are none, or they are out of reach."""
    try:
        return request.recorded.lay_out("wheels")
    except DataMissing as error:
        request.recorded.tell(f"the archives that were kept are not here: {error}")
        return None


def addresses(build: Build, stored: Path | None) -> dict[str, str]:
    """Name -> where the archive is taken from: kept with the run, else its channel. Raises EnvironmentFailed."""
    urls, gone = {}, []
    for package in build.lock.packages:
        kept = stored / ARCHIVES / package.path if stored is not None else None
        if kept is not None and kept.is_file():
            if not is_that(kept, package) and (package.md5 or package.sha256):
                raise Damaged(f"The archive kept of {package.label} is not the recorded one.", "Run `mltrack verify`.")
            urls[package.name] = file_url(kept if package.url else keep(kept, package, build.place))
        elif package.url is not None:
            urls[package.name] = package.url
        else:
            gone.append(package.label)
    if gone:
        raise EnvironmentFailed(
            f"No channel has these conda packages, and their archives were not kept: {listed(gone)}.",
            "They were built on the run's machine; build them again there, and run once more.",
        )
    return urls


def fetched(build: Build, urls: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Name -> the archive, verified, of packages whose only hash an explicit list cannot say: no tool would look at
    it. Raises EnvironmentFailed."""
    variables = build.request.recorded.variables
    alone = [one for one in build.lock.packages if one.sha256 and not one.md5 and urls[one.name] == one.url]
    answers = together(lambda one: fetch(one, scratch / ARCHIVES / one.path, variables), alone)
    for answer in answers:
        if isinstance(answer, str):
            raise EnvironmentFailed(answer, "See `mltrack env check`; a remote may carry the archives.")
    return {one.name: file_url(Path(answer)) for one, answer in zip(alone, answers)}


def keep(archive: Path, package: CondaPackage, place: Path) -> Path:
    """Keep an archive beside the prefix: a run in it must find what no channel has."""
    target = place / KEPT / package.path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(archive, target)
    return target


def file_url(path: Path) -> str:
    return f"file://{quote(os.fsencode(path))}"


def compare(lock: CondaLock, prefix: Path, tool: str, cache: Path) -> None:
    """Raises EnvironmentFailed if the prefix does not hold the very packages of the lock."""
    here = {package.name: package for package in read_prefix(prefix, cache).packages}
    wrong = [package.label for package in lock.packages if not is_same(package, here.get(package.name))]
    extra = sorted(here.keys() - {package.name for package in lock.packages})
    if wrong or extra:
        lacks = f"lacks {listed(wrong)}" if wrong else ""
        has = f"has {listed(extra)} besides" if extra else ""
        how = " and ".join(text for text in (lacks, has) if text)
        raise EnvironmentFailed(
            f"The environment that {tool} made is not the recorded one: it {how}.",
            "Look at the settings of conda on this machine (`.condarc`, pinned packages).",
        )


def is_same(then: CondaPackage, now: CondaPackage | None) -> bool:
    """Is it the same archive, as far as both are known?"""
    if now is None or (now.version, now.build, now.subdir) != (then.version, then.build, then.subdir):
        return False
    return all(
        getattr(now, name) == getattr(then, name)
        for name in ("sha256", "md5")
        if getattr(now, name) and getattr(then, name)
    )


def restore_origins(build: Build) -> None:
    """What was installed from a kept archive says the channel that it is from, so that a run here records that."""
    urls = {package.name: package.url for package in build.lock.packages if package.url}
    for path in (build.prefix / META).glob("*.json"):
        table = json.loads(path.read_bytes())
        url = urls.get(table.get("name"))
        if url is not None and str(table.get("url")).startswith("file:"):
            table |= {"url": url, "channel": channel_of(url)}
            path.unlink()  # it may be a hard link into a cache
            path.write_text(json.dumps(table, indent=2))


def enter(build: Build, marker: Mapping[str, Any], command: Command) -> Rebuilt:
    """The command, its variables, and what must be said."""
    request = build.request
    programs = build.prefix / "bin"
    interpreter = request.recorded.environment.interpreter
    variables = request.recorded.variables
    move = Move(Path(interpreter).parent if interpreter else None, programs, request.workspace / request.cwd, variables)
    argv, warnings = map_command(request.command, move)
    argv = through_new(argv, command, move)
    refuse_task(command, programs)
    told = tuple(Warning(kind, text) for kind, text in marker.get("told", ()))
    changes = activation(build.prefix, variables, request.recorded.environment.variables.get("CONDA_DEFAULT_ENV"))
    return Rebuilt(argv, changes, build.lock.python, (*told, *warnings))


def through_new(argv: tuple[str, ...], command: Command, move: Move) -> tuple[str, ...]:
    """The command, where it is a script whose shebang names a program of the old prefix: started by the new one."""
    program = locate(command.argv[0], command.cwd, command.variables) if command.argv else None
    started_by = shebang(program) if program is not None else ()
    if not started_by or Path(started_by[0]).parent != move.old or argv[len(command.kept) :] != command.argv:
        return argv
    more = started_by[1].split() if len(started_by) > 1 else []
    return (*command.kept, str(move.new / Path(started_by[0]).name), *more, *command.argv)


def refuse_task(command: Command, programs: Path) -> None:
    """Raises EnvironmentFailed if pixi was given a task, which is no program of the environment."""
    if command.launcher is None or command.launcher.name != "pixi" or not command.argv:
        return
    word = command.argv[0]
    if "/" not in word and not (programs / word).exists() and locate(word, command.cwd, command.variables) is None:
        raise EnvironmentFailed(f"{word!r} is no program of the environment; it was a task of pixi.", "Install pixi.")
