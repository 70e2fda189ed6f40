"""R and its libraries -> what is recorded of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.digest import digest_json
from mltrack.environments import Found
from mltrack.environments.interpreter import locate
from mltrack.environments.python.distributions import listed
from mltrack.environments.r import NAME
from mltrack.environments.r.interpreter import INSTALL, ask_r, find_r
from mltrack.environments.r.libraries import RPackage, libraries_of, read_packages
from mltrack.environments.r.lock import RLock, is_certain, pinned, write_lock
from mltrack.errors import EnvironmentFailed
from mltrack.records import Environment, Warning

if TYPE_CHECKING:
    from mltrack.environments import Request


def capture_r(request: Request) -> Found:
    """The R of the command, else the one on its PATH. Raises EnvironmentFailed if there is none."""
    program = find_r(request.argv, request.cwd, request.variables)
    program = program or locate("Rscript", request.cwd, request.variables)
    if program is None:
        raise EnvironmentFailed("This command starts no R that mltrack can find.", INSTALL)
    r = ask_r(program, request.cwd, request.variables)
    project = request.project or request.cwd
    packages = read_packages(libraries_of(r, project, request.variables))
    renv = read_renv(project)
    lock = RLock(r.version, r.platform, packages, renv)
    environment = Environment(
        digest=digest_of(lock),
        kind=NAME,
        interpreter=str(r.program),
        packages={"R": r.version, **{package.name: package.version for package in packages}},
    )
    return Found(environment, write_lock(lock), warnings_of(packages, renv))


def digest_of(lock: RLock) -> str:
    """Equal on two machines and in two directories if the same packages are installed."""
    return digest_json(
        {
            "kind": NAME,
            "r": lock.version,
            "platform": lock.platform,
            "packages": {package.name: package.identity for package in lock.packages},
        }
    )


def read_renv(project: Path) -> str | None:
    """The project's renv.lock, if it has one that is text."""
    try:
        return (project / "renv.lock").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def warnings_of(packages: tuple[RPackage, ...], renv: str | None) -> tuple[Warning, ...]:
    """What the reader of the run must know."""
    here = {package.name: package.version for package in packages}
    wanted = pinned(renv)
    others = [name for name, version in sorted(wanted.items()) if here.get(name) != version]
    unsure = [package.name for package in packages if not is_certain(package)]
    told = (
        (others, "What is installed is not what renv.lock says"),
        (unsure, "R packages from no repository that they name; they may not be had again"),
    )
    return tuple(Warning("environment", f"{text}: {listed(names)}.") for names, text in told if names)
