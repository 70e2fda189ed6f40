"""`mltrack remote`, `push`, `pull`, `clone`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Json, RemoteName, Runs, Where
from mltrack.cli.start import say, working_directory
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.sync.planning import Plan
    from mltrack.sync.transfer import Transfer

remote = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
Refs = Annotated[list[str] | None, typer.Argument(metavar="[RUN...]", help="Which runs; by default all.")]


@remote.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it; origin is the default of push.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="A directory or an fsspec URL, without a password.")],
    shared: Annotated[bool, typer.Option("--shared", help="Write it to mltrack.yaml, for everybody.")] = False,
) -> None:
    """Remember a remote."""
    from mltrack.operations.share import add_remote

    with Project.open(working_directory()) as project:
        print(f"{name} is {add_remote(project, name, url, shared)}")


@remote.command("ls")
def list_remotes(
    look: Annotated[bool, typer.Option("--look/--no-look", help="Ask each remote what it has.")] = True,
    as_json: Json = False,
) -> None:
    """List the remotes of this project and what they have."""
    import time

    from mltrack.noun_json import to_dict
    from mltrack.operations.share import remotes
    from mltrack.views.console import show, show_json
    from mltrack.views.remotes import remotes_page

    with Project.get(working_directory()) as project:
        rows = list(remotes(project, look))
    if as_json:
        show_json(to_dict(rows))
    else:
        show(remotes_page(rows, time.time()))


@remote.command()
def rm(name: Annotated[str, typer.Argument(metavar="NAME", help="A remote of this checkout.")]) -> None:
    """Forget a remote. What is on it stays."""
    from mltrack.operations.share import remove_remote

    with Project.get(working_directory()) as project:
        remove_remote(project, name)
        print(f"{name} is forgotten; what is on it stays.")


def push(
    runs: Runs = None,
    where: Where = None,
    name: RemoteName = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say how much it would be.")] = False,
    wheels: Annotated[
        bool, typer.Option("--wheels", help="Send the packages too, so that no package index is needed.")
    ] = False,
    images: Annotated[
        bool, typer.Option("--images", help="Send the container images too, so that no registry is needed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send runs and their data to a remote: all, those that are named, or those of a query.

    What is there already is not sent again.
    """
    from mltrack.operations.share import gather, plan_push, selected
    from mltrack.operations.share import push as send
    from mltrack.views.progress import Progress

    with Project.get(working_directory()) as project:
        project.tell = say
        ids = selected(project, runs or (), where, say)
        if plan:
            planned(plan_push(project, ids, name), "send", True, as_json)
            return
        for carried in gather(project, ids, wheels, images, say):
            for warning in carried.warnings:
                say(f"warning: {carried.run}: {warning.message}")
        with Progress("push") as progress:
            moved = send(project, ids, name, progress)
    if moved.left:
        what = "run, imported without its data, stays" if moved.left == 1 else "runs, imported without their data, stay"
        say(f"{moved.left:,} {what} here: mltrack pull --data, or push from where they were made.")
    told(moved, "Sent", as_json)


def pull(
    refs: Refs = None,
    name: RemoteName = None,
    data: Annotated[bool, typer.Option("--data", help="Bring the objects too, not only the records.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say how much it would be.")] = False,
    as_json: Json = False,
) -> None:
    """Bring runs, and on request their data, from a remote."""
    from mltrack.operations.share import plan_pull
    from mltrack.operations.share import pull as receive
    from mltrack.views.progress import Progress

    with Project.get(working_directory()) as project:
        project.tell = say
        if plan:
            planned(plan_pull(project, refs or (), name, data), "bring", data, as_json)
            return
        with Progress("pull") as progress:
            moved = receive(project, refs or (), name, data, progress)
    told(moved, "Received", as_json)


def clone(
    url: Annotated[str, typer.Argument(metavar="URL", help="The remote: a directory or an fsspec URL.")],
    directory: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The directory to make.")] = None,
    as_json: Json = False,
) -> None:
    """Make a project from a remote: a git repository with the records; data comes when it is asked for."""
    from mltrack.operations.share import clone as make_clone
    from mltrack.views.console import show_json

    top = Path(working_directory(), directory or url.rstrip("/").rsplit("/", 1)[-1] or "clone")
    with make_clone(url, top, say) as project:
        count = project.ledger.count()
        if as_json:
            show_json({"directory": str(top), "runs": count})
        else:
            print(
                f"{top} has the records of {count} run{'' if count == 1 else 's'}; data comes when it is asked for.\n"
                "Look at them: mltrack ls"
            )


def planned(plan: Plan, verb: str, is_data_asked: bool, as_json: bool) -> None:
    from mltrack.noun_json import to_dict
    from mltrack.views.console import show, show_json
    from mltrack.views.remotes import plan_page

    if as_json:
        show_json(to_dict(plan))
    else:
        show(plan_page(plan, verb, is_data_asked))


def told(moved: Transfer, verb: str, as_json: bool) -> None:
    from mltrack.noun_json import to_dict
    from mltrack.views.console import show_json
    from mltrack.views.text import count, size

    if as_json:
        show_json(to_dict(moved))
    elif moved.records or moved.events or moved.objects:
        what = [count(moved.records, "run"), count(moved.events, "edit"), count(moved.objects, "object")]
        print(f"{verb} {', '.join(part for part in what if not part.startswith('0 '))}: {size(moved.bytes)}")
    else:
        print("Nothing to do: both sides have the same.")
