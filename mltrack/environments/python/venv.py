"""Builds a recorded Python environment again: a virtual environment in its final place, filled by uv.

A virtual environment cannot be moved, so it is built where it will stay, under a lock, with a marker that says
"complete" written last; one without that marker is built again. Installed is what the lock names and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mltrack.confine import inside
from mltrack.digest import digest_bytes, digest_json
from mltrack.environments import RebuildRequest, Rebuilt
from mltrack.environments.mapping import Move, map_command
from mltrack.environments.python import listed
from mltrack.environments.python.bases import Base, Wanted, find_base
from mltrack.environments.python.distributions import Distribution
from mltrack.environments.python.indexes import Settings, installer_settings
from mltrack.environments.python.lock import Lock, read_lock
from mltrack.errors import EnvironmentFailed, StorageError
from mltrack.nouns import noun
from mltrack.records import Warning

MARKER = "mltrack.json"
INSTALL = ("pip", "install", "--no-deps", "--compile-bytecode")
TRIED = ("system", "conda")
"""Sources whose distributions are built by others than their authors: an index has most of them, and not all."""

LAST_LINES = 15
"""Of the installer's own output, shown when it fails."""


@noun
class Build:
    """What is built, where, with what."""

    lock: Lock
    identity: str
    """A digest of all that decides what the place will hold; a place with another one is built again."""
    place: Path
    root: Path
    """The tree that the project's own distributions are installed from."""
    base: Base
    uv: str
    settings: Settings
    workspace: Path

    @property
    def python(self) -> Path:
        return self.place / "bin" / "python"


def rebuild_python(request: RebuildRequest) -> Rebuilt:
    """Build the environment, or take the one that is there, and map the command into it. Raises EnvironmentFailed."""
    build = plan_build(request)
    try:
        with locked(build.place):
            marker = read_marker(build)
            if marker is None:
                clear(build.place)
                left_out = make(build)
                marker = {"identity": build.identity, "is_complete": True, "left_out": left_out}
                write_marker(build.place, marker)
    except OSError as error:
        raise StorageError(
            f"The environment cannot be built in {build.place}: {error.strerror or error}.",
            "Make room or choose another cache directory, and try again.",
        ) from error
    programs = build.python.parent
    old = Path(request.environment.interpreter).parent if request.environment.interpreter else None
    move = Move(old, programs, request.workspace / request.cwd, request.variables)
    argv, warnings = map_command(request.command, move)
    path = os.pathsep.join([str(programs), *foreign_free(request.variables.get("PATH", os.defpath))])
    changes = {"PATH": path, "VIRTUAL_ENV": str(build.place), "PYTHONHOME": None, "__PYVENV_LAUNCHER__": None}
    told = (*version_warning(build), *lacking(build.lock, marker["left_out"]), *warnings)
    return Rebuilt(argv, changes, build.base.version, told)


def plan_build(request: RebuildRequest) -> Build:
    """Everything that can be known, and can fail, before a file is written."""
    if request.lock is None:
        raise EnvironmentFailed(
            "The run has no lock of its environment, so that it cannot be built again.",
            "It was not captured; see the run's warnings. Run the command in an environment of your own.",
        )
    lock = read_lock(request.lock)
    uv = find_uv(request.variables)
    settings = installer_settings(request.variables)
    wanted = Wanted(lock.python, lock.implementation, request.environment.interpreter)
    base = find_base(wanted, settings.variables, uv)
    root = (request.editable_root or request.workspace).absolute()
    place = request.place.absolute()
    has_project = any(found.source == "project" for found in lock.distributions)
    if has_project:  # it points into one tree: another tree needs an environment of its own
        place = place.with_name(f"{place.name}-{digest_bytes(os.fsencode(root))[3:15]}")
    identity = digest_json(
        {"lock": digest_bytes(request.lock), "python": base.version, "root": str(root) if has_project else None}
    )
    return Build(lock, identity, place, root, base, uv, settings, request.workspace)


def find_uv(variables: Mapping[str, str]) -> str:
    """The uv that came with mltrack, else the one on PATH. Raises EnvironmentFailed if there is none."""
    from mltrack.environments.interpreter import locate

    try:
        from uv import find_uv_bin

        return os.fspath(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = locate("uv", Path.cwd(), variables)
    if found is None:
        raise EnvironmentFailed("uv, which builds environments, is not here.", "Install it with `pip install uv`.")
    return str(found)


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Nobody else builds in this place meanwhile; the lock goes with the process."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f".{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_marker(build: Build) -> dict[str, Any] | None:
    """What the marker of a complete environment says; None if it must be built."""
    try:
        marker: dict[str, Any] = json.loads((build.place / MARKER).read_text())
        is_usable = marker["identity"] == build.identity and marker["is_complete"] and build.python.exists()
        return marker if is_usable and isinstance(marker["left_out"], list) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_marker(place: Path, marker: dict[str, Any]) -> None:
    aside = place / f"{MARKER}.tmp"
    with aside.open("w") as file:
        json.dump(marker, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(place / MARKER)


def clear(place: Path) -> None:
    """Make the place an empty directory of ours. Raises EnvironmentFailed if something else lies there."""
    if place.exists() and any(place.iterdir()):
        if not (place / MARKER).exists():
            raise EnvironmentFailed(
                f"The directory {place} is not empty, and not an environment that mltrack built.",
                "Move it away, or choose another directory.",
            )
        shutil.rmtree(place)
    place.mkdir(exist_ok=True)
    write_marker(place, {"identity": "", "is_complete": False, "left_out": []})


def make(build: Build) -> list[str]:
    """Create the environment and install into it. Gives back the names that could not be had."""
    run_uv(build, "venv", "--allow-existing", "--no-project", "--python", str(build.base.path), str(build.place))
    lines = [line for found in build.lock.distributions if (line := requirement(found, build.root))]
    if lines:
        install(build, lines)
    tried = {
        f"{found.name}=={found.version}": found.name for found in build.lock.distributions if found.source in TRIED
    }
    if not tried or try_install(build, list(tried)):
        return []
    return [name for line, name in tried.items() if not try_install(build, [line])]


def requirement(found: Distribution, root: Path) -> str | None:
    """The line that installs a distribution here, or None if it cannot be had again."""
    if found.source == "project":
        directory = root if found.place == "." else inside(root, found.place or "")
        url = f"file://{quote(os.fsencode(directory))}"
        return f"-e {url}" if found.is_editable else f"{found.name} @ {url}"
    if found.source in ("url", "vcs"):
        url, _, below = (found.url or "").partition("#")
        parts = [part for part in (below, f"sha256={found.sha256}" if found.sha256 else "") if part]
        return f"{found.name} @ {url}{'#' if parts else ''}{'&'.join(parts)}"
    if found.source == "file":
        return f"{found.name}=={found.version}" + (f" --hash=sha256:{found.sha256}" if found.sha256 else "")
    return f"{found.name}=={found.version}" if found.source == "index" else None


def install(build: Build, lines: list[str]) -> None:
    """Install all of it or raise EnvironmentFailed, with the installer's own words."""
    wish = build.place / "mltrack-requirements.txt"
    wish.write_text("".join(f"{line}\n" for line in lines))
    files = [found for found in build.lock.distributions if found.source == "file"]
    advice = ""
    if files:
        names = ", ".join(f"{found.url}" for found in files)
        advice = f"The run had installed local files ({names}); put them in a directory that UV_FIND_LINKS names.\n"
    run_uv(build, *INSTALL, *build.settings.options, "--python", str(build.python), "-r", str(wish), advice=advice)


def try_install(build: Build, lines: list[str]) -> bool:
    """Install these if an index has wheels of all of them."""
    options = (*build.settings.options, "--only-binary", ":all:", "--python", str(build.python))
    try:
        run_uv(build, *INSTALL, *options, *lines)
    except EnvironmentFailed:
        return False
    return True


def run_uv(build: Build, *words: str, advice: str = "") -> None:
    """Run uv in the workspace, so that the project's own settings of uv hold."""
    try:
        done = subprocess.run(
            [build.uv, *words],
            cwd=build.workspace,
            env=dict(build.settings.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise EnvironmentFailed(f"uv does not start: {error}.", "Reinstall it with `pip install uv`.") from error
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        what = "created" if words[0] == "venv" else "filled"
        raise EnvironmentFailed(
            f"The environment cannot be {what}: uv failed with exit code {done.returncode}.",
            advice + "uv said:\n" + "\n".join(said),
        )


def version_warning(build: Build) -> tuple[Warning, ...]:
    if build.base.version == build.lock.python:
        return ()
    text = f"The run used Python {build.lock.python}; the nearest one here is {build.base.version}."
    return (Warning("interpreter", text),)


def lacking(lock: Lock, left_out: list[str]) -> tuple[Warning, ...]:
    """What was recorded and is not in the rebuilt environment."""
    names = sorted({*left_out, *(found.name for found in lock.distributions if found.source in ("outside", "path"))})
    return (
        (Warning("environment", f"Not in the rebuilt environment, for no index has it: {listed(names)}."),)
        if names
        else ()
    )


def foreign_free(path: str) -> list[str]:
    """The directories of a PATH that are not those of a virtual environment: today's must not help out."""
    return [part for part in path.split(os.pathsep) if not (Path(part).parent / "pyvenv.cfg").is_file()]
