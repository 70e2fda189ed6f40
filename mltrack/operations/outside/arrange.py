"""How files of ours come to stand at absolute paths that only a command sees: which directory covers which.

What is there is covered by ours. Where nothing is, the nearest directory above is covered by one of ours that holds
what is missing, and through which all else in the old one shows (bound, entry by entry). Directories that the command
writes to are one view with the nearest above all of them, so that it can rename between them; small files in them are
copies, so that it can replace and remove them. Only makes directories below a top of ours; the binds themselves are
made in the command's process (`executors/mounts.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mltrack.errors import Damaged, DataMissing
from mltrack.executors import Bind
from mltrack.operations.outside.copying import Copying

LIMIT = 5000
"""Entries of a directory up to which it is covered."""

CROWD = 100
"""Files of one directory that are covered one by one; for more, the directory is."""

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
    is_part: bool = False
    """It lies in the place of a cover above it, and comes with that."""
    is_written: bool = False
    """The command writes to it."""

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
    shown: dict[str, Path] = field(default_factory=dict)
    """What is there -> where it shows, in a directory that is ours but for that."""
    copying: Copying = field(default_factory=Copying)
    joined: set[str] = field(default_factory=set)
    """Directories that are covered with those below them that the command writes to, as one view."""
    crowds: dict[str, int] = field(default_factory=dict)

    def place_for(self, target: str, is_directory: bool, is_guess: bool = False) -> Path:
        """Where to lay what the command is to find at an absolute path; its parents are there. Raises Refused.

        A guess may lie beside our own workspaces.
        """
        real = self.allowed(target, is_guess)
        ours = self.find(real)
        is_alike = os.path.lexists(real) and os.path.isdir(real) == is_directory
        if ours is None and is_alike and (is_directory or not self.is_crowded(os.path.dirname(real))):
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

    def is_crowded(self, directory: str) -> bool:
        """Is a directory covered already, or are too many of its files?"""
        if directory in self.covers:
            return True
        self.crowds[directory] = self.crowds.get(directory, 0) + 1
        return self.crowds[directory] > CROWD and len(entries(directory)) <= LIMIT

    def keep_as_it_is(self, target: str, is_guess: bool = False) -> None:
        """Have what the command does to a file that it finds at a path come to a copy of it. Raises Refused."""
        real = self.allowed(target, is_guess)
        if real in self.shown:
            raise Refused("it shows in a directory of ours")
        if self.find(real) is None:
            self.copying.wanted.add(real)
            self.open(nearest(real)).is_written = True

    def open_together(self, targets: Iterable[str]) -> None:
        """Have the directories in which these paths are be parts of one view, as far as they can be."""
        from mltrack.operations.outside.copying import on_one_disk

        reals = []
        for target in targets:
            try:
                reals.append(nearest(allowed(target)))
            except Refused:
                continue
        directories = sorted(set(reals))
        for group in on_one_disk(directories):
            self.join(group)
        for directory in directories:
            try:
                self.open(directory).is_written = True
            except Refused:
                continue  # said by whoever keeps a path of it

    def join(self, directories: Sequence[str]) -> None:
        """Cover the nearest directory above these, with them, as one view; where that is refused, those of them that
        have a nearer one."""
        parent = os.path.commonpath(directories)
        try:
            self.open(parent)
        except Refused:
            groups: dict[str, list[str]] = {}
            for directory in directories:
                groups.setdefault(directory[len(parent) :].lstrip("/").partition("/")[0], []).append(directory)
            for name, group in groups.items():
                if name and len(group) > 1:
                    self.join(group)
            return
        self.joined.add(parent)

    def open(self, directory: str) -> Cover:
        """A directory of ours in the place of one that is there, and through which it shows. Raises Refused."""
        if directory in self.covers:
            return self.covers[directory]
        check_entries(directory, directory == str(self.beside))
        joined = any(PurePosixPath(directory).is_relative_to(one) for one in self.joined.difference((directory,)))
        cover = self.part(directory) if joined and directory != str(self.beside) else None
        cover = cover or Cover(self.top / str(len(self.covers)), set())
        cover.place.mkdir(parents=True, exist_ok=True)
        self.covers[directory] = cover
        return cover

    def part(self, directory: str) -> Cover | None:
        """A directory as a part of the view that covers those above it; None if one of them cannot be covered."""
        between, _, name = directory.rpartition("/")
        try:
            outer = self.open(between)
        except Refused:
            return None
        if outer.names is not None:
            outer.names.add(name)
        return Cover(outer.place / name, set(), is_part=True)

    def show(self, target: str) -> None:
        """Have the command see what is there, though a directory above it is ours by now."""
        real = os.path.realpath(target)
        ours = self.find(real)
        if ours is not None and not os.path.lexists(ours):
            self.shown[real] = ours

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
        directory = nearest(real)
        cover = self.open(directory)
        rest = real[len(directory) :].lstrip("/")
        if cover.names is not None:
            cover.names.add(rest.partition("/")[0])
        return Path(cover.place, rest)

    def binds(self) -> tuple[Bind, ...]:
        """The binds in their order, as things are now: the deepest first, for a bind takes along what is below it."""
        found: list[Bind] = [stand_in(real, ours) for real, ours in self.shown.items()]
        for directory in sorted(self.covers, key=depth, reverse=True):
            cover = self.covers[directory]
            found += [] if cover.names is None else self.show_rest(directory, cover)
            found += [] if cover.is_part else [Bind(str(cover.place), directory)]
        return tuple(found)

    def show_rest(self, directory: str, cover: Cover) -> list[Bind]:
        """Have each entry of the old directory that is not ours be in our directory: by a copy, or by a bind."""
        assert cover.names is not None
        found = []
        cover.place.chmod(stat.S_IMODE(os.stat(directory).st_mode) | stat.S_IRWXU)
        for name in entries(directory):
            old, new = os.path.join(directory, name), cover.place / name
            if name in cover.names or os.path.lexists(new):
                continue
            if os.path.islink(old):
                os.symlink(os.readlink(old), new)
            elif cover.is_written and old not in self.covers and self.copying.copied(old, new):
                cover.names.add(name)
            else:
                found.append(stand_in(old, new))
        return found

    def outside(self) -> Mapping[str, Path]:
        """Absolute path as the command sees it -> where its bytes lie, for it and all below it."""
        found = {}
        for directory, cover in self.covers.items():
            found[directory] = cover.place
            for name in entries(directory) if cover.names is not None else ():
                if name not in cover.names:  # type: ignore[operator]  # not None
                    found.setdefault(os.path.join(directory, name), Path(directory, name))
        shown = {real: Path(real) for real in self.shown}
        return {**found, **{directory: cover.place for directory, cover in self.covers.items()}, **shown}


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

    def open_together(self, targets: Iterable[str]) -> None:
        """Nothing: a container has no directories of this machine."""

    def show(self, target: str) -> None:
        """Have the command see what is there on this machine."""
        if self.find(target) is None:
            self.covers[target] = Cover(Path(os.path.realpath(target)))


def is_plain(target: str) -> bool:
    """Is it absolute, and the shortest of its kind?"""
    is_absolute = target.startswith("/") and not target.startswith("//")
    return is_absolute and os.path.normpath(target) == target and "\0" not in target


def check_plain(target: str) -> None:
    """Raise Damaged for a path that is not absolute, or not the shortest of its kind."""
    if not is_plain(target):
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


def nearest(real: str) -> str:
    """The nearest directory above a path that is there."""
    directory = os.path.dirname(real)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory


def stand_in(old: str, new: Path) -> Bind:
    """Make an empty file or directory, and say what goes there."""
    if not os.path.lexists(new):
        new.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir() if os.path.isdir(old) else new.touch()
    return Bind(old, str(new), is_optional=True)
