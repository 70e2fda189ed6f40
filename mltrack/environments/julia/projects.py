"""Which Julia a command starts, and which project it activates."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mltrack.environments.command import DEPTH, Command, unwrap
from mltrack.environments.interpreter import ask, locate, shebang
from mltrack.patterns import lazy

PROJECTS = ("JuliaProject.toml", "Project.toml")
NAME = lazy(r"julia(-\d+(\.\d+)*)?")
VERSION = r"\d+\.\d+\.\d+(?:-[A-Za-z0-9.]+)?(?:\+[A-Za-z0-9.]+)?"
SWITCH = "--project"


def is_julia(word: str) -> bool:
    return NAME.fullmatch(Path(word).name) is not None


def find_julia(argv: tuple[str, ...], cwd: Path, variables: Mapping[str, str]) -> Command | None:
    """The command that starts Julia, behind prefixes and shebangs; None if it starts something else."""
    command = unwrap(argv, cwd, variables)
    for _ in range(DEPTH):
        if not command.argv:
            return None
        program = locate(command.argv[0], command.cwd, command.variables)
        if is_julia(command.argv[0]):
            return command if program is not None else None
        started_by = shebang(program) if program is not None and command.launcher is None else ()
        if not started_by:
            return None
        command = unwrap((*started_by, str(program), *command.argv[1:]), command.cwd, command.variables)
    return None


def ask_version(program: str, cwd: Path, variables: Mapping[str, str]) -> str | None:
    """`1.10.4`; None if it does not run."""
    found = re.search(VERSION, ask((program, "--version"), cwd, variables) or "")
    return found[0] if found else None


def project_of(command: Command, version: str) -> Path | None:
    """The directory of the project that Julia activates: by its option, JULIA_PROJECT, else the shared one."""
    wish = wished(command.argv)
    wish = command.variables.get("JULIA_PROJECT") if wish is None else wish
    return next((place for place in places(wish or "", command, version) if has_project(place)), None)


def wished(argv: tuple[str, ...]) -> str | None:
    """The value of `--project`; `@.` for the bare option, None without it."""
    for word in argv[1:]:
        name, is_joined, value = word.partition("=")
        if name == SWITCH:
            return value if is_joined else "@."
        if not word.startswith("-"):
            break
    return None


def places(wish: str, command: Command, version: str) -> Iterator[Path]:
    """Directories that may hold the project, the first that does counts."""
    if wish in ("@.", "@script"):
        yield from (command.cwd, *command.cwd.parents)
    elif wish.startswith("@") or not wish:
        name = wish[1:] or f"v{'.'.join(version.split('.')[:2])}"
        yield from (depot / "environments" / name for depot in depots(command.variables))
    else:
        place = command.cwd / Path(wish).expanduser()
        yield place.parent if place.suffix == ".toml" else place


def depots(variables: Mapping[str, str]) -> list[Path]:
    """The directories where Julia keeps packages and shared projects."""
    named = [Path(place) for place in variables.get("JULIA_DEPOT_PATH", "").split(os.pathsep) if place]
    return named or [Path(variables.get("HOME", "/")) / ".julia"]


def has_project(place: Path) -> bool:
    return any((place / name).is_file() for name in PROJECTS)


def read_project(place: Path) -> str | None:
    """The text of the project file."""
    return next((text for name in PROJECTS if (text := read(place / name)) is not None), None)


def read_manifest(place: Path, version: str) -> str | None:
    """The text of the manifest: that of this minor version, where there is one, as Julia 1.11 chooses it."""
    minor = ".".join(version.split(".")[:2])
    stems = [f"Manifest-v{minor}.toml"] if tuple(map(int, minor.split("."))) >= (1, 11) else []
    names = [f"{start}{stem}" for stem in (*stems, "Manifest.toml") for start in ("Julia", "")]
    return next((text for name in names if (text := read(place / name)) is not None), None)


def read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
