"""What lies where files are to be restored, and how they get there so that nothing of a person's is lost.

What is there already and right is left, what differs is in the way: it is refused, or kept aside under another name. A
directory that is not there yet is filled under a name of its own and appears when it is complete.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.digest import digest_bytes
from mltrack.errors import StorageError, UsageError
from mltrack.nouns import noun
from mltrack.store.disk import create, refused, remove, temporary_beside, write_all, writing
from mltrack.store.keep import Changed, digest_file
from mltrack.store.locks import lock_file
from mltrack.store.manifest import ManifestEntry
from mltrack.store.statcache import stat_key

if TYPE_CHECKING:
    from mltrack.store.statcache import StatKey

SHOWN = 20
"""Paths that a refusal names."""

FILES = ("file", "executable")
LOCK = ".mltrack"
"""In a directory that is being filled; a name that no manifest may hold."""

NO_LINKS = ("EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK", "EACCES")
"""What a filesystem says that has no hard links."""


@noun
class Top:
    """A directory that is not there yet: everything in it is written below `aside`, which is then renamed."""

    path: bytes
    place: str
    aside: str


@dataclass
class Plan:
    """What has to be done, for a list of entries below one directory."""

    target: str
    tops: dict[bytes, Top] = field(default_factory=dict)
    directories: list[tuple[bytes, Top | None]] = field(default_factory=list)
    """To be made, parents first."""
    entries: list[tuple[ManifestEntry, Top | None]] = field(default_factory=list)
    """To be written."""
    in_the_way: list[bytes] = field(default_factory=list)
    """Paths of what differs from what is to be there."""
    modes: list[tuple[str, int]] = field(default_factory=list)
    """Files that are right but for their execute bit, and the mode they are to have."""
    left: int = 0
    """Entries that are there already as they should be."""

    def by_top(self) -> list[tuple[Top, list[ManifestEntry]]]:
        """Every new directory with what is to be written in it."""
        found: dict[bytes, tuple[Top, list[ManifestEntry]]] = {path: (top, []) for path, top in self.tops.items()}
        for entry, top in self.entries:
            if top is not None:
                found[top.path][1].append(entry)
        return list(found.values())

    def set_modes(self) -> None:
        for place, mode in self.modes:
            with writing(place):
                os.chmod(place, mode)

    def place(self, path: bytes) -> str:
        """Where a path is to be in the end."""
        return f"{self.target}/{os.fsdecode(path)}" if path else self.target

    def now(self, path: bytes, top: Top | None) -> str:
        """Where it is written."""
        if top is None:
            return self.place(path)
        return top.aside + self.place(path)[len(top.place) :]


def look(target: Path, listed: Sequence[ManifestEntry], texts: dict[bytes, bytes]) -> Plan:
    """Compare what is to be below `target` with what is there; nothing is written. `texts` are those of the links."""
    plan = Plan(os.fspath(target))
    top_of = _look_at_directories(plan, listed)
    for entry in listed:
        parent = entry.path if entry.kind == "directory" else entry.path.rpartition(b"/")[0]
        top = top_of[parent]
        if entry.kind == "directory":
            continue
        if top is not None:
            plan.entries.append((entry, top))
            continue
        state = _state(plan, entry, texts)
        if state == "right":
            plan.left += 1
            continue
        if state == "differs":
            plan.in_the_way.append(entry.path)
        plan.entries.append((entry, None))
    plan.in_the_way.sort()
    return plan


def _look_at_directories(plan: Plan, listed: Iterable[ManifestEntry]) -> dict[bytes, Top | None]:
    """The directories that are needed, each with the one below which it is new, if it is."""
    needed = {entry.path if entry.kind == "directory" else entry.path.rpartition(b"/")[0] for entry in listed}
    for path in list(needed):
        while path := path.rpartition(b"/")[0]:
            needed.add(path)
    needed.add(b"")
    found: dict[bytes, Top | None] = {}
    for path in sorted(needed):
        top = found[path.rpartition(b"/")[0]] if path else None
        if top is None:
            place = plan.place(path)
            mode = _mode(place)
            if mode is not None and stat.S_ISDIR(mode):
                found[path] = None
                continue
            if mode is not None:
                plan.in_the_way.append(path)
            top = plan.tops[path] = Top(path, place, _aside(place))
        found[path] = top
        plan.directories.append((path, top))
    return found


def _aside(place: str) -> str:
    """Beside it, and the same name each time, so that work that was interrupted is found again."""
    name = digest_bytes(os.fsencode(os.path.abspath(place)))[3:19]
    return f"{os.path.dirname(os.path.abspath(place))}/.mltrack-{name}.partial"


def _mode(place: str) -> int | None:
    try:
        return os.lstat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused(place, error) from error


def _state(plan: Plan, entry: ManifestEntry, texts: dict[bytes, bytes]) -> str:
    """ "absent", "right" or "differs". A file that only lacks its execute bit, or has one too many, will be right."""
    place = plan.place(entry.path)
    try:
        found = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    if entry.kind == "link":
        right = stat.S_ISLNK(found.st_mode) and os.readlink(os.fsencode(place)) == texts[entry.path]
        return "right" if right else "differs"
    if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
        return "differs"
    if not has_digest(place, stat_key(found), str(entry.digest)):
        return "differs"
    mode = stat.S_IMODE(found.st_mode)
    if bool(mode & 0o100) != (entry.kind == "executable"):
        plan.modes.append((place, mode & ~0o111 if mode & 0o100 else mode | (mode & 0o444) >> 2))
    return "right"


def has_digest(place: str, key: StatKey, digest: str) -> bool:
    """Does the regular file with these fields have this content?"""
    try:
        return digest_file(os.fsencode(place), key, None) == digest
    except (Changed, OSError):
        return False


def refuse(plans: Iterable[Plan]) -> None:
    """Raises UsageError that lists what is in the way."""
    names = [plan.place(path) for plan in plans for path in plan.in_the_way]
    if not names:
        return
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    what = "one path has" if len(names) == 1 else f"{len(names)} paths have"
    raise UsageError(
        f"Nothing was written: {what} other content than is to be restored: {', '.join(names[:SHOWN])}{more}.",
        "Add --force to restore anyway, with what is there kept aside, or choose another place.",
    )


class Keeper:
    """Keeps aside what was in the way: below one directory beside the target, made when it is first needed."""

    def __init__(self, target: str, force: bool, single: bool = False) -> None:
        self.force = force
        self.kept: list[str] = []
        """Where things lie now."""
        self._target = target
        self._single = single
        self._lock = threading.Lock()
        self._stamp = time.strftime("%Y%m%dT%H%M%S")
        self._top: str | None = None

    @property
    def place(self) -> Path | None:
        """The file, or the directory, in which all of it is."""
        if not self.kept:
            return None
        return Path(self.kept[0] if self._single else self._top or os.path.dirname(self.kept[0]))

    def set_aside(self, place: str) -> None:
        """Rename what lies at a place. Raises UsageError without `force`: it appeared while we were at work."""
        if not self.force:
            raise UsageError(
                f"{place} was not there a moment ago, and is not what was to be restored.",
                "It was left alone. Try again, or add --force to keep it aside.",
            )
        with self._lock, writing(place):
            for name in self._names(place):
                try:
                    os.makedirs(os.path.dirname(name), exist_ok=True)
                    os.rename(place, name)
                except FileNotFoundError:
                    if not os.path.lexists(place):
                        return  # it has gone by itself
                    raise
                except OSError as error:
                    if _name_of(error) not in ("EXDEV", "EACCES", "EPERM", "EROFS"):
                        raise
                    continue  # the directory lies on another filesystem, or may not be written
                self.kept.append(name)
                return

    def _names(self, place: str) -> list[str]:
        beside = _free(f"{place}.mltrack-kept-{self._stamp}")
        if self._single or place == self._target:
            return [beside]
        if self._top is None:
            self._top = _free(f"{self._target}.mltrack-kept-{self._stamp}")
        return [_free(self._top + place[len(self._target) :]), beside]


def _free(name: str) -> str:
    """The name, with a number behind it if it is taken."""
    number, found = 1, name
    while os.path.lexists(found):
        number += 1
        found = f"{name}-{number}"
    return found


def install(temporary: str, place: str, is_right: Callable[[], bool], keeper: Keeper) -> None:
    """Give a complete file its name. What appeared there meanwhile is never written over: see `Keeper`."""
    while True:
        try:
            _name(temporary, place)
            return
        except FileExistsError:
            if is_right():  # another process restored the same
                remove(temporary)
                return
            keeper.set_aside(place)


def _name(temporary: str, place: str) -> None:
    """Rename to a name that is free. Raises FileExistsError if it is not."""
    try:
        os.link(temporary, place, follow_symlinks=False)
    except OSError as error:
        if isinstance(error, FileExistsError) or _name_of(error) not in NO_LINKS:
            raise
        _copy(temporary, place)
    remove(temporary)


def _copy(temporary: str, place: str) -> None:
    """For filesystems without hard links: the name is taken first, then filled."""
    if os.path.islink(temporary):
        os.symlink(os.readlink(temporary), place)
        return
    handle = create(place, os.stat(temporary).st_mode & 0o777)
    try:
        with open(temporary, "rb") as source:
            while block := source.read(1 << 20):
                write_all(handle, block)
    except BaseException:
        remove(place)
        raise
    finally:
        os.close(handle)


def _name_of(error: OSError) -> str:
    import errno

    return errno.errorcode.get(error.errno or 0, "")


class Filling:
    """The directory in which a new one is filled. It may be left over from work that was interrupted."""

    def __init__(self, top: Top, entries: Iterable[ManifestEntry], plan: Plan) -> None:
        self.top = top
        self.done: set[bytes] = set()
        """Paths of the files that are right there already."""
        self._lock = -1
        with writing(top.place):
            os.makedirs(os.path.dirname(top.aside), exist_ok=True)
            if self._make(top.aside):
                return
            if self._take(top.aside):
                self.done = _reclaim(top, entries, plan)
                return
            # Another process is at work in it.
            self.top = Top(top.path, top.place, temporary_beside(top.place))
            self._make(self.top.aside)

    def _make(self, aside: str) -> bool:
        try:
            os.mkdir(aside)
        except FileExistsError:
            return False
        self._lock = create(f"{aside}/{LOCK}", 0o600)
        lock_file(self._lock, wait=False)
        return True

    def _take(self, aside: str) -> bool:
        """Was it left by a process that is gone?"""
        try:
            if os.path.islink(aside):
                return False
            handle = os.open(f"{aside}/{LOCK}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        self._lock = handle
        try:
            if lock_file(handle, wait=False) and os.path.samestat(os.fstat(handle), os.lstat(f"{aside}/{LOCK}")):
                return True
        except OSError:
            pass
        self.close()
        return False

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def finish(self, keeper: Keeper) -> None:
        """Let the filled directory appear. What appeared under its name meanwhile is not written over."""
        with writing(self.top.place):
            remove(f"{self.top.aside}/{LOCK}")
            while True:
                try:
                    os.rename(self.top.aside, self.top.place)
                    return
                except OSError as error:
                    if _name_of(error) not in ("ENOTEMPTY", "EEXIST", "ENOTDIR"):
                        raise
                keeper.set_aside(self.top.place)

    def discard(self) -> None:
        """Remove all that was filled in."""
        import shutil

        shutil.rmtree(self.top.aside, ignore_errors=True)


def _reclaim(top: Top, entries: Iterable[ManifestEntry], plan: Plan) -> set[bytes]:
    """Remove from a leftover directory all but the files that are right; their paths."""
    wanted = {plan.now(entry.path, top): entry for entry in entries if entry.kind in FILES}
    done = set()
    for directory, names, files in os.walk(top.aside):
        for name in files + [name for name in names if os.path.islink(f"{directory}/{name}")]:
            place = f"{directory}/{name}"
            entry = wanted.get(place)
            if entry is not None and _is_whole(place, entry):
                done.add(entry.path)
            elif place != f"{top.aside}/{LOCK}":
                remove(place)
    return done


def _is_whole(place: str, entry: ManifestEntry) -> bool:
    found = os.lstat(place)
    executable = bool(found.st_mode & 0o100)
    same = stat.S_ISREG(found.st_mode) and executable == (entry.kind == "executable") and found.st_size == entry.size
    return same and has_digest(place, stat_key(found), str(entry.digest))


def taken_twice(place: str) -> StorageError:
    return StorageError(
        f"{place} is there already: this filesystem takes two names of the directory for one.",
        "Restore it on a filesystem that tells upper and lower case apart.",
    )
