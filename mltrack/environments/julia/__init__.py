"""The kind `julia`: Julia with the project that the command activates, as Manifest.toml pins it.

The manifest names every package by the hash of its source tree, so that it is a lock already; it is kept with the
version of Julia, and restored by Julia's own Pkg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrack.environments import Finding, Found, Package, RebuildRequest, Rebuilt, Recorded, Request

NAME = "julia"

FORMATS = ("manifest",)


def applies(request: Request) -> bool:
    """Does this command start Julia?"""
    from mltrack.environments.julia.projects import find_julia

    return find_julia(request.argv, request.cwd, request.variables) is not None


def capture(request: Request) -> Found:
    """The version of Julia, and the project and manifest of the command. Raises EnvironmentFailed if there is no
    Julia."""
    from mltrack.environments.julia.capturing import capture_julia

    return capture_julia(request)


def rebuild(request: RebuildRequest) -> Rebuilt:
    """The recorded project in a directory of its own, its packages fetched by Pkg. Raises EnvironmentFailed."""
    from mltrack.environments.julia.building import rebuild_julia

    return rebuild_julia(request)


def check(recorded: Recorded) -> tuple[Finding, ...]:
    """Is Julia here, and which packages are in its depot? Package servers are not asked."""
    from mltrack.environments.julia.building import look

    return look(recorded)


def packages(recorded: Recorded) -> tuple[Package, ...]:
    """What the manifest tells of each package. Raises Damaged."""
    from mltrack.environments.julia.lock import listed_packages

    return listed_packages(recorded)


def export(recorded: Recorded, format: str) -> str:
    """The Manifest.toml. Raises Damaged."""
    from mltrack.environments.julia.lock import read_lock

    return read_lock(recorded.lock).manifest or ""
