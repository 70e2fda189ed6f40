"""The kind `python`: an interpreter and its distributions, described by itself and built again by uv."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltrack.environments import Found
from mltrack.errors import EnvironmentFailed

if TYPE_CHECKING:
    from mltrack.environments import RebuildRequest, Rebuilt, Request
    from mltrack.environments.interpreter import Interpreter
    from mltrack.environments.python.distributions import Distribution, Installed
    from mltrack.records import Warning

NAME = "python"

SHOWN = 8
"""Names in one warning; more are counted."""


def applies(request: Request) -> bool:
    """Does this command end in a Python interpreter?"""
    from mltrack.environments.interpreter import find_interpreter

    return find_interpreter(request.argv, request.cwd, request.variables) is not None


def capture(request: Request) -> Found:
    """Describe the interpreter of the command and what is installed for it; where the command itself is not Python
    (a shell script that starts it), the `python` on its PATH. Raises EnvironmentFailed if there is none."""
    from mltrack.environments.python.distributions import read_answer
    from mltrack.environments.python.lock import Lock, write_lock
    from mltrack.environments.python.probe import probe
    from mltrack.records import Environment

    interpreter = get_interpreter(request)
    answer = probe(interpreter, request.cache)
    installed = read_answer(answer, request.project or request.cwd)
    environment = Environment(
        digest=digest_of(answer, installed.distributions),
        kind=NAME,
        python=answer["version"],
        interpreter=answer["executable"],
        packages={found.name: found.version for found in installed.distributions},
    )
    lock = write_lock(Lock(answer["version"], answer["implementation"], installed.distributions))
    return Found(environment, lock, warnings_of(answer, installed), installed.local_sources, interpreter.settled)


def rebuild(request: RebuildRequest) -> Rebuilt:
    """A virtual environment with exactly the recorded distributions. Raises EnvironmentFailed."""
    from mltrack.environments.python.venv import rebuild_python

    return rebuild_python(request)


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


def digest_of(answer: dict[str, Any], distributions: tuple[Distribution, ...]) -> str:
    """The digest of an environment: equal on two machines and in two directories if the same things are installed."""
    from mltrack.digest import digest_json

    return digest_json(
        {
            "kind": NAME,
            "python": answer["version"],
            "implementation": answer["implementation"],
            "packages": {found.name: identity(found) for found in distributions},
        }
    )


def identity(found: Distribution) -> Any:
    """What of a distribution counts. The project's own code is known by its tree, not by a version it gave itself."""
    if found.source == "project":
        return {"project": found.place, "editable": found.is_editable}
    if found.source in ("url", "vcs"):
        return [found.version, found.url]
    if found.source == "file":
        return [found.version, found.sha256 or "file"]
    return [found.version, "local"] if found.source in ("outside", "path") else found.version


def warnings_of(answer: dict[str, Any], installed: Installed) -> tuple[Warning, ...]:
    """What the reader of the run must know, and what a rebuilt environment would lack."""
    from mltrack.records import Warning

    by_source: dict[str, list[str]] = {}
    for found in installed.distributions:
        by_source.setdefault(found.source, []).append(found.name)
    told = (
        (by_source.get("outside"), "Installed from a directory outside of the project, whose content is not recorded"),
        (by_source.get("file"), "Installed from a local file, which no package index is known to have"),
        (by_source.get("path"), "Found on PYTHONPATH without being installed; a rebuilt environment lacks it"),
        (installed.nameless, "Installed without readable metadata, so that name or version is a guess"),
        (
            installed.doubled,
            "There with two versions, as an interrupted installation leaves them; the newer one counts",
        ),
    )
    warnings = [Warning("environment", f"{text}: {listed(list(names))}.") for names, text in told if names]
    if answer["conda"]:
        text = "This Python belongs to a conda environment; of its packages, only Python distributions are recorded."
        warnings.append(Warning("environment", text))
    return tuple(warnings)


def listed(names: list[str]) -> str:
    """`a, b, c and 4 more`."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
