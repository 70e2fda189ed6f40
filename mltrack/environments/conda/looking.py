"""Could a recorded conda environment be built here, now?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.environments import Finding
from mltrack.environments.asking import ask_patiently, together, words_of
from mltrack.environments.conda.archives import caches_of, find_archive, is_that
from mltrack.environments.conda.capturing import ARCHIVES, own_platform
from mltrack.environments.conda.channels import channel_of
from mltrack.environments.conda.lock import CondaPackage, read_lock
from mltrack.environments.conda.tools import MISSING, find_tool

if TYPE_CHECKING:
    from mltrack.environments import Recorded

HERE = "this machine"


def look(recorded: Recorded) -> tuple[Finding, ...]:
    """The platform, the tool, each package, and what pip installed."""
    from mltrack import environments

    lock = read_lock(recorded.lock)
    findings = [look_at_platform(lock.platform), look_for_tool(recorded)]
    caches = caches_of(recorded.variables)
    found = together(lambda package: look_at(package, caches, recorded), lock.packages)
    if any(finding.problem for finding in found) and "wheels" in recorded.environment.trees:
        stored = recorded.lay_out("wheels")
        found = [or_stored(finding, package, stored) for finding, package in zip(found, lock.packages)]
    pip = environments.check(environments.get("python"), replace(recorded, lock=lock.pip)) if lock.pip else ()
    return (*findings, *found, *pip)


def look_at_platform(platform: str) -> Finding:
    own = own_platform()
    problem = None if platform == own else f"The run's packages are for {platform}, and this machine is {own}."
    return Finding(f"platform {platform}", problem, HERE)


def look_for_tool(recorded: Recorded) -> Finding:
    tool = find_tool(recorded.variables)
    return Finding("conda tool", MISSING, None) if tool is None else Finding(f"conda tool {tool.name}", None, HERE)


def look_at(package: CondaPackage, caches: list[Path], recorded: Recorded) -> Finding:
    """One package: in a cache of this machine, else in its channel."""
    if find_archive(package, caches) is not None:
        return Finding(package.label, None, HERE)
    if package.url is None:
        return Finding(package.label, "It is of no channel, and its archive is not on this machine.")
    channel = channel_of(package.url)
    try:
        with ask_patiently(package.url, "HEAD", recorded.variables) as answer:
            return Finding(package.label, changed(package, answer.headers.get("Content-Length")), channel)
    except (OSError, ValueError) as error:
        return Finding(package.label, f"Its channel does not give it: {words_of(error)}.", channel)


def changed(package: CondaPackage, length: str | None) -> str | None:
    """The problem, if the channel's file has another size than the one that was installed."""
    if package.size_bytes is None or length is None or not length.isdigit() or int(length) == package.size_bytes:
        return None
    return f"Its channel has another file of this name: {length} bytes, where the run's had {package.size_bytes}."


def or_stored(finding: Finding, package: CondaPackage, stored: Path | None) -> Finding:
    """The finding, or that the archive is kept with the run."""
    if finding.problem is None or stored is None or not is_that(stored / ARCHIVES / package.path, package):
        return finding
    return Finding(package.label, None, "stored")
