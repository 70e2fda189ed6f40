"""The lock of a conda environment: a file that conda's own tools install from, with what they do not need in comments.

Behind `@EXPLICIT` stands a line a package, in the order of installation: `URL#md5`, as `conda create --file` reads it.
In front of each is a comment with a JSON object of all else that is known. What lines starting with `#pip ` hold is the
lock of the distributions that pip or uv installed, in the format of the kind `python`.
A lock comes back from remotes, so reading it accepts what `write_lock` writes, byte for byte, and nothing else.
"""

from __future__ import annotations

import json
from typing import Any

from mltrack.environments.conda.channels import PACKAGE
from mltrack.errors import Damaged
from mltrack.nouns import noun
from mltrack.patterns import lazy

TITLE = "# mltrack conda lock 1"
PLATFORM = "# platform: "
EXPLICIT = "@EXPLICIT"
FACTS = "#: "
LOCAL = "# local "
PIP = "#pip "

WORD = r"[A-Za-z0-9_.+!~=-]+"
FORMS = {
    "name": lazy(r"[A-Za-z0-9_][A-Za-z0-9_.-]*"),
    "version": lazy(WORD),
    "build": lazy(WORD),
    "subdir": lazy(r"noarch|[a-z0-9]+-[a-z0-9_]+"),
    "noarch": lazy(r"python|generic"),
    "extension": lazy(r"conda|tar\.bz2"),
    "md5": lazy(r"[0-9a-f]{32}"),
    "sha256": lazy(r"[0-9a-f]{64}"),
    "depends": lazy(r"[^\n\x00-\x1f\x7f]*"),
    "provides": lazy(r"[a-z0-9]+(?:-[a-z0-9]+)*==[A-Za-z0-9][A-Za-z0-9.!+_-]*"),
}
LISTS = ("depends", "provides")
NUMBERS = ("build_number", "size_bytes")
OPTIONAL = ("noarch", "md5", "sha256", "size_bytes", "url")


@noun
class CondaPackage:
    """One package as conda's metadata of a prefix tells of it."""

    name: str
    version: str
    build: str
    subdir: str
    extension: str
    """`conda` or `tar.bz2`."""
    url: str | None = None
    """Without credentials; None for one from a directory of a machine."""
    md5: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    build_number: int = 0
    noarch: str | None = None
    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    """The Python distributions that it brings: `numpy==2.1.0`."""

    @property
    def file(self) -> str:
        """The name of its archive."""
        return f"{self.name}-{self.version}-{self.build}.{self.extension}"

    @property
    def path(self) -> str:
        """Where its archive lies in a channel."""
        return f"{self.subdir}/{self.file}"

    @property
    def label(self) -> str:
        return f"{self.name} {self.version} {self.build}"


@noun
class CondaLock:
    """A lock that was read."""

    platform: str
    """`linux-64`: the directory of a channel that the packages are from."""
    packages: tuple[CondaPackage, ...]
    """In the order of installation."""
    pip: bytes | None = None
    """The lock of what pip or uv installed there; None if they installed nothing."""

    @property
    def python(self) -> str | None:
        """The version of Python, if that is among the packages."""
        return next((package.version for package in self.packages if package.name == "python"), None)


def write_lock(lock: CondaLock) -> bytes:
    """The text of a lock."""
    lines = [TITLE, f"{PLATFORM}{lock.platform}", EXPLICIT]
    for package in lock.packages:
        lines += [f"{FACTS}{facts_of(package)}", line_of(package)]
    text = "".join(f"{line}\n" for line in lines).encode()
    pip = b"".join(PIP.encode() + line for line in (lock.pip or b"").splitlines(keepends=True))
    return text + pip


def facts_of(package: CondaPackage) -> str:
    table = {key: value for key, value in to_table(package).items() if key not in ("md5", "url")}
    return json.dumps(table, sort_keys=True, separators=(",", ":"))


def to_table(package: CondaPackage) -> dict[str, Any]:
    """A package as JSON says it, without what is not known."""
    table = {key: getattr(package, key) for key in CondaPackage._names}  # type: ignore[attr-defined]
    table |= {key: list(table[key]) for key in LISTS}
    return {key: value for key, value in table.items() if value is not None}


def from_table(table: dict[str, Any]) -> CondaPackage:
    """A package from JSON. Raises ValueError, KeyError, TypeError at anything strange."""
    known = set(CondaPackage._names)  # type: ignore[attr-defined]
    if set(table) - known or known - set(table) - set(OPTIONAL):
        raise ValueError("unknown or missing fields")
    for key, value in table.items():
        if key in NUMBERS:
            fits = type(value) is int and value >= 0
        elif key in LISTS:
            fits = isinstance(value, list) and all(FORMS[key].fullmatch(item) for item in value)
        elif key != "url":
            fits = FORMS[key].fullmatch(value) is not None
        if key != "url" and not fits:
            raise ValueError(f"a strange {key}")
    return checked_url(CondaPackage(**{**table, **{key: tuple(table[key]) for key in LISTS}}))


def checked_url(package: CondaPackage) -> CondaPackage:
    """The package, if its URL ends in its own path. Raises ValueError."""
    if package.url is not None:
        found = PACKAGE.fullmatch(package.url)
        if found is None or package.url.startswith("file:") or not package.url.endswith(f"/{package.path}"):
            raise ValueError("a strange URL")
    return package


def line_of(package: CondaPackage) -> str:
    """The line that installs a package; a comment for one that no channel has."""
    address = package.url or f"{LOCAL}{package.path}"
    return f"{address}#{package.md5}" if package.md5 else address


def read_lock(text: bytes | None) -> CondaLock:
    """The lock that `write_lock` wrote. Raises Damaged at anything else."""
    try:
        lock = parse(text or b"")
        if write_lock(lock) != text:
            raise ValueError("not in the form that mltrack gives it")
        return lock
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise Damaged(
            f"The lock of this conda environment is not one that mltrack wrote: {error}.", "Run `mltrack verify`."
        ) from error


def parse(text: bytes) -> CondaLock:
    head, mark, pip = text.partition(b"\n" + PIP.encode())
    lines = head.decode().split("\n")
    if lines[0] != TITLE or not lines[1].startswith(PLATFORM) or lines[2] != EXPLICIT:
        raise ValueError("a strange head")
    platform = lines[1][len(PLATFORM) :]
    if not FORMS["subdir"].fullmatch(platform):
        raise ValueError("a strange platform")
    rows = lines[3:] if mark else lines[3:-1]
    packages = tuple(parse_package(facts, line) for facts, line in zip(rows[::2], rows[1::2]))
    if len({package.name for package in packages}) != len(packages):
        raise ValueError("a package stands there twice")
    inner = (PIP.encode() + pip).splitlines(keepends=True) if mark else []
    if not all(line.startswith(PIP.encode()) and line.endswith(b"\n") for line in inner):
        raise ValueError("a strange line in the part of pip")
    return CondaLock(platform, packages, b"".join(line[len(PIP) :] for line in inner) if mark else None)


def parse_package(facts: str, line: str) -> CondaPackage:
    if not facts.startswith(FACTS):
        raise ValueError(f"a strange line {facts[:80]!r}")
    table = json.loads(facts[len(FACTS) :])
    address, mark, md5 = line.partition("#") if not line.startswith(LOCAL) else line[len(LOCAL) :].partition("#")
    if not line.startswith(LOCAL):
        table["url"] = address
    if mark:
        table["md5"] = md5
    return from_table(table)


def in_order(packages: list[CondaPackage]) -> tuple[CondaPackage, ...]:
    """The order of installation: what a package depends on stands before it, else by name. Cycles are cut, at Python
    first, which everything else may need."""
    left = {package.name: package for package in sorted(packages, key=lambda package: package.name)}
    needs = {
        name: {need.split(" ")[0] for need in package.depends} & set(left) - {name} for name, package in left.items()
    }
    ordered: list[CondaPackage] = []
    while left:
        ready = [name for name in left if not needs[name] & left.keys()]
        chosen = ready or (["python"] if "python" in left else [next(iter(left))])
        ordered += [left.pop(name) for name in chosen]
    return tuple(ordered)
