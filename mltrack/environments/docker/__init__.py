"""The kind `docker`: a command in a container of a container engine, and its image by digest.

A container is entered: `start` gives the words of a client program that runs under the ordinary executor
(`docs/design/003-containers.md`). Never chosen by `auto`; a setting or a flag names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.environments import (
        Finding,
        Found,
        Gathered,
        RebuildRequest,
        Rebuilt,
        Recorded,
        Request,
        Started,
        StartRequest,
    )

NAME = "docker"
FORMATS = ("dockerfile",)
CARRIES = ("image",)


def applies(request: Request) -> bool:
    """Never by itself: nothing in a command says that it is meant for a container."""
    return False


def start(request: StartRequest) -> Started:
    """Make sure that the image is here, built or pulled; the words that run the command in it.

    Raises EnvironmentFailed, UsageError.
    """
    from mltrack.environments.docker.entering import enter

    return enter(request)


def capture(request: Request) -> Found:
    """The image, the distributions in it, and what it was built from. Raises EnvironmentFailed, UsageError."""
    from mltrack.environments.docker.describing import describe_environment

    return describe_environment(request)


def rebuild(request: RebuildRequest) -> Rebuilt:
    """The recorded image on this machine's engine: here, else from a registry, else from the store or a remote, else
    built from its context. Raises EnvironmentFailed."""
    from mltrack.environments.docker.again import bring_back

    return bring_back(request)


def check(recorded: Recorded) -> tuple[Finding, ...]:
    """Could the image be had here, now?"""
    from mltrack.environments.docker.again import look

    return look(recorded)


def export(recorded: Recorded, format: str) -> str:
    """A Dockerfile: the one that the image was built from, or one that begins with the image by its digest."""
    from mltrack.environments.docker.again import dockerfile_of

    if format not in FORMATS:
        raise UsageError(f"A container cannot be exported as {format!r}.", f"Known are: {', '.join(FORMATS)}.")
    return dockerfile_of(recorded)


def gather(recorded: Recorded, what: str, scratch: Path) -> Gathered:
    """The image as a tree, its layers each a file. Raises EnvironmentFailed if it cannot be had here."""
    from mltrack.environments.docker.again import image_tree

    if what not in CARRIES:
        raise UsageError(f"A container has no {what!r} to carry.", f"Known are: {', '.join(CARRIES)}.")
    return image_tree(recorded, scratch)
