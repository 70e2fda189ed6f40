"""The family of environment kinds: how the software that a command sees is captured, and built again.

A kind is a module with the names of `EnvironmentKind`; `tests/contracts/test_environments.py` runs over every one.
This file holds the contract only. No kind stores anything: it hands over the text of a lock, and is given it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from mltrack import plugins
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.records import Environment, Warning


@noun
class Request:
    """What to capture: the command as it is about to be started."""

    argv: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    """The whole environment that the command is given; its PATH decides what a name means."""
    cache: Path
    """The user's cache directory for mltrack; it may be absent or read-only."""
    project: Path | None = None
    """The project's root; what is installed from below it is named relative to it. The same as `cwd` if absent."""


@noun
class Found:
    """What was captured. The caller stores `lock` and puts its digest in `environment.lockfile`."""

    environment: Environment
    lock: bytes | None
    warnings: tuple[Warning, ...] = ()
    local_sources: tuple[str, ...] = ()
    """Absolute paths of the directories that distributions are installed from: editable installs, local projects."""
    settled: bool = True
    """False where the command itself may install something first (`uv run`): capture once more when it has ended."""


@noun
class RebuildRequest:
    """What to build again, and for which command."""

    environment: Environment
    lock: bytes | None
    command: tuple[str, ...]
    workspace: Path
    """The root of the restored tree."""
    place: Path
    """The directory of the new environment. One that was completed before is used again, a half-built one is built
    again. Where distributions of the project itself belong to it, a directory beside this one, named for the tree."""
    variables: Mapping[str, str]
    """The environment to build with and to look programs up in: PATH, HOME, proxies, settings of pip and uv."""
    editable_root: Path | None = None
    """The tree that editable installs of the project point into; the workspace if absent."""
    cwd: str = "."
    """Where the command starts, relative to the workspace."""


@noun
class Rebuilt:
    """How to start the command in the environment that was built."""

    argv: tuple[str, ...]
    variables: Mapping[str, str | None]
    """Changes to the command's environment variables; None removes one."""
    python: str | None
    warnings: tuple[Warning, ...] = ()


class EnvironmentKind(Protocol):
    """The names of a kind's module."""

    NAME: str
    """The word for it in records and in `--env`."""

    def applies(self, request: Request) -> bool:
        """Does this kind know what software the command sees? Cheap; never raises for a strange command."""

    def capture(self, request: Request) -> Found:
        """Describe the environment. Works also where `applies` says no, as far as it can: the user asked for it by
        name. Raises EnvironmentFailed."""

    def rebuild(self, request: RebuildRequest) -> Rebuilt:
        """Build the environment in `place`, and say how to start the command in it. Raises EnvironmentFailed."""


def get(kind: str) -> EnvironmentKind:
    """The kind of that name. Raises UsageError if there is none."""
    return cast(EnvironmentKind, plugins.load("environments", kind))


def choose(request: Request, kind: str = "auto") -> EnvironmentKind:
    """The kind named, or for `auto` the first built-in one that applies; `system` always does.

    A plug-in's kind is taken only when it is named: looking for plug-ins would cost every run.
    """
    if kind != "auto":
        return get(kind)
    candidates = [get(name) for name in plugins.built_in("environments")]
    return next(candidate for candidate in candidates if candidate.applies(request))
