"""The kind `conda`: environments of conda, mamba, micromamba and pixi, whatever programs they hold.

Described from the files that they leave in `conda-meta/`, and built again by whichever of these tools is here, or by
py-rattler. What pip or uv installed there belongs to it, and is left to the kind `python`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.environments import Finding, Found, Gathered, Package, RebuildRequest, Rebuilt, Recorded, Request

NAME = "conda"

FORMATS = ("conda", "explicit", "requirements")

CARRIES = ("wheels",)


def applies(request: Request) -> bool:
    """Does this command use the programs of a conda environment?"""
    from mltrack.environments.conda.prefixes import find_prefix, is_launched

    return find_prefix(request, may_ask=False) is not None or is_launched(request)


def capture(request: Request) -> Found:
    """The packages of the environment that the command uses, else of the one that is active. Raises EnvironmentFailed
    if there is none."""
    from mltrack.environments.conda.capturing import capture_prefix

    return capture_prefix(request)


def rebuild(request: RebuildRequest) -> Rebuilt:
    """A prefix with exactly the recorded packages. Raises EnvironmentFailed, Damaged, DataMissing."""
    from mltrack.environments.conda.building import rebuild_prefix

    return rebuild_prefix(request)


def check(recorded: Recorded) -> tuple[Finding, ...]:
    """Is there a tool to build it with, and is every package stored, in a package cache here, or in its channel?"""
    from mltrack.environments.conda.looking import look

    return look(recorded)


def export(recorded: Recorded, format: str) -> str:
    """`conda`: an environment.yml; `explicit`: what `conda create --file` reads; `requirements`: the Python
    distributions, for pip. Raises Damaged."""
    from mltrack.environments.conda.texts import export_lock

    return export_lock(recorded, format)


def packages(recorded: Recorded) -> tuple[Package, ...]:
    """What the lock tells of each package. Raises Damaged."""
    from mltrack.environments.conda.texts import packages_of

    return packages_of(recorded)


def gather(recorded: Recorded, what: str, scratch: Path) -> Gathered:
    """The archives of all packages, verified, and the wheels of what pip installed. Raises EnvironmentFailed."""
    from mltrack.environments.conda.archives import gather_archives

    return gather_archives(recorded, scratch)
