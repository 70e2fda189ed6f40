"""Directories outside of the project that distributions are installed from: which of their files are kept.

What git tracks or would track there, else everything but caches, environments and what builds leave behind. Regular
files only, no links.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mltrack.digest import digest_json, hasher
from mltrack.environments import Tree
from mltrack.environments.python.distributions import Distribution
from mltrack.errors import MltrackError
from mltrack.nouns import noun

LEFT_OUT = frozenset(
    (".git", ".hg", ".mltrack", "__pycache__", ".venv", "venv", "node_modules", ".tox", ".nox", ".mypy_cache",
     ".pytest_cache", ".ruff_cache", "build", "dist", ".eggs")
)  # fmt: skip
LARGEST = 100 << 20
"""Bytes of one directory; one that holds more is data rather than code, and is not kept."""

BLOCK = 1 << 20


@noun
class Sources:
    """What is kept of the directories."""

    tree: Tree
    """`<name>/<path>` -> file."""
    digests: Mapping[str, str]
    """Name -> digest of its files, for those that are kept."""
    problems: Mapping[str, str]
    """Name -> why its directory is not kept."""


def find_sources(found: tuple[Distribution, ...], places: Mapping[str, str]) -> Sources:
    """The files of the directories outside of the project. `places`: name -> directory of this machine."""
    tree: dict[str, Path] = {}
    digests: dict[str, str] = {}
    problems: dict[str, str] = {}
    for one in found:
        if one.source != "outside" or one.name not in places:
            continue
        try:
            files = list_files(Path(places[one.name]))
            digests[one.name] = digest_of(files)
        except (OSError, ValueError, MltrackError) as error:
            problems[one.name] = str(error)
            continue
        tree |= {f"{one.name}/{name}": path for name, path in files.items()}
    return Sources(tree, digests, problems)


def list_files(directory: Path) -> dict[str, Path]:
    """Path below the directory -> file. Raises ValueError where it cannot be kept, OSError."""
    names = git_names(directory)
    files = dict(sorted((name, directory / name) for name in (walked(directory) if names is None else names)))
    total = sum(path.lstat().st_size for path in files.values())
    if not files:
        raise ValueError("the directory is empty or gone")
    if total > LARGEST:
        raise ValueError(f"it holds {total >> 20} MiB, more than {LARGEST >> 20}")
    return files


def git_names(directory: Path) -> list[str] | None:
    """What git tracks or would track below a directory; None where it is in no repository."""
    from mltrack.git.repository import find_repository, git

    repository = find_repository(directory)
    if repository is None:
        return None
    below = os.path.relpath(os.path.realpath(directory), os.path.realpath(repository.root))
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", f":(literal){below}")
    listed = git(repository, *words).split(b"\0")
    prefix = "" if below == "." else f"{below}/"
    names = {os.fsdecode(name)[len(prefix) :] for name in listed if name}
    return sorted(name for name in names if is_kept(directory / name))


def walked(directory: Path) -> Iterator[str]:
    """The files below a directory without caches and what builds leave."""
    for top, directories, files in os.walk(directory):
        directories[:] = sorted(
            name
            for name in directories
            if name not in LEFT_OUT
            and not name.endswith(".egg-info")
            and not os.path.exists(os.path.join(top, name, "pyvenv.cfg"))
        )
        below = os.path.relpath(top, directory)
        for name in sorted(files):
            if not name.endswith((".pyc", ".pyo")) and is_kept(Path(top, name)):
                yield name if below == "." else f"{below}/{name}"


def is_kept(path: Path) -> bool:
    """Is this a regular file? A link, a socket, what has gone meanwhile, is none."""
    return path.is_file() and not path.is_symlink()


def digest_of(files: Mapping[str, Path]) -> str:
    """One digest for the paths and bytes of some files."""
    listed = []
    for name, path in sorted(files.items()):
        state = hasher()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                state.update(block)
        listed.append([name.encode("utf-8", "backslashreplace").decode(), state.digest().hex()])
    return digest_json(listed)


def build_requirements(directory: Path) -> tuple[str, ...]:
    """What a build of this directory needs, by its pyproject.toml; setuptools where that is silent."""
    from mltrack.environments.python.lock import load_toml

    try:
        table = load_toml((directory / "pyproject.toml").read_text(encoding="utf-8")).get("build-system", {})
        requires = table.get("requires", ["setuptools"])
    except (OSError, ValueError, AttributeError):
        requires = ["setuptools"]
    return tuple(text for text in requires if isinstance(text, str))
