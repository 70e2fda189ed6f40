"""`mltrack du`: what takes the space of the store, by run, by path or by kind.

Each entry is charged to whoever alone needs it, or is shared. Logical sizes are what the files would take laid out,
stored ones what their entries take in the packs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.operations.find import find_run
from mltrack.operations.keeping.objects import directories_of, kind_of, named_objects, objects_of
from mltrack.operations.keeping.reach import Reach
from mltrack.operations.keeping.workspaces import workspaces
from mltrack.operations.running.reconcile import reconcile, unfinished_runs
from mltrack.store.entries import CHUNK, HEADER_SIZE, EntryKey

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run

GROUPS = ("run", "path", "kind")
SHARED = -1
REST = ""
"""The group of all runs that were not asked for."""


@noun
class Share:
    """What one run, path or kind takes. `only_bytes` would be freed if it alone were dropped."""

    name: str
    label: str | None
    """The name that a person gave the run."""
    logical_bytes: int
    only_bytes: int
    shared_bytes: int
    missing: int
    """Objects that are not here, and take no space."""


@noun
class Totals:
    logical_bytes: int
    """Of all runs, each with all its files."""
    distinct_bytes: int
    """After deduplication."""
    compressed_bytes: int
    """After compression too."""
    overhead_bytes: int
    """Headers, tables and lists of chunks."""
    garbage_bytes: int
    """What no run needs; see `mltrack gc`."""
    stored_bytes: int
    """All packs: the three above together."""


@noun
class Usage:
    by: str
    totals: Totals
    shares: tuple[Share, ...]
    """Largest first, by what only they need, then by all that they need."""
    workspaces: int = 0
    """Directories of past reproductions and shells; not part of the store. See `mltrack gc --workspaces`."""
    workspaces_bytes: int = 0
    """What they take on the disk."""


@dataclass
class Group:
    """A run, path or kind; `tops` are the objects that records name, and how often."""

    name: str
    label: str | None
    tops: Counter[str] = field(default_factory=Counter)
    only: int = 0


def du(project: Project, refs: Sequence[str] = (), by: str = "run") -> Usage:
    """What takes the space; only shares of some runs, if they are given. Raises NotFound, or Damaged for a record."""
    reconcile(project)
    chosen = {find_run(project, ref).id for ref in refs}
    runs = [*(run for _, run in project.ledger.records()), *unfinished_runs(project)]
    reach = Reach(project.store)
    reach.look_up({d for run in runs for d in objects_of(run)}, {d for run in runs for d in directories_of(run)})
    groups = grouped(runs, by, chosen)
    owners = owners_of(groups, reach)
    sizes: dict[EntryKey, tuple[int, int]] = {}
    garbage = 0
    for key, length, raw in project.store.lengths():
        if key in owners:
            sizes[key] = (length, raw)
        else:
            garbage += length
    for key, (length, _) in sizes.items():
        if owners[key] != SHARED:
            groups[owners[key]].only += length
    measure = Measure(reach, sizes)
    logical = sum(measure.logical(group) for group in groups)
    shares = [measure.share(group) for group in groups if group.name != REST]
    shares.sort(key=lambda share: (-share.only_bytes, -share.shared_bytes, share.name))
    stored = project.store.totals().stored_bytes
    chunks = [both for (kind, _), both in sizes.items() if kind == CHUNK]
    compressed = sum(length - HEADER_SIZE for length, _ in chunks)
    distinct = sum(raw for _, raw in chunks)
    totals = Totals(logical, distinct, compressed, stored - compressed - garbage, garbage, stored)
    laid_out = workspaces(project)
    return Usage(by, totals, tuple(shares), len(laid_out), sum(one.size_bytes for one in laid_out))


def grouped(runs: Iterable[Run], by: str, chosen: set[str]) -> list[Group]:
    """The objects of all runs, in the groups that they are to be shown by."""
    groups: dict[str, Group] = {}
    for run in runs:
        for name, digest in named_objects(run):
            kind = kind_of(name)
            is_path = by == "path" and kind in ("input", "artifact")
            key = run.id if by == "run" else name[len(kind) + 1 :] if is_path else kind
            if chosen and run.id not in chosen:
                key = REST
            group = groups.setdefault(key, Group(key, run.name if by == "run" and key else None))
            group.tops[digest] += 1
    return list(groups.values())


def owners_of(groups: Sequence[Group], reach: Reach) -> dict[EntryKey, int]:
    """Entry -> the number of the group that alone needs it, or SHARED."""
    users: dict[str, int] = {}
    for number, group in enumerate(groups):
        for top in group.tops:
            users[top] = number if users.get(top, number) == number else SHARED
    owners: dict[EntryKey, int] = {}
    for top, user in users.items():
        for digest in reach.below(top):
            for key in reach.keys(digest):
                owners[key] = user if owners.get(key, user) == user else SHARED
    return owners


class Measure:
    """Sizes of groups. What many runs have in common is summed up once."""

    def __init__(self, reach: Reach, sizes: Mapping[EntryKey, tuple[int, int]]) -> None:
        self._reach = reach
        self._sizes = sizes
        self._logical: dict[str, int] = {}
        self._missing: dict[str, int] = {}
        self._unions: dict[frozenset[str], tuple[set[EntryKey], int]] = {}

    def share(self, group: Group) -> Share:
        stored = self._stored(group)
        missing = sum(map(self._lacking, group.tops))
        return Share(group.name, group.label, self.logical(group), group.only, stored - group.only, missing)

    def logical(self, group: Group) -> int:
        """Bytes of all files of a group, each as often as it is named."""
        return sum(self._laid_out(top) * times for top, times in group.tops.items())

    def _laid_out(self, top: str) -> int:
        if top not in self._logical:
            if top in self._reach.trees:
                self._logical[top] = sum(entry.size for entry in self._reach.trees[top])
            else:
                keys = self._reach.keys(top)
                self._logical[top] = sum(self._sizes[key][1] for key in keys if key[0] == CHUNK and key in self._sizes)
        return self._logical[top]

    def _lacking(self, top: str) -> int:
        if top not in self._missing:
            self._missing[top] = sum(1 for digest in self._reach.below(top) if digest in self._reach.lacking)
        return self._missing[top]

    def _stored(self, group: Group) -> int:
        """Bytes in the packs of all that a group needs, each entry once."""
        common, total = self._union(frozenset(top for top in group.tops if top in self._reach.trees))
        seen: set[EntryKey] = set()
        for top in group.tops:
            if top not in self._reach.trees:
                seen.update(key for key in self._reach.keys(top) if key not in common and key in self._sizes)
        return total + sum(self._sizes[key][0] for key in seen)

    def _union(self, trees: frozenset[str]) -> tuple[set[EntryKey], int]:
        if trees not in self._unions:
            digests = {digest for tree in trees for digest in self._reach.below(tree)}
            keys = {key for digest in digests for key in self._reach.keys(digest) if key in self._sizes}
            self._unions[trees] = keys, sum(self._sizes[key][0] for key in keys)
        return self._unions[trees]
