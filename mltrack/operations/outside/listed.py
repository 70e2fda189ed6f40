"""What a run found in the directories that it listed, for its reproduction: what of it is missing is put there.

Directories and links are made again, and for files that the run did not read there are stand-ins: as long, and with
nothing in them. Only in the workspace, and in directories of ours that the command alone sees.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mltrack.confine import inside
from mltrack.errors import Damaged, MltrackError, StorageError
from mltrack.operations.observing.listings import STAND_IN_NS, STATE, Entry, Listing, decode, names_of
from mltrack.operations.outside.arrange import Mounting, Refused, check_plain
from mltrack.operations.outside.moves import recorded_place
from mltrack.records import Run
from mltrack.verdicts import Condition

if TYPE_CHECKING:
    from mltrack.operations.outside.places import Outside
    from mltrack.operations.request import Place
    from mltrack.project import Project


@dataclass
class Listed:
    """The directories that a run listed, while they are put in place."""

    run: Run
    outside: Outside
    listings: list[Listing]
    conditions: list[Condition] = field(default_factory=list)
    made: int = 0
    """Files that stand for others."""

    @cached_property
    def artifacts(self) -> frozenset[str]:
        return frozenset(item.path for item in self.run.artifacts)

    def without_made(self, listing: Listing) -> Listing:
        """A directory without what the run left there: it must make that again."""
        names = self.made_in(listing)
        return replace(listing, entries=tuple(one for one in listing.entries if one.name not in names))

    def made_in(self, listing: Listing) -> set[str]:
        return {os.path.basename(path) for path in self.artifacts if (os.path.dirname(path) or ".") == listing.path}

    def put(self, root: Path) -> None:
        """Bring back all of them. To be asked when the inputs are in place and old artifacts away.

        Raises Damaged for a hostile record, StorageError.
        """
        found = [self.without_made(one) for one in self.listings if not is_made(one.path, self.artifacts)]
        own = [one for one in found if not os.path.isabs(one.path)]
        others = [one for one in found if os.path.isabs(one.path)]
        try:
            places = [place for one in own for place in self.put_inside(one, root)]
            self.made += len(places)
        except OSError as error:
            raise StorageError(f"{root} could not be completed: {error.strerror or error}.") from error
        keep_from_git(root, places)
        self.know_home(others)
        for one in sorted(others, key=lambda listing: len(PurePosixPath(listing.path).parts)):
            check_plain(one.path)
            self.made += max(self.try_outside(one, path) for path in self.outside.targets(one.path))
        if self.made:
            files = "1 file" if self.made == 1 else f"{self.made:,} files"
            self.outside.tell(f"{files} that the run listed and did not read: there by name and size only")

    # -- in the workspace

    def put_inside(self, listing: Listing, root: Path) -> list[Path]:
        """What is missing of a directory of the project; the files that were made."""
        parts = PurePosixPath(listing.path).parts
        if not {part.lower() for part in parts}.isdisjoint((*STATE, "git~1")):
            raise Damaged(f"The record lists {listing.path!r}, which is not data.", "Nothing was written there.")
        place = root if listing.path == "." else inside(root, listing.path)
        if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
            return []  # the code has something else there
        place.mkdir(parents=True, exist_ok=True)
        return self.fill(place, str(place), listing.entries)

    # -- outside of it

    def know_home(self, listings: Iterable[Listing]) -> None:
        """A home directory in which nothing was read is another here too."""
        home, today = recorded_place(self.run, "home"), os.path.expanduser("~")
        if home is not None and home != today and any(one.path.startswith(f"{home}/") for one in listings):
            self.outside.moves.homes = {**self.outside.moves.homes, home: today}

    def try_outside(self, listing: Listing, path: str) -> int:
        """Have a directory outside hold these names at a path; how many files were made, or 0 with a condition."""
        try:
            return self.put_outside(listing, path)
        except Refused as error:
            self.miss(listing, path, str(error))
        except OSError as error:
            self.miss(listing, path, str(error.strerror or error))
        return 0

    def put_outside(self, listing: Listing, path: str) -> int:
        """The same, unless it holds them. Raises Refused, Damaged or OSError."""
        arranged = self.outside.arranged
        is_guess = path in self.outside.moves.guessed(listing.path)
        if isinstance(arranged, Mounting):
            self.claim()
            place = made_directory(arranged.place_for(path, True, is_guess), arranged.top)
            return len(self.fill(place, path, listing.entries))
        real = arranged.allowed(path, is_guess)
        known = arranged.covers.get(real)
        ours = known.place if known is not None and known.names is None else arranged.find(real)
        if ours is not None:
            return len(self.fill(made_directory(ours, arranged.top), path, listing.entries))
        here = names_in(real)
        made = self.made_in(listing)
        if (here is not None and here - made == set(names_of(listing))) or (is_guess and os.path.lexists(real)):
            return 0
        if os.path.lexists(real) and here is None:
            raise Refused("something else is there")
        if self.outside.why_no_binds is not None:
            raise Refused(self.outside.why_no_binds)
        self.claim()
        if here is None:
            return len(self.fill(made_directory(arranged.make_room(real), arranged.top), path, listing.entries))
        return self.complete(listing, real, here - made)

    def complete(self, listing: Listing, real: str, here: Collection[str]) -> int:
        """Have a directory that is there show the names of then: others are hidden, unless they are needed."""
        arranged, made = self.outside.arranged, 0
        for entry in listing.entries:
            if entry.name not in here:
                place = arranged.make_room(f"{real}/{entry.name}")
                made += len(self.fill(made_directory(place.parent, arranged.top), real, [entry]))
        used = {name_below(path, listing.path) for path in (item.path for item in self.run.inputs)}
        used |= {name_below(os.path.realpath(place), real) for place in arranged.needed}
        extra = set(here).difference(names_of(listing), used)
        for name in extra:
            arranged.make_room(f"{real}/{name}")
        return made

    def claim(self) -> None:
        """Keep what is laid out from whoever clears what others left behind."""
        from mltrack.operations.outside.left_behind import claim

        if self.outside.claim is None:
            self.outside.claim = claim(self.outside.way.top)

    def miss(self, listing: Listing, path: str, why: str) -> None:
        """A directory that the command will find otherwise than the run did."""
        if path in self.outside.moves.guessed(listing.path):
            return
        if isinstance(self.outside.arranged, Mounting) and names_in(path) == set(names_of(listing)):
            return
        text = f"the command may find other names in it than the run did: {why}"
        self.conditions.append(Condition("listing", path, text))
        self.outside.tell(f"{path}: {text}")

    # -- both

    def fill(self, place: Path, path: str, entries: Iterable[Entry]) -> list[Path]:
        """Make what is missing of a directory of ours, which the command sees at `path`; the files that were made."""
        found = []
        for entry in entries:
            target = place / entry.name
            if os.path.lexists(target):
                continue
            if entry.kind == "link":
                entry = self.followed(entry, path)
            if entry.kind == "directory":
                target.mkdir()
            elif entry.kind == "link":
                os.symlink(entry.target, target)
            else:
                stand_in(target, entry)
                found.append(target)
        return found

    def followed(self, entry: Entry, path: str) -> Entry:
        """A link; or what it led to, if the command would find nothing there."""
        led = os.path.normpath(os.path.join(path, entry.target))
        ours = self.outside.arranged.find(os.path.realpath(led))
        if not entry.leads or os.path.lexists(led if ours is None else ours):
            return entry
        return replace(entry, kind=entry.leads, target="")

    def placed(self, place: Place) -> Place:
        """The place with the names of what was listed."""
        names = {
            other: one.path
            for one in self.listings
            if os.path.isabs(one.path)
            for other in self.outside.targets(one.path)
        }
        return replace(place, names={**{other: path for other, path in names.items() if other != path}, **place.names})


def listed(project: Project, run: Run, outside: Outside) -> Listed:
    """The directories that a run listed. Raises Damaged; where nobody has the record of them, it is a condition."""
    digest = run.observation.listings if run.observation is not None else None
    if digest is None:
        return Listed(run, outside, [])
    from mltrack.operations.fetch import bring

    with suppress(MltrackError):
        bring(project, [digest])
    if project.store.missing([digest]):
        gone = Condition("listing", digest, "not here, so directories may hold other names than they did")
        return Listed(run, outside, [], [gone])
    return Listed(run, outside, decode(project.store.get_bytes(digest)))


def read_conditions(now: Run) -> Iterator[Condition]:
    """What makes the verdict worth less: content that was made up was read."""
    for warning in now.warnings:
        if warning.kind == "stand-in-read":
            yield Condition(warning.kind, None, warning.message)


def made_directory(place: Path, top: Path) -> Path:
    """A directory of ours. Raises Refused if a link that was laid out there leads elsewhere."""
    if not PurePosixPath(os.path.realpath(place)).is_relative_to(os.path.realpath(top)):
        raise Refused("a link is in its place")
    place.mkdir(parents=True, exist_ok=True)
    return place


def stand_in(target: Path, entry: Entry) -> None:
    """Make a file of the recorded size that takes no room. An empty one is what it was; one of unknown size is not."""
    mode = 0o755 if entry.kind == "executable" else 0o644
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with suppress(OSError):  # larger than this file system allows
            os.ftruncate(handle, entry.size or 0)
        if entry.size != 0:
            os.utime(handle, ns=(STAND_IN_NS, STAND_IN_NS))
    finally:
        os.close(handle)


def names_in(directory: str) -> set[str] | None:
    """The names in a directory, less those of git and mltrack; None if it is none."""
    try:
        return set(os.listdir(directory)).difference(STATE)
    except OSError:
        return None


def name_below(path: str, directory: str) -> str:
    """The name in a directory by which a path goes on; "" for one that lies elsewhere."""
    start = directory.rstrip("/") + "/"
    return path[len(start) :].partition("/")[0] if path.startswith(start) else ""


def is_made(path: str, artifacts: Collection[str]) -> bool:
    """Is a path an artifact of the run, or in one? It must make that again."""
    return path in artifacts or any(str(parent) in artifacts for parent in PurePosixPath(path).parents)


def keep_from_git(root: Path, places: Iterable[Path]) -> None:
    """Have git ignore files that only something outside of the code made it ignore, or they would count as code."""
    from mltrack.git.repository import find_repository, git

    start, real = str(root), os.path.realpath(root)
    made = {real + str(place)[len(start) :] for place in places}  # no link is on the way from there
    repository = find_repository(root) if made else None
    if repository is None:
        return
    top = os.path.realpath(repository.root)
    output = git(repository, "ls-files", "-o", "--exclude-standard", "-z")
    names = [name for name in output.split(b"\0") if name and f"{top}/{os.fsdecode(name)}" in made]
    if names:
        exclude = Path(repository.git_dir, "info", "exclude")
        exclude.parent.mkdir(exist_ok=True)
        with open(exclude, "ab") as file:
            file.write(b"".join(b"/" + pattern_of(name) + b"\n" for name in names if b"\n" not in name))


def pattern_of(name: bytes) -> bytes:
    """A path as a pattern of git that means nothing else."""
    for letter in (b"\\", b"*", b"?", b"[", b" "):
        name = name.replace(letter, b"\\" + letter)
    return name
