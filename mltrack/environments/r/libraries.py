"""R libraries -> the packages in them, from their DESCRIPTION files; R is not started."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from mltrack.environments.r.interpreter import R
from mltrack.nouns import noun
from mltrack.patterns import lazy

NEEDS = ("Depends", "Imports", "LinkingTo")
REMOTE = (
    "RemoteType",
    "RemoteHost",
    "RemoteUsername",
    "RemoteRepo",
    "RemoteRef",
    "RemoteSha",
    "RemoteUrl",
    "RemoteSubdir",
)
"""What a package says of the repository of source code that it was installed from."""

NAME = r"[A-Za-z][A-Za-z0-9.]*"
VERSION = r"\d+([.-]\d+)*"
WORD = lazy(rf"\s*({NAME})")

OFF = ("false", "f", "0", "no", "off")


@noun
class RPackage:
    """One installed package."""

    name: str
    version: str
    repository: str | None = None
    """The name that its repository has: `CRAN`, `RSPM`."""
    remote: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Names of the packages that it needs."""

    @property
    def identity(self) -> list[str | None]:
        """What tells two packages of one name apart."""
        return [self.version, self.remote.get("RemoteSha") if "RemoteRepo" in self.remote else None]


def libraries_of(r: R, project: Path, variables: Mapping[str, str]) -> tuple[Path, ...]:
    """Where a command of the project finds its packages: renv's library in place of the others, if it is active."""
    own = renv_libraries(r, project, variables) if is_renv(project, variables) else []
    return (*own, r.home) if own else r.libraries


def is_renv(project: Path, variables: Mapping[str, str]) -> bool:
    """Does the project's .Rprofile activate renv?"""
    if variables.get("RENV_CONFIG_AUTOLOADER_ENABLED", "").lower() in OFF:
        return False
    try:
        text = (project / ".Rprofile").read_bytes()
    except OSError:
        return False
    return b"renv/activate.R" in text and (project / "renv" / "activate.R").is_file()


def renv_libraries(r: R, project: Path, variables: Mapping[str, str]) -> list[Path]:
    """renv's library for this R; its versions put it one or two directories deep."""
    root = Path(variables.get("RENV_PATHS_LIBRARY") or project / "renv" / "library")
    minor = ".".join(r.version.split(".")[:2])
    found = [place for start in ("", "*/") for place in sorted(root.glob(f"{start}R-{minor}/{r.platform}"))]
    return [place for place in found if place.is_dir()][:1]


def read_packages(libraries: tuple[Path, ...]) -> tuple[RPackage, ...]:
    """The packages, sorted by name, without those that R itself consists of; the first library with one has it."""
    found: dict[str, RPackage] = {}
    for library in libraries:
        try:
            names = sorted(os.listdir(library))
        except OSError:
            continue
        for name in names:
            table = read_description(library / name / "DESCRIPTION")
            package = describe(table)
            if package is not None and table.get("Priority") != "base":
                found.setdefault(package.name, package)
    return tuple(package for _, package in sorted(found.items()))


def read_description(path: Path) -> dict[str, str]:
    """The fields of a DESCRIPTION; nothing if there is none. Lines that begin with a blank continue a field."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return {}
    fields: dict[str, str] = {}
    last = ""
    for line in lines:
        if line[:1].isspace():
            if last:
                fields[last] += f" {line.strip()}"
            continue
        last, mark, text = line.partition(":")
        if mark:
            fields[last] = text.strip()
        else:
            last = ""
    return fields


def describe(table: Mapping[str, str]) -> RPackage | None:
    """A package, or None if the fields are not those of an installed one."""
    import re

    name, version = table.get("Package", ""), table.get("Version", "")
    if not re.fullmatch(NAME, name) or not re.fullmatch(VERSION, version) or "Built" not in table:
        return None
    from mltrack.redact import redact_url

    remote = {key: redact_url(table[key]) for key in REMOTE if table.get(key) and is_line(table[key])}
    remote = {} if remote.get("RemoteType", "standard") == "standard" else remote
    if remote.get("RemoteType") == "local":
        remote = {"RemoteType": "local"}  # its URL is a path of this machine
    repository = table.get("Repository") or ("Bioconductor" if "biocViews" in table else None)
    needs = {match[1] for key in NEEDS for part in table.get(key, "").split(",") if (match := WORD.match(part))} - {"R"}
    return RPackage(
        name, version, repository if repository and is_line(repository) else None, remote, tuple(sorted(needs))
    )


def is_line(text: str) -> bool:
    return text.isprintable()
