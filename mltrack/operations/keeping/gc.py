"""`mltrack gc`: what in the store no record needs, and its going.

Needed is what any record names, hidden runs and both records of a conflict included, what runs that have not ended name
so far, and what living processes hold. Where it cannot be told what a record needs, nothing goes at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, DataMissing
from mltrack.ledger.events import objects_added
from mltrack.nouns import noun
from mltrack.operations.find import find_run
from mltrack.operations.keeping.objects import directories_of, kind_of, named_objects, objects_of
from mltrack.operations.keeping.reach import Reach
from mltrack.operations.outside.left_behind import sweep as sweep_outside
from mltrack.operations.running.reconcile import reconcile, unfinished_runs

if TYPE_CHECKING:
    from mltrack.progress import Progress
    from mltrack.project import Project
    from mltrack.records import Run
    from mltrack.store.entries import EntryKey

UNNAMED, DROPPED, PUSHED = "no record names it", "dropped by name", "on a remote"
MOST_NAMED = 5


@noun
class GcRequest:
    """`drop`: runs whose data is to go. `pushed`: so is that of all runs that a remote holds whole.

    `expanded`: so are the whole files that links and clones are made from.
    """

    drop: tuple[str, ...] = ()
    pushed: bool = False
    apply: bool = False
    expanded: bool = False


@noun
class Going:
    """Entries that nothing needs, by why and by what they are."""

    why: str
    kind: str
    entries: int
    size_bytes: int


@noun
class LetGo:
    """A run whose data goes; `on`: the remotes that are known to hold it, none if this is the last known copy."""

    run: str
    name: str | None
    on: tuple[str, ...]


@noun
class GcReport:
    """What went (`applied`), or would go. Sizes are in bytes of the packs."""

    applied: bool
    going: tuple[Going, ...]
    runs: tuple[LetGo, ...]
    packs_removed: int
    packs_rewritten: int
    packs_left: int
    """Packs that would go, but are in use by living processes, or damaged."""
    freed_bytes: int
    stored_bytes: int
    """Of all packs, before."""
    temporary_files: int
    not_here: int
    """Runs of which data is not here, but known to be on a remote or to have been dropped."""
    expanded_bytes: int = 0
    """Of the whole files that links and clones are made from, and that nobody else holds."""
    drops_expanded: bool = False


@dataclass
class _Marks:
    """What is needed, and why the rest is not."""

    needed: set[EntryKey] = field(default_factory=set)
    unneeded: dict[EntryKey, tuple[str, str]] = field(default_factory=dict)
    """Entry of a run that is let go -> why it goes, and its kind."""
    runs: list[LetGo] = field(default_factory=list)
    position: int = 0
    not_here: int = 0


def gc(project: Project, request: GcRequest, progress: Progress | None = None) -> GcReport:
    """Find what nothing needs in the store here, and with `apply` delete it.

    Raises DataMissing where what a record needs cannot be told, NotFound for a run to drop, RemoteError with `pushed`
    when the remotes cannot be asked, StorageError.
    """
    from mltrack.store.expanded import Expanded
    from mltrack.store.sweep import Needed, plan, sweep

    reconcile(project)
    dropped = {find_run(project, ref).id for ref in request.drop}
    marks = mark(project, dropped, request.pushed)
    needed = Needed(
        marks.needed,
        lambda: added_since(project, marks.position),
        lambda: next(unfinished_runs(project), None) is not None,
        set(marks.unneeded),
    )
    going = counted(project, marks)
    expanded = Expanded(project.expanded)
    _, expanded_bytes = expanded.totals()
    stored = project.store.totals().stored_bytes
    if request.apply:
        sweep_outside(project)
        project.ledger.note_let_go([one.run for one in marks.runs])
        done = sweep(project.store, needed, progress)
        if request.expanded:
            expanded.remove()
    else:
        done = plan(project.store, needed)
    return GcReport(
        request.apply,
        tuple(going),
        tuple(marks.runs),
        len(done.removed),
        len(done.rewritten),
        len(done.left),
        done.freed_bytes,
        stored,
        done.temporary_files,
        marks.not_here,
        expanded_bytes,
        request.expanded,
    )


def mark(project: Project, dropped: Set[str], pushed: bool) -> _Marks:
    """Go through every record. Raises DataMissing naming runs of which it is not known what they need."""
    holders = remotes_of_runs(project)
    excused = {run for runs in holders.values() for run in runs} | project.ledger.let_go()
    let_go = dropped | ({run for runs in holders.values() for run in runs} if pushed else set())
    marks, kept, going = _Marks(), Reach(project.store), Reach(project.store)
    troubled: dict[str, str] = {}
    leaving: list[Run] = []
    for marks.position, run in project.ledger.records():
        if run.id in let_go:
            leaving.append(run)
            going.look_up(objects_of(run), directories_of(run))
        else:
            look_at(kept, run, excused, troubled, marks)
    for run in unfinished_runs(project):  # what they name may still be on its way to the disk
        look_at(kept, run, {run.id}, troubled, marks)
    if not marks.position and not kept.objects and next(project.store.all_objects(), None) is not None:
        raise no_records(project)
    if troubled:
        raise unknown(troubled)
    marks.needed = set(kept.all_keys())
    marks.unneeded = reasons(leaving, going, marks.needed, dropped)
    if pushed:
        stay_unless_there(project, marks)
    marks.runs = list(told_of(leaving, going, holders, marks, dropped | project.ledger.let_go()))
    return marks


def look_at(reach: Reach, run: Run, excused: Set[str], troubled: dict[str, str], marks: _Marks) -> None:
    """Learn what a run needs; note it in `troubled` if that cannot be told."""
    objects = objects_of(run)
    reach.look_up(objects, directories_of(run))
    unread = next(filter(None, map(reach.unread, objects)), None)
    if unread is None:
        return
    if run.id in excused and unread not in reach.damaged:
        marks.not_here += run.status != "running"
        return
    names = {digest: name for name, digest in named_objects(run)}
    what = next((names[digest] for digest in objects if reach.unread(digest) is not None), unread)
    troubled.setdefault(run.id, what)


def reasons(
    leaving: Iterable[Run], reach: Reach, needed: Set[EntryKey], dropped: Set[str]
) -> dict[EntryKey, tuple[str, str]]:
    """Why the entries of runs that are let go are not needed any more, and what they are."""
    found: dict[EntryKey, tuple[str, str]] = {}
    seen: set[tuple[str, str]] = set()
    for run in leaving:
        why = DROPPED if run.id in dropped else PUSHED
        for name, digest in named_objects(run):
            if (why, digest) not in seen:
                seen.add((why, digest))
                keys = (key for one in reach.below(digest) for key in reach.keys(one) if key not in needed)
                found.update((key, (why, kind_of(name))) for key in keys if found.get(key, ("",))[0] != DROPPED)
    return found


def told_of(
    leaving: Iterable[Run], reach: Reach, holders: Mapping[str, Set[str]], marks: _Marks, gone: Set[str]
) -> Iterator[LetGo]:
    """The runs of which something goes, and those in `gone`: asked for by name, or gone before."""
    told: set[str] = set()

    @cache
    def goes(digest: str) -> bool:
        return any(key in marks.unneeded for one in reach.below(digest) for key in reach.keys(one))

    for run in leaving:
        if run.id not in told and (run.id in gone or any(map(goes, objects_of(run)))):
            told.add(run.id)
            yield LetGo(run.id, run.name, tuple(name for name, runs in holders.items() if run.id in runs))


def remotes_of_runs(project: Project) -> dict[str, set[str]]:
    """Name of each remote -> ids of the runs whose records it is known to hold; what they need was sent before them."""
    return {name: project.ledger.runs_wholly_on(project.remote(name).url) for name in project.config.remotes}


def stay_unless_there(project: Project, marks: _Marks) -> None:
    """Ask the remotes for every entry that goes because they hold it; what none of them has stays here."""
    from mltrack.sync.packs import Catalogue

    absent = {key for key, (why, _) in marks.unneeded.items() if why == PUSHED}
    for name in project.config.remotes:
        catalogue = Catalogue(project.remote(name))
        catalogue.refresh(condemned=True)
        absent -= set(catalogue.locate(absent))
    marks.needed |= absent
    for key in absent:
        del marks.unneeded[key]


def added_since(project: Project, position: int) -> set[EntryKey]:
    """The entries that runs need that have not ended, and records behind a position."""
    reach = Reach(project.store)
    for run in unfinished_runs(project):  # before the records: one that is folded now has its record
        reach.look_up(objects_of(run), directories_of(run))
    for _, run in project.ledger.records(position):
        reach.look_up(objects_of(run), directories_of(run))
    for events in project.ledger.environment_events().values():  # of records before it, too
        for event in events:
            added = objects_added(event)
            reach.look_up(added.values(), [digest for what, digest in added.items() if what != "lock"])
    if reach.damaged:
        raise Damaged(next(iter(reach.damaged.values())), "Run `mltrack verify --repair`, then gc again.")
    return set(reach.all_keys())


def counted(project: Project, marks: _Marks) -> list[Going]:
    """What is not needed, summed up."""
    entries: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for key, length, _ in project.store.lengths():
        if key not in marks.needed:
            reason = marks.unneeded.get(key) or (UNNAMED, "chunk" if key[0] == 1 else "list of chunks")
            entries[reason] += 1
            sizes[reason] += length
    return [Going(*reason, entries[reason], size) for reason, size in sizes.most_common()]


def no_records(project: Project) -> DataMissing:
    return DataMissing(
        "The ledger has no record at all, so everything in the store would go.",
        f"If the ledger was lost, bring the records back: mltrack pull. If not, remove {project.store.path} yourself.",
    )


def unknown(troubled: Mapping[str, str]) -> DataMissing:
    """The refusal: naming runs, so that one can be repaired or dropped."""
    named: Sequence[str] = [f"{run} ({what})" for run, what in list(troubled.items())[:MOST_NAMED]]
    more = f" and {len(troubled) - MOST_NAMED} more" if len(troubled) > MOST_NAMED else ""
    first = next(iter(troubled))
    return DataMissing(
        f"Data is missing or damaged, so what these runs need is not known: {', '.join(named)}{more}.",
        f"Nothing was deleted. Run `mltrack verify --repair`; or give up their data: mltrack gc --drop {first}",
    )
