"""`mltrack diff`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Json
from mltrack.cli.start import say, working_directory
from mltrack.errors import DataMissing, UsageError
from mltrack.project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mltrack.operations.differences import Compared, Wanted


def diff(
    a: Annotated[str | None, typer.Argument(metavar="[A]", help="A run; by default the one before the newest.")] = None,
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="Another; by default the newest.")] = None,
    section: Annotated[
        str | None, typer.Option("--section", metavar="NAME,...", help="Only these: params, metrics, code, patch ...")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of long sections, on a terminal too.")] = False,
    stat: Annotated[bool, typer.Option("--stat", help="The code as counts of lines, without the patch.")] = False,
    name_only: Annotated[bool, typer.Option("--name-only", help="Only the names of the code's files.")] = False,
    tool: Annotated[
        str | None,
        typer.Option("--tool", "-t", metavar="[NAME]", help="Show the code in git's difftool, or in the one named."),
    ] = None,
    data: Annotated[
        bool, typer.Option("--data", help="Look into large tables too, and into as many as differ.")
    ] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when they differ.")] = False,
    as_json: Json = False,
) -> int:
    """Show every difference between two runs.

    Sections: command, code, data, environment, hardware, inputs, params, metrics, artifacts, outcome, circumstances,
    patch.
    """
    from mltrack.views.console import show_json, write

    sections = sections_of(section, stat)
    with Project.get(working_directory()) as project:
        refs = two_refs(project, a, b)
        if tool is not None:
            return show_in_tool(project, *refs, tool or None)
        is_for_eyes = not (as_json or name_only)
        found, missing = compared(project, refs, wanted(sections, not is_for_eyes, data), is_for_eyes)
    if as_json:
        from mltrack.compare.differences import to_json

        show_json(to_json(found.differences))
    elif name_only:
        write(sys.stdout, "".join(f"{one.path}\n" for one in found.differences.code_files))
    else:
        show_page(found, sections, everything)
    if missing is not None:
        raise missing
    return int(exit_code and not found.differences.is_empty)


def two_refs(project: Project, a: str | None, b: str | None) -> tuple[str, str]:
    """What names the two runs; by default the newest two of this checkout, or of all where it has none."""
    from mltrack.operations.find import newest_ids

    if a is not None and b is not None:
        return a, b
    newest = newest_ids(project, 2 if a is None else 1, say)
    return newest[-1] if a is None else a, newest[0] if b is None else b


def compared(
    project: Project, refs: tuple[str, str], wanted: Wanted, is_for_eyes: bool
) -> tuple[Compared, DataMissing | None]:
    """What differs; where the code is not to be had, a person gets all else, and then the error."""
    from mltrack.operations.differences import compare

    try:
        return compare(project, *refs, wanted), None
    except DataMissing as error:
        if not is_for_eyes:
            raise
        return compare(project, *refs, replace(wanted, code=False)), error


def sections_of(asked: str | None, stat: bool) -> tuple[str, ...]:
    """The names of the sections to be shown. Raises UsageError for one that is none."""
    from mltrack.views.differences import NAMES, PATCH

    names = NAMES if asked is None else tuple(name.strip() for name in asked.split(",") if name.strip())
    for name in names:
        if name not in NAMES:
            from difflib import get_close_matches

            near = get_close_matches(name, NAMES, 1)
            raise UsageError(
                f"There is no section called {name}.",
                f"Did you mean {near[0]}?" if near else f"There are: {', '.join(NAMES)}.",
            )
    return tuple(name for name in names if name != PATCH) if stat else names


def wanted(sections: Sequence[str], is_whole: bool, data: bool) -> Wanted:
    """What has to be read for these sections; all of it where the differences are not for the eye."""
    from mltrack.operations.differences import EVERYTHING, DataLimits, Wanted
    from mltrack.views.differences import MOST

    limits = EVERYTHING if data else DataLimits()
    if is_whole:
        return Wanted(True, limits, 0)
    return Wanted(
        bool({"code", "data", "patch"} & set(sections)),
        limits if {"code", "data", "patch", "inputs", "artifacts"} & set(sections) else None,
        MOST if "metrics" in sections and sys.stdout.isatty() else 0,
    )


def show_page(found: Compared, sections: tuple[str, ...], everything: bool) -> None:
    from mltrack.views.differences import Asked, differences_page
    from mltrack.views.pager import paged

    asked = Asked(sections, everything, found.series)
    paged(differences_page(found.differences, found.a, found.b, asked=asked))


def show_in_tool(project: Project, a: str, b: str, tool: str | None) -> int:
    """The code of two runs in a difftool. Raises UsageError where git could not start it, or it failed."""
    from mltrack.operations.differences import open_tool

    code = open_tool(project, a, b, tool)
    if code is None:
        say("the code is the same.")
    elif code:
        raise UsageError(
            f"The difftool ended with exit code {code}.",
            "See which there are with `git difftool --tool-help`, and choose one: git config --global diff.tool NAME",
        )
    return 0
