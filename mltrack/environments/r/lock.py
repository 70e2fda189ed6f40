"""The lock of an R environment: R's version, what was installed, and the bytes of renv.lock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mltrack.environments import Package
from mltrack.environments.document import read_document, strange, text, write_document
from mltrack.environments.r.libraries import NAME, REMOTE, VERSION, RPackage
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.environments import Recorded

TITLE = "mltrack r lock 1"
CRAN = "https://cloud.r-project.org"
"""The repository of a lock that names none."""

SOURCES = {"github": "GitHub", "gitlab": "GitLab", "bitbucket": "Bitbucket"}
"""A remote's type -> renv's word for it."""


@noun
class RLock:
    """A lock that was read."""

    version: str
    platform: str
    packages: tuple[RPackage, ...]
    renv: str | None = None
    """The text of the project's renv.lock."""


def write_lock(lock: RLock) -> bytes:
    """The text of a lock."""
    packages = [
        {
            "name": package.name,
            "version": package.version,
            "repository": package.repository,
            "remote": dict(package.remote),
            "needs": list(package.needs),
        }
        for package in lock.packages
    ]
    return write_document(
        TITLE, {"r": lock.version, "platform": lock.platform, "packages": packages, "renv": lock.renv}
    )


def read_lock(data: bytes | None) -> RLock:
    """The lock that `write_lock` wrote. Raises Damaged at anything else."""
    fields = read_document(data, TITLE)
    try:
        if set(fields) != {"r", "platform", "packages", "renv"}:
            raise ValueError("unknown or missing fields")
        packages = tuple(read_package(table) for table in fields["packages"])
        renv = fields["renv"]
        if not (renv is None or isinstance(renv, str)) or len({one.name for one in packages}) != len(packages):
            raise ValueError("a strange renv.lock, or a package that stands there twice")
        return RLock(text(fields["r"], VERSION), text(fields["platform"], r"[\w.-]+"), packages, renv)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise strange(error) from error


def read_package(table: dict[str, Any]) -> RPackage:
    if set(table) != {"name", "version", "repository", "remote", "needs"} or set(table["remote"]) - set(REMOTE):
        raise ValueError("unknown or missing fields of a package")
    return RPackage(
        text(table["name"], NAME),
        text(table["version"], VERSION),
        text(table["repository"]) if table["repository"] is not None else None,
        {key: text(value) for key, value in table["remote"].items()},
        tuple(text(name, NAME) for name in table["needs"]),
    )


def pinned(renv: str | None) -> dict[str, str]:
    """Package -> version, as an renv.lock says; nothing if it cannot be understood."""
    try:
        rows = json.loads(renv or "{}").get("Packages", {})
        return {name: row["Version"] for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def repositories(renv: str | None) -> dict[str, str]:
    """Name -> URL of the repositories that an renv.lock names, without those that are no URL."""
    try:
        rows = json.loads(renv or "{}").get("R", {}).get("Repositories", [])
        found = {row["Name"]: row["URL"] for row in rows}
    except (ValueError, KeyError, TypeError, AttributeError):
        found = {}
    return {name: url for name, url in found.items() if str(url).startswith(("http", "file:"))} or {"CRAN": CRAN}


def renv_lock(lock: RLock) -> str:
    """The project's renv.lock, or one of what was installed."""
    if lock.renv is not None:
        return lock.renv
    rows = {package.name: renv_row(package) for package in lock.packages}
    document = {
        "R": {"Version": lock.version, "Repositories": [{"Name": "CRAN", "URL": CRAN}]},
        "Packages": rows,
    }
    return json.dumps(document, indent=2) + "\n"


def renv_row(package: RPackage) -> dict[str, Any]:
    row: dict[str, Any] = {"Package": package.name, "Version": package.version}
    kind = package.remote.get("RemoteType", "")
    if kind in SOURCES:
        return {**row, "Source": SOURCES[kind], **package.remote}
    if package.repository == "Bioconductor":
        return {**row, "Source": "Bioconductor"}
    return {**row, "Source": "Repository", "Repository": package.repository or "CRAN"}


def is_certain(package: RPackage) -> bool:
    """Is there a repository, or a commit, that has exactly this?"""
    return bool(package.repository or package.remote.get("RemoteSha"))


def problem_of(package: RPackage) -> str | None:
    """Why it is not certain to be had again bit for bit; repositories of R packages have no hashes of them."""
    if package.remote.get("RemoteSha"):
        return None
    return "by version alone, no hash is known" if package.repository else "from no repository that it names"


def listed_packages(recorded: Recorded) -> tuple[Package, ...]:
    """What the lock tells of each package, sorted by name. Raises Damaged."""
    return tuple(
        Package(
            package.name,
            package.version,
            package.remote.get("RemoteType") or package.repository or "",
            package.remote.get("RemoteUrl") or package.repository,
            problem=problem_of(package),
            identity=package.remote.get("RemoteSha"),
        )
        for package in read_lock(recorded.lock).packages
    )
