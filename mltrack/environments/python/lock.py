"""The lock of a Python environment: `pylock.toml` (PEP 751), and in its table `tool.mltrack` what was installed.

`packages` says how each distribution is had again, for installers: hashes of all wheels and of the sdist, an index, a
commit, a directory. It lists only what is certain. `tool.mltrack.packages` lists everything that was installed, with
where it came from and the digest of its files. Directories are relative to the project's root.

A lock comes back from remotes: reading it accepts names, versions, hashes and URLs in the form that `write_lock` gives
them, and no absolute path.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any
from urllib.parse import quote, unquote

from mltrack.environments.python import distributions
from mltrack.environments.python.distributions import Distribution, File, by_name
from mltrack.errors import Damaged
from mltrack.nouns import noun

FORMAT = 1
"""Of the table `tool.mltrack`; a changed meaning needs another number."""

WHEELS, SOURCES = "wheels", "sources"
"""The trees that are kept with an environment, where the lock's relative paths point."""

PYTHON = r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?"
IMPLEMENTATION = r"[a-z]+(?:\+freethreaded)?(?:\+debug)?"
SHA256 = r"[0-9a-f]{64}"
FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9._+!~-]*"
URL = r"(?:https?|file)://[^\s$]+"
REPOSITORY = r"(?:git|hg|bzr|svn)\+(?:https?|ssh|git)://[^\s$]+"
"""`$` would be a variable to an installer."""

REQUIREMENT = r"[A-Za-z0-9][A-Za-z0-9 ._,<>=!~*+;'\"()\[\]-]*"
"""Without `@`, `/` and `-` in front: no URL, no path, no option."""

KINDS = ("index", "url", "vcs", "file", "project", "outside", "path", "system", "conda")


@noun
class Lock:
    """A lock as it is written and read."""

    python: str
    """`3.11.7`, or `3.14.0rc2`."""
    implementation: str
    """`cpython`, `pypy`, `cpython+freethreaded`."""
    distributions: tuple[Distribution, ...]
    platform: str = ""
    """`linux-x86_64`: of the machine that it was made on."""
    build: tuple[str, ...] = ()
    """What must be had to build its directories, the project's and others: `setuptools>=68`."""


def write_lock(lock: Lock) -> bytes:
    """The text of a lock: the same for the same distributions, on any machine and in any directory."""
    import tomli_w

    found = sorted(lock.distributions, key=by_name)
    minor = ".".join(lock.python.split(".")[:2])
    document = {
        "lock-version": "1.0",
        "created-by": "mltrack",
        "requires-python": f"=={minor}.*",
        "packages": [package for one in found if (package := package_of(one)) is not None],
        "tool": {
            "mltrack": {
                "format": FORMAT,
                "python": lock.python,
                "implementation": lock.implementation,
                "platform": lock.platform,
                "build": sorted(lock.build),
                "packages": [installed_of(one) for one in found],
            }
        },
    }
    return tomli_w.dumps(document).encode()


def package_of(found: Distribution) -> dict[str, Any] | None:
    """A distribution as the standard writes it; None where it is not certain what an installer would get."""
    if not found.is_locked or (found.source == "index" and not found.files):
        return None
    how = {"index": of_index, "file": of_index, "url": of_archive, "vcs": of_vcs}.get(found.source, of_directory)
    version = {} if found.source in ("project", "outside") else {"version": found.version}
    return {"name": found.name, **version, **how(found)}


def of_index(found: Distribution) -> dict[str, Any]:
    table: dict[str, Any] = {"index": found.index} if found.index else {}
    if found.sdist is not None and found.sdist.sha256:
        table["sdist"] = file_table(found.sdist)
    wheels = [file_table(file) for file in found.wheels if file.sha256]
    return {**table, "wheels": wheels} if wheels else table


def file_table(file: File) -> dict[str, Any]:
    table: dict[str, Any] = {"name": file.name}
    table |= {"url": file.url} if file.url else {"path": f"{WHEELS}/{file.name}"}
    table |= {"size": file.size_bytes} if file.size_bytes is not None else {}
    return {**table, "hashes": {"sha256": file.sha256}}


def of_archive(found: Distribution) -> dict[str, Any]:
    url, _, below = (found.url or "").partition("#subdirectory=")
    if found.sha256 is None:
        return of_index(found)
    table: dict[str, Any] = {"url": url, "hashes": {"sha256": found.sha256}}
    return {"archive": table | ({"subdirectory": unquote(below)} if below else {})}


def of_vcs(found: Distribution) -> dict[str, Any]:
    address, _, below = (found.url or "").partition("#subdirectory=")
    url, _, commit = address.rpartition("@")
    kind, _, url = url.partition("+")
    table = {"type": kind, "url": url, "commit-id": commit}
    return {"vcs": table | ({"subdirectory": unquote(below)} if below else {})}


def of_directory(found: Distribution) -> dict[str, Any]:
    path = found.place if found.source == "project" else f"{SOURCES}/{found.tree}"
    return {"directory": {"path": printable(path or "."), "editable": found.is_editable}}


def printable(path: str) -> str:
    """A path as a lock says it: what is not plain ASCII in per cents, so that no byte is lost."""
    return quote(os.fsencode(path), safe="/ !#&'()*+,;:=?@[]^_{}~-.")


def installed_of(found: Distribution) -> dict[str, Any]:
    """What was installed: everything that `package_of` cannot say. A project's own version follows its code."""
    is_project = found.source == "project"
    table: dict[str, Any] = {
        "name": found.name,
        "version": None if is_project else found.version,
        "source": found.source,
        "url": found.url,
        "sha256": found.sha256,
        "path": printable(found.place) if found.place is not None else None,
        "editable": found.is_editable or None,
        "hashes": list(found.hashes) or None,
        "stored": found.stored,
        "tree": found.tree,
        "installed": None if is_project else found.installed,
        "tags": list(found.tags) or None,
        "requires": list(found.requires) or None,
    }
    return {key: value for key, value in table.items() if value is not None}


def read_lock(text: bytes) -> Lock:
    """The lock that `write_lock` wrote. Raises Damaged, naming what is strange, at anything else."""
    try:
        document = load_toml(text.decode())
        ours = document["tool"]["mltrack"]
        if ours["format"] != FORMAT:
            raise Damaged(f"The lock of this environment has format {ours['format']!r}.", "Upgrade mltrack.")
        packages = {package["name"]: package for package in document["packages"]}
        found = tuple(read_distribution(table, packages.get(table["name"], {})) for table in ours["packages"])
        python, implementation = ours["python"], ours["implementation"]
        return Lock(
            checked(python, PYTHON),
            checked(implementation, IMPLEMENTATION),
            found,
            checked(ours["platform"], r"[\w.-]*"),
            tuple(checked(text, REQUIREMENT) for text in ours["build"]),
        )
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            f"The lock of this environment is not one that mltrack wrote: {error}.", "Run `mltrack verify`."
        ) from error


def load_toml(text: str) -> dict[str, Any]:
    """A TOML document. Raises ValueError."""
    from importlib import import_module

    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return dict(toml.loads(text))


def checked(value: Any, pattern: str) -> str:
    """The value, if it is text of this form. Raises ValueError."""
    if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
        raise ValueError(f"strange text {str(value)[:200]!r}")
    return value


def optional(table: dict[str, Any], key: str, pattern: str) -> str | None:
    return checked(table[key], pattern) if key in table else None


def read_distribution(table: dict[str, Any], package: dict[str, Any]) -> Distribution:
    """One distribution, from both of its tables. Raises ValueError, KeyError, TypeError."""
    source = table["source"]
    if source not in KINDS:
        raise ValueError(f"strange source {str(source)[:80]!r}")
    path = os.fsdecode(unquote(table["path"], errors="surrogateescape")) if "path" in table else None
    sdist = read_file(package["sdist"]) if "sdist" in package else None
    forms = {"url": URL, "vcs": REPOSITORY, "file": r"[^\n/]+"}
    return Distribution(
        name=checked(table["name"], distributions.NAME),
        version="" if source == "project" else checked(table["version"], distributions.VERSION),
        source=source,
        url=optional(table, "url", forms.get(source, r"(?!)")),
        sha256=optional(table, "sha256", SHA256),
        place=path,
        is_editable=table.get("editable", False) is True,
        index=optional(package, "index", URL),
        wheels=tuple(read_file(file) for file in package.get("wheels", ())),
        sdist=sdist,
        hashes=tuple(checked(sha256, SHA256) for sha256 in table.get("hashes", ())),
        stored=optional(table, "stored", FILE_NAME + r"\.whl"),
        tree=optional(table, "tree", distributions.NAME),
        installed=optional(table, "installed", rf"sha256:{SHA256}"),
        tags=tuple(checked(tag, r"[\w.]+-[\w.]+-[\w.]+") for tag in table.get("tags", ())),
        requires=tuple(checked(name, distributions.NAME) for name in table.get("requires", ())),
    )


def read_file(table: dict[str, Any]) -> File:
    size = table.get("size")
    return File(
        checked(table["name"], FILE_NAME),
        checked(table["hashes"]["sha256"], SHA256),
        optional(table, "url", URL),
        size if isinstance(size, int) else None,
    )
