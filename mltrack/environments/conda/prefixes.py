"""Which conda prefix a command will use: from where its program lies, and from what `conda run` was told.

Looks at names and a few stats; a launcher is asked only in `capture`, and only where files do not tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.environments.command import DEPTH, Command, Launcher, unwrap
from mltrack.environments.interpreter import ask, behind_shim, is_executable, is_shim, locate, shebang

if TYPE_CHECKING:
    from mltrack.environments import Request

LAUNCHERS = ("conda", "mamba", "micromamba", "pixi")

SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "fish", "make", "just", "snakemake")
"""Programs of the system whose work is to start others, which they find on PATH."""


def is_prefix(path: Path) -> bool:
    """Is this the root of a conda environment?"""
    return (path / "conda-meta").is_dir()


def is_launched(request: Request) -> bool:
    """Is the command started through `conda run` or its like?"""
    launcher = unwrap(request.argv, request.cwd, request.variables).launcher
    return launcher is not None and launcher.name in LAUNCHERS


def find_prefix(request: Request, may_ask: bool = True) -> Path | None:
    """The prefix whose programs the command uses; None if it is not one of conda."""
    command = unwrap(request.argv, request.cwd, request.variables)
    for _ in range(DEPTH):
        if command.launcher is not None:
            is_ours = command.launcher.name in LAUNCHERS
            return behind_launcher(command, command.launcher, may_ask) if is_ours else None
        program = locate(command.argv[0], command.cwd, command.variables) if command.argv else None
        if program is None:
            return None
        prefix = prefix_of(program)
        if prefix is not None:
            return prefix
        if is_shim(program):
            target = behind_shim(program, command) if has_conda(program.parent.parent) else None
            return prefix_of(Path(target)) if target else None
        started_by = shebang(program)
        if not started_by or program.name in SHELLS:
            return around(program, request, command)
        command = unwrap((*started_by, str(program), *command.argv[1:]), command.cwd, command.variables)
    return None


def prefix_of(program: Path) -> Path | None:
    """The prefix that a program belongs to. A virtual environment made from a conda Python is not one."""
    for place in (program.parent.parent, None):
        if place is None:
            place = Path(os.path.realpath(program)).parent.parent
        if is_prefix(place):
            return place
        if (place / "pyvenv.cfg").is_file():
            return None
    return None


def has_conda(pyenv: Path) -> bool:
    """Did pyenv install a conda? Asking its shims costs a process."""
    return any(pyenv.glob("versions/*/conda-meta"))


def around(program: Path, request: Request, command: Command) -> Path | None:
    """The active prefix, where the program starts others (a shell) or is a file of the project (it was built there)."""
    active = active_prefix(command.variables)
    if active is None or program.name in SHELLS:
        return active
    return active if (request.project or request.cwd).resolve() in program.resolve().parents else None


def active_prefix(variables: Mapping[str, str]) -> Path | None:
    """CONDA_PREFIX, if PATH leads into it and no virtual environment stands before it."""
    named = variables.get("CONDA_PREFIX")
    if not named or not is_prefix(Path(named)):
        return None
    for place in variables.get("PATH", "").split(os.pathsep):
        if place and Path(place) == Path(named) / "bin":
            return Path(named)
        if place and (Path(place).parent / "pyvenv.cfg").is_file():
            return None
    return None


def behind_launcher(command: Command, launcher: Launcher, may_ask: bool) -> Path | None:
    """The prefix that `conda run`, `micromamba run` or `pixi run` starts a command in."""
    places = pixi_places(command, launcher) if launcher.name == "pixi" else conda_places(command, launcher)
    found = next((place for place in places if is_prefix(place)), None)
    program = locate(launcher.program, command.cwd, command.variables)
    if found is not None or not may_ask or program is None or launcher.name == "pixi":
        return found  # pixi would install what is not there, beside the command that does it too
    words = (str(program), *launcher.words()[1:], "printenv", "CONDA_PREFIX")
    answer = ask(words, command.cwd, command.variables)
    return Path(answer) if answer and answer.startswith("/") and is_prefix(Path(answer)) else None


def option(options: tuple[str, ...], *names: str) -> str | None:
    """The value of an option: `-n NAME`, `--name NAME`, `--name=NAME`."""
    for index, word in enumerate(options):
        name, is_joined, value = word.partition("=")
        if name in names:
            return value if is_joined else "".join(options[index + 1 : index + 2]) or None
    return None


def conda_places(command: Command, launcher: Launcher) -> Iterator[Path]:
    """Where the environment lies that the options name, the likeliest first."""
    prefix, name = option(launcher.options, "-p", "--prefix"), option(launcher.options, "-n", "--name")
    variables = command.variables
    if prefix is not None:
        yield command.cwd / Path(prefix).expanduser()
    elif name is None:
        if variables.get("CONDA_PREFIX"):
            yield Path(variables["CONDA_PREFIX"])
        else:
            yield from roots(command, launcher)
    elif "/" in name:
        yield command.cwd / name
    elif name in ("base", "root"):
        yield from roots(command, launcher)
    else:
        for setting in ("CONDA_ENVS_DIRS", "CONDA_ENVS_PATH"):
            yield from (Path(place) / name for place in variables.get(setting, "").split(os.pathsep) if place)
        yield from (root / "envs" / name for root in roots(command, launcher))
        yield Path(variables.get("HOME", "/")) / ".conda" / "envs" / name


def roots(command: Command, launcher: Launcher) -> Iterator[Path]:
    """The directories that may be the installation which the launcher belongs to."""
    variables = command.variables
    named = option(launcher.options, "-r", "--root-prefix")
    if named:
        yield command.cwd / named
    if variables.get("MAMBA_ROOT_PREFIX"):
        yield Path(variables["MAMBA_ROOT_PREFIX"])
    program = locate(launcher.program, command.cwd, variables)
    for path in (program, Path(variables["CONDA_EXE"]) if variables.get("CONDA_EXE") else None):
        if path is not None and is_executable(path):
            yield path.parent.parent
            yield path.resolve().parent.parent
    home = Path(variables.get("HOME", "/"))
    yield from (home / place for place in ("micromamba", ".local/share/mamba"))


def pixi_places(command: Command, launcher: Launcher) -> Iterator[Path]:
    """Where pixi keeps the environment of the project around the command."""
    name = option(launcher.options, "-e", "--environment") or "default"
    for manifest in pixi_manifests(command.cwd, option(launcher.options, "--manifest-path")):
        yield manifest.parent / ".pixi" / "envs" / name


def pixi_manifests(cwd: Path, named: str | None) -> Iterator[Path]:
    """The files that may describe the pixi project of a directory, the nearest first."""
    if named is not None:
        place = cwd / named
        yield from ([place] if place.is_file() else (place / name for name in ("pixi.toml", "pyproject.toml")))
        return
    for directory in (cwd, *cwd.parents):
        for name in ("pixi.toml", "pyproject.toml"):
            if (directory / name).is_file():
                yield directory / name
