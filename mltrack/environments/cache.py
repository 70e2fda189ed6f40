"""Directories of built environments: locked while they are built, visible when they are whole, dropped when unused.

One is made aside and renamed to its place, so that a place holds nothing or an environment with a marker
(`mltrack.json`) that says whether it is complete. Whoever uses one shares its lock (flock, which goes with the
process), so that nobody removes it meanwhile. A file system without locks costs this protection, nothing else. Knows
nothing of Python.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from mltrack.environments import silent
from mltrack.environments.changes import is_written_through, state_of
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun
from mltrack.patterns import lazy

MARKER = "mltrack.json"
BELOW = "environments"
"""The directory of built environments in the user's cache."""

KEPT_DAYS = 30
KEPT_BYTES = 20 << 30
"""What was not used for so long goes when another one is built, and the longest unused above so many bytes."""

LEFTOVER = lazy(r"\.(.+)\.[0-9a-f]{8}\.(?:new|old)")
"""The name of one that is being made or removed."""

POLL_S, TOLD_EVERY_S = 0.2, 5.0
DAY_S = 86_400

_held: dict[Path, IO[bytes]] = {}
"""The environments that this process uses."""


@noun
class Wanted:
    """An environment that is to be in its place."""

    place: Path
    identity: str
    """A digest of all that decides what it holds; what is there with another one is built again."""
    make: Callable[[Path], dict[str, Any]]
    """Builds it in the directory it is given, which is not there yet; gives back what the marker is to keep."""
    finish: Callable[[Path], dict[str, Any]] | None = None
    """Does what can only be done in the final place; gives back more for the marker."""
    tell: Callable[[str], None] = silent
    proof: str = "bin/python"
    """Without this file it is not whole: the interpreter that it points to may have gone."""
    watched: tuple[str, ...] = ()
    """The directories in it (globs) whose files stay as they were built: what a command changed is not used again."""


@noun
class Cached:
    """An environment in the cache."""

    path: Path
    python: str | None
    packages: int | None
    size_bytes: int
    """What removing it would free, counting a file that others share (by hard links) in parts."""
    built_at: float
    used_at: float
    """Seconds since 1970."""
    is_complete: bool
    is_used: bool
    """Does a process use it, or build it, now?"""


def obtain(wanted: Wanted) -> dict[str, Any]:
    """The marker of the environment, which is built if it is not there; held until this process ends, or `release`.
    Its `place` says where it is: where another process uses one that was changed since, it is built beside that.

    Raises OSError where the place cannot be written, EnvironmentFailed where something else lies there.
    """
    first, number, told = wanted.place, 1, 0.0
    while True:
        place = wanted.place
        is_shared = hold(place)
        if is_shared and (marker := whole_marker(wanted)) is not None:
            with suppress(OSError):  # a cache that is read only is as good
                os.utime(place / MARKER)
            return {**marker, "place": str(place)}
        is_changed = is_shared and finished_marker(wanted) is not None
        release(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        with alone(place) as is_ours:
            if is_ours and whole_marker(wanted) is None:
                build(wanted)
        if not is_ours and is_changed:
            number += 1
            wanted = replace(wanted, place=first.with_name(f"{first.name}-{number}"))
        elif not is_ours:
            if time.monotonic() - told >= TOLD_EVERY_S:
                wanted.tell("waiting for another process that builds or uses the same environment")
                told = time.monotonic()
            time.sleep(POLL_S)


def build(wanted: Wanted) -> None:
    """Make it aside, rename it, finish it; the lock is ours. What a failure leaves is removed."""
    place, aside = wanted.place, aside_of(wanted.place)
    refuse_foreign(place)
    for left in leftovers(place):
        with suppress(OSError):  # an installer that outlived its mltrack may still write there
            remove(left)
    try:
        facts = wanted.make(aside)
        marker = {"identity": wanted.identity, "is_complete": wanted.finish is None, "built_at": time.time(), **facts}
        marker["size_bytes"] = size_of(aside)
        marker["state"] = state_of(aside, wanted.watched)
        write_marker(aside, marker)
        put_away(place)
        aside.rename(place)
        if wanted.finish is not None:
            facts = wanted.finish(place)
            facts["state"] = state_of(place, wanted.watched)
            write_marker(place, {**marker, **facts, "is_complete": True})
    except BaseException:
        remove(aside)
        raise


def put_away(place: Path) -> None:
    """Remove what is there, under another name: a half-removed environment must never stand in its place."""
    if place.exists():
        old = place.with_name(f".{place.name}.{os.urandom(4).hex()}.old")
        place.rename(old)
        remove(old)


def aside_of(place: Path) -> Path:
    """Where the environment of a place is made. A new name each time: an installer whose mltrack was killed may still
    be writing into the last one."""
    return place.with_name(f".{place.name}.{os.urandom(4).hex()}.new")


def leftovers(place: Path) -> list[Path]:
    """What killed processes left beside a place."""
    try:
        return [path for path in sorted(place.parent.iterdir()) if place_of_leftover(path) == place]
    except OSError:
        return []


def place_of_leftover(path: Path) -> Path | None:
    """The place beside which this was left."""
    found = LEFTOVER.fullmatch(path.name)
    return path.with_name(found[1]) if found is not None else None


def lock_of(place: Path) -> Path:
    return place.with_name(f".{place.name}.lock")


def refuse_foreign(place: Path) -> None:
    """Raises EnvironmentFailed if the place holds something that is not ours to replace."""
    if place.exists() and any(place.iterdir()) and not (place / MARKER).exists():
        raise EnvironmentFailed(
            f"The directory {place} is not empty, and not an environment that mltrack built.",
            "Move it away, or choose another directory.",
        )


def read_marker(place: Path) -> dict[str, Any] | None:
    """What the marker says; None if there is none that can be read."""
    try:
        marker: dict[str, Any] = json.loads((place / MARKER).read_text())
        return marker if isinstance(marker, dict) else None
    except (OSError, ValueError):
        return None


def write_marker(place: Path, marker: Mapping[str, Any]) -> None:
    aside = place / f"{MARKER}.tmp"
    with aside.open("w") as file:
        json.dump(marker, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(place / MARKER)


def whole_marker(wanted: Wanted) -> dict[str, Any] | None:
    """The marker, if what is wanted is there, complete, and still as it was built."""
    marker = finished_marker(wanted)
    if marker is None or marker.get("state") != state_of(wanted.place, wanted.watched):
        return None
    return marker


def was_written_through(aside: Path, watched: Sequence[str]) -> bool:
    """Did somebody change, in what is replaced by what is made here, files that an installer shares with it?"""
    place = place_of_leftover(aside)
    marker = read_marker(place) if place is not None else None
    return place is not None and marker is not None and is_written_through(place, watched, marker.get("built_at", 0))


def finished_marker(wanted: Wanted) -> dict[str, Any] | None:
    """The marker, if what is wanted was completed there, and the interpreter that it points to is there too."""
    marker = read_marker(wanted.place)
    if marker is None or marker.get("identity") != wanted.identity or marker.get("is_complete") is not True:
        return None
    return marker if (wanted.place / wanted.proof).exists() else None


def hold(place: Path) -> bool:
    """Use the environment of a place until this process ends: nobody may remove or replace it. False if somebody does
    that now. Where there is no lock to be had (a read-only cache), there is nobody to keep away."""
    file = None if place in _held else open_lock(place)
    if file is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    except OSError:
        pass  # no locks on this file system
    if not is_current(file, place):
        file.close()
        return False
    _held[place] = file
    return True


def release(place: Path) -> None:
    """Use it no longer."""
    if place in _held:
        _held.pop(place).close()


@contextmanager
def alone(place: Path) -> Iterator[bool]:
    """Nobody else builds, removes or uses the environment of this place meanwhile; False if somebody does. The lock
    goes with the process. Raises OSError."""
    with lock_of(place).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # no locks on this file system
        yield is_current(file, place)


def is_current(file: IO[bytes], place: Path) -> bool:
    """Is the lock that was opened still the one that others will open? It goes with the environment."""
    with suppress(OSError):
        return os.fstat(file.fileno()).st_ino == lock_of(place).stat().st_ino
    return False


def open_lock(place: Path) -> IO[bytes] | None:
    """The lock file, to share: of a read-only cache too."""
    for mode in ("ab", "rb"):
        with suppress(OSError):
            return lock_of(place).open(mode)
    return None


def remove(path: Path) -> None:
    """Remove a directory that is ours, with what cannot be written in it; nothing if it is not there."""
    if not os.path.lexists(path):
        return
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        for top, _, _ in os.walk(path):
            os.chmod(top, 0o700)
        shutil.rmtree(path)


def size_of(place: Path) -> int:
    """The bytes on the disk of what is in a directory, shared files in parts."""
    total = 0.0
    for top, _, names in os.walk(place):
        for name in names:
            with suppress(OSError):
                found = os.lstat(os.path.join(top, name))
                total += found.st_blocks * 512 / max(found.st_nlink, 1)
    return int(total)


def link_copy(source: Path, target: Path) -> None:
    """A copy of a built environment that shares its files by hard links where the file system can."""
    for top, names, files in os.walk(source):
        below = target / os.path.relpath(top, source)
        below.mkdir(exist_ok=True)
        for name in [*files, *(name for name in names if os.path.islink(os.path.join(top, name)))]:
            origin, copy = os.path.join(top, name), below / name
            if name == MARKER and top == str(source):
                continue
            try:
                os.link(origin, copy, follow_symlinks=False)
            except OSError:
                shutil.copy2(origin, copy, follow_symlinks=False)


def cached_environments(cache: Path) -> list[Cached]:
    """The environments below the user's cache directory, the longest unused first."""
    try:
        entries = sorted((cache / BELOW).iterdir())
    except OSError:
        return []
    places = {place_of(entry) for entry in entries if entry.is_dir() and not entry.is_symlink()}
    found = [one for place in sorted(places - {None}) if (one := describe(place)) is not None]  # type: ignore[type-var]
    return sorted(found, key=lambda one: one.used_at)


def place_of(entry: Path) -> Path | None:
    """The place that a directory in the cache belongs to; None if it is not ours."""
    return place_of_leftover(entry) or (entry if (entry / MARKER).exists() else None)


def describe(place: Path | None) -> Cached | None:
    """What the marker of an environment says of it; of a half-built one, that it is there."""
    if place is None:
        return None
    marker = read_marker(place) or {}
    try:
        existing = place if place.exists() else leftovers(place)[0]
        used = (place / MARKER if marker else existing).stat().st_mtime
    except (OSError, IndexError):
        return None  # it has gone meanwhile
    is_complete = marker.get("is_complete") is True
    size = marker.get("size_bytes")
    return Cached(
        place,
        marker.get("python"),
        marker.get("packages"),
        size if isinstance(size, int) else size_of(existing),
        marker.get("built_at", used),
        used,
        is_complete,
        is_used(place),
    )


def is_used(place: Path) -> bool:
    """Does somebody hold the lock of this place?"""
    try:
        with alone(place) as is_free:
            return not is_free
    except OSError:
        return False


def remove_cached(place: Path) -> bool:
    """Remove an environment of the cache with all that belongs to it; False if a process uses it. Raises OSError."""
    with alone(place) as is_ours:
        if is_ours:
            if (place / MARKER).exists():
                put_away(place)
            for left in leftovers(place):
                remove(left)
            place.with_name(f"{place.name}.log").unlink(missing_ok=True)
            lock_of(place).unlink(missing_ok=True)
    return is_ours


def tidy(cache: Path, kept_bytes: int = KEPT_BYTES, kept_days: float = KEPT_DAYS) -> list[Cached]:
    """Remove what was long unused, what was left half-built, and the longest unused above the size; what was removed.

    Never raises: what cannot be removed stays.
    """
    found = cached_environments(cache)
    total, now, gone = sum(one.size_bytes for one in found), time.time(), []
    for one in found:
        is_old = now - one.used_at > kept_days * DAY_S
        if one.is_used or not (is_old or total > kept_bytes or not one.is_complete):
            continue
        with suppress(OSError):
            if remove_cached(one.path):
                total -= one.size_bytes
                gone.append(one)
    return gone
