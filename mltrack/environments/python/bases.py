"""Finds an interpreter on this machine to build a recorded environment on: the same version, else the nearest one.

Nothing is downloaded: an interpreter that nobody asked for would be a surprise, and the error says how to get one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mltrack.environments.interpreter import is_executable
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun

SECONDS = 20
TELL = (
    "import sys; v = sys.version_info; "
    "print('%d.%d.%d' % v[:3], v[3], v[4], sys.implementation.name, 'abi' + getattr(sys, 'abiflags', ''))"
)
TOLD = re.compile(r"(\d+\.\d+\.\d+) (\w+) (\d+) (\w+) abi(\w*)")
VARIANTS = {"t": "+freethreaded", "d": "+debug"}
"""Letters of the ABI flags -> builds that other builds' wheels do not fit."""
LEVELS = {"alpha": "a", "beta": "b", "candidate": "rc"}
USUAL = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/opt/conda/bin")
"""Where interpreters lie that PATH may not name."""


@noun
class Wanted:
    """The interpreter that a run used."""

    version: str
    """`3.11.7`, or `3.14.0rc2`."""
    implementation: str
    path: str | None = None

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


@noun
class Base:
    """An interpreter that is here."""

    path: Path
    version: str


def find_base(wanted: Wanted, variables: Mapping[str, str], uv: str) -> Base:
    """The recorded version if it is here, else the nearest patch version of the same minor one.

    Raises EnvironmentFailed, saying how to get it, if there is neither.
    """
    near: list[Base] = []
    tried: set[Path] = set()
    for candidate in candidates(wanted, variables, uv):
        place = candidate.resolve()
        # A virtual environment may go tomorrow; what it was made of stays.
        path = place if (candidate.parent.parent / "pyvenv.cfg").is_file() else candidate
        if place in tried or not is_executable(path):
            continue
        tried.add(place)
        version = ask_version(path, wanted.implementation, variables)
        if version == wanted.version:
            return Base(path, version)
        if version is not None and version.split(".")[:2] == wanted.version.split(".")[:2]:
            near.append(Base(path, version))
    if not near:
        name = "Python" if wanted.implementation == "cpython" else f"{wanted.implementation} Python"
        raise EnvironmentFailed(
            f"{name} {wanted.minor} is not on this machine; the run used {wanted.version}.",
            f"Install it with `uv python install {request_for(wanted)}`, or put its directory on PATH, and try again.",
        )
    return min(near, key=lambda base: (abs(patch(base.version) - patch(wanted.version)), -patch(base.version)))


def candidates(wanted: Wanted, variables: Mapping[str, str], uv: str) -> Iterator[Path]:
    """Paths that may be such an interpreter, the likeliest first; found lazily, for each costs a start."""
    if wanted.path:
        yield Path(wanted.path)
    home = Path(variables.get("HOME", "/"))
    pyenv = Path(variables.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    yield pyenv / wanted.version / "bin" / "python"
    names = (f"python{wanted.minor}", "python3", "python", "pypy3")
    for place in (*variables.get("PATH", os.defpath).split(os.pathsep), *USUAL):
        if place:
            yield from (Path(place) / name for name in names)
    yield Path(sys.executable)
    for request in (request_for(wanted), request_for(wanted, wanted.minor)):
        found = ask_uv(uv, request, variables)
        if found is not None:
            yield found
    yield from sorted(pyenv.glob(f"{wanted.minor}.*/bin/python"), reverse=True)


def request_for(wanted: Wanted, version: str | None = None) -> str:
    """How uv is told: `3.11.7`, `pypy@3.10`, `3.13.0+freethreaded`."""
    name, _, variant = wanted.implementation.partition("+")
    text = (version or wanted.version) + (f"+{variant}" if variant else "")
    return text if name == "cpython" else f"{name}@{text}"


def ask_uv(uv: str, request: str, variables: Mapping[str, str]) -> Path | None:
    """An interpreter that uv knows: on PATH, or installed by it."""
    words = [uv, "python", "find", request, "--no-python-downloads", "--no-project", "--quiet", "--no-config"]
    try:
        done = subprocess.run(
            words, env=dict(variables), stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    text = os.fsdecode(done.stdout).strip()
    return Path(text) if done.returncode == 0 and text else None


def ask_version(path: Path, implementation: str, variables: Mapping[str, str]) -> str | None:
    """The version of an interpreter, or None if it does not run or is of another implementation."""
    clean = {name: text for name, text in variables.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", TELL], env=clean, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = TOLD.fullmatch(done.stdout.decode(errors="replace").strip())
    if done.returncode or found is None:
        return None
    version, level, serial, name, flags = found.groups()
    if name + "".join(text for letter, text in VARIANTS.items() if letter in flags) != implementation:
        return None
    return version + (f"{LEVELS[level]}{serial}" if level in LEVELS else "")


def patch(version: str) -> int:
    """3.11.7 -> 7."""
    found = re.match(r"\d+\.\d+\.(\d+)", version)
    return int(found[1]) if found else 0
