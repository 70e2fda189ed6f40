"""`mltrack reproduce`, `checkout`, `get`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mltrack.cli.options import Into, Json, Ref
from mltrack.cli.start import say, working_directory
from mltrack.errors import UsageError
from mltrack.project import Project
from mltrack.views.console import show, show_json

if TYPE_CHECKING:
    from mltrack.operations.bring import Got
    from mltrack.operations.checkout import CheckedOut
    from mltrack.operations.contents import Held
    from mltrack.records import Run
    from mltrack.store.checkout import Manner


def absolute(place: Path) -> Path:
    """A place that was typed, without `..`."""
    return Path(os.path.abspath(place))


def reproduce(
    ref: Ref,
    url: Annotated[str | None, typer.Option("--from", metavar="URL", help="The remote that has the run.")] = None,
    into: Into = None,
    put_back: Annotated[
        bool, typer.Option("--put-back", help="Write data outside the project at its own place, where nothing is.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would take; start nothing.")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove the workspace at the end, if the verdict holds.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Run a past run again from its record, and compare the results.

    Code, data and environment are restored in a directory of their own. Exits 0 when the result is the same (identical
    to within noise), 1 otherwise; with --plan 0 when it can be got again, 6 when something that is needed is missing
    everywhere, 1 when something else stands against it.
    """
    if plan:
        return show_plan(ref, url, put_back, into and absolute(into), as_json)
    if clean and into:
        raise UsageError("--clean is for workspaces of mltrack's own.", "Leave --into away, or remove it yourself.")
    from mltrack.compare.verdict.grades import is_success
    from mltrack.noun_json import to_dict
    from mltrack.operations.repeating.repetition import Asked
    from mltrack.operations.repeating.reproduce import reproduce as reproduce_run

    asked = Asked(say, as_json, put_back, clean=clean)
    done = reproduce_run(ref, working_directory(), url, into and absolute(into), asked)
    if as_json:
        from mltrack.views.json import run_json

        show_json(
            {
                "verdict": to_dict(done.verdict),
                "run": run_json(done.now) if done.now else None,
                "directory": None if done.is_gone else str(done.directory),
            }
        )
    else:
        from mltrack.views.verdict import verdict_page

        show(verdict_page(done.verdict, done.now.id if done.now else None))
        say("The workspace was removed." if done.is_gone else f"The reproduction is in {done.directory}")
    return 0 if is_success(done.verdict.grade) else 1


def show_plan(ref: str, url: str | None, put_back: bool, into: Path | None, as_json: bool) -> int:
    """What a reproduction would take; the exit code."""
    from mltrack.errors import CheckFailed, DataMissing
    from mltrack.operations.repeating.plan import Foretelling, foretell

    found = foretell(Foretelling(ref, working_directory(), url, into, put_back), say)
    if as_json:
        from mltrack.noun_json import to_dict

        show_json(to_dict(found))
    else:
        from mltrack.views.foretold import foretold_page

        show(foretold_page(found))
    return DataMissing.exit_code if found.missing else CheckFailed.exit_code if found.obstacles else 0


Link = Annotated[
    str,
    typer.Option(
        "--link",
        metavar="copy|reflink|hard|symlink|auto",
        help="How large files come: auto clones them where the filesystem can; links are read-only.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Keep aside what differs, instead of refusing.")]


def checkout(
    ref: Ref,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH...]", help="Only these; by default all code and inputs.")
    ] = None,
    into: Into = None,
    link: Link = "auto",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Lay out the code and the inputs of a run, or some of its paths, in a directory.

    What is there already and right is left alone; if something differs, nothing is written.
    """
    from mltrack.operations.checkout import CheckoutRequest
    from mltrack.operations.checkout import checkout as lay_out
    from mltrack.views.progress import Progress

    request = CheckoutRequest(ref, into and absolute(into), tuple(map(plain, paths or ())))
    with Project.get(working_directory()) as project, Progress("checkout") as progress:
        done = lay_out(project, request, manner(project, link, force, progress), say)
    if as_json:
        left = {"not_laid_out": list(done.not_laid_out)}
        show_json({"run": done.run.id, "directory": str(done.directory), **facts(done), **left})
    else:
        what = "The paths that were asked for" if paths else f"The code and inputs of {done.run.id}"
        print(f"{what} are in {done.directory}")
        tell_rest(done)


def get(
    ref: Ref,
    path: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="An artifact or input, or a path inside one.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PLACE", help="Where to; - is standard output.")
    ] = None,
    link: Link = "auto",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a file or directory of a run here; without PATH, list what there is.

    What is there already and right is left alone; if something differs, nothing is written.
    """
    from mltrack.operations import bring
    from mltrack.views.progress import Progress

    with Project.get(working_directory()) as project:
        if path is None:
            show_contents(*bring.listing(project, ref), as_json)
            return
        if output == "-":
            sys.stdout.buffer.write(bring.read(project, ref, plain(path)))
            return
        request = bring.GetRequest(ref, plain(path), Path(output) if output else None)
        with Progress("get") as progress:
            done = bring.get(project, request, manner(project, link, force, progress))
    if as_json:
        show_json({"path": path, "place": str(done.place), **facts(done)})
    else:
        print(f"Wrote {done.place}" if done.written else f"{done.place} is right already")
        tell_rest(done)


def plain(path: str) -> str:
    """A path as records have it: without `./` in front and `/` behind."""
    return path.removeprefix("./").rstrip("/") or path


def manner(project: Project, link: str, force: bool, progress: Callable[[int], None]) -> Manner:
    """How files are to come. Raises UsageError for a kind of link that is none."""
    from mltrack.store.checkout import LINKS, Manner
    from mltrack.store.expanded import Expanded

    if link not in LINKS:
        raise UsageError(f"There is no way to link called {link!r}.", f"Use one of: {', '.join(LINKS)}.")
    return Manner(force, link, Expanded(project.expanded, lambda: project.stat_cache), progress)


def facts(done: CheckedOut | Got) -> dict[str, Any]:
    kept = str(done.kept_aside) if done.kept_aside else None
    return {"written": done.written, "left": done.left, "kept_aside": kept}


def tell_rest(done: CheckedOut | Got) -> None:
    """What else there is to say: on stderr."""
    if done.left:
        say(f"{done.left} of {done.left + done.written} files were right already and were left alone")
    if done.kept_aside is not None:
        say(f"what was there and differed is in {done.kept_aside}")


def show_contents(run: Run, contents: list[Held], as_json: bool) -> None:
    if as_json:
        from mltrack.noun_json import to_dict

        show_json({"run": run.id, "contents": to_dict(contents)})
    else:
        from mltrack.views.contents import contents_page

        show(contents_page(run, contents))
