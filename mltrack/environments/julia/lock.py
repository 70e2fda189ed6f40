"""The lock of a Julia environment: the version, where the project lay, and the bytes of its project and manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltrack.confine import checked_parts
from mltrack.environments import Package
from mltrack.environments.document import read_document, strange, text, write_document
from mltrack.environments.julia.projects import VERSION
from mltrack.environments.python.lock import load_toml
from mltrack.errors import Damaged
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.environments import Recorded

TITLE = "mltrack julia lock 1"
HASH = r"[0-9a-f]{40}"


@noun
class JuliaLock:
    """A lock that was read."""

    version: str
    place: str | None
    """The project's directory relative to the root of the run's project; None for one elsewhere."""
    project: str | None
    manifest: str | None


@noun
class JuliaPackage:
    """A package that a manifest names. Those of Julia itself have no version there, and are not listed."""

    name: str
    version: str
    tree: str | None
    """The hash of its source tree."""
    path: str | None = None
    """Of a package under development: its directory, relative to the manifest or absolute."""
    url: str | None = None


def write_lock(lock: JuliaLock) -> bytes:
    """The text of a lock."""
    fields = {"julia": lock.version, "place": lock.place, "project": lock.project, "manifest": lock.manifest}
    return write_document(TITLE, fields)


def read_lock(data: bytes | None) -> JuliaLock:
    """The lock that `write_lock` wrote. Raises Damaged at anything else."""
    fields = read_document(data, TITLE)
    try:
        if set(fields) != {"julia", "place", "project", "manifest"}:
            raise ValueError("unknown or missing fields")
        texts = [fields[name] for name in ("place", "project", "manifest")]
        if not all(value is None or isinstance(value, str) for value in texts):
            raise ValueError("a strange field")
        if texts[0] not in (None, "."):
            checked_parts(texts[0].encode("utf-8", "surrogateescape"))
        lock = JuliaLock(text(fields["julia"], VERSION), *texts)
        packages_of(lock.manifest)
        return lock
    except Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise strange(error) from error


def packages_of(manifest: str | None) -> tuple[JuliaPackage, ...]:
    """The packages of a manifest, in its old or its new form. Raises ValueError if it is none."""
    table = load_toml(manifest or "")
    rows = table["deps"] if "manifest_format" in table else table
    found = []
    for name, entries in sorted((rows or {}).items()):
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and ("version" in entry or "path" in entry or "git-tree-sha1" in entry):
                found.append(package_of(name, entry))
    return tuple(found)


def package_of(name: str, entry: dict[str, Any]) -> JuliaPackage:
    from mltrack.redact import redact_url

    url = entry.get("repo-url")
    tree = entry.get("git-tree-sha1")
    return JuliaPackage(
        text(name, r"[A-Za-z_][A-Za-z0-9_]*"),
        text(entry.get("version", "")),
        text(tree, HASH) if tree is not None else None,
        str(entry["path"]) if "path" in entry else None,
        redact_url(url) if isinstance(url, str) else None,
    )


def listed_packages(recorded: Recorded) -> tuple[Package, ...]:
    """What the manifest tells of each package, sorted by name. Raises Damaged."""
    return tuple(
        Package(
            found.name,
            found.version,
            "project" if found.path else "vcs" if found.url else "registry",
            found.path or found.url,
            hashes=1 if found.tree else 0,
            problem=None if found.tree or found.path else "no hash is known",
            identity=found.tree,
        )
        for found in packages_of(read_lock(recorded.lock).manifest)
    )
