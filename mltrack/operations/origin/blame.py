"""`mltrack blame`: which run made a content, or used it, whatever its name now; and for one that no run knows, clues.

A directory is asked for as a whole first, then its files one by one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.operations.origin.clues import Clue, changed, clues
from mltrack.operations.origin.origins import Origins, Place
from mltrack.store.members import is_telling

if TYPE_CHECKING:
    from mltrack.ledger.asking.content import Brief
    from mltrack.operations.origin.subject import Subject
    from mltrack.records import Run

MADE, USED, UNKNOWN, MEANS_NOTHING, IN_PARTS = "made", "used", "unknown", "means nothing", "in parts"

MOST_PARTS = 30
"""Runs that are chosen so that few account for many files of a directory."""


@noun
class Part:
    """Files of a directory that one run made, or used: at `path`, or below it where they are several."""

    run: str
    path: str
    role: str
    files: int
    size_bytes: int


@noun
class Blame:
    """What is known of a content. `run` is the first that made it, else the first that used it."""

    subject: Subject
    answer: str
    """`made`, `used`, `in parts` (a directory, some of whose files are known), `means nothing` or `unknown`."""
    run: Run | None
    made: tuple[Place, ...]
    """Each run that made it, the oldest first; those that also had it as an input come last."""
    copied: int
    """How many at the end of `made` had it as an input."""
    used: tuple[Place, ...]
    """Each run that used it, the oldest first."""
    briefs: Mapping[str, Brief]
    parts: tuple[Part, ...] = ()
    unknown_files: tuple[str, ...] = ()
    """Paths in a directory that no run made or used."""
    telling_files: int = 0
    """How many files of the directory are large enough to tell anything."""
    clues: tuple[Clue, ...] = ()
    unread: int = 0
    """Directories of runs whose lists are not here: it may lie in one of them."""


def blame(origins: Origins, subject: Subject, live: Sequence[Run]) -> Blame:
    """Who made or used a content. `live`: the runs that have no record yet."""
    unread = len(origins.unread)
    if subject.kind != "digest" and not is_telling(subject.size_bytes):
        return Blame(subject, MEANS_NOTHING, None, (), 0, (), {}, unread=unread)
    made = origins.made([subject.digest])[subject.digest]
    used = origins.used([subject.digest])[subject.digest]
    briefs = origins.content.briefs({place.run for place in (*made.places, *used)})
    used = [place for place in used if place.run in briefs]
    used.sort(key=lambda place: (briefs[place.run].began, place.run, place.path))
    users = tuple({place.run: place for place in reversed(used)}.values())[::-1]
    first = next(iter((*made.places, *users)), None)
    if first is None:
        if subject.kind == "directory":
            found = in_parts(origins, subject, unread)
            if found is not None:
                return found
        return Blame(
            subject, UNKNOWN, None, (), 0, (), {}, clues=tuple(clues(origins.project, subject, live)), unread=unread
        )
    run = origins.project.ledger.get(first.run)
    answer = MADE if made.places else USED
    told = tuple(changed(origins.project, subject))
    return Blame(subject, answer, run, made.places, len(made.copied), users, briefs, clues=told, unread=unread)


def in_parts(origins: Origins, subject: Subject, unread: int) -> Blame | None:
    """Which runs made or used the files of a directory; None if no file of it is known."""
    sizes = {
        entry.path: (str(entry.digest), entry.size)
        for entry in subject.entries
        if entry.kind in ("file", "executable") and is_telling(entry.size)
    }
    digests = {digest for digest, _ in sizes.values()}
    made = origins.made(digests)
    used = origins.used(digests)
    places = {digest: made[digest].places or tuple(used[digest]) for digest in digests}
    roles = {digest: MADE if made[digest].places else USED for digest in digests}
    runs = {place.run for found in places.values() for place in found}
    briefs = origins.content.briefs(runs)
    parts = tuple(covered(sizes, places, roles, briefs))
    if not parts:
        return None
    unknown = sorted(path for path, (digest, _) in sizes.items() if not places[digest])
    run = origins.project.ledger.get(parts[0].run)
    names = tuple(path.decode("utf-8", "surrogateescape") for path in unknown)
    return Blame(
        subject, IN_PARTS, run, (), 0, (), briefs, parts, unknown_files=names, telling_files=len(sizes), unread=unread
    )


def covered(
    sizes: Mapping[bytes, tuple[str, int]],
    places: Mapping[str, Collection[Place]],
    roles: Mapping[str, str],
    briefs: Mapping[str, Brief],
) -> Iterator[Part]:
    """The runs that account for the files, the one with most files first, then of what is left; the older of equals."""
    of_run: dict[tuple[str, str], dict[bytes, Place]] = {}
    for path, (digest, _) in sizes.items():
        for place in places[digest]:
            of_run.setdefault((roles[digest], place.run), {}).setdefault(path, place)
    left = {path for files in of_run.values() for path in files}

    def part(key: tuple[str, str], files: Mapping[bytes, Place]) -> Part:
        where = common([place.path for place in files.values()])
        return Part(key[1], where, key[0], len(files), sum(sizes[path][1] for path in files))

    for _ in range(MOST_PARTS):
        if not left:
            return
        key = min(of_run, key=lambda key: (-len(of_run[key]), key[0], briefs[key[1]].began, key[1]))
        files = of_run.pop(key)
        yield part(key, files)
        left -= files.keys()
        rest = {other: {path: place for path, place in of.items() if path in left} for other, of in of_run.items()}
        of_run = {other: of for other, of in rest.items() if of}
    yield from of_first(left, sizes, places, roles, part)


def of_first(
    left: Collection[bytes],
    sizes: Mapping[bytes, tuple[str, int]],
    places: Mapping[str, Collection[Place]],
    roles: Mapping[str, str],
    part: Callable[[tuple[str, str], Mapping[bytes, Place]], Part],
) -> Iterator[Part]:
    """What is left, each file by the first run that had it: no choice is made any more."""
    groups: dict[tuple[str, str], dict[bytes, Place]] = {}
    for path in sorted(left):
        place = next(iter(places[sizes[path][0]]))
        groups.setdefault((roles[sizes[path][0]], place.run), {})[path] = place
    for key, files in groups.items():
        yield part(key, files)


def common(paths: Sequence[str]) -> str:
    """The path of one, or the directory that all of them lie in; `.` for the project itself."""
    kinds = {path.startswith(("/", "~")) for path in paths}
    return os.path.commonpath(paths) or "." if len(kinds) == 1 else "."
