"""`mltrack lineage`: the graph through runs that share content, up to where it came from and down to what used it.

An edge leads from the first run that made a content to each run that used it, whatever the paths; never backwards in
time, and never through contents too small to mean anything. What no run made is data: a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mltrack.ledger.asking.content import Brief, Holding
from mltrack.nouns import noun
from mltrack.operations.origin.origins import Made, Origins, Place, below, first_before, number_before
from mltrack.store.members import Member, is_telling

if TYPE_CHECKING:
    from mltrack.operations.origin.subject import Subject
    from mltrack.records import Run

UNMADE = "no run made it"
TINY = "too small to tell"
UNKNOWN = "its content is not known"
NETWORK = "from the network"
UNREAD = "its list of files is not here"


class Shared(NamedTuple):
    """A content that two runs share: one file, or several in the same two directories (`digest` is null then)."""

    made_as: str
    used_as: str
    digest: str | None
    size_bytes: int | None
    files: int = 1
    others: int = 0
    """Other runs that had begun to make it as well; of several files the largest number."""
    copied: bool = False
    """The maker had it among its own inputs."""


class Edge(NamedTuple):
    """`user` used what `maker` made."""

    maker: str
    user: str
    shared: tuple[Shared, ...]


@noun
class Leaf:
    """An input, or `files` of one, that leads to no other run, and `why`."""

    user: str
    path: str
    kind: str
    digest: str | None
    size_bytes: int | None
    files: int | None
    why: str


@noun
class Lineage:
    """The graph around one run or one content; every run, edge and leaf once."""

    run: str | None
    """Where it starts, if that is a run."""
    subject: Subject | None
    """Where it starts, if that is a content."""
    runs: dict[str, Brief]
    edges: tuple[Edge, ...]
    leaves: tuple[Leaf, ...]
    made: tuple[Place, ...] = ()
    """Who made the content that it starts with, the first first."""
    used: tuple[Place, ...] = ()
    """Who used it, once each."""
    cut: tuple[str, ...] = ()
    """Runs that `--depth` ended at: what is behind them was not looked at."""
    in_parts: bool = False
    """It starts with a directory that no run had as it is: `made` and `used` are of its files."""
    unread: int = 0
    """Directories whose lists are not here: what shares files with them is not known."""


@noun
class Ways:
    """Which way to look, and how many runs far; None is to the end."""

    up: bool = True
    down: bool = True
    depth: int | None = None


class Graph:
    """Finds edges, each user's once. `start` is preferred to other makers of the same content."""

    def __init__(self, origins: Origins, start: str | None) -> None:
        self.origins = origins
        self.start = start
        self._edges: dict[str, tuple[Edge, ...]] = {}
        self._edges_from: dict[str, list[Edge]] = {}
        self._followed: set[str] = set()
        """Digests whose users were looked up."""
        self._leaves: dict[str, tuple[Leaf, ...]] = {}

    def learn(self, users: Collection[str]) -> None:
        """Look up where all inputs of these runs came from, in bulk."""
        new = [user for user in users if user not in self._edges]
        self.origins.content.briefs(new)
        inputs = self.origins.content.inputs_of(new)
        made = self.origins.made({str(item.digest) for items in inputs.values() for item in items if is_content(item)})
        trees = {
            item.digest
            for user in new
            for item in inputs[user]
            if item.kind == "directory" and item.digest in made and self._maker(made[item.digest], user) is None
        }
        inside = self.origins.inside({str(tree) for tree in trees}) if trees else {}
        if inside:
            made |= self.origins.made({member.digest for members in inside.values() for member in members})
        for user in new:
            self._edges[user], self._leaves[user] = self._resolve(user, inputs[user], made, inside)
            for edge in self._edges[user]:
                self._edges_from.setdefault(edge.maker, []).append(edge)

    def edges_to(self, user: str) -> tuple[Edge, ...]:
        return self._edges[user]

    def leaves_of(self, user: str) -> tuple[Leaf, ...]:
        return self._leaves[user]

    def edges_from(self, maker: str) -> tuple[Edge, ...]:
        """To those users that were learned."""
        return tuple(self._edges_from.get(maker, ()))

    def learn_users(self, makers: Collection[str]) -> None:
        """Look up the inputs of all runs that have any content that these runs made."""
        artifacts = self.origins.content.artifacts_of(makers)
        digests = {str(item.digest) for items in artifacts.values() for item in items if is_content(item)}
        inside = self.origins.inside(digests)
        digests |= {member.digest for members in inside.values() for member in members}
        digests -= self._followed
        self._followed |= digests
        self.learn(sorted({place.run for places in self.origins.used(digests).values() for place in places}))

    def _resolve(
        self, user: str, inputs: Iterable[Holding], made: dict[str, Made], inside: dict[str, list[Member]]
    ) -> tuple[tuple[Edge, ...], tuple[Leaf, ...]]:
        found: dict[str, list[Shared]] = {}
        leaves: list[Leaf] = []
        for item in inputs:
            why = self._why_not(item)
            place = None if why else self._maker(made[str(item.digest)], user)
            if why:
                leaves.append(leaf(item, why))
            elif place is not None:
                found.setdefault(place.run, []).append(self._shared(place, item.path, user, made, item))
            elif item.kind == "directory" and item.digest in self.origins.unread:
                leaves.append(leaf(item, UNREAD))
            else:
                leaves += self._of_directory(user, item, inside.get(str(item.digest), []), (made, found))
        edges = (Edge(maker, user, tuple(shared)) for maker, shared in found.items())
        return tuple(sorted(edges, key=lambda edge: (self._began(edge.maker), edge.maker))), tuple(leaves)

    def _of_directory(
        self,
        user: str,
        item: Holding,
        members: list[Member],
        where: tuple[dict[str, Made], dict[str, list[Shared]]],
    ) -> Iterator[Leaf]:
        """Where the files of a directory came from that no run made as a whole; what is left, or a file, is a leaf."""
        made, found = where
        groups: dict[tuple[str, str], list[tuple[Place, Member]]] = {}
        for member in members:
            place = self._maker(made[member.digest], user)
            if place is not None:
                groups.setdefault((place.run, place.holding.path), []).append((place, member))
        for (maker, _), group in groups.items():
            found.setdefault(maker, []).append(self._shared_files(user, item, group, made))
        known = sum(map(len, groups.values()))
        if not known:
            yield leaf(item, UNMADE)
        elif known < len(members):
            size = sum(member.size_bytes for member in members)
            size -= sum(member.size_bytes for group in groups.values() for _, member in group)
            yield Leaf(user, item.path, item.kind, None, size, len(members) - known, UNMADE)

    def _shared_files(
        self, user: str, item: Holding, group: list[tuple[Place, Member]], made: dict[str, Made]
    ) -> Shared:
        place, member = group[0]
        if len(group) == 1:
            return self._shared(place, below(item, member), user, made, None)
        ended = self._ended(user)
        return Shared(
            place.holding.path,
            item.path,
            None,
            sum(one.size_bytes for _, one in group),
            len(group),
            max(number_before(made[one.digest], ended, user) for _, one in group) - 1,
            all(there.run in made[one.digest].copiers for there, one in group),
        )

    def _shared(self, place: Place, used_as: str, user: str, made: dict[str, Made], item: Holding | None) -> Shared:
        one = made[place.digest]
        others = number_before(one, self._ended(user), user) - 1
        files = item.files if item is not None and item.kind == "directory" else 1
        return Shared(place.path, used_as, place.digest, place.size_bytes, files or 1, others, place.run in one.copiers)

    def _why_not(self, item: Holding) -> str | None:
        """Why an input cannot lead to a run."""
        if item.kind == "url":
            return NETWORK
        if item.digest is None:
            return UNKNOWN
        return None if is_telling(item.size_bytes) else TINY

    def _maker(self, made: Made, user: str) -> Place | None:
        ended = self._ended(user)
        if self.start in made.runs and self.start != user and self._began(str(self.start)) <= ended:
            return next(place for place in made.places if place.run == self.start)
        return first_before(made, ended, user, self._began)

    def _began(self, run: str) -> str:
        return self.origins.content.brief(run).began

    def _ended(self, run: str) -> str:
        return self.origins.content.brief(run).ended


def is_content(item: Holding) -> bool:
    """Is its content known, and large enough to mean something?"""
    return item.digest is not None and is_telling(item.size_bytes)


def leaf(item: Holding, why: str) -> Leaf:
    return Leaf(item.run, item.path, item.kind, item.digest, item.size_bytes, item.files, why)


def of_run(origins: Origins, run: Run, ways: Ways) -> Lineage:
    """The graph around a run, which may still be running."""
    origins.read_all_if_few()
    if run.status == "running":
        origins.content.add(run)
    graph = Graph(origins, run.id)
    up = walked(graph, [run.id], ways.depth, above) if ways.up else Walk({}, ())
    down = walked(graph, [run.id], ways.depth, beneath) if ways.down else Walk({}, ())
    return gathered(graph, (up, down), Lineage(run.id, None, {}, (), ()))


def of_subject(origins: Origins, subject: Subject, ways: Ways) -> Lineage:
    """The graph around a content: from the first run that made it, and to all that used it.

    Of a directory that no run had as it is, from those that made its files, and to those that used them.
    """
    origins.read_all_if_few()
    graph = Graph(origins, None)
    telling = subject.kind == "digest" or is_telling(subject.size_bytes)
    made, used = around(origins, [subject.digest] if telling else [])
    in_parts = telling and not made and not used and bool(subject.entries)
    if in_parts:
        made, used = around(origins, files_of(subject))
        made = tuple({place.run: place for place in made}.values())
    starts = [place.run for place in (made if in_parts else made[:1])] if ways.up else []
    users = {place.run: place for place in (used if ways.down else ())}
    up = walked(graph, starts, less(ways.depth), above)
    down = walked(graph, list(users), less(ways.depth), beneath)
    start = Lineage(None, subject, {}, (), (), made if ways.up else (), tuple(users.values()), in_parts=in_parts)
    return gathered(graph, (up, down), start)


def files_of(subject: Subject) -> list[str]:
    """Digests of the telling files of a directory."""
    return [
        str(entry.digest)
        for entry in subject.entries
        if entry.kind in ("file", "executable") and is_telling(entry.size)
    ]


def around(origins: Origins, digests: list[str]) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Who made these contents, of several the first of each, and who used them, once each; the oldest first."""
    made = origins.made(digests)
    makers = [place for one in made.values() for place in (one.places if len(digests) == 1 else one.places[:1])]
    users = [place for places in origins.used(digests).values() for place in places]
    briefs = origins.content.briefs({place.run for place in (*makers, *users)})

    def age(place: Place) -> tuple[str, str, str]:
        return briefs[place.run].began, place.run, place.path

    if len(digests) > 1:
        makers.sort(key=age)
    return tuple(makers), tuple({place.run: place for place in sorted(users, key=age, reverse=True)}.values())[::-1]


def less(depth: int | None) -> int | None:
    """The step from a content to a run is one."""
    return None if depth is None else depth - 1


@noun
class Walk:
    """Runs that were reached -> the edges that go on from them; and those that were not asked, for `--depth`."""

    reached: dict[str, tuple[Edge, ...]]
    cut: tuple[str, ...]


Step = Callable[[Graph, list[str]], dict[str, tuple[Edge, ...]]]
"""From some runs to the edges that lead on from each."""


def above(graph: Graph, runs: list[str]) -> dict[str, tuple[Edge, ...]]:
    graph.learn(runs)
    return {run: graph.edges_to(run) for run in runs}


def beneath(graph: Graph, runs: list[str]) -> dict[str, tuple[Edge, ...]]:
    graph.learn_users(runs)
    return {run: graph.edges_from(run) for run in runs}


def walked(graph: Graph, start: list[str], depth: int | None, step: Step) -> Walk:
    """Every run that can be reached, a generation at a time; none is asked twice, so that a cycle would end."""
    reached: dict[str, tuple[Edge, ...]] = {}
    frontier, gone = start, 0
    while frontier and (depth is None or gone < depth):
        edges = step(graph, frontier)
        reached.update(edges)
        ends = (end for run in frontier for edge in edges[run] for end in (edge.maker, edge.user))
        frontier = [run for run in dict.fromkeys(ends) if run not in reached]
        gone += 1
    return Walk(reached, tuple(frontier))


def gathered(graph: Graph, walks: tuple[Walk, Walk], start: Lineage) -> Lineage:
    """The lineage that two walks make; sources are told for the way up only."""
    up, down = walks
    edges = {(edge.maker, edge.user): edge for walk in walks for found in walk.reached.values() for edge in found}
    names = {name for walk in walks for name in (*walk.reached, *walk.cut)}
    names |= {place.run for place in (*start.made, *start.used)} | ({start.run} if start.run else set())
    return replace(
        start,
        runs=dict(sorted(graph.origins.content.briefs(names).items(), key=lambda item: (item[1].began, item[0]))),
        edges=tuple(edges.values()),
        leaves=tuple(one for run in up.reached for one in graph.leaves_of(run)),
        cut=tuple(dict.fromkeys((*up.cut, *down.cut))),
        unread=len(graph.origins.unread),
    )
