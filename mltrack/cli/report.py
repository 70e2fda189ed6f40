"""`mltrack report`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.choosing import choosing
from mltrack.cli.start import say, working_directory
from mltrack.errors import UsageError
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.operations.reporting.report import Material
    from mltrack.operations.seeing.selection import Choice

ENDINGS = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}


@choosing
def report(
    choice: Choice,
    against: Annotated[
        str | None, typer.Option("--against", metavar="RUN", help="Hold the others against this run.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="FILE.html or FILE.md; - is stdout.")
    ] = None,
    form: Annotated[str | None, typer.Option("--format", metavar="html|md", help="Where no FILE says it.")] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="What stands above it.")] = None,
    plots: Annotated[bool, typer.Option("--plots", help="In Markdown too: drawn as text.")] = False,
    max_size: Annotated[
        str, typer.Option("--max-size", metavar="SIZE", help="Of all pictures among the artifacts: 10MB, 500kB ...")
    ] = "10MiB",
    fetch: Annotated[bool, typer.Option("--fetch", help="Bring what is missing here from the remotes.")] = False,
    opened: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is no report.")] = False,
) -> None:
    """Write one file that tells the story of a run, compares two, or many; by default of the newest run.

    Runs stand as they are named; those of a query the oldest first.

    The HTML needs no network and holds no script; the Markdown is short enough for a pull request. The name of the file
    is printed. A report that is there already is written anew, any other file is left alone.
    """
    from mltrack.config import parse_size
    from mltrack.operations.reporting.report import Asked, material

    form = asked_form(output, form)
    has_pictures = form == "html" or plots
    asked = Asked(choice, against, title, form == "html", has_pictures, parse_size(max_size, "--max-size"), fetch)
    with Project.get(working_directory()) as project:
        found = material(project, asked, say)
    put_out(found, form, output, plots, (force, opened))


def asked_form(output: Path | None, form: str | None) -> str:
    """`html` or `md`, by the word or by the ending of the file. Raises UsageError."""
    if form is not None and form not in ENDINGS.values():
        raise UsageError(f"{form!r} is no format of a report.", "Use one of: html, md.")
    if output is None or str(output) == "-" or form is not None:
        return form or "html"
    if output.suffix.lower() not in ENDINGS:
        raise UsageError(f"{output.name} has no ending of a report.", "Use one of: .html, .md; or say --format.")
    return ENDINGS[output.suffix.lower()]


def put_out(found: Material, form: str, output: Path | None, plots: bool, how: tuple[bool, bool]) -> None:
    """Write the file and print its name, or write all to stdout. `how`: whether forced, and whether to be opened."""
    from mltrack.operations.reporting.report_file import check_free, keep_report, name_for, show_in_browser
    from mltrack.views.console import write
    from mltrack.views.report.made import written

    force, is_opened = how
    place = output or Path(name_for(found.runs, form))
    to_stdout = str(place) == "-"
    if not to_stdout:
        check_free(place, force)  # before anything is drawn
    text = written(found, form, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), plots)
    if to_stdout:
        write(sys.stdout, text)
        return
    keep_report(place, text, force)
    write(sys.stdout, f"{place}\n")
    if is_opened and not show_in_browser(place):
        say(f"no browser is known here, so {place} is not opened; BROWSER may name one.")
