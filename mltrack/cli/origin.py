"""`mltrack blame`, `lineage`."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Json
from mltrack.cli.start import say, working_directory
from mltrack.errors import NotFound, UsageError
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.operations.origin.lineage import Lineage, Ways
    from mltrack.operations.origin.origins import Origins
    from mltrack.operations.origin.subject import Subject

FORMATS = ("tree", "dot", "json", "mermaid")

Fetch = Annotated[bool, typer.Option("--fetch", help="Bring lists of directories that are not here from the remotes.")]
From = Annotated[str | None, typer.Option("--from", metavar="URL", help="Outside of a project: where the runs are.")]


def blame(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A file or directory anywhere, `-` for stdin, or a digest `b3:...`.")
    ],
    url: From = None,
    fetch: Fetch = False,
    as_json: Json = False,
) -> int:
    """Say which run made a file, or used it, by its content, whatever its name now.

    Exits 4 when no run is known to have had it, with what can be said of it all the same.
    """
    from mltrack.operations.origin.blame import blame as find_runs
    from mltrack.operations.origin.origins import ask
    from mltrack.operations.running.reconcile import reconcile
    from mltrack.views.blame import blame_json, blame_page, unknown_text
    from mltrack.views.console import show_json
    from mltrack.views.pager import paged

    with place_of(file, url) as project:
        live = reconcile(project)
        content = None if looks_like_digest(file) else subject_of(project, file)
        found = ask(
            project,
            fetch or url is not None,
            say,
            lambda origins: find_runs(origins, content or digest_of(origins, file), live),
        )
        if as_json:
            show_json(blame_json(found))
            return 0 if found.run else NotFound.exit_code
        if found.run is None:
            raise NotFound(*unknown_text(found))
        paged(blame_page(found))
    return 0


def lineage(
    what: Annotated[
        str, typer.Argument(metavar="RUN|FILE", help="A run; else a file, directory, `-` for stdin, or a digest.")
    ],
    up: Annotated[bool, typer.Option("--up", help="Only where it came from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what used it.")] = False,
    depth: Annotated[int | None, typer.Option("--depth", metavar="N", min=1, help="How many runs far.")] = None,
    form: Annotated[str, typer.Option("--format", metavar="tree|dot|json|mermaid", help="How to print it.")] = "tree",
    url: From = None,
    fetch: Fetch = False,
    as_json: Json = False,
) -> None:
    """Draw the graph through runs that share content: an artifact of one is an input of another.

    By content alone, whatever the paths; files in directories count.
    """
    from mltrack.operations.origin.lineage import Ways

    gc.disable()  # tens of thousands of objects that all live to the end
    if form not in FORMATS:
        raise UsageError(f"There is no format called {form}.", f"Use one of: {', '.join(FORMATS)}.")
    ways = Ways(up or not down, down or not up, depth)
    with place_of(what, url) as project:
        print_graph(found_graph(project, what, ways, fetch or url is not None), "json" if as_json else form)


def found_graph(project: Project, what: str, ways: Ways, fetch: bool) -> Lineage:
    """The graph around a run or a content: what is no run is a file, if there is one."""
    from mltrack.operations.find import find_run
    from mltrack.operations.origin.lineage import of_run, of_subject
    from mltrack.operations.origin.origins import ask

    if looks_like_digest(what):
        return ask(project, fetch, say, lambda origins: of_subject(origins, digest_of(origins, what), ways))
    if what != "-" and not what.startswith((".", "/")):
        try:
            run = find_run(project, what)
        except NotFound:
            if not os.path.exists(what):
                raise
        else:
            return ask(project, fetch, say, lambda origins: of_run(origins, run, ways))
    content = subject_of(project, what)
    return ask(project, fetch, say, lambda origins: of_subject(origins, content, ways))


def print_graph(found: Lineage, form: str) -> None:
    from mltrack.views import lineage
    from mltrack.views.console import show
    from mltrack.views.pager import paged

    if form == "json":
        show(lineage.lineage_text(found))
    elif form == "tree":
        from mltrack.views.lineage_tree import Tree

        paged(Tree(found))
    else:
        show(lineage.dot(found) if form == "dot" else lineage.mermaid(found))


@contextmanager
def place_of(file: str, url: str | None) -> Iterator[Project]:
    """The project to ask: the one here, else the one that the file lies in, else the records of a remote."""
    from mltrack.operations.repeating.plan import place_to_look
    from mltrack.operations.share import clone_records

    here = working_directory()
    parent = Path(os.path.abspath(file)).parent
    project = Project.find(here) or (Project.find(parent) if os.path.exists(file) else None)
    if project is not None:
        with project:
            bring_records(project, url)
            yield project
        return
    if url is None:
        raise NotFound("There is no mltrack project here.", "Name where the runs are: --from URL")
    with place_to_look(here, url) as top:
        assert top is not None
        with clone_records(url, top, say) as project:
            yield project


def bring_records(project: Project, url: str | None) -> None:
    if url is not None:
        from mltrack.operations.share import pull_from

        pull_from(project, url, say)


def looks_like_digest(text: str) -> bool:
    from mltrack.operations.origin import subject

    return subject.looks_like_digest(text)


def digest_of(origins: Origins, text: str) -> Subject:
    from mltrack.operations.origin.subject import of_digest

    return of_digest(origins.project, text, origins.members.beginning)


def subject_of(project: Project, file: str) -> Subject:
    """The content of a file, drawn while it takes long."""
    from mltrack.operations.origin import subject
    from mltrack.views.progress import Progress

    if file == subject.STANDARD_INPUT:
        return subject.of_stream(sys.stdin.buffer)
    with Progress("reading") as progress:
        return subject.of_path(project, working_directory(), file, progress)
