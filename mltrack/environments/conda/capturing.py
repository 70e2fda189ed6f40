"""A conda prefix -> what is recorded of it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.digest import digest_json
from mltrack.environments import Found
from mltrack.environments.command import unwrap
from mltrack.environments.conda import NAME
from mltrack.environments.conda.lock import CondaLock, CondaPackage, in_order, write_lock
from mltrack.environments.conda.meta import Prefix, read_prefix
from mltrack.environments.conda.piping import capture_pip
from mltrack.environments.conda.pixi import disagreement
from mltrack.environments.conda.prefixes import active_prefix, find_prefix
from mltrack.environments.interpreter import locate, shebang
from mltrack.environments.python.distributions import listed
from mltrack.errors import EnvironmentFailed
from mltrack.records import Environment, Warning

if TYPE_CHECKING:
    from mltrack.environments import Request

MACHINES = {"x86_64": "64", "amd64": "64", "i686": "32", "arm64": "arm64"}
SYSTEMS = {"linux": "linux", "darwin": "osx"}

ARCHIVES = "conda"
"""The directory of the tree `wheels` that holds conda's archives; wheels of pip lie beside it."""


def capture_prefix(request: Request) -> Found:
    """The packages of the command's prefix, and what pip installed there. Raises EnvironmentFailed."""
    launcher = unwrap(request.argv, request.cwd, request.variables).launcher
    is_settled = launcher is None or launcher.name != "pixi"
    path = find_prefix(request) or (active_prefix(request.variables) if is_settled else None)
    if path is None and not is_settled:
        early = Warning("environment", "pixi had not made the environment yet, or keeps it in an unknown place.")
        return Found(Environment(kind=NAME), None, (early,), settled=False)
    if path is None:
        raise EnvironmentFailed(
            "This command uses no conda environment that mltrack can find.",
            "Activate one first, or start the command with `conda run -n NAME`.",
        )
    prefix = read_prefix(path, request.cache)
    pip, told = capture_pip(request, path, prefix.packages)
    lock = CondaLock(platform_of(prefix.packages), in_order(list(prefix.packages)), pip.lock if pip else None)
    trees = dict(pip.trees) if pip else {}
    archives = {f"{ARCHIVES}/{found.path}": Path(place) for found, place in local_archives(prefix)}
    wheels = {**trees.get("wheels", {}), **archives}
    installed = pip.environment.packages if pip else {}
    environment = Environment(
        digest=digest_of(lock, pip.environment.digest if pip else None),
        kind=NAME,
        python=lock.python,
        interpreter=interpreter_of(request, path),
        packages={**{found.name: found.version for found in prefix.packages}, **installed},
    )
    warnings = (*warnings_of(prefix, installed), *disagreement(path, lock), *told)
    kept = {**trees, "wheels": wheels} if wheels else trees
    return Found(environment, write_lock(lock), warnings, kept, is_settled)


def digest_of(lock: CondaLock, pip: str | None) -> str:
    """Equal on two machines and in two directories if the same packages are installed; `pip` is the digest of what pip
    added."""
    return digest_json(
        {
            "kind": NAME,
            "platform": lock.platform,
            "packages": {found.name: [found.version, found.build, content_of(found)] for found in lock.packages},
            "pip": pip,
        }
    )


def content_of(package: CondaPackage) -> str | None:
    """What tells two archives of one name apart."""
    return package.sha256 or package.md5 or package.url


def platform_of(packages: Iterable[CondaPackage]) -> str:
    """The platform that the packages are built for; this machine's if none says."""
    named = sorted({found.subdir for found in packages} - {"noarch"})
    return named[0] if named else own_platform()


def own_platform() -> str:
    """`linux-64`: this machine, as conda calls it."""
    machine = platform.machine().lower()
    return f"{SYSTEMS.get(sys.platform, sys.platform)}-{MACHINES.get(machine, machine)}"


def interpreter_of(request: Request, prefix: Path) -> str | None:
    """The prefix's Python, else the program of it that the command starts, or that its script is started by."""
    python = prefix / "bin" / "python"
    if python.exists():
        return str(python)
    command = unwrap(request.argv, request.cwd, request.variables)
    program = locate(command.argv[0], command.cwd, command.variables) if command.argv else None
    words = (str(program), *shebang(program)[:1]) if program is not None else ()
    return next((word for word in words if Path(word).parent == prefix / "bin"), None)


def local_archives(prefix: Prefix) -> list[tuple[CondaPackage, str]]:
    """The packages that no channel has, with the archives that are still here."""
    return [
        (found, prefix.archives[found.name])
        for found in prefix.packages
        if found.url is None and Path(prefix.archives.get(found.name, "")).is_file()
    ]


def warnings_of(prefix: Prefix, installed: Iterable[str]) -> tuple[Warning, ...]:
    """What the reader of the run must know."""
    kept = {found.name for found, _ in local_archives(prefix)}
    gone = [found.name for found in prefix.packages if found.url is None and found.name not in kept]
    unsure = [found.name for found in prefix.packages if found.url is not None and not (found.sha256 or found.md5)]
    names = {found.name for found in prefix.packages}
    over = [name for name in installed if name in names]
    told = (
        (
            list(prefix.strange),
            "Files of conda-meta that cannot be understood, so that these packages are not recorded",
        ),
        (gone, "Conda packages from no channel, whose archives are not here any more; they cannot be built again"),
        (unsure, "Conda packages of which no hash is known"),
        (over, "Installed by pip over the package of conda"),
    )
    return tuple(Warning("environment", f"{text}: {listed(names)}.") for names, text in told if names)
