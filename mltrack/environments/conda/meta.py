"""A conda prefix -> its packages, from the files in `conda-meta/` alone: conda itself is never started.

These files are large (they list every file of a package), so what matters of them is remembered for as long as their
stats stay the same.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from mltrack.digest import digest_bytes
from mltrack.environments.answers import recall, remember
from mltrack.environments.conda.channels import PACKAGE, is_remote, without_credentials
from mltrack.environments.conda.lock import CondaPackage, from_table, to_table
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun
from mltrack.patterns import lazy

META = "conda-meta"

FORMAT = 1
"""Of what is remembered."""

RACY_NS = 2_000_000_000
"""An answer is not kept while a file is younger: a second change could leave the same time behind."""

DISTRIBUTION = lazy(
    r".*site-packages/(?P<name>[A-Za-z0-9._]+)-(?P<version>[A-Za-z0-9.!+_]+?)(?:-py\d[\d.]*)?\.(?:dist|egg)-info(?:/.*)?"
)
"""A file that belongs to the metadata of a Python distribution."""


@noun
class Prefix:
    """What lies in a prefix."""

    path: Path
    packages: tuple[CondaPackage, ...]
    """Sorted by name."""
    archives: dict[str, str]
    """Name -> the archive on this machine that a package without a channel was installed from."""
    strange: tuple[str, ...]
    """Files of conda-meta that do not describe a package as conda does."""


def read_prefix(path: Path, cache: Path) -> Prefix:
    """The packages of a prefix. Raises EnvironmentFailed if it cannot be read."""
    kept = cache / "conda" / f"{digest_bytes(os.fsencode(path))[3:35]}.json"
    began_ns = time.time_ns()
    try:
        stats = stats_of(path)
        answer = recall(kept)
        if not isinstance(answer, dict) or answer.get("format") != FORMAT or answer.get("stats") != stats:
            answer = {"format": FORMAT, "stats": stats, **read_files(path, [name for name, *_ in stats])}
            if all(mtime_ns < began_ns - RACY_NS for _, mtime_ns, *_ in stats):
                remember(kept, answer)
    except OSError as error:
        raise EnvironmentFailed(
            f"The conda environment {path} cannot be read: {error.strerror or error}.", "Look at its `conda-meta`."
        ) from error
    packages = tuple(from_table(table) for table in answer["packages"])
    return Prefix(path, packages, answer["archives"], tuple(answer["strange"]))


def stats_of(path: Path) -> list[list[Any]]:
    """What tells that packages were installed or removed."""
    found = []
    with os.scandir(path / META) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                state = entry.stat()
                found.append([entry.name, state.st_mtime_ns, state.st_size, state.st_ino])
    return sorted(found)


def read_files(path: Path, names: list[str]) -> dict[str, Any]:
    """The packages as tables, archives of local ones, and what could not be understood."""
    packages: dict[str, CondaPackage] = {}
    archives, strange = {}, []
    for name in names:
        try:
            table = json.loads((path / META / name).read_bytes())
            package = describe(table)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            strange.append(name)
            continue
        packages[package.name] = package
        archive = archive_of(table)
        if package.url is None and archive is not None:
            archives[package.name] = archive
    tables = [to_table(package) for _, package in sorted(packages.items())]
    return {"packages": tables, "archives": archives, "strange": strange}


def describe(table: dict[str, Any]) -> CondaPackage:
    """One package of conda-meta. Raises ValueError, KeyError, TypeError, AttributeError if it is none."""
    url = without_credentials(table.get("url") or "")
    place = PACKAGE.fullmatch(url)
    name, version, build = table["name"], str(table["version"]), table.get("build") or table["build_string"]
    file = place["file"] if place else str(table.get("fn") or "").rpartition("/")[2]
    subdir = place["subdir"] if place else table["subdir"]
    extension = "tar.bz2" if file.endswith(".tar.bz2") else "conda"
    is_own = place is not None and is_remote(url) and file == f"{name}-{version}-{build}.{extension}"
    provides = {
        f"{normalise(found['name'])}=={found['version']}" for found in map(distribution, table["files"]) if found
    }
    noarch = table.get("noarch")
    given = {
        "name": name,
        "version": version,
        "build": build,
        "subdir": subdir,
        "extension": extension,
        "url": url if is_own else None,
        "md5": table.get("md5") or None,
        "sha256": table.get("sha256") or None,
        "size_bytes": table.get("size") or None,
        "build_number": table.get("build_number", 0),
        "noarch": "generic" if noarch is True else noarch or None,
        "depends": table.get("depends") or [],
        "provides": sorted(provides),
    }
    return from_table({key: value for key, value in given.items() if value is not None})


def distribution(file: str) -> Any:
    """The distribution whose metadata a file of a package belongs to, if any."""
    return DISTRIBUTION.fullmatch(file) if "-info" in file else None


def normalise(name: str) -> str:
    from mltrack.environments.python.distributions import normalise as by_standard

    return by_standard(name)


def archive_of(table: dict[str, Any]) -> str | None:
    """The archive on this machine that a package was installed from, as far as conda noted it."""
    from urllib.parse import unquote, urlsplit

    url = str(table.get("url") or "")
    if url.startswith("file:"):
        return os.fsdecode(unquote(urlsplit(url).path, errors="surrogateescape"))
    noted = table.get("package_tarball_full_path")
    return noted if isinstance(noted, str) and noted else None
