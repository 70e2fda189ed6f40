"""`mltrack sql`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Json
from mltrack.cli.start import working_directory
from mltrack.errors import NotFound, UsageError
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.ledger.asking.sql import Answer

ON_A_TERMINAL = 10_000
"""Rows of a table for a person, which is in memory whole; other formats are written as the rows come."""


def sql(
    question: Annotated[
        str | None, typer.Argument(metavar="[QUERY]", help="A SELECT; without one, what there is to ask.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", metavar="FILE", help="The query is in a file.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="The value of :NAME in the query."),
    ] = None,
    form: Annotated[str | None, typer.Option("--format", metavar="NAME", help="table, csv, json, jsonl or md.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the SQL that made the ledger.")] = False,
    as_json: Json = False,
) -> None:
    """Ask the ledger in SQL; nothing is changed. Without a query: the views there are, their columns and examples."""
    from mltrack.operations.exchange import sql as asking
    from mltrack.views.console import show, show_json
    from mltrack.views.sql import views_page
    from mltrack.views.tables.tabular import checked_form

    form = "json" if as_json else checked_form(form or ("table" if sys.stdout.isatty() else "csv"))
    text = query_text(question, file)
    with Project.get(working_directory()) as project:
        if schema:
            show(";\n".join(asking.definitions(project)) + ";")
        elif text is not None:
            show_answer(asking.ask(project, text, dict(map(pair, values or ()))), form)
        elif as_json:
            show_json(
                {name: {"about": about, "columns": names} for name, (about, names) in asking.views(project).items()}
            )
        else:
            show(views_page(asking.views(project)))


def pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.lstrip(":@$").isidentifier():
        raise UsageError(f"-p {text[:60]} names no value.", "Such as: -p lr=0.1")
    return name.lstrip(":@$"), value


def query_text(question: str | None, file: Path | None) -> str | None:
    if file is None:
        return sys.stdin.read() if question == "-" else question
    if question is not None:
        raise UsageError("There is a query, and a file with one.", "Leave one.")
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return Path(working_directory(), file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {file}.", "Name one that holds a SELECT.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8.", "Save it as UTF-8.") from error


def show_answer(answer: Answer, form: str) -> None:
    """Print rows as they come; a table for a person when it is whole."""
    from itertools import islice

    from mltrack.views.console import is_terminal, shown_parts, write
    from mltrack.views.pager import paged
    from mltrack.views.sql import values_of
    from mltrack.views.tables.tabular import lines_of, table

    rows = values_of(answer.rows, for_person=form == "table")
    if form != "table":
        lines = chunks(lines_of(distinct(answer.names), rows, form))
        for part in shown_parts(lines) if is_terminal(sys.stdout) else lines:
            write(sys.stdout, part)
        return
    shown = list(islice(rows, ON_A_TERMINAL + 1))
    remarks = (f"Only the first {ON_A_TERMINAL:,} rows: all with --format csv",) if len(shown) > ON_A_TERMINAL else ()
    paged(table(distinct(answer.names), shown[:ON_A_TERMINAL], remarks))


def distinct(names: Sequence[str]) -> list[str]:
    """Names of columns, of which several may be called the same."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return made


def chunks(lines: Iterator[str], many: int = 500) -> Iterator[str]:
    from itertools import islice

    while text := "".join(islice(lines, many)):
        yield text
