"""A conda lock as a text for other programs, and told package by package."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.environments import Package
from mltrack.environments.conda.channels import channel_name, channel_of
from mltrack.environments.conda.lock import CondaLock, CondaPackage, read_lock
from mltrack.environments.conda.tools import explicit
from mltrack.environments.python.distributions import Distribution

if TYPE_CHECKING:
    from mltrack.environments import Recorded


def export_lock(recorded: Recorded, format: str) -> str:
    """The text. Raises Damaged."""
    lock = read_lock(recorded.lock)
    return {"conda": yml, "explicit": listing, "requirements": requirements}[format](lock)


def packages_of(recorded: Recorded) -> tuple[Package, ...]:
    """Every package, conda's and pip's, sorted by name."""
    from mltrack.environments import python

    lock = read_lock(recorded.lock)
    kept = "wheels" in recorded.environment.trees
    found = [package_of(package, kept) for package in lock.packages]
    if lock.pip is not None:
        found += python.packages(replace(recorded, lock=lock.pip))
    return tuple(sorted(found, key=lambda package: package.name))


def package_of(found: CondaPackage, kept: bool) -> Package:
    hashes = len([text for text in (found.sha256, found.md5) if text])
    problem = None if hashes else "no hash is known"
    if found.url is None and not kept:
        problem = "from no channel, and not kept"
    return Package(
        name=found.name,
        version=found.version,
        source="conda",
        place=channel_of(found.url) if found.url else None,
        hashes=hashes,
        is_stored=found.url is None and kept,
        size_bytes=found.size_bytes,
        problem=problem,
        identity=found.sha256 or found.md5 or found.build,
    )


def yml(lock: CondaLock) -> str:
    """An environment.yml with every version and build, which any conda tool solves again to the same."""
    channels = dict.fromkeys(channel_name(channel_of(found.url)) for found in lock.packages if found.url)
    lines = [f"# Packages for {lock.platform}. Make it with: conda env create -n NAME -f THIS_FILE", "channels:"]
    lines += [f"  - {channel}" for channel in channels] + ["  - nodefaults", "dependencies:"]
    for found in sorted(lock.packages, key=lambda package: package.name):
        text = f"{found.name}={found.version}={found.build}"
        lines.append(f"  - {text}" if found.url else f"  # of no channel: {text}")
    pip = [requirement(found) for found in distributions_of(lock)]
    if pip:
        if not any(found.name == "pip" for found in lock.packages):
            lines.append("  - pip")
        lines += ["  - pip:", *(f"      {'' if text.startswith('#') else '- '}{text}" for text in pip)]
    return "".join(f"{line}\n" for line in lines)


def listing(lock: CondaLock) -> str:
    """What `conda create --file` installs from without solving anything."""
    title = f"# Packages for {lock.platform}. Make it with: conda create -n NAME --file THIS_FILE\n"
    lost = [f"# of no channel: {found.label}\n" for found in lock.packages if found.url is None]
    pip = [f"# installed by pip: {requirement(found)}\n" for found in distributions_of(lock)]
    urls = {found.name: found.url for found in lock.packages if found.url}
    return title + "".join(lost + pip) + explicit(lock.packages, urls)


def requirements(lock: CondaLock) -> str:
    """The Python distributions by version; those of conda are other builds than the ones of an index."""
    lines = ["# The Python distributions of a conda environment. What an index has are other builds than conda's own."]
    brought = sorted(item for package in lock.packages for item in package.provides)
    lines += ["# brought by conda", *brought] if brought else []
    own = [requirement(found) for found in distributions_of(lock)]
    lines += ["# installed by pip", *own] if own else []
    return "".join(f"{line}\n" for line in lines)


def distributions_of(lock: CondaLock) -> tuple[Distribution, ...]:
    """What pip installed."""
    from mltrack.environments.python.lock import read_lock as read_python_lock

    return read_python_lock(lock.pip).distributions if lock.pip is not None else ()


def requirement(found: Distribution) -> str:
    """The line of a requirements file, or a comment that says why there is none."""
    if found.source in ("url", "vcs"):
        return f"{found.name} @ {found.url}"
    if found.source == "index":
        return f"{found.name}=={found.version}"
    if found.source == "project":
        return f"# the project's own code: {found.name} in {found.place}"
    return f"# not to be had from an index: {found.name} {found.version}"
