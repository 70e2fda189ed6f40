"""The lock of a Python environment: a text that any installer reads, and that says where everything came from.

One line a distribution, sorted, in the format of requirements files; the project's own directories are written with
`${PROJECT_ROOT}`, which pip and uv fill in. Distributions that cannot be had again by name stand in comments.
A lock comes back from remotes, so reading it accepts what `write_lock` writes and nothing else: no option, no
include, no other variable.
"""

from __future__ import annotations

import os
import re

from mltrack.environments.python import distributions
from mltrack.environments.python.distributions import Distribution
from mltrack.errors import Damaged
from mltrack.nouns import noun
from mltrack.patterns import lazy

TITLE = "# mltrack lock 1"
ROOT = "${PROJECT_ROOT}"
USE = "# Rebuild with: PROJECT_ROOT=DIRECTORY uv pip install --no-deps -r THIS_FILE"

NAME = rf"(?P<name>{distributions.NAME})"
VERSION = rf"(?P<version>{distributions.VERSION})"
SHA = r"sha256=(?P<sha>[0-9a-f]{64})"

COMMENTED = {
    "outside": "# from a directory outside of the project",
    "path": "# from PYTHONPATH",
    "system": "# from the operating system",
    "conda": "# from conda",
}
"""Sources that no installer is sure to have again by name -> how their lines begin."""

LINES = {
    "python": lazy(r"# python (?P<version>\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?) (?P<name>[a-z]+(?:\+freethreaded)?)"),
    "editable": lazy(rf"-e {re.escape(ROOT)}(?P<place>/\S+)?  # {NAME}"),
    "project": lazy(rf"{NAME} @ file://{re.escape(ROOT)}(?P<place>/\S+)?"),
    "vcs": lazy(rf"{NAME} @ (?P<url>(?:git|hg|bzr|svn)\+(?:https?|ssh|git)://[^\s$]+)  # {VERSION}"),
    "url": lazy(rf"{NAME} @ (?P<url>https?://[^\s$#]+)(?P<fragment>#[^\s$]+)?  # {VERSION}"),
    "file": lazy(rf"{NAME}=={VERSION}  # from the local file (?P<url>[^\s/]+)(?: {SHA})?"),
    "index": lazy(rf"{NAME}=={VERSION}"),
    **{source: lazy(rf"{re.escape(start)}: {NAME}=={VERSION}") for source, start in COMMENTED.items()},
}


@noun
class Lock:
    """A lock that was read."""

    python: str
    implementation: str
    distributions: tuple[Distribution, ...]


def write_lock(lock: Lock) -> bytes:
    """The text of a lock: the same for the same distributions, on any machine and in any directory."""
    lines = [line_of(found) for found in sorted(lock.distributions, key=lambda found: found.name)]
    head = [TITLE, f"# python {lock.python} {lock.implementation}", USE]
    return "".join(f"{line}\n" for line in [*head, *lines]).encode()


def line_of(distribution: Distribution) -> str:
    """One distribution's line. A project's own version is left out: it follows the code, which is kept itself."""
    from urllib.parse import quote

    name, version, source = distribution.name, distribution.version, distribution.source
    if source == "project":
        place = "" if distribution.place == "." else f"/{quote(os.fsencode(distribution.place or ''))}"
        return f"-e {ROOT}{place}  # {name}" if distribution.is_editable else f"{name} @ file://{ROOT}{place}"
    if source in ("url", "vcs"):
        url, _, below = (distribution.url or "").partition("#")
        parts = [below] if below else []
        parts += [f"sha256={distribution.sha256}"] if distribution.sha256 else []
        return f"{name} @ {url}{'#' if parts else ''}{'&'.join(parts)}  # {version}"
    if source == "file":
        sha = f" sha256={distribution.sha256}" if distribution.sha256 else ""
        return f"{name}=={version}  # from the local file {quote(distribution.url or 'unknown')}{sha}"
    if source in COMMENTED:
        return f"{COMMENTED[source]}: {name}=={version}"
    return f"{name}=={version}"


def read_lock(text: bytes) -> Lock:
    """The lock that `write_lock` wrote. Raises Damaged, naming the line, at anything else."""
    lines = text.decode("utf-8", "replace").splitlines()
    python = LINES["python"].fullmatch(lines[1]) if len(lines) > 1 else None
    if python is None or lines[0] != TITLE:
        raise Damaged("The lock of this environment is not one that mltrack wrote.", "Run `mltrack verify`.")
    found = [read_line(line) for line in lines[2:] if line and line != USE]
    return Lock(python["version"], python["name"], tuple(found))


def read_line(line: str) -> Distribution:
    from urllib.parse import unquote

    for source, pattern in LINES.items():
        match = pattern.fullmatch(line)
        if match is None or source == "python":
            continue
        part = match.groupdict()
        if source in ("editable", "project"):
            place = os.fsdecode(unquote((part["place"] or "/.")[1:], errors="surrogateescape"))
            return Distribution(part["name"], "", "project", None, None, place, source == "editable")
        fragment = (part.get("fragment") or "#")[1:].split("&")
        below = "".join(f"#{item}" for item in fragment if item.startswith("subdirectory="))
        sha = next((item[len("sha256=") :] for item in fragment if item.startswith("sha256=")), part.get("sha"))
        url = part.get("url")
        if source == "file":
            url = unquote(url or "")
        return Distribution(part["name"], part["version"], source, url + below if url else None, sha)
    raise Damaged(f"The lock of this environment has a strange line: {line[:200]!r}.", "Run `mltrack verify`.")
