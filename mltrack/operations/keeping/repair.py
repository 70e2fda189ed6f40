"""`mltrack verify --repair`: bring good copies of what is damaged or missing, and prove them.

First the copies, then the damaged packs are rewritten without what is wrong in them: until the good bytes are safe
nothing is taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.digest import to_raw
from mltrack.errors import Damaged, DataMissing, MltrackError
from mltrack.nouns import noun
from mltrack.operations.keeping.copies import files_of, record_copies, with_copies
from mltrack.operations.keeping.reach import Reach
from mltrack.operations.keeping.verify import Problem, Trouble, again, object_troubles
from mltrack.operations.running.reconcile import unfinished_runs

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.store.check import Damage


@noun
class Mending:
    """The problems, each with whether it is repaired; packs that were set aside."""

    problems: tuple[Problem, ...]
    aside: tuple[str, ...]


def repair(project: Project, troubles: Sequence[Trouble], damages: Sequence[Damage]) -> Mending:
    """Mend what can be mended. Raises StorageError when the disk refuses: nothing sound is lost by that."""
    from mltrack.store.mend import rewrite

    bring_copies(project, [trouble for trouble in troubles if trouble.whole is not None])
    troubles = [*troubles, *below_mended(project, {trouble.whole for trouble in troubles})]
    objects = [trouble for trouble in troubles if trouble.whole is not None]
    records = {t.problem.digest for t in troubles if t.problem.kind == "record" and t.problem.digest is not None}
    mended_records = {digest for digest in records if mend_record(project, digest)}
    are_rows_mended = any(t.problem.kind == "rows" for t in troubles) and mend_rows(project)
    whole = {digest: is_whole(project, digest) for digest in {trouble.whole or "" for trouble in objects} - {""}}
    is_needed = {trouble.whole for trouble in objects if trouble.problem.run is not None}
    names = list(dict.fromkeys(damage.pack for damage in damages if damage.pack is not None))
    keep = not all(is_good for one, is_good in whole.items() if one in is_needed)
    done = rewrite(project.store, names, keep, unfinished=next(unfinished_runs(project), None) is not None)
    problems = []
    for trouble in troubles:
        kind, digest = trouble.problem.kind, trouble.problem.digest
        if kind == "record":
            is_good = digest in mended_records
        elif kind == "rows":
            is_good = are_rows_mended
        elif trouble.whole in is_needed:
            is_good = whole[trouble.whole or ""]
        else:  # no run needs it, so that it is gone is as good
            is_good = kind != "ledger" and not done.left
        problems.append(again(trouble, repaired=is_good).problem)
    return Mending(tuple(problems), tuple(str(place) for place in done.aside))


def below_mended(project: Project, known: set[str | None]) -> list[Trouble]:
    """What is missing of what manifests list that are here again: nobody knew of it before. It is brought too."""
    found, _ = object_troubles(project, (), Reach(project.store))
    new = with_copies(project, [trouble for trouble in found if trouble.whole not in known])
    bring_copies(project, new)
    return new


def bring_copies(project: Project, troubles: Sequence[Trouble]) -> None:
    """Get good bytes for all of these: another copy here, then the remotes, then the files of the workspace."""
    from mltrack.store.entries import CHUNK, RECIPE
    from mltrack.store.keep import keep_path
    from mltrack.sync.fetch import fetch

    store = project.store
    wanted = {digest for t in troubles for digest in (t.problem.digest, t.whole) if digest is not None}
    store.take_copies({(kind, to_raw(digest)) for digest in wanted for kind in (CHUNK, RECIPE)})
    for name in project.config.remotes if store.missing(wanted) else ():
        try:
            fetch(project.remote(name), store, sorted(store.missing(wanted)))
        except (DataMissing, MltrackError):
            continue
    lacking = store.missing(wanted)
    for file in files_of(project, [t for t in troubles if t.whole in lacking]) if lacking else ():
        keep_path(file, store)
    store.flush()


def is_whole(project: Project, digest: str) -> bool:
    """Is the object here, every byte proved again?"""
    try:
        for _ in project.store.read(digest):
            pass
    except DataMissing:
        return False
    return True


def mend_record(project: Project, digest: str) -> bool:
    """Put a sealed record in its place again, from the first remote that has it."""
    for data in record_copies(project, digest):
        project.ledger.mend(data)
        if digest not in project.ledger.damaged_records():
            return True
    return False


def mend_rows(project: Project) -> bool:
    """Make the rows that lists and queries read anew, from the records and edits."""
    try:
        project.ledger.derive_all_again()
    except Damaged:
        return False
    return not project.ledger.stale_runs()
