"""`mltrack export` and `mltrack import`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from mltrack.cli.choosing import choosing
from mltrack.cli.options import Json
from mltrack.cli.start import say, working_directory
from mltrack.errors import NotFound, UsageError
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.operations.seeing.selection import Choice

MOST_TOLD = 20
"""Lines of a file that are named when they cannot be taken over."""


@choosing
def export(
    choice: Choice,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="jsonl (import takes it over exactly), json, csv or parquet."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; - or nothing is stdout.")
    ] = None,
    hidden: Annotated[bool, typer.Option("--all", help="Hidden runs too, and those of calibrations.")] = False,
) -> None:
    """Write runs to a file, for another project or another tool; all runs, or those that are named or fit.

    The format is that of the file's name, else jsonl: a line a run, with all that is known of it but its data; a name
    that ends with .gz is compressed.
    """
    from mltrack.operations.exchange.export import ExportRequest, form_of, packing, whole_file
    from mltrack.operations.exchange.export import export as write
    from mltrack.views.tables.counting import Counting

    target = None if output is None or str(output) == "-" else Path(working_directory(), output)
    request = ExportRequest(choice, form_of(form, target), hidden=hidden)
    with Project.get(working_directory()) as project, Counting("export", "runs") as count:
        if target is None:
            with standard_output(request.form) as out:
                write(project, request, out, say, count)
            return
        with whole_file(target) as file, packing(file, target) as inside:
            written = write(project, request, inside, say, count)
    say(f"{written:,} run{'' if written == 1 else 's'} in {output}")


@contextmanager
def standard_output(form: str) -> Iterator[IO[bytes]]:
    """Standard output for bytes; on a terminal what could command it is made visible. Raises UsageError."""
    if not sys.stdout.isatty():
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if form == "parquet":
        raise UsageError("Parquet is nothing for a terminal.", "Name a file: -o runs.parquet")
    from mltrack.views.exchange import Visible

    with BufferedWriter(Visible(sys.stdout)) as out:
        yield out


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What export wrote: .jsonl, .json or .gz; - is stdin.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken over.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Pass over lines that cannot be taken over; else none is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take runs over from a file: what is here already is not taken again. No data comes with a file."""
    from mltrack.noun_json import to_dict
    from mltrack.operations.exchange.importing import ImportRequest, import_runs
    from mltrack.views.console import show, show_json
    from mltrack.views.exchange import import_page
    from mltrack.views.progress import Progress

    path = Path(working_directory(), file)
    request = ImportRequest("-" if file == "-" else path.name, dry_run, skip_bad)
    with Project.open(working_directory()) as project:
        if file == "-":
            with Progress("import") as progress:
                report = import_runs(project, request, sys.stdin.buffer, progress)
        else:
            if path.is_dir():
                raise UsageError(f"{file} is a directory.", "Name a file that `mltrack export` wrote.")
            try:
                opened = path.open("rb")
            except FileNotFoundError as error:
                raise NotFound(f"There is no file {file}.", "Write one with: mltrack export -o runs.jsonl") from error
            size = None if path.suffix == ".gz" else path.stat().st_size
            with opened, Progress("import", size) as progress:
                report = import_runs(project, request, opened, progress)
    for bad in report.refused[:MOST_TOLD]:
        say(f"line {bad.number} was passed over: {bad.reason}. {bad.hint}")
    if as_json:
        show_json(to_dict(report))
    else:
        show(import_page(report, request.name, MOST_TOLD))
