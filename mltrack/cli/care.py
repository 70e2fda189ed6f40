"""`mltrack init`, `verify`, `gc`, `du`, `doctor`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Json
from mltrack.cli.start import say, working_directory
from mltrack.errors import UsageError
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.views.page import Page

DAMAGED = 6
CHECK_FAILED = 1


def init() -> None:
    """Write a settings file to fill in. Not needed before a first run."""
    from mltrack.operations.init import init as write_settings

    with Project.open(working_directory()) as project:
        path = write_settings(project)
        print(f"Wrote {path}" if path else "There is a mltrack.yaml already.")
        print("Record a first run: mltrack run -- python train.py")


def verify(
    remote: Annotated[bool, typer.Option("--remote", help="Check the remote instead of the store here.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Which remote.")] = None,
    sample: Annotated[
        str | None, typer.Option("--sample", metavar="5%", help="Read only this part, chosen by chance.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Bring good copies, from a remote or from the files here.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Check every digest, here or on a remote. Exits 6 when something is missing or damaged.

    Says which runs and paths it touches and where a good copy is; with --repair those are brought, and 6 means that
    something could not be repaired.
    """
    from mltrack.noun_json import to_dict
    from mltrack.operations.keeping.verify import Verified, VerifyRequest
    from mltrack.operations.keeping.verify import verify as verify_here
    from mltrack.operations.share import verify_remote
    from mltrack.views.console import show, show_json
    from mltrack.views.progress import Progress
    from mltrack.views.verify import verify_page

    part = None if sample is None else parsed_part(sample)
    with Project.get(working_directory()) as project:
        project.tell = say
        if remote:
            with Progress("verify") as progress:
                found = Verified(tuple(verify_remote(project, name, part, repair, progress)))
        else:
            stored = project.store.totals().stored_bytes
            with Progress("verify", int(stored * (1 if part is None else part))) as progress:
                found = verify_here(project, VerifyRequest(part, repair), progress)
    if as_json:
        show_json(to_dict(found.problems))
    else:
        show(verify_page(found))
        if found.not_fetched and found.holds:
            many = f"{found.not_fetched} run{'s' if found.not_fetched > 1 else ''}"
            say(f"data of {many} is not here: not fetched, or let go; bring it: mltrack pull --data")
    return 0 if found.holds else DAMAGED


def parsed_part(text: str) -> float:
    """`5%` -> 0.05. Raises UsageError."""
    try:
        part = float(text.removesuffix("%")) / 100
    except ValueError:
        part = 0.0
    if not 0 < part <= 1:
        raise UsageError(f"{text!r} is not a part of the whole.", "Give a percentage: --sample 5%")
    return part


def gc(
    apply: Annotated[bool, typer.Option("--apply", help="Delete it; without this nothing is deleted.")] = False,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="RUN", help="Let the data of this run go too. Repeatable.")
    ] = None,
    pushed: Annotated[bool, typer.Option("--pushed", help="Let all data go here that a remote holds.")] = False,
    expanded: Annotated[
        bool, typer.Option("--expanded", help="Also remove the whole files that links and clones are made from.")
    ] = False,
    remote: Annotated[bool, typer.Option("--remote", help="Of a remote instead of the store here.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Which remote.")] = None,
    grace: Annotated[
        float, typer.Option("--grace", metavar="HOURS", min=0, help="On a remote: how long it waits before it deletes.")
    ] = 24,
    workspaces: Annotated[
        bool, typer.Option("--workspaces", help="Of the workspaces of ended reproductions instead of the store.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Workspaces too in which files changed after their run had ended.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete from the store what no run needs. Says what would go, and deletes it only with --apply.

    Records always stay. Data that was pushed comes back with `mltrack pull --data`. On a remote, what is not needed is
    put on a list first, and deleted by a later gc once the grace time is over.
    """
    from mltrack.noun_json import to_dict
    from mltrack.views.console import show, show_json
    from mltrack.views.gc import gc_page, remote_gc_page
    from mltrack.views.progress import Progress

    page: Page
    if workspaces:
        clean_workspaces(apply, force, as_json)
        return
    if force:
        raise UsageError("--force is for workspaces.", "Say so: mltrack gc --workspaces --force")
    with Project.get(working_directory()) as project, Progress("gc") as progress:
        project.tell = say
        if remote:
            from mltrack.operations.share import RemoteGcRequest, gc_remote

            if pushed:
                raise UsageError("--pushed is for the store here, not for a remote.", "Leave one of the two away.")
            there = gc_remote(project, RemoteGcRequest(name, apply, grace * 3600, tuple(drop or ())))
            told, page = to_dict(there), remote_gc_page(there)
        else:
            from mltrack.operations.keeping.gc import GcRequest
            from mltrack.operations.keeping.gc import gc as collect_here

            here = collect_here(project, GcRequest(tuple(drop or ()), pushed, apply, expanded), progress)
            told, page = to_dict(here), gc_page(here)
    if as_json:
        show_json(told)
    else:
        show(page)


def clean_workspaces(apply: bool, force: bool, as_json: bool) -> None:
    """The workspaces that nobody needs."""
    from mltrack.noun_json import to_dict
    from mltrack.operations.keeping.workspaces import clean
    from mltrack.views.console import show, show_json
    from mltrack.views.gc import workspaces_page

    with Project.get(working_directory()) as project:
        found = clean(project, apply, force)
    if as_json:
        show_json(to_dict(found))
    else:
        show(workspaces_page(found))


def du(
    refs: Annotated[list[str] | None, typer.Argument(metavar="[RUN...]", help="Which runs; by default all.")] = None,
    by: Annotated[str, typer.Option("--by", metavar="run|path|kind", help="What to sum up by.")] = "run",
    as_json: Json = False,
) -> None:
    """Say what takes the space of the store, and how much deduplication and compression save."""
    from mltrack.noun_json import to_dict
    from mltrack.operations.keeping.du import GROUPS
    from mltrack.operations.keeping.du import du as measure
    from mltrack.views.console import show, show_json
    from mltrack.views.du import du_page

    if by not in GROUPS:
        raise UsageError(f"{by!r} is nothing to sum up by.", f"Use one of: {', '.join(GROUPS)}.")
    with Project.get(working_directory()) as project:
        usage = measure(project, refs or (), by)
    if as_json:
        show_json(to_dict(usage))
    else:
        show(du_page(usage))


def doctor(as_json: Json = False) -> int:
    """Check that mltrack can work here. Exits 1 when something is wrong."""
    from mltrack.noun_json import to_dict
    from mltrack.operations.doctor import examine
    from mltrack.views.console import show_json

    findings = examine(working_directory())
    if as_json:
        show_json(to_dict(findings))
    else:
        for finding in findings:
            print(f"{finding.state:8} {finding.what}" + (f"  ->  {finding.advice}" if finding.advice else ""))
    return CHECK_FAILED if any(finding.state == "failure" for finding in findings) else 0


def demo(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="A new directory; by default mltrack-demo, or mltrack-demo-2, ..."),
    ] = None,
) -> int:
    """See the whole story on a real data set, in a minute."""
    from mltrack.cli.demo import free_directory, tell_story

    here = Path(working_directory())
    return tell_story(here / directory if directory else free_directory(here))
