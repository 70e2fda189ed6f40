"""A lock, told package by package: where each is from, and how certain it is to be had again. Pure."""

from __future__ import annotations

from mltrack.environments import Package
from mltrack.environments.python.distributions import Distribution, by_name
from mltrack.environments.python.lock import Lock
from mltrack.environments.python.wheels import fitting

NO_HASH = "no hash"

PROBLEMS = {
    "index": NO_HASH,
    "url": NO_HASH,
    "file": "from a local file that no index is known to have and that is not kept",
    "outside": "from a directory outside of the project that is not kept",
    "path": "on PYTHONPATH without being installed",
    "system": "from the operating system",
    "conda": "from conda",
}
"""Source -> why a distribution of it is uncertain, where it is."""


def packages_of(lock: Lock) -> tuple[Package, ...]:
    """What the lock tells of each distribution, sorted by name."""
    return tuple(package_of(found) for found in sorted(lock.distributions, key=by_name))


def package_of(found: Distribution) -> Package:
    certain = found.is_locked
    return Package(
        name=found.name,
        version=found.version,
        source=found.source,
        place=place_of(found),
        hashes=hashes_of(found),
        is_stored=found.stored is not None or found.tree is not None,
        is_editable=found.is_editable,
        size_bytes=size_of(found),
        problem=None if certain else PROBLEMS.get(found.source, "not certain"),
        identity=found.installed,
    )


def place_of(found: Distribution) -> str | None:
    """Where it can be had: the index, the URL, the directory of the project, the name of the file."""
    if found.source == "project":
        return found.place or "."
    return found.url or found.index


def hashes_of(found: Distribution) -> int:
    """How many hashes of files are known that it can be installed from."""
    return len(all_hashes(found))


def all_hashes(found: Distribution) -> list[str]:
    """The sha256 of every file that it can be installed from, sorted."""
    known = {file.sha256 for file in found.files if file.sha256}
    return sorted(known | set(found.hashes) | ({found.sha256} if found.sha256 else set()))


def size_of(found: Distribution) -> int | None:
    """The bytes of the file that was installed: the wheel with its tags, else the only one there is."""
    wheel = fitting(found) or (found.files[0] if len(found.files) == 1 else None)
    return wheel.size_bytes if wheel else None
