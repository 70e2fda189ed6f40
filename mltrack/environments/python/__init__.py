"""The kind `python`: an interpreter and its distributions, described by itself and built again by uv."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.environments import Found
from mltrack.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mltrack.environments import Finding, Gathered, Package, RebuildRequest, Rebuilt, Recorded, Request
    from mltrack.environments.interpreter import Interpreter

NAME = "python"

FORMATS = ("pylock", "requirements", "conda", "dockerfile")

CARRIES = ("wheels",)


def applies(request: Request) -> bool:
    """Does this command end in a Python interpreter?"""
    from mltrack.environments.interpreter import find_interpreter

    return find_interpreter(request.argv, request.cwd, request.variables) is not None


def capture(request: Request) -> Found:
    """Describe the interpreter of the command and what is installed for it; where the command itself is not Python
    (a shell script that starts it), the `python` on its PATH. Raises EnvironmentFailed if there is none."""
    from mltrack.environments.python import remembered
    from mltrack.environments.python.probe import probe
    from mltrack.records import Warning

    interpreter = get_interpreter(request)
    found = remembered.capture(probe(interpreter, request.cache), request)
    remarks = tuple(Warning("environment", text) for text in interpreter.remarks)
    return replace(found, settled=interpreter.settled, warnings=(*found.warnings, *remarks))


def rebuild(request: RebuildRequest) -> Rebuilt:
    """A virtual environment with exactly the recorded distributions. Raises EnvironmentFailed."""
    from mltrack.environments.python.venv import rebuild_python

    return rebuild_python(request)


def check(recorded: Recorded) -> tuple[Finding, ...]:
    """What is found of the interpreter and of each distribution, here and now. Raises EnvironmentFailed, Damaged."""
    from mltrack.environments.python.checking import check_python

    return check_python(recorded)


def packages(recorded: Recorded) -> tuple[Package, ...]:
    """What the lock tells of each distribution. Raises Damaged."""
    from mltrack.environments.python.listing import packages_of
    from mltrack.environments.python.lock import read_lock

    return packages_of(read_lock(recorded.lock or b""))


def export(recorded: Recorded, format: str) -> str:
    """The lock as a text for other programs. Raises EnvironmentFailed if there is none, Damaged."""
    from mltrack.environments.python.exporting import export_lock

    return export_lock(recorded, format)


def companions(recorded: Recorded, format: str) -> Mapping[str, bytes | Path]:
    """The files that an export names by relative path."""
    from mltrack.environments.python.exporting import companions_of

    return companions_of(recorded, format)


def gather(recorded: Recorded, what: str, scratch: Path) -> Gathered:
    """All wheels. Raises EnvironmentFailed, Damaged."""
    from mltrack.environments.python.gathering import gather_wheels

    return gather_wheels(recorded, scratch)


def complete(recorded: Recorded, project: Path) -> Gathered:
    """The lock with the hashes that it lacks. Raises EnvironmentFailed, Damaged."""
    from mltrack.environments.python.gathering import complete_hashes

    return complete_hashes(recorded, project)


def agrees(lock: bytes, later: bytes) -> bool:
    """Does a later lock say the same of what was installed? Raises Damaged."""
    from mltrack.environments.python.gathering import says_the_same
    from mltrack.environments.python.lock import read_lock

    return says_the_same(read_lock(lock), read_lock(later))


def get_interpreter(request: Request) -> Interpreter:
    """The interpreter of the command, else the one that its children would find."""
    from mltrack.environments.interpreter import default_interpreter, find_interpreter

    found = find_interpreter(request.argv, request.cwd, request.variables)
    found = found or default_interpreter(request.cwd, request.variables)
    if found is None:
        raise EnvironmentFailed(
            "This command starts no Python that mltrack can find, and there is no `python` on its PATH.",
            "Leave the environment's kind to `auto`, or activate the virtual environment first.",
        )
    return found
