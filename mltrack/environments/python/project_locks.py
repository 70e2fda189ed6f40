"""The locks that a project has already: what they say of the files of each distribution, by their own formats.

`uv.lock` (uv), `poetry.lock`, `pdm.lock`, `pylock.toml` (PEP 751) and requirements with hashes. They are the user's
files: a strange one is passed over, never an error of the run.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mltrack.environments.python.distributions import File, index_url, normalise, without_credentials
from mltrack.environments.python.lock import load_toml
from mltrack.environments.python.remembered import PROJECT_LOCKS
from mltrack.environments.python.resolve import Offer, file_of
from mltrack.nouns import noun
from mltrack.patterns import lazy

PIN = lazy(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*(?P<version>[^\s;\\#]+)")
HASH = lazy(r"--hash[= ]sha256:(?P<sha>[0-9a-f]{64})")
LARGEST = 64 << 20
"""Bytes of a file that is looked at."""


@noun
class ProjectLock:
    """One lock of the project."""

    file: str
    offers: Mapping[tuple[str, str], Offer]
    """(name, version) -> what it says of its files. There may be several versions of one, for several platforms."""
    hashes: Mapping[tuple[str, str], tuple[str, ...]]
    """(name, version) -> hashes of files that it does not name."""
    private: frozenset[tuple[str, str]] = frozenset()
    """(name, version) of what no index has."""

    def versions(self, name: str) -> list[str]:
        """The versions that it allows of one distribution."""
        return sorted({version for found, version in {**self.offers, **self.hashes} if found == name})


def read_project_locks(project: Path) -> list[ProjectLock]:
    """The locks in a directory, the most telling first."""
    found = []
    for file, read in READERS:
        for path in sorted(project.glob(file)):
            lock = read_one(path, read)
            if lock is not None and (lock.offers or lock.hashes):
                found.append(lock)
    return found


def read_one(path: Path, read: Callable[[str, str], ProjectLock]) -> ProjectLock | None:
    """One lock; None if it is not what its name says."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:  # a FIFO would be waited for
            return None
        return read(path.name, path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_uv(file: str, text: str) -> ProjectLock:
    """uv.lock: `source.registry` is the index, every file has its URL."""
    offers = {}
    for package in load_toml(text)["package"]:
        registry = package.get("source", {}).get("registry")
        if registry is None:
            continue
        index = index_url(registry) if "://" in registry else None
        sdist = hashed(package["sdist"]) if "sdist" in package else None
        offers[key_of(package)] = Offer(index, tuple(hashed(wheel) for wheel in package.get("wheels", ())), sdist)
    return ProjectLock(file, offers, {})


def hashed(table: Mapping[str, Any]) -> File:
    """A file of uv's or pdm's: `hash = "sha256:..."`."""
    url = table.get("url")
    name = table.get("file") or unquote(os.path.basename(urlsplit(url or table.get("path", "")).path))
    kind, _, sha256 = table["hash"].partition(":")
    remote = without_credentials(url) if url and "://" in url else None
    return File(name, sha256 if kind == "sha256" else None, remote, table.get("size"))


def read_files(file: str, text: str) -> ProjectLock:
    """poetry.lock and pdm.lock: `files` with names and hashes; an index only where it is not the default one."""
    document = load_toml(text)
    older = document.get("metadata", {}).get("files", {})
    offers = {}
    for package in document["package"]:
        source = package.get("source", {})
        if source.get("type", "legacy") != "legacy":
            continue  # a directory, a repository, a URL: direct_url.json says it better
        files = [hashed(table) for table in package.get("files") or older.get(package["name"], ())]
        wheels = tuple(one for one in files if one.name.endswith(".whl"))
        sdists = [one for one in files if not one.name.endswith(".whl")]
        index = index_url(source["url"]) if source.get("url") else None
        if files:
            offers[key_of(package)] = Offer(index, wheels, sdists[0] if sdists else None)
    return ProjectLock(file, offers, {})


def read_pylock(file: str, text: str) -> ProjectLock:
    """pylock.toml, of any tool."""
    offers = {}
    for package in load_toml(text)["packages"]:
        if "version" not in package or not ("wheels" in package or "sdist" in package):
            continue
        sdist = file_of(package["sdist"]) if "sdist" in package else None
        index = index_url(package["index"]) if "index" in package else None
        offers[key_of(package)] = Offer(index, tuple(file_of(wheel) for wheel in package.get("wheels", ())), sdist)
    return ProjectLock(file, offers, {})


def read_requirements(file: str, text: str) -> ProjectLock:
    """requirements.txt with hashes, of `pip-compile --generate-hashes` and its like."""
    hashes = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        pin, found = PIN.match(line.strip()), HASH.findall(line)
        if pin and found:
            hashes[(normalise(pin["name"]), pin["version"])] = tuple(sorted(set(found)))
    return ProjectLock(file, {}, hashes)


def key_of(package: Mapping[str, Any]) -> tuple[str, str]:
    return normalise(package["name"]), str(package["version"])


READERS: tuple[tuple[str, Callable[[str, str], ProjectLock]], ...] = tuple(
    zip(PROJECT_LOCKS, (read_uv, read_files, read_files, read_pylock, read_pylock, read_requirements))
)
