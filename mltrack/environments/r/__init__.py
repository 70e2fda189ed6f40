"""The kind `r`: R with the packages of its libraries, and renv.lock where the project has one.

Described from the DESCRIPTION files of what is installed; built again by renv where that is here, else by R's own
installer, from a repository of R packages and its archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrack.environments import Finding, Found, Package, RebuildRequest, Rebuilt, Recorded, Request

NAME = "r"

FORMATS = ("renv",)


def applies(request: Request) -> bool:
    """Does this command start R?"""
    from mltrack.environments.r.interpreter import find_r

    return find_r(request.argv, request.cwd, request.variables) is not None


def capture(request: Request) -> Found:
    """The version of R and what is installed for it. Raises EnvironmentFailed if there is no R."""
    from mltrack.environments.r.capturing import capture_r

    return capture_r(request)


def rebuild(request: RebuildRequest) -> Rebuilt:
    """The libraries of this machine if they hold every recorded package, else a library of their own. Raises
    EnvironmentFailed, Damaged."""
    from mltrack.environments.r.building import rebuild_r

    return rebuild_r(request)


def check(recorded: Recorded) -> tuple[Finding, ...]:
    """Is R here, and is every package installed, or in its repository?"""
    from mltrack.environments.r.looking import look

    return look(recorded)


def packages(recorded: Recorded) -> tuple[Package, ...]:
    """What the lock tells of each package. Raises Damaged."""
    from mltrack.environments.r.lock import listed_packages

    return listed_packages(recorded)


def export(recorded: Recorded, format: str) -> str:
    """An renv.lock: the project's own, or one of what was installed. Raises Damaged."""
    from mltrack.environments.r.lock import read_lock, renv_lock

    return renv_lock(read_lock(recorded.lock))
