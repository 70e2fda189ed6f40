"""The archives of conda packages: found in the caches of this machine, fetched from their channels, and verified.

An archive counts only if it has every hash that is recorded of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.environments import Gathered
from mltrack.environments.asking import TRIES, ask, is_final, together, words_of
from mltrack.environments.conda.capturing import ARCHIVES
from mltrack.environments.conda.lock import CondaPackage, read_lock, write_lock
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.environments import Recorded

BLOCK = 1 << 20


def is_that(path: Path, package: CondaPackage) -> bool:
    """Is this file the archive of the package? One of which no hash is known is never certain."""
    states = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    wanted = {name: text for name in states if (text := getattr(package, name))}
    try:
        if package.size_bytes is not None and path.stat().st_size != package.size_bytes:
            return False
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                for name in wanted:
                    states[name].update(block)
    except OSError:
        return False
    return bool(wanted) and all(states[name].hexdigest() == text for name, text in wanted.items())


def find_archive(package: CondaPackage, caches: list[Path]) -> Path | None:
    """The archive of a package in the caches of this machine, verified."""
    candidates = (place / package.file for place in caches)
    return next((path for path in candidates if path.is_file() and is_that(path, package)), None)


def caches_of(variables: Mapping[str, str]) -> list[Path]:
    """The directories where the conda tools of this machine keep archives, of those that are there."""
    home = Path(variables.get("HOME", "/"))
    named = variables.get("CONDA_PKGS_DIRS", "").replace(",", os.pathsep).split(os.pathsep)
    roots = [Path(variables[name]) for name in ("MAMBA_ROOT_PREFIX", "CONDA_ROOT") if variables.get(name)]
    roots += [Path(variables[name]).parent.parent for name in ("CONDA_EXE", "MAMBA_EXE") if variables.get(name)]
    roots += [home / name for name in ("micromamba", ".local/share/mamba", "miniforge3", "miniconda3", "mambaforge")]
    roots += [home / "anaconda3", home / ".mamba", Path("/opt/conda")]
    places = [*(Path(place) for place in named if place), *settings_of(home), *(root / "pkgs" for root in roots)]
    return [place for place in dict.fromkeys([*places, home / ".conda" / "pkgs"]) if place.is_dir()]


def settings_of(home: Path) -> list[Path]:
    """`pkgs_dirs` of the user's settings of conda and mamba."""
    import yaml

    found: list[Path] = []
    for name in (".condarc", ".mambarc"):
        try:
            table = yaml.safe_load((home / name).read_bytes())
            found += [Path(place).expanduser() for place in table["pkgs_dirs"]]
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            continue
    return found


def gather_archives(recorded: Recorded, scratch: Path) -> Gathered:
    """Every archive of the lock, and the wheels of what pip installed, as one tree. What cannot be had is told."""
    lock = read_lock(recorded.lock)
    stored, caches = recorded.lay_out("wheels"), caches_of(recorded.variables)

    def bring(package: CondaPackage) -> Path | str:
        kept = stored / ARCHIVES / package.path if stored is not None else None
        if kept is not None and is_that(kept, package):
            return kept
        found = find_archive(package, caches)
        return found if found is not None else fetch(package, scratch / ARCHIVES / package.path, recorded.variables)

    tree: dict[str, Path] = {}
    warnings: list[Warning] = []
    for package, answer in zip(lock.packages, together(bring, lock.packages)):
        if isinstance(answer, Path):
            tree[f"{ARCHIVES}/{package.path}"] = answer
        else:
            warnings.append(Warning("environment", answer))
    wheels = gather_pip(recorded, lock.pip, scratch)
    renewed = write_lock(replace(lock, pip=wheels.lock)) if wheels.lock is not None else None
    return Gathered(renewed, {**(wheels.tree or {}), **tree}, (*warnings, *wheels.warnings))


def gather_pip(recorded: Recorded, pip: bytes | None, scratch: Path) -> Gathered:
    """The wheels of what pip installed, gathered by the kind `python`."""
    from mltrack.environments import python

    if pip is None:
        return Gathered()

    def lay_out(name: str) -> Path | None:
        place = recorded.lay_out(name)
        return wheels_alone(place, scratch / "kept") if name == "wheels" and place is not None else place

    return python.gather(replace(recorded, lock=pip, lay_out=lay_out), "wheels", scratch)


def wheels_alone(place: Path, target: Path) -> Path:
    """A copy of a tree of wheels without conda's archives."""
    target.mkdir(parents=True, exist_ok=True)
    for path in place.iterdir():
        if path.is_file() and not (target / path.name).exists():
            shutil.copyfile(path, target / path.name)
    return target


def fetch(package: CondaPackage, place: Path, variables: Mapping[str, str]) -> Path | str:
    """Download an archive and verify it; a sentence that says why it cannot be had."""
    if package.url is None:
        return f"{package.label} is of no channel, and its archive is not on this machine."
    place.parent.mkdir(parents=True, exist_ok=True)
    reason = ""
    for _ in range(TRIES):
        try:
            with ask(package.url, "GET", variables) as answer, place.open("wb") as file:
                for block in iter(lambda: answer.read(BLOCK), b""):
                    file.write(block)
        except (OSError, ValueError) as error:
            reason = words_of(error)
            if is_final(error):
                break
            continue
        if is_that(place, package):
            return place
        reason = "the channel has another file of this name, or the recorded hash is missing"
        break
    place.unlink(missing_ok=True)
    return f"{package.label} cannot be had from its channel: {reason}."
