"""Installs what a lock says into an environment, and nothing else: which lines, and where to look in what order.

A hash decides what is taken; an index is only a place to look. The wheels that were stored with the run come first, and
alone where they are all that is needed; then the indexes that are configured here; then those that the lock names.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from mltrack.environments import silent
from mltrack.environments.cache import was_written_through
from mltrack.environments.python import indexes
from mltrack.environments.python.distributions import UNKNOWN, Distribution, listed, normalise
from mltrack.environments.python.indexes import Settings
from mltrack.environments.python.installer import Uv, attempt, built_from_source, converse, failure
from mltrack.environments.python.lock import Lock
from mltrack.environments.python.wheels import sha256_of
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun

WISH = "mltrack-requirements.txt"
"""What was asked for, left in the environment for who wonders."""

WATCHED = ("bin", "lib/*/site-packages")
"""Where installers put what is installed; a command that writes there changes the environment."""

BY_VERSION = ("index", "file", "system", "conda")
TRIED = ("system", "conda")
"""Sources whose distributions are built by others than their authors: an index has most of them, and not all."""


WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

REFUSED = re.compile(r"hint: (An index URL .+? could not be queried [^\n]+)")
"""What uv says where an index wants a password."""


@noun
class Task:
    """What is installed, and with what."""

    lock: Lock
    uv: Uv
    settings: Settings
    wheels: Path | None = None
    """The directory of the wheels that were stored with the run."""
    stored: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Distribution -> hashes of those of its stored wheels that may fit here."""
    imported: frozenset[str] | None = None
    """The distributions that the run imported, which alone are compiled beforehand; None: nobody knows, so all are."""


@noun
class Line:
    """One distribution as the installer is asked for it."""

    found: Distribution
    text: str
    hashes: tuple[str, ...]
    is_stored: bool

    @property
    def has_hash(self) -> bool:
        return bool(self.hashes) or "#sha256=" in self.text

    @property
    def is_verified(self) -> bool:
        """Is what is installed certain: by a hash, or a commit?"""
        return self.has_hash or self.found.source == "vcs"


@noun
class Installed:
    """What was done; facts for the marker of the environment."""

    left_out: tuple[str, ...] = ()
    """What no index has."""
    unverified: tuple[str, ...] = ()
    """Installed by their version alone."""
    stored: tuple[str, ...] = ()
    """Installed under a pin from the stored wheels; the installer does not write where they came from."""
    where: str = ""
    built: tuple[str, ...] = ()
    """Those that uv said it built from source."""


def here() -> str:
    """The platform of this machine, as a lock names it."""
    return f"{sys.platform}-{os.uname().machine}"


def stored_hashes(lock: Lock, wheels: Path | None) -> dict[str, tuple[str, ...]]:
    """Distribution -> sha256 of the stored wheels of this version that may fit here. Raises OSError."""
    found: dict[str, list[str]] = {}
    versions = {one.name: one.version for one in lock.distributions}
    known = {file.name: file.sha256 for one in lock.distributions for file in one.wheels}
    for path in sorted(wheels.glob("*.whl")) if wheels is not None else ():
        parts = path.name.split("-")
        name = normalise(parts[0])
        is_ours = len(parts) >= 5 and same_version(versions.get(name, ""), parts[1])
        if is_ours and (path.name.endswith("-any.whl") or lock.platform in ("", here())):
            found.setdefault(name, []).append(known.get(path.name) or sha256_of(path))
    return {name: tuple(hashes) for name, hashes in found.items()}


def same_version(version: str, written: str) -> bool:
    """Is this the version that stands in a wheel's file name, where `-` is written `_`?"""
    return bool(version) and normalise(version) == normalise(written)


def line_for(found: Distribution, task: Task, use_stored: bool = True) -> Line | None:
    """How to ask for a distribution; None for a directory, and for what cannot be had again."""
    stored = task.stored.get(found.name, ()) if use_stored else ()
    if found.source in ("url", "vcs") and not stored:
        url, _, below = (found.url or "").partition("#")
        parts = [part for part in (f"sha256={found.sha256}" if found.sha256 else "", below) if part]
        return Line(found, f"{found.name} @ {url}{'#' if parts else ''}{'&'.join(parts)}", (), False)
    if found.version == UNKNOWN or not (stored or found.source in BY_VERSION):
        return None
    hashes = {file.sha256 for file in found.files if file.sha256} | set(found.hashes) | set(stored)
    hashes |= {found.sha256} if found.sha256 else set()
    words = [f"{found.name}=={found.version}", *(f"--hash=sha256:{text}" for text in sorted(hashes))]
    return Line(found, " \\\n    ".join(words), tuple(sorted(hashes)), bool(stored))


def lines_of(task: Task) -> list[Line]:
    """The lines of a lock; those of other people's builds that no index may have are not among them."""
    lines = [line_for(found, task) for found in task.lock.distributions]
    return [line for line in lines if line is not None and (line.is_stored or line.found.source not in TRIED)]


def install_pinned(task: Task, place: Path) -> Installed:
    """Install everything but directories. Raises EnvironmentFailed with the installer's own words, StorageError."""
    if was_written_through(place, WATCHED):  # so the installer's own cache is not to be trusted either
        fresh = {**task.settings.variables, "UV_NO_CACHE": "1"}
        task = replace(task, settings=replace(task.settings, variables=fresh))
    lines = lines_of(task)
    where, said = install_all(task, place, lines) if lines else ("", "")
    tried = [found for found in task.lock.distributions if found.source in TRIED and found.name not in task.stored]
    left_out = install_tried(task, place, tried)
    left_out += [found.name for found in task.lock.distributions if is_lost(found, task)]
    compile_imported(task, place)
    return Installed(
        tuple(sorted(left_out)),
        tuple(line.found.name for line in lines if not line.is_verified),
        tuple(line.found.name for line in lines if line.is_stored),
        where,
        tuple(built_from_source(said)),
    )


def is_lost(found: Distribution, task: Task) -> bool:
    """Is there no way to ask for it?"""
    if found.source in TRIED or found.source == "project":
        return False
    return line_for(found, task) is None and not (found.source == "outside" and found.tree)


def install_all(task: Task, place: Path, lines: Sequence[Line]) -> tuple[str, str]:
    """Install all lines or raise; from where, and what the installer said."""
    if task.wheels is not None and all(line.is_stored for line in lines):
        alone = indexes.only_from(task.wheels, task.settings)
        code, said = install(task, place, lines, alone)
        if code == 0:
            return "the wheels that were stored with the run", said
    code, said = install(task, place, lines, configured(task))
    if code == 0:
        more = " and the wheels that were stored with the run" if any(line.is_stored for line in lines) else ""
        return f"the package indexes configured here{more}", said
    if any(line.is_stored for line in lines) or [index for index in indexes_of(lines) if index]:
        return install_by_index(task, place, lines, (code, said))
    raise failure(task.uv, "filled", code, said, advice_for(lines, task, place))


def install_by_index(task: Task, place: Path, lines: Sequence[Line], first: tuple[int, str]) -> tuple[str, str]:
    """Install what each index had with that index in front, and archives and repositories from their own address."""
    talk, used = [], []
    for index in indexes_of(lines):
        group = [line for line in lines if line.found.index == index]
        plain = [line_for(line.found, task, line.found.source not in ("url", "vcs")) or line for line in group]
        settings = configured(task)
        is_new = index is not None and not indexes.is_configured(settings, index)
        code, said = first
        if len(group) < len(lines) or plain != group:
            code, said = install(task, place, plain, settings)
        if code and is_new and index is not None:
            code, said = install(task, place, plain, indexes.first_from(settings, index))
            used.append(index)
        if code:
            raise failure(task.uv, "filled", code, said, advice_for(group, task, place))
        talk.append(said)
    names = f" and {listed(used)}" if used else ""
    return f"the package indexes configured here{names}", "\n".join(talk)


def indexes_of(lines: Sequence[Line]) -> list[str | None]:
    """The indexes that these came from, the one of most lines first."""
    all_of = [line.found.index for line in lines]
    return sorted(dict.fromkeys(all_of), key=lambda index: -all_of.count(index))


def configured(task: Task) -> Settings:
    """The settings of this machine, and the stored wheels beside what they name."""
    return indexes.beside(task.wheels, task.settings) if task.wheels is not None else task.settings


def install(task: Task, place: Path, lines: Sequence[Line], settings: Settings) -> tuple[int, str]:
    """Ask uv for all of these lines, those with hashes at once; its exit code and what it said."""
    hashed = [line for line in lines if line.has_hash]
    code, talk = 0, []
    for group, options in ((hashed, ["--require-hashes"]), ([line for line in lines if not line.has_hash], [])):
        if not group or code:
            continue
        wish = place / WISH
        wish.write_text("".join(f"{line.text}\n" for line in group))
        words = ["pip", "install", "--no-deps", *options, *settings.options]
        words += ["--compile-bytecode"] if task.imported is None else []
        given = indexes.any_index(settings) if options else settings
        uv = replace(task.uv, variables=given.variables)
        code, said = attempt(uv, *words, "--python", str(place / "bin" / "python"), "-r", str(wish))
        talk.append(said)
    return code, "\n".join(talk)


def compile_imported(task: Task, place: Path) -> None:
    """Compile what the run imported, on all processors; the rest is compiled if it is ever imported. It saves time
    only: a failure is none."""
    from concurrent.futures import ThreadPoolExecutor

    files = modules_of(place, task.imported or frozenset())
    if not files:
        return
    task.uv.tell(f"compiling {len(files)} modules")
    parts = [part for start in range(WORKERS) if (part := files[start::WORKERS])]

    def work(number: int) -> None:
        listing = place / f"{WISH}.{number}"
        listing.write_bytes(b"".join(file + b"\n" for file in parts[number]))
        tell = task.uv.tell if number == 0 else silent
        python = replace(task.uv, program=str(place / "bin" / "python"), tell=tell)
        converse(python, ("-I", "-m", "compileall", "-qq", "-i", str(listing)))
        listing.unlink()

    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(work, range(len(parts))))


def modules_of(place: Path, names: frozenset[str]) -> list[bytes]:
    """The modules that these distributions installed, as their RECORD lists them."""
    return [
        os.fsencode(info.parent / row.partition(",")[0])
        for info in sorted(place.glob("lib/*/site-packages/*.dist-info"))
        if normalise(info.name.removesuffix(".dist-info").rpartition("-")[0]) in names
        for row in (info / "RECORD").read_text(errors="surrogateescape").splitlines()
        if row.partition(",")[0].endswith(".py") and not row.startswith(("/", '"', "../"))
    ]


def install_tried(task: Task, place: Path, tried: Sequence[Distribution]) -> list[str]:
    """Install those of them of which an index has wheels; the names of the others."""
    lines = [line for found in tried if (line := line_for(found, task)) is not None]
    pins = {line.found.name: line for line in lines}
    lacking = [found.name for found in tried if found.name not in pins]
    if not pins:
        return lacking
    settings = configured(task)
    settings = Settings(settings.variables, (*settings.options, "--only-binary", ":all:"))
    if install(task, place, lines, settings)[0] == 0:
        return lacking
    for line in lines:
        if install(task, place, [line], settings)[0]:
            lacking.append(line.found.name)
    return lacking


def advice_for(lines: Sequence[Line], task: Task, place: Path) -> str:
    """What the user can do: about files that only their machine had, and about indexes that want a password."""
    files = [line.found.url or line.found.name for line in lines if line.found.source == "file" and not line.is_stored]
    text = f"The run had installed local files ({listed(files)}); put them in a directory that UV_FIND_LINKS names.\n"
    refused = refusals(task, place)
    return (text if files else "") + "".join(f"{line}.\n" for line in refused)


def refusals(task: Task, place: Path) -> list[str]:
    """The indexes that refused to answer, in uv's words; it does not say them where it may look in all of them."""
    settings = indexes.Settings({**task.settings.variables, "UV_INDEX_STRATEGY": "first-index"}, task.settings.options)
    words = ("pip", "install", "--dry-run", "--no-deps", *settings.options, "-r", str(place / WISH))
    uv = replace(task.uv, variables=settings.variables)
    _, said = attempt(uv, *words, "--python", str(place / "bin" / "python"))
    return sorted({" ".join(found[1].split()).rstrip(".") for found in REFUSED.finditer(said)})


def create(uv: Uv, base: Path, place: Path) -> None:
    """An empty virtual environment that can be renamed and copied. Raises EnvironmentFailed."""
    words = ("venv", "--relocatable", "--no-project", "--python", str(base), str(place))
    code, said = attempt(uv, *words)
    if code:
        raise failure(uv, "created", code, said)
    if not (place / "bin" / "python").exists():
        raise EnvironmentFailed(f"uv made no environment of {base}.", "Try another interpreter.")
