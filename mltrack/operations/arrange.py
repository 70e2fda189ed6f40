"""How files of ours come to stand at absolute paths that only a command sees: which directory covers which.

What is there is covered by ours. Where nothing is, the nearest directory above is covered by one of ours that holds
what is missing, and through which all else in the old one shows (bound, entry by entry). Only makes directories below
a top of ours; the binds themselves are made in the command's process (`executors/mounts.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mltrack.errors import Damaged, DataMissing
from mltrack.executors import Bind

LIMIT = 5000
"""Entries of a directory up to which it is covered."""

SYSTEM = ("proc", "sys", "dev", "etc", "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "boot")
"""Directories below the root in whose place nothing of ours ever stands."""

STATE = (".git", ".mltrack")


class Refused(DataMissing):
    """Nothing of ours may, or can, stand at a path. The message is the reason, a part of a sentence."""


@dataclass
class Cover:
    """A directory or file of ours in the place of another."""

    place: Path
    names: set[str] | None = None
    """Of a directory through which the old one shows: those of its entries that are ours. None: all is ours."""

    def holds(self, rest: str) -> bool:
        return self.names is None or rest.partition("/")[0] in self.names


@dataclass
class Arrangement:
    """What is to cover what, as it grows. `needed`: places that must stay to be seen."""

    top: Path
    needed: Sequence[Path] = ()
    beside: Path | None = None
    """The directory of our workspaces."""
    covers: dict[str, Cover] = field(default_factory=dict)

    def place_for(self, target: str, is_directory: bool, is_guess: bool = False) -> Path:
        """Where to lay what the command is to find at an absolute path; its parents are there. Raises Refused.

        A guess may lie beside our own workspaces.
        """
        real = self.allowed(target, is_guess)
        ours = self.find(real)
        if ours is None and os.path.lexists(real) and os.path.isdir(real) == is_directory:
            return self.cover(real)
        ours = ours or self.make_room(real)
        ours.parent.mkdir(parents=True, exist_ok=True)
        return ours

    def keep_from(self, target: str, is_guess: bool = False) -> None:
        """Have what the command writes at a path, and makes beside it, come to us; it finds nothing there. Raises
        Refused."""
        real = self.allowed(target, is_guess)
        ours = self.find(real) or self.make_room(real)
        ours.parent.mkdir(parents=True, exist_ok=True)

    def allowed(self, target: str, is_guess: bool) -> str:
        """The path, links followed. Raises Damaged or Refused."""
        if not is_guess:
            return allowed(target)
        real, beside = os.path.realpath(target), f"{self.beside}/"
        if not real.startswith(beside):
            return allowed(target)
        name = real[len(beside) :].partition("/")[0]
        if os.path.lexists(beside + name):
            raise Refused("it belongs to mltrack")
        return real

    def find(self, real: str) -> Path | None:
        """Where a path lies with us already."""
        directory = real
        while directory not in self.covers:
            if directory == "/":
                return None
            directory = os.path.dirname(directory)
        cover, rest = self.covers[directory], real[len(directory) :].lstrip("/")
        return Path(cover.place, rest) if cover.holds(rest) else None

    def cover(self, real: str) -> Path:
        """A new place of ours that takes the place of what is there."""
        for place in self.needed:
            if PurePosixPath(os.path.realpath(place)).is_relative_to(real):
                raise Refused(f"{place} lies in it, which the command needs")
        known = self.covers.get(real)
        if known is not None:
            known.names = None
            return known.place
        place = self.top / str(len(self.covers))
        place.parent.mkdir(parents=True, exist_ok=True)
        self.covers[real] = Cover(place)
        return place

    def make_room(self, real: str) -> Path:
        """A place for what is not there, in a directory of ours that takes the place of the nearest one above."""
        directory = os.path.dirname(real)
        while not os.path.isdir(directory):
            directory = os.path.dirname(directory)
        cover = self.covers.get(directory)
        if cover is None:
            check_entries(directory, directory == str(self.beside))
            cover = self.covers[directory] = Cover(self.top / str(len(self.covers)), set())
            cover.place.mkdir(parents=True)
        rest = real[len(directory) :].lstrip("/")
        if cover.names is not None:
            cover.names.add(rest.partition("/")[0])
        return Path(cover.place, rest)

    def binds(self) -> tuple[Bind, ...]:
        """The binds in their order, as things are now: the deepest first, for a bind takes along what is below it."""
        found: list[Bind] = []
        for directory in sorted(self.covers, key=depth, reverse=True):
            cover = self.covers[directory]
            found += [] if cover.names is None else show_rest(directory, cover)
            found.append(Bind(str(cover.place), directory))
        return tuple(found)

    def outside(self) -> Mapping[str, Path]:
        """Absolute path as the command sees it -> where its bytes lie, for it and all below it."""
        found = {}
        for directory, cover in self.covers.items():
            found[directory] = cover.place
            for name in entries(directory) if cover.names is not None else ():
                if name not in cover.names:  # type: ignore[operator]  # not None
                    found.setdefault(os.path.join(directory, name), Path(directory, name))
        return {**found, **{directory: cover.place for directory, cover in self.covers.items()}}


@dataclass
class Mounting(Arrangement):
    """The same for a container, in which nothing of this machine is: each path is mounted, read-only."""

    sources: Sequence[str] = ()
    """What the settings mount somewhere: the command knows what lies there by other paths."""

    def place_for(self, target: str, is_directory: bool, is_guess: bool = False) -> Path:
        allowed(target)
        if is_guess or any(PurePosixPath(target).is_relative_to(source) for source in self.sources):
            raise Refused("the container sees it through a mount of its settings, so it must be where that begins")
        place = self.find(target)
        if place is None:
            place = self.top / str(len(self.covers))
            self.covers[target] = Cover(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def keep_from(self, target: str, is_guess: bool = False) -> None:
        raise Refused("a container writes outside of its image to what is mounted")

    def show(self, target: str) -> None:
        """Have the command see what is there on this machine."""
        if self.find(target) is None:
            self.covers[target] = Cover(Path(os.path.realpath(target)))


def check_plain(target: str) -> None:
    """Raise Damaged for a path that is not absolute, or not the shortest of its kind."""
    if not target.startswith("/") or os.path.normpath(target) != target or target.startswith("//") or "\0" in target:
        raise Damaged(
            f"The record names {target!r}, which is not the plain path of a file.",
            "The record is damaged or hostile; nothing was done with it.",
        )


def allowed(target: str) -> str:
    """The path, links followed. Raises Damaged for one that no honest record has, Refused for one of the system."""
    check_plain(target)
    for path in (target, os.path.realpath(target)):
        parts = PurePosixPath(path).parts
        if len(parts) < 2 or parts[1] in SYSTEM:
            raise Refused("it belongs to the system")
        if not set(STATE).isdisjoint(parts):
            raise Refused("it belongs to git or to mltrack")
    return os.path.realpath(target)


def check_entries(directory: str, is_ours: bool) -> None:
    """Raise Refused for a directory that cannot be covered."""
    if directory != "/" and not is_ours:
        allowed(directory)
    try:
        many = len(entries(directory))
    except OSError as error:
        raise Refused(f"{directory} cannot be listed: {error.strerror}") from error
    if many > LIMIT:
        raise Refused(f"{directory} has more than {LIMIT:,} entries")


def entries(directory: str) -> list[str]:
    return sorted(os.listdir(directory))


def depth(path: str) -> int:
    return len(PurePosixPath(path).parts)


def show_rest(directory: str, cover: Cover) -> list[Bind]:
    """Make a stand-in in our directory for each entry of the old one that is not ours, and say what goes there."""
    found = []
    cover.place.chmod(stat.S_IMODE(os.stat(directory).st_mode) | stat.S_IRWXU)
    for name in entries(directory):
        old, new = os.path.join(directory, name), cover.place / name
        if name in (cover.names or ()) or os.path.lexists(new):
            continue
        if os.path.islink(old):
            os.symlink(os.readlink(old), new)
            continue
        new.mkdir() if os.path.isdir(old) else new.touch()
        found.append(Bind(old, str(new), is_optional=True))
    return found
