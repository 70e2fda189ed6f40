"""Which run made a file: told to a person as who, why, code, data, params and metrics; and as JSON."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.noun_json import is_utf8, to_dict
from mltrack.views.json import run_json
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.ranks import metric_rows
from mltrack.views.show import MORE, MOST, MOST_CHANGED, code_line, headline, input_row
from mltrack.views.text import ago, clean, command_line, count, scalar, short_digest, short_id, size
from mltrack.views.verdict import heads

if TYPE_CHECKING:
    from mltrack.ledger.asking.content import Brief
    from mltrack.operations.origin.blame import Blame
    from mltrack.operations.origin.origins import Place
    from mltrack.operations.origin.subject import Subject
    from mltrack.records import Run

OTHERS = 10
"""Other runs that a terminal shows of those that made, or used, the same."""
SHORT = 40
"""Cells of a command in a list of runs."""


def blame_page(found: Blame, now: float | None = None) -> Page:
    """The page of an answer: the first run that made it in full, the others in a line each."""
    page = Page()
    now = time.time() if now is None else now
    run = found.run
    assert run is not None
    if found.parts:
        parts_section(page, found, now)
        page.heading("The run with most of them")
    else:
        first = (found.made or found.used)[0]
        verb = "Made by" if found.made else "No run made it. Used by"
        page.line((name_of(found.subject), "bold"), (f"  {facts_of(found.subject)}", "dim"))
        page.line(f"{verb} ", (run.id, "yellow"), " as ", first.path, remark(found, run))
    for clue in found.clues:
        page.line((f"! {clue.message}", "yellow"))
    page.blank()
    run_section(page, run, now)
    more_runs(page, found.made[1:], ("more run", "made the same bytes"), (found, now))
    more_runs(page, found.used if found.made else (), ("run", "used it"), (found, now))
    more_runs(page, () if found.made else found.used[1:], ("more run", "used it"), (found, now))
    unread_line(page, found.unread)
    if found.made:
        page.hint("")
        page.hint(("get it again    ", "dim"), (f"mltrack reproduce {short_id(run.id)}", "cyan"))
        page.hint(("what came of it ", "dim"), (f"mltrack lineage {short_id(run.id)}", "cyan"))
    return page


def remark(found: Blame, run: Run) -> Cell:
    """What must be known of the first run beside its name."""
    remarks = []
    if found.made and found.copied == len(found.made):
        remarks.append("which had it among its inputs as well")
    if found.briefs[run.id].hidden:
        remarks.append("a hidden run")
    return f" ({', '.join(remarks)})" if remarks else ""


def name_of(subject: Subject) -> str:
    if subject.path is None:
        return subject.digest
    return "standard input" if subject.path == "-" else subject.path


def facts_of(subject: Subject) -> str:
    if subject.path is None:
        return ""
    files = f"{count(len(subject.entries), 'entry', 'entries')}, " if subject.kind == "directory" else ""
    extent = "" if subject.size_bytes is None else f"{size(subject.size_bytes)}, "
    return f"{files}{extent}{short_digest(subject.digest)}"


def run_section(page: Page, run: Run, now: float) -> None:
    """Who, when, why, code, data, params, metrics and verdict."""
    headline(page, run, now)
    if run.code.tree or run.code.commit:
        page.field("Code", code_line(run.code))
        if run.code.changed:
            first, more = ", ".join(run.code.changed[:MOST_CHANGED]), len(run.code.changed) - MOST_CHANGED
            brief = f"uncommitted: {first}{f' and {more:,} more' if more > 0 else ''}"
            page.field("", f"uncommitted: {', '.join(run.code.changed)}", "yellow", brief)
    if run.verdict:
        page.field("Verdict", f"{run.verdict.grade}, compared with {short_id(run.verdict.of)}")
    if run.inputs:
        page.heading("Inputs")
        page.grid(Grid([input_row(item) for item in run.inputs], "<><<", limit=MOST, more=MORE))
    if run.params:
        page.heading("Params")
        rows = [(name, scalar(value), (run.param_sources.get(name, ""), "dim")) for name, value in run.params.items()]
        page.grid(Grid(rows, "<<<", limit=MOST, more=MORE))
    if run.metrics:
        page.heading("Metrics")
        header = heads("", "last", "min", "max", "points")
        page.grid(Grid(metric_rows(run.metrics), "<>>>>", header, limit=MOST, more=MORE))


def more_runs(page: Page, places: Sequence[Place], words: tuple[str, str], told: tuple[Blame, float]) -> None:
    """A list of runs under `3 more runs made the same bytes`."""
    if places:
        page.heading(f"{count(len(places), words[0])} {words[1]}")
        rows = [run_row(place.run, place.path, told[0].briefs, told[1]) for place in places]
        page.grid(Grid(rows, "<<<<", limit=OTHERS, more=MORE))


def run_row(run: str, path: str, briefs: Mapping[str, Brief], now: float) -> tuple[Cell, ...]:
    one = briefs[run]
    hidden = " (hidden)" if one.hidden else ""
    return (run, "yellow"), path, (ago(one.began, now) + hidden, "dim"), one.name or command_line(one.command)[:SHORT]


def parts_section(page: Page, found: Blame, now: float) -> None:
    """Which runs the files of a directory are of."""
    known = found.telling_files - len(found.unknown_files)
    page.line((name_of(found.subject), "bold"), (f"  {facts_of(found.subject)}", "dim"))
    page.line(f"No run had this directory as it is; {known:,} of {count(found.telling_files, 'file')} are known:")
    rows = []
    for part in found.parts:
        verb = "made by" if part.role == "made" else "used by"
        rows.append(
            (f"{part.files:,} of {found.telling_files:,}", verb, *run_row(part.run, part.path, found.briefs, now))
        )
    page.grid(Grid(rows, "><<<<<", limit=OTHERS, more=MORE))
    if found.unknown_files:
        page.heading("Not known", count(len(found.unknown_files), "file"))
        page.grid(Grid([(path,) for path in found.unknown_files], "<", limit=OTHERS, more=MORE))


def unread_line(page: Page, unread: int) -> None:
    """That not all directories could be looked into."""
    if unread:
        page.blank()
        page.line((f"! {unread_sentence(unread)}", "yellow"))


def unread_sentence(unread: int) -> str:
    return f"What lies in {count(unread, 'directory', 'directories')} of runs is not known here: add --fetch."


def unknown_text(found: Blame) -> tuple[str, str]:
    """Message and hint where no run is known: what it is, and every clue there is."""
    subject = found.subject
    if found.answer == "means nothing":
        what = "is empty" if not subject.size_bytes else f"has only {count(subject.size_bytes, 'byte')}"
        return f"{clean(name_of(subject))} {what}: anybody may have made it.", "Ask for a file that says more."
    hints = [clue.message for clue in found.clues]
    if found.unread:
        hints.append(unread_sentence(found.unread))
    facts = facts_of(subject)
    message = f"No run made or used {clean(name_of(subject))}{f' ({facts})' if facts else ''}."
    return message, " ".join(hints) or "It was made without mltrack, or changed since; `mltrack pull` brings more runs."


def blame_json(found: Blame) -> dict[str, Any]:
    """The answer for machines: whole lists."""
    subject = found.subject
    copiers = {place.run for place in found.made[len(found.made) - found.copied :]} if found.copied else set()
    what: dict[str, Any] = {"path": subject.path, "kind": subject.kind}
    if subject.path is not None and not is_utf8(subject.path):
        what["path_b64"] = base64.b64encode(os.fsencode(subject.path)).decode()
    what |= {"digest": subject.digest, "size_bytes": subject.size_bytes}
    what["problems"] = [{"path": path, "reason": reason} for path, reason in subject.problems]
    return {
        "what": what,
        "answer": found.answer,
        "run": run_json(found.run, with_packages=False) if found.run else None,
        "made_by": [{**place_json(place, found.briefs), "copied": place.run in copiers} for place in found.made],
        "used_by": [place_json(place, found.briefs) for place in found.used],
        "parts": [{**to_dict(part), "began_at": found.briefs[part.run].began} for part in found.parts],
        "telling_files": found.telling_files,
        "unknown_files": list(found.unknown_files),
        "clues": to_dict(found.clues),
        "unread_directories": found.unread,
    }


def place_json(place: Place, briefs: Mapping[str, Brief]) -> dict[str, Any]:
    """A run that made or used a content, and its path there."""
    one = briefs[place.run]
    found: dict[str, Any] = {"run": place.run, "path": place.path}
    if not is_utf8(place.path):
        found["path_b64"] = base64.b64encode(os.fsencode(place.path)).decode()
    inside = None if place.path == place.holding.path else place.holding.path
    return found | {
        "inside": inside,
        "name": one.name,
        "status": one.status,
        "command": list(one.command),
        "began_at": one.began,
        "hidden": one.hidden,
    }
