"""What gc deleted, or would delete, as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import count, short_id, size

if TYPE_CHECKING:
    from mltrack.operations.keeping.gc import GcReport, LetGo
    from mltrack.operations.keeping.workspaces import Cleaned, Workspace
    from mltrack.sync.collection import Pile, RemoteGc

MOST = 20
SOME = 3
"""Changed files of a workspace that are named."""


def gc_page(report: GcReport) -> Page:
    """Why and what, then how much it frees; a dry run ends in how to do it."""
    page = Page()
    would = "" if report.applied else "would be "
    if report.going:
        page.line(("Not needed by any run" if report.applied else "Not needed by any run here:", "bold"))
        rows = [
            ((item.why, "dim"), item.kind, count(item.entries, "piece"), size(item.size_bytes)) for item in report.going
        ]
        page.grid(Grid(rows, "<<>>"))
    add_runs(page, report.runs)
    page.blank()
    if report.packs_removed or report.packs_rewritten:
        packs = [(report.packs_removed, "removed"), (report.packs_rewritten, "rewritten")]
        how = " and ".join(f"{count(number, 'pack')} {would}{word}" for number, word in packs if number)
        page.line((f"{size(report.freed_bytes)} of {size(report.stored_bytes)} {would}freed", "bold"), f": {how}.")
    elif report.going:
        page.line("Nothing to free: it lies among what is needed, and takes less than half of each pack.")
    else:
        page.line("Nothing to free: all that is here is needed.")
    if report.packs_left:
        page.line(
            (f"{count(report.packs_left, 'pack')} stay: running commands rely on them, or they are damaged.", "yellow")
        )
    if report.temporary_files:
        page.line(f"{count(report.temporary_files, 'file')} that crashes left {would}removed.")
    if report.not_here:
        page.line((f"Data of {count(report.not_here, 'run')} is not here: it is on a remote, or was dropped.", "dim"))
    if report.expanded_bytes and report.drops_expanded:
        page.line(f"{size(report.expanded_bytes)} of whole files for links and clones {would}freed.")
    elif report.expanded_bytes:
        page.line((f"{size(report.expanded_bytes)} of whole files for links and clones stay; see --expanded.", "dim"))
    if not report.applied and (report.freed_bytes or report.temporary_files or report.drops_expanded):
        page.line("Nothing was deleted. Delete it with the same command and --apply.")
    return page


def add_runs(page: Page, runs: tuple[LetGo, ...]) -> None:
    """The runs whose data goes; those without another copy stand out."""
    if not runs:
        return
    page.heading("Data of these runs goes; their records stay")
    ordered = sorted(runs, key=lambda run: bool(run.on))
    rows = [
        (
            (short_id(run.run), "yellow"),
            run.name or "",
            ("a copy is on " + ", ".join(run.on), "dim") if run.on else ("NO REMOTE IS KNOWN TO HOLD IT", "red"),
        )
        for run in ordered
    ]
    page.grid(Grid(rows, "<<<", limit=MOST))


def remote_gc_page(found: RemoteGc) -> Page:
    """What a gc of a remote removed and condemned, or would, and what still waits for its grace to end."""
    page = Page()
    would = "" if found.is_applied else "would be "
    add_piles(page, f"{would}removed: condemned before, and the grace is over".capitalize(), found.removed)
    add_piles(page, f"{would}condemned: to be removed after the grace".capitalize(), found.condemned)
    if found.waiting:
        page.heading("Condemned before, and still waiting")
        rows = [
            (count(one.files, "file"), size(one.size_bytes), ("due " + due(one.due_at), "dim")) for one in found.waiting
        ]
        page.grid(Grid(rows, ">><", limit=MOST))
    page.blank()
    page.line((f"{size(found.needed_bytes)} are needed by {count(found.runs, 'run')}.", "bold"))
    if found.needed_again:
        page.line(f"{count(found.needed_again, 'condemned pack')} kept: a later push relies on what is in there.")
    if found.left_bytes:
        why = "in packs of which more than half is needed, or that are too new to tell"
        page.line(f"{size(found.left_bytes)} that nobody needs stay: {why}.")
    if not (found.removed or found.condemned):
        page.line("Nothing to do." if found.left_bytes else "Nothing to do: all that is there is needed, or waits.")
    elif not found.is_applied:
        page.line("Nothing was changed. Do it with the same command and --apply.")
    return page


def add_piles(page: Page, heading: str, piles: tuple[Pile, ...]) -> None:
    if piles:
        page.heading(heading)
        rows = [
            ((pile.why, "dim"), count(pile.files, pile.kind, kinds(pile.kind)), size(pile.size_bytes)) for pile in piles
        ]
        page.grid(Grid(rows, "<>>"))


STAYS = {
    "in use": "somebody works in it",
    "changed": "changed after its work had ended",
    "unknown": "it is not known when its work ended",
}


def workspaces_page(found: Cleaned) -> Page:
    """Which workspaces went, or would go, and why the others stay."""
    page = Page()
    would = "" if found.applied else "would be "
    rows: list[tuple[Cell, ...]] = [
        (one.path, size(one.size_bytes), (f"{one.by or 'laid out'} of {short_id(one.of)}" if one.of else "", "dim"))
        for one in found.gone
    ]
    if rows:
        page.heading(f"{would}removed".capitalize())
        page.grid(Grid(rows, "<><", limit=MOST))
    if found.kept:
        page.heading("They stay")
        page.grid(Grid([stays(one) for one in found.kept], "<><", limit=MOST))
    page.blank()
    page.line((f"{size(found.freed_bytes)} {would}freed", "bold"), f", of {count(len(found.gone), 'workspace')}.")
    if any(one.state != "in use" for one in found.kept):
        page.line("What changed goes only with --force.")
    if found.gone and not found.applied:
        page.line("Nothing was deleted. Delete it with the same command and --apply.")
    return page


def stays(one: Workspace) -> tuple[Cell, ...]:
    names = ", ".join(one.changed[:SOME]) + (" ..." if len(one.changed) > SOME else "")
    reason = STAYS.get(one.state, "it could not be removed")
    return one.path, size(one.size_bytes), f"{reason}: {names}" if names else reason


def kinds(kind: str) -> str:
    return "indexes" if kind == "index" else f"{kind}s"


def due(moment: float | None) -> str:
    """A time, to the minute."""
    import time

    return "at an unknown time" if moment is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
