"""Installs distributions that come from directories: the project's own, and copies of others that were kept.

These need their final place, for an editable one points into it. A build needs its build requirements; where these
cannot be had, an editable directory is put on the path without a build (`unbuilt.py`), and that is said.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from mltrack.confine import inside
from mltrack.digest import digest_bytes, digest_json
from mltrack.environments import LayOut
from mltrack.environments.python import indexes
from mltrack.environments.python.distributions import Distribution
from mltrack.environments.python.installer import attempt, failure
from mltrack.environments.python.installing import Task
from mltrack.environments.python.lock import SOURCES, Lock
from mltrack.environments.python.unbuilt import put_on_path

BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
"""What decides how an editable directory is installed: its programs, its import path."""

NO_BUILDER = "Failed to resolve requirements from"
"""uv's words where it is not the code of the project that fails."""

WHAT = "filled with the packages of its directories"


def of_directories(lock: Lock) -> tuple[Distribution, ...]:
    """The distributions that are installed from a directory that is there again."""
    return tuple(
        found
        for found in lock.distributions
        if found.source == "project" or (found.source == "outside" and found.tree is not None)
    )


def identity_of(lock: Lock, root: Path) -> str:
    """A digest of what decides how the project's own directories are installed. Of one that is copied on
    installation, that is all of its files: such an environment is never taken for the same twice."""
    own = [found for found in of_directories(lock) if found.source == "project"]
    if any(not found.is_editable for found in own):
        return os.urandom(16).hex()
    texts = {}
    for found in own:
        for name in BUILD_FILES:
            path = project_directory(found, root) / name
            texts[f"{found.name}/{name}"] = digest_bytes(path.read_bytes()) if path.is_file() else None
    return digest_json({"root": os.fsencode(root).hex(), "files": texts})


def project_directory(found: Distribution, root: Path) -> Path:
    """Where a distribution of the project is in the restored tree. Raises Damaged if the lock leads out of it."""
    return root if found.place == "." else inside(root, found.place or "")


def install_directories(task: Task, place: Path, root: Path, lay_out: LayOut) -> tuple[str, ...]:
    """Install the directories of a lock; sentences about what is not as it was.

    Raises EnvironmentFailed with the installer's own words, DataMissing.
    """
    found = of_directories(task.lock)
    copied = copy_sources([one for one in found if one.source == "outside"], place, lay_out)
    places = {
        one.name: copied.get(one.name) or project_directory(one, root)
        for one in found
        if one.source != "outside" or one.name in copied
    }
    sentences = [f"The directory that {one.name} came from was not kept." for one in found if one.name not in places]
    present = [one for one in found if one.name in places]
    editable = [one for one in present if one.is_editable]
    code, said = ask(task, place, present, places)
    if code and editable and NO_BUILDER in said:
        for one in editable:
            put_on_path(place, one.name, places[one.name])
            sentences.append(f"{one.name} was put on the path as it is: what builds it could not be had.")
        code, said = ask(task, place, [one for one in present if not one.is_editable], places)
    if code:
        raise failure(task.uv, WHAT, code, said)
    return tuple(sentences)


def copy_sources(found: Sequence[Distribution], place: Path, lay_out: LayOut) -> dict[str, Path]:
    """Copies of the directories that were kept, inside of the environment, so that they live as long as it does."""
    laid = lay_out(SOURCES) if found else None
    copies = {}
    for one in found:
        origin = laid / (one.tree or one.name) if laid is not None else None
        if origin is None or not origin.is_dir():
            continue
        copies[one.name] = place / SOURCES / (one.tree or one.name)
        shutil.copytree(origin, copies[one.name], symlinks=True, dirs_exist_ok=True)
    return copies


def ask(task: Task, place: Path, found: Sequence[Distribution], places: Mapping[str, Path]) -> tuple[int, str]:
    """Let uv install the directories, building with stored wheels alone if they are enough."""
    if not found:
        return 0, ""
    lines = [line_for(one, places[one.name]) for one in found]
    wish = place / "mltrack-directories.txt"
    wish.write_text("".join(f"{line}\n" for line in lines))
    words = ["--no-deps", "--python", str(place / "bin" / "python"), "-r", str(wish)]
    words += [word for one in found for word in ("--refresh-package", one.name)]
    code, said = 1, ""
    if task.wheels is not None:
        alone = indexes.only_from(task.wheels, task.settings)
        code, said = attempt(replace(task.uv, variables=alone.variables), "pip", "install", *alone.options, *words)
    if code:
        settings = task.settings if task.wheels is None else indexes.beside(task.wheels, task.settings)
        uv = replace(task.uv, variables=settings.variables)
        code, said = attempt(uv, "pip", "install", *settings.options, *words)
    return code, said


def line_for(found: Distribution, directory: Path) -> str:
    """The line of a requirements file that installs a directory."""
    url = f"file://{quote(os.fsencode(directory))}"
    return f"-e {url}" if found.is_editable else f"{found.name} @ {url}"
