"""`mltrack verify`: derive every digest again and say what no longer holds, what it touches, and where a good copy is.

With `repair`, in `repair.py`, the good copies are brought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from mltrack.digest import from_raw
from mltrack.nouns import noun
from mltrack.operations.keeping.objects import directories_of, named_objects, objects_of
from mltrack.operations.keeping.reach import Reach
from mltrack.operations.running.reconcile import unfinished_runs

if TYPE_CHECKING:
    from mltrack.progress import Progress
    from mltrack.project import Project
    from mltrack.records import Run
    from mltrack.store.check import Damage, Looked
    from mltrack.store.entries import EntryKey


@noun
class Problem:
    """Something that does not hold. `run` and `path` say what it touches, where that is known."""

    kind: str
    """Here "damaged", "missing", "pack", "record", "rows" or "ledger"."""
    message: str
    digest: str | None = None
    run: str | None = None
    path: str | None = None
    copies: tuple[str, ...] = ()
    """Where a good copy is: "remote NAME" or "file PATH"."""
    repaired: bool = False


@noun
class Trouble:
    """A problem, and what is needed to mend it."""

    problem: Problem
    whole: str | None = None
    """The object that is to be whole again; `problem.digest` may be a chunk of it."""


@noun
class VerifyRequest:
    """`sample`: the part of the entries to read, 0 to 1; None for all of them."""

    sample: float | None = None
    repair: bool = False


@noun
class Verified:
    """What came of it. `looked` says how much a sample was."""

    problems: tuple[Problem, ...]
    looked: Looked | None = None
    not_fetched: int = 0
    """Runs of which data is not here, as it was never fetched or was let go."""
    aside: tuple[str, ...] = ()
    """Damaged packs that a repair could not make whole, and set aside."""

    @property
    def holds(self) -> bool:
        return all(problem.repaired for problem in self.problems)


def verify(project: Project, request: VerifyRequest, progress: Progress | None = None) -> Verified:
    """Check the store's bytes, the ledger's records, and that every record finds what it names.

    Data of a run from elsewhere that was not fetched, or that was let go by gc, is no problem.
    """
    from mltrack.operations.keeping.copies import with_copies

    store = project.store
    damages, looked = read_store(project, request.sample, progress)
    troubles = [*ledger_troubles(project)]
    reach = Reach(store)
    found, away = object_troubles(project, damages, reach)
    troubles += found
    named = {digest for trouble in troubles for digest in (trouble.problem.digest, trouble.whole)}
    named |= {from_raw(key[1]) for trouble in found for key in reach.keys(trouble.whole or "")}
    for damage in damages:
        if damage.digest is None:
            why = damage.message.removeprefix("The store is damaged: ")
            troubles.append(Trouble(Problem("pack", f"The pack {damage.pack} is damaged: {why}")))
        elif damage.digest not in named and damage.kind != "index":  # gone, and a run that needs it has told so
            named.add(damage.digest)
            troubles.append(Trouble(Problem("damaged", damage.message, damage.digest), damage.digest))
    store.forget(damages)
    troubles = with_copies(project, troubles)
    if not request.repair or not troubles:
        return Verified(tuple(trouble.problem for trouble in troubles), looked, away)
    from mltrack.operations.keeping.repair import repair

    mended = repair(project, troubles, damages)
    return Verified(mended.problems, looked, away, mended.aside)


def read_store(
    project: Project, sample: float | None, progress: Progress | None
) -> tuple[Sequence[Damage], Looked | None]:
    """What of the packs does not hold; of a sample, how much it was."""
    if sample is None:
        return list(project.store.check(progress)), None
    found = project.store.check_sample(sample, progress)
    return found.damages, found.looked


def ledger_troubles(project: Project) -> Iterator[Trouble]:
    """What is wrong with the ledger itself."""
    from mltrack.ledger.keeping.rows import damaged
    from mltrack.ledger.replica import FILE

    records = set(project.ledger.damaged_records())
    sentences = {damaged(digest).message: digest for digest in records}
    for sentence in project.ledger.check():
        yield Trouble(Problem("record", sentence, sentences.get(sentence)))
    for run in project.ledger.stale_runs() if not records else ():
        yield Trouble(Problem("rows", f"What lists and queries say of {run} is not what its record says.", run=run))
    has_sealed = (project.state / FILE).exists()
    if has_sealed and not project.ledger.ids() and next(project.store.all_objects(), None) is not None:
        message = "The ledger has no record, though the store has objects: it was lost. `mltrack pull` brings it back."
        yield Trouble(Problem("ledger", message))


def object_troubles(project: Project, damages: Iterable[Damage], reach: Reach) -> tuple[list[Trouble], int]:
    """What of the objects that records name is missing or damaged; and how many runs have data that is not here."""
    runs = [run for _, run in sound_records(project)]
    alive = list(unfinished_runs(project))
    every = [*runs, *alive]
    reach.look_up({d for run in every for d in objects_of(run)}, {d for run in every for d in directories_of(run)})
    bad = bad_objects(reach, damages)
    gone = project.ledger.let_go()
    troubles: list[Trouble] = []
    away: set[str] = set()

    @cache
    def is_touched(digest: str) -> bool:
        return any(one in bad for one in reach.below(digest))

    for run in every if bad else ():
        from_here = run.origin.get("replica") in project.ledger.replicas and run.id not in gone
        for name, digest in named_objects(run):
            for path, one in below(reach, name, digest) if is_touched(digest) else ():
                if one not in bad:
                    continue
                part, message = bad[one]
                if message is None and not from_here:
                    away.update({run.id} if run.origin.get("replica") else ())  # one that is alive may still put it
                    continue
                troubles.append(Trouble(told(run, path, part, message), one))
    if gone - away:
        project.ledger.note_let_go((), back=gone - away)
    return troubles, len(away)


def told(run: Run, path: str, part: str, message: str | None) -> Problem:
    if message is None:
        return Problem("missing", f"{path} of {run.id} is not in the store.", part, run.id, path)
    why = message.removeprefix("The store is damaged: ")
    return Problem("damaged", f"{path} of {run.id} is damaged: {why}", part, run.id, path)


def sound_records(project: Project) -> Iterator[tuple[int, Run]]:
    """Every record whose bytes hold; the others are told elsewhere."""
    return project.ledger.records(skip=frozenset(project.ledger.damaged_records()))


def below(reach: Reach, name: str, digest: str) -> Iterator[tuple[str, str]]:
    """What a record calls an object, and the files that are listed in it, with their digests."""
    import os

    yield name, digest
    for entry in reach.trees.get(digest, ()):
        yield f"{name}/{os.fsdecode(entry.path)}", str(entry.digest)


def bad_objects(reach: Reach, damages: Iterable[Damage]) -> dict[str, tuple[str, str | None]]:
    """Object -> the part of it that is bad, and how; None as how where it is not here."""
    hurt: dict[str, str] = dict(reach.damaged)
    for damage in damages:
        if damage.digest is not None and damage.kind != "recipe":  # that is told by the chunk it lacks
            hurt.setdefault(damage.digest, damage.message)  # the first says most
    keys: set[EntryKey] = set(reach.all_keys())
    absent = reach.store.missing_entries(keys)
    bad: dict[str, tuple[str, str | None]] = {}
    for digest in reach.objects | reach.lacking:
        if digest in hurt:
            bad[digest] = (digest, hurt[digest])
        elif digest in reach.lacking:
            bad[digest] = (digest, None)
        elif hurt or absent:
            parts = [(from_raw(key[1]), key) for key in reach.keys(digest)]
            part = next((part for part, _ in parts if part in hurt), None)
            if part is not None:
                bad[digest] = (part, hurt[part])
            elif any(key in absent for _, key in parts):
                bad[digest] = (digest, None)
    return bad


def again(trouble: Trouble, **changes: object) -> Trouble:
    """The trouble with other facts about its problem."""
    return replace(trouble, problem=replace(trouble.problem, **changes))  # type: ignore[arg-type]
