"""What pip or uv had installed into a conda prefix, described and installed again by the kind `python`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.environments.conda.lock import CondaPackage
from mltrack.environments.conda.lock import read_lock as read_conda_lock
from mltrack.environments.python.directories import install_directories
from mltrack.environments.python.distributions import listed, normalise
from mltrack.environments.python.indexes import installer_settings
from mltrack.environments.python.installer import Uv, find_uv
from mltrack.environments.python.installing import Task, install_pinned, stored_hashes
from mltrack.environments.python.lock import read_lock
from mltrack.errors import Damaged, EnvironmentFailed
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.environments import Found, RebuildRequest, Request

LOG = "pip.log"


def capture_pip(
    request: Request, prefix: Path, packages: Iterable[CondaPackage]
) -> tuple[Found | None, tuple[Warning, ...]]:
    """What the kind `python` says of the distributions that are not conda's; None if there are none."""
    from mltrack.environments.interpreter import Interpreter
    from mltrack.environments.python import remembered
    from mltrack.environments.python.probe import probe

    program = prefix / "bin" / "python"
    if not program.exists():
        return None, ()
    try:
        answer = probe(Interpreter((str(program),), request.cwd, request.variables), request.cache)
    except EnvironmentFailed as error:
        return None, (Warning("environment", f"What pip installed beside conda is not known: {error}"),)
    brought = {item for package in packages for item in package.provides}
    own = [found for found in answer["distributions"] if not is_condas(found, brought)]
    asked = replace(request, known=known_pip(request.known))
    found = remembered.capture({**answer, "distributions": own, "conda": False}, asked)
    return (found if found.environment.packages else None), found.warnings


def known_pip(lock: bytes | None) -> bytes | None:
    """The part of pip in a lock that the run is known to have; None if it is of another kind."""
    try:
        return read_conda_lock(lock).pip if lock is not None else None
    except Damaged:
        return None


def is_condas(found: dict[str, Any], brought: set[str]) -> bool:
    """Did conda install this distribution? Its own files say so, or the word that it leaves as installer."""
    return found["installer"] == "conda" or f"{normalise(found['name'])}=={found['version']}" in brought


def needs_project(pip: bytes | None) -> bool:
    """Is a directory of the project itself installed? Raises Damaged."""
    return pip is not None and any(found.source == "project" for found in read_lock(pip).distributions)


def install_pip(request: RebuildRequest, pip: bytes | None, prefix: Path, stored: Path | None) -> tuple[Warning, ...]:
    """Install what pip had installed; what must be said of it. Raises EnvironmentFailed, DataMissing, Damaged."""
    if pip is None:
        return ()
    recorded, lock = request.recorded, read_lock(pip)
    settings = installer_settings(recorded.variables)
    place = prefix.parent
    uv = Uv(
        find_uv(recorded.variables),
        settings.variables,
        request.workspace,
        place / LOG,
        place / "work" / "uv",
        recorded.tell,
    )
    task = Task(lock, uv, settings, stored, stored_hashes(lock, stored))
    done = install_pinned(task, prefix)
    root = (request.editable_root or request.workspace).absolute()
    sentences = list(install_directories(task, prefix, root, recorded.lay_out))
    if done.left_out:
        sentences.append(f"Not in the rebuilt environment, for no index has it: {listed(list(done.left_out))}.")
    if done.unverified:
        sentences.append(f"Installed by version alone, not verified by hashes: {listed(list(done.unverified))}.")
    return tuple(Warning("environment", sentence) for sentence in sentences)
