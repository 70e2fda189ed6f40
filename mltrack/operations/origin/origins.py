"""Which runs made a content, and which used it: as a file of its own, or as one in a directory.

Joins the ledger's rows with the index of directories' members, which is brought up to date first. Contents of less than
`TELLING` bytes are nobody's: everybody writes an empty file.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mltrack.errors import DataMissing
from mltrack.ledger.asking.content import Content, Holding, directories
from mltrack.operations.request import Tell, silent
from mltrack.store.members import Lost, Member, Members

if TYPE_CHECKING:
    from mltrack.project import Project

T = TypeVar("T")

MEMBERS = "members.db"
SOURCE = "ledger"
ATTEMPTS = 3
FEW = 300_000
"""Rows of inputs, artifacts and members that are read at once; of more, what is asked for only."""


class Place(NamedTuple):
    """Where a run had some content: at `path`, which is `holding` itself or lies in it."""

    run: str
    path: str
    digest: str
    size_bytes: int | None
    holding: Holding


class Made(NamedTuple):
    """Who made a content, the oldest first, each run once. `copied`: those that had it among their inputs as well."""

    originals: tuple[Place, ...]
    copied: tuple[Place, ...]
    began: tuple[str, ...]
    """When those runs began, in order."""
    runs: frozenset[str]
    copiers: frozenset[str]
    """Those of them that are in `copied`."""

    @property
    def places(self) -> tuple[Place, ...]:
        return (*self.originals, *self.copied)


NOBODY = Made((), (), (), frozenset(), frozenset())


class Origins:
    """An up-to-date look at the content of all runs; a context manager. Any method may raise Lost: see `ask`."""

    def __init__(self, project: Project, fetch: bool = False, tell: Tell = silent) -> None:
        """With `fetch`, lists of directories that are not here come from the project's remotes first."""
        self.project = project
        self.content = Content(project.ledger)
        self.members = Members.open(project.state / MEMBERS)
        try:
            self.unread = frozenset(fill(project, self.members, fetch, tell))
            """Digests of the manifests that are not here, or damaged: nobody knows what they list."""
        except BaseException:
            self.members.close()
            raise
        self._holding: dict[str, list[Member]] = {}
        self._made: dict[str, Made] = {}
        self._inside: dict[str, list[Member]] = {}
        self._is_whole = False

    def __enter__(self) -> Origins:
        return self

    def __exit__(self, *exc: object) -> None:
        self.members.close()

    def read_all_if_few(self) -> None:
        """Read everything at once where that is little: a long way through the ledger is then fast."""
        if self._is_whole or self.content.extent() + self.members.count() > FEW:
            return
        self.content.read_all()
        self._holding, self._inside = {}, {}
        for member in self.members.every():
            self._holding.setdefault(member.digest, []).append(member)
            self._inside.setdefault(member.manifest, []).append(member)
        self._is_whole = True

    def made(self, digests: Collection[str]) -> dict[str, Made]:
        """Digest -> who made it."""
        asked = [digest for digest in digests if digest not in self._made]
        if asked:
            self._learn_makers(asked)
        return {digest: self._made[digest] for digest in digests}

    def _learn_makers(self, digests: list[str]) -> None:
        makers = self._places(digests, self.content.makers)
        some = [digest for digest, places in makers.items() if places]
        self._made.update((digest, NOBODY) for digest in digests)
        if not some:
            return
        used = self.used(some)
        runs = self.content.briefs({place.run for digest in some for place in makers[digest]})
        for digest in some:
            known = [(runs[place.run].began, place.run, place.path, place) for place in makers[digest]]
            known.sort(key=lambda item: item[:3])
            firsts = list({item[1]: item[3] for item in reversed(known)}.values())[::-1]
            names = frozenset(place.run for place in firsts)
            copiers = names.intersection(place.run for place in used[digest])
            self._made[digest] = Made(
                tuple(place for place in firsts if place.run not in copiers),
                tuple(place for place in firsts if place.run in copiers),
                tuple(runs[place.run].began for place in firsts),
                names,
                copiers,
            )

    def used(self, digests: Collection[str]) -> dict[str, list[Place]]:
        """Digest -> where runs had it among their inputs, in no order."""
        return self._places(digests, self.content.users)

    def inside(self, manifests: Collection[str]) -> dict[str, list[Member]]:
        """Manifest -> its telling files."""
        asked = [] if self._is_whole else [manifest for manifest in manifests if manifest not in self._inside]
        for member in self.members.inside(asked) if asked else ():
            self._inside.setdefault(member.manifest, []).append(member)
        return {manifest: self._inside.get(manifest, []) for manifest in manifests}

    def _places(
        self, digests: Collection[str], ask: Callable[[Collection[str]], dict[str, list[Holding]]]
    ) -> dict[str, list[Place]]:
        if not digests:
            return {}
        self._learn(digests)
        direct = ask(digests)
        lists = {member.manifest for digest in digests for member in self._holding.get(digest, ())}
        indirect = ask(lists) if lists else {}
        found: dict[str, list[Place]] = {}
        for digest in digests:
            places = [Place(one.run, one.path, digest, one.size_bytes, one) for one in direct[digest]]
            for member in self._holding.get(digest, ()):
                for one in indirect[member.manifest]:
                    places.append(Place(one.run, below(one, member), digest, member.size_bytes, one))
            found[digest] = places
        return found

    def _learn(self, digests: Iterable[str]) -> None:
        """In which directories these lie."""
        asked = [] if self._is_whole else [digest for digest in digests if digest not in self._holding]
        if asked:
            self._holding.update((digest, []) for digest in asked)
            for member in self.members.holding(asked):
                self._holding[member.digest].append(member)


def below(holding: Holding, member: Member) -> str:
    """The path of a file in a directory of a run."""
    return f"{holding.path.rstrip('/')}/{os.fsdecode(member.path)}"


def first_before(made: Made, ended: str, user: str | None, began: Callable[[str], str]) -> Place | None:
    """Where a content came from that a run used which ended then: the first other run that made it, not a copy if
    there is a choice. One that began after the user had ended cannot have been it."""
    for places in (made.originals, made.copied):
        other = next((place for place in places[:2] if place.run != user), None)
        if other is not None and began(other.run) <= ended:
            return other
    return None


def number_before(made: Made, ended: str, user: str | None) -> int:
    """How many other runs had begun to make it when the user ended."""
    return bisect_right(made.began, ended) - (user in made.runs)


def fill(project: Project, members: Members, fetch: bool, tell: Tell) -> list[str]:
    """Bring the index of members up to date with the ledger; the manifests that could not be read."""
    seen = members.position(SOURCE)
    named, now = directories(project.ledger, seen)
    if now != seen:
        members.note(named, SOURCE, now)
    unread = members.unread()
    if unread and fetch:
        get_lists(project, sorted(project.store.missing(unread)), tell)
    if unread:
        members.read(project.store)
        unread = members.unread()
    return unread


def get_lists(project: Project, manifests: list[str], tell: Tell) -> None:
    """Bring the lists of directories here, without what they list, as far as remotes have them."""
    from mltrack.operations.fetch import bring

    if manifests:
        tell(f"fetching the lists of {len(manifests):,} directories")
        try:
            bring(project, manifests)
        except DataMissing:
            pass  # what is missing still is told by the caller
        project.store.flush()


def ask(project: Project, fetch: bool, tell: Tell, work: Callable[[Origins], T]) -> T:
    """What the work says of the content of all runs; once more if the index of directories had to be made anew."""
    for _ in range(ATTEMPTS - 1):
        try:
            with Origins(project, fetch, tell) as origins:
                return work(origins)
        except Lost:
            continue
    with Origins(project, fetch, tell) as origins:
        return work(origins)
