"""What a probe answered -> the distributions that were installed, and where each came from.

Pure but for resolving symbolic links. Knows the words of the packaging standards (direct_url.json, INSTALLER) and
keeps credentials and absolute paths out of what it hands on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mltrack.nouns import noun
from mltrack.patterns import lazy
from mltrack.redact import PLACEHOLDER, redact_url
from mltrack.redact.names import looks_random

OURS = "mltrack-ledger"
"""The distribution of mltrack itself, which is no part of a run's environment."""

BY_HAND = ("pip", "uv", "poetry", "pdm", "conda", "installer", "hatch")
"""INSTALLER words of programs that a user runs; another word, or none, below /usr/lib is the operating system's."""

SECRET_QUERY = lazy(r"(token|key|sig|signature|secret|pass|password|pwd|auth|credential|expires|policy)", re.I)

NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"
VERSION = r"[A-Za-z0-9][A-Za-z0-9.!+_-]*"
"""What may stand in a lock; anything else in metadata is damage or mischief."""

SHOWN = 8
"""Names in one warning; more are counted."""

UNKNOWN = "unknown"
"""The version of a distribution whose metadata does not say."""


@noun
class File:
    """A wheel or an sdist that an index has."""

    name: str
    sha256: str | None
    url: str | None = None
    """Without credentials."""
    size_bytes: int | None = None


@noun
class Distribution:
    """One installed distribution, and where it can be had again. `source` says of what kind that is:

    index (a package index, by version), url (an archive by its URL), vcs (a repository at a commit), file (a local
    archive that no index is known to have), project (a directory of the project), outside (a directory elsewhere),
    path (not installed: found on PYTHONPATH), system (installed by the operating system), conda (by conda).
    """

    name: str
    version: str
    source: str
    url: str | None = None
    """For `url` and `vcs`, without credentials; for `file`, the archive's name."""
    sha256: str | None = None
    place: str | None = None
    """For `project`: relative to the project's root."""
    is_editable: bool = False
    index: str | None = None
    """The URL of the index that has it, without credentials; None where nobody asked."""
    wheels: tuple[File, ...] = ()
    """What the index has of this version, for every platform."""
    sdist: File | None = None
    hashes: tuple[str, ...] = ()
    """sha256 of files whose names nobody told, from a requirements file of the project."""
    stored: str | None = None
    """The file name of a wheel in the environment's tree `wheels`."""
    tree: str | None = None
    """For `outside`: the name of its directory in the environment's tree `sources`."""
    installed: str | None = None
    """A digest of its files as RECORD lists them, without what differs from directory to directory: two installations
    of one wheel have the same. None where there is no RECORD, and for editable ones."""
    tags: tuple[str, ...] = ()
    """Of the wheel that was installed: `cp311-cp311-manylinux_2_17_x86_64`."""
    requires: tuple[str, ...] = ()
    """Names of the distributions that it needs, whatever the circumstances."""

    @property
    def is_locked(self) -> bool:
        """Is it certain to be had again bit for bit: by a hash, a commit, or because its content is kept?"""
        if self.source == "index":
            return bool(self.stored or self.hashes or any(file.sha256 for file in self.files))
        if self.source in ("url", "file"):
            return bool(self.stored or self.sha256)
        return self.source in ("vcs", "project") or (self.source == "outside" and self.tree is not None)

    @property
    def files(self) -> tuple[File, ...]:
        """Everything that the index has of it."""
        return (*self.wheels, *((self.sdist,) if self.sdist else ()))


@noun
class Installed:
    """The distributions of one interpreter, sorted by name, and what is strange about them."""

    distributions: tuple[Distribution, ...]
    local_sources: Mapping[str, str]
    """Name -> the directory of this machine that it is installed from."""
    nameless: tuple[str, ...]
    """Directories that should describe a distribution and do not."""
    doubled: tuple[str, ...]
    """Names that are there with two versions in one directory."""


@noun
class Context:
    """What one must know to tell where a distribution came from."""

    project: Path
    linked: frozenset[str]
    """Directories that `setup.py develop` put on the path."""
    homely: frozenset[str]
    """Directories of the interpreter, its environment and the user; what lies elsewhere was not installed."""


def listed(names: Sequence[str]) -> str:
    """`a, b, c and 4 more`."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def by_name(found: Distribution) -> str:
    """What distributions are sorted by."""
    return found.name


def normalise(name: str) -> str:
    """A distribution's name as the standards compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_answer(answer: Mapping[str, Any], project: Path) -> Installed:
    """The distributions that a probe saw; of several with one name, the one that is imported."""
    chosen: dict[str, Mapping[str, Any]] = {}
    nameless, doubled = [], set()
    for seen in answer["distributions"]:
        found = {**seen, "direct_url": sound_origin(seen["direct_url"])}
        name = normalise(found["name"])
        is_told = found["metadata"] and bool(found["direct_url"]) == bool(seen["direct_url"])
        if not is_told or not re.fullmatch(VERSION, found["version"]) or not re.fullmatch(NAME, name):
            nameless.append(name)
        if not re.fullmatch(NAME, name):
            continue
        if name in chosen:
            if found["place"] == chosen[name]["place"] and found["version"] != chosen[name]["version"]:
                doubled.add(name)
            chosen[name] = better(chosen[name], found)
        else:
            chosen[name] = found
    chosen.pop(OURS, None)
    context = Context(project, frozenset(answer["linked"]), homely_places(answer))
    sources = {name: source for name, found in chosen.items() if (source := local_source(found, context.linked))}
    return Installed(
        tuple(describe(name, found, context) for name, found in sorted(chosen.items())),
        dict(sorted(sources.items())),
        tuple(name for name in nameless if name != OURS),
        tuple(sorted(doubled - {OURS})),
    )


def sound_origin(origin: Any) -> dict[str, Any] | None:
    """What a direct_url.json says, if it is one (PEP 610); else None, as where there is none."""
    from urllib.parse import urlsplit

    if not isinstance(origin, dict) or not isinstance(origin.get("url"), str):
        return None
    try:
        urlsplit(origin["url"])
        os.fsencode(file_path(origin["url"]))
    except ValueError:
        return None
    parts = {key: origin[key] or {} for key in ("dir_info", "archive_info", "vcs_info") if key in origin}
    vcs = parts.get("vcs_info")
    words = [origin.get("subdirectory", "")] if vcs is None else [vcs.get("vcs"), vcs.get("commit_id")]
    if len(parts) != 1 or not all(isinstance(part, dict) for part in parts.values()):
        return None
    return {**origin, **parts} if all(isinstance(word, str) for word in words) else None


def better(first: Mapping[str, Any], second: Mapping[str, Any]) -> Mapping[str, Any]:
    """Which of two distributions of one name counts: in one directory the newer (the older is a leftover), in two the
    earlier on the path, unless the later one says that it is the editable install that put the earlier one there."""
    if first["place"] == second["place"]:
        return second if second["mtime"] > first["mtime"] else first
    return second if (second["direct_url"] or {}).get("dir_info", {}).get("editable") else first


def local_source(found: Mapping[str, Any], linked: Iterable[str]) -> str | None:
    """The directory that a distribution is installed from, if it is one of this machine."""
    direct = found["direct_url"]
    if direct and "dir_info" in direct:
        return file_path(direct["url"])
    return found["place"] if not direct and found["place"] in linked else None


def homely_places(answer: Mapping[str, Any]) -> frozenset[str]:
    """The directories that belong to the interpreter, its environment or the user, of those with distributions."""
    homes = [home for home in (answer["prefix"], answer["base_prefix"], answer["user_site"]) if home]
    places = {found["place"] for found in answer["distributions"]}
    return frozenset(place for place in places if any(is_below(place, home) for home in homes))


def describe(name: str, found: Mapping[str, Any], context: Context) -> Distribution:
    """One distribution of a probe's answer."""
    version = found["version"] or UNKNOWN
    place = placed(name, version if re.fullmatch(VERSION, version) else UNKNOWN, found, context)
    return replace(
        place,
        installed=None if place.is_editable else found.get("installed"),
        tags=tuple(sorted(found.get("tags", ()))),
        requires=tuple(sorted({normalise(text) for text in found.get("requires", ())})),
    )


def placed(name: str, version: str, found: Mapping[str, Any], context: Context) -> Distribution:
    """Where a distribution came from."""
    direct = found["direct_url"]
    directory = local_source(found, context.linked)
    if directory is not None:
        place = place_within(directory, context.project)
        is_editable = not direct or bool(direct["dir_info"].get("editable"))
        return Distribution(name, version, "outside" if place is None else "project", None, None, place, is_editable)
    if direct:
        return from_url(name, version, direct)
    return Distribution(name, version, plain_source(found, context.homely))


def plain_source(found: Mapping[str, Any], homely: frozenset[str]) -> str:
    """The source of a distribution without a direct URL, by where it lies and who put it there."""
    place, installer = found["place"], found["installer"]
    if place.startswith("/usr/lib") and installer not in BY_HAND:
        return "system"
    if installer == "conda":
        return "conda"
    return "index" if place in homely else "path"


def from_url(name: str, version: str, direct: Mapping[str, Any]) -> Distribution:
    """A distribution whose installer was given a URL (PEP 610)."""
    from urllib.parse import quote

    url = without_credentials(direct["url"])
    below = f"#subdirectory={quote(direct['subdirectory'])}" if direct.get("subdirectory") else ""
    if "vcs_info" in direct:
        if not re.match(r"(https?|ssh|git)://", url):
            return Distribution(name, version, "outside")
        info = direct["vcs_info"]
        return Distribution(name, version, "vcs", f"{info['vcs']}+{url}@{info['commit_id']}{below}")
    sha256 = archive_sha256(direct.get("archive_info", {}))
    if url.startswith("file:"):
        file = os.fsencode(Path(file_path(url)).name).decode("utf-8", "backslashreplace")
        return Distribution(name, version, "file", file, sha256)
    if not re.match(r"https?://", url):
        return Distribution(name, version, "outside")
    return Distribution(name, version, "url", url + below, sha256)


def archive_sha256(info: Mapping[str, Any]) -> str | None:
    """The hash of an archive, in the newer or the older spelling of PEP 610."""
    found = (info.get("hashes") or {}).get("sha256") or str(info.get("hash") or "").removeprefix("sha256=")
    return found if re.fullmatch(r"[0-9a-f]{64}", found or "") else None


def without_credentials(url: str) -> str:
    """A URL without password, user (but for `git@`, which is no secret) and what looks secret in its path and query.

    What a lock gives a meaning of its own to, blanks and `$`, is written in per cents.
    """
    from urllib.parse import quote, urlsplit, urlunsplit

    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"git@{host}" if user.partition(":")[0] == "git" and "ssh" in parts.scheme else host
    items = re.split("[&;]", parts.query)
    kept = [item for item in items if not is_secret(item)]
    query = parts.query if kept == items else "&".join(kept)
    path = parts.path if parts.scheme == "file" else plain_path(parts.path)
    return quote(urlunsplit((parts.scheme, netloc, path, query, "")), safe="%/:=&?~#+!,;'@()*[]")


def is_secret(item: str) -> bool:
    """Is this part of a URL's query a secret, by its name or its form?"""
    from urllib.parse import unquote

    name = unquote(item.partition("=")[0])
    return SECRET_QUERY.search(name) is not None or redact_url(f"?{item}") != f"?{item}"


def plain_path(path: str) -> str:
    """The path of a URL without tokens: what has the form of one, and a random word in front of all else, which is how
    hosts of private indexes write them (`/TOKEN/organisation/repository`). Elsewhere random words are digests."""
    start, slash, rest = path.lstrip("/").partition("/")
    if rest and looks_random(start):
        path = f"/{PLACEHOLDER}{slash}{rest}"
    return redact_url(path)


def index_url(url: str) -> str:
    """The URL of an index, written one way: without credentials and without a slash at its end."""
    return without_credentials(url).rstrip("/")


def file_path(url: str) -> str:
    """The path that a `file:` URL names."""
    from urllib.parse import unquote, urlsplit

    return os.fsdecode(unquote(urlsplit(url).path, errors="surrogateescape"))


def is_below(path: str, root: str) -> bool:
    """Is this path the root or below it, links resolved?"""
    place, top = os.path.realpath(path), os.path.realpath(root)
    return place == top or place.startswith(top.rstrip("/") + "/")


def place_within(path: str, project: Path) -> str | None:
    """A directory relative to the project's root, or None if it is not below it."""
    if not is_below(path, str(project)):
        return None
    return Path(os.path.realpath(path)).relative_to(os.path.realpath(project)).as_posix()
