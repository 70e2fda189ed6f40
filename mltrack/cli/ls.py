"""`mltrack ls`: the runs that fit a query, as a table or in a format for other programs."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Branch, Json, Limit, Since, Until, Where
from mltrack.cli.start import say, working_directory
from mltrack.errors import UsageError
from mltrack.nouns import noun
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.language.tree import Node
    from mltrack.operations.asking import Bounds
    from mltrack.operations.seeing.fields import Shown

ON_A_TERMINAL = 20
"""Runs that a table shows on a terminal, unless --limit says otherwise."""


@noun
class Way:
    """How runs are to be listed."""

    form: str
    columns: Sequence[str] = ()
    only_changed: bool = False
    verdicts: bool = False
    best: str | None = None
    group_by: Sequence[str] = ()
    headings: Mapping[str, str] | None = None
    """Column -> the bare name by which it was asked for."""


def ls(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUERY]...", help='Which runs, such as: "metrics.acc > 0.9 and tag:best".'),
    ] = None,
    where: Where = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="[-]FIELD", help="duration, metrics.NAME ...; with - largest first."),
    ] = None,
    best: Annotated[
        str | None,
        typer.Option("--best", metavar="[-]FIELD", help="The best run first; with -, smaller is better."),
    ] = None,
    limit: Limit = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="NAME,...", help="id, params.lr, acc, metrics, packages.numpy ..."),
    ] = None,
    only_changed: Annotated[
        bool, typer.Option("--only-changed", help="Only columns that differ between the runs; the others in one line.")
    ] = False,
    group_by: Annotated[
        str | None, typer.Option("--group-by", metavar="FIELD,...", help="A row for each value of a field.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORM", help="table, csv, json, jsonl (a run a line) or md.")
    ] = None,
    experiment: Annotated[str | None, typer.Option("--experiment", metavar="NAME", help="Only this group.")] = None,
    status: Annotated[str | None, typer.Option("--status", metavar="WORD", help="finished, failed, ...")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="WORD", help="Only runs with this tag.")] = None,
    since: Since = None,
    until: Until = None,
    branch: Branch = None,
    verdicts: Annotated[
        bool, typer.Option("--verdicts", help="Only runs that were compared with another, and what came out.")
    ] = False,
    hidden: Annotated[bool, typer.Option("--all", help="Hidden runs too, and those of calibrations.")] = False,
    as_json: Json = False,
) -> None:
    """List runs, newest first; those that fit a query, if there is one.

    A query compares fields, with and, or, not and parentheses around: metrics.acc > 0.9 and params.model = lstm.
    """
    gc.disable()  # thousands of objects that all live to the end: looking for garbage takes a third of the time
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.asking import Bounds
    from mltrack.operations.seeing.fields import split_columns
    from mltrack.operations.seeing.listing import check_together

    check_together(best, sort, group_by, only_changed)
    grouped = split_columns(group_by, "--group-by")
    way = Way(form_of(form, as_json), split_columns(columns), only_changed, verdicts, best, grouped)
    bounds = Bounds(since, until, branch)
    project = Project.find(working_directory())
    if project is None:
        asked_for(words or (), where, bounds, None)
        list_nothing(way)
        return
    with project:
        asked = asked_for(words or (), where, bounds, project)
        query = RunQuery(limit, sort or "", experiment, status, tuple(tags or ()), hidden, where=asked)
        list_them(project, query, way)


def asked_for(words: Sequence[str], where: str | None, bounds: Bounds, project: Project | None) -> Node | None:
    """The words of the query and --where must both hold."""
    from mltrack.ledger.language.tree import Every
    from mltrack.operations.asking import condition_of

    asked = condition_of(words, bounds, project)
    if where is None:
        return asked
    more = condition_of([where], project=project)
    return Every((asked, more)) if asked is not None and more is not None else asked or more


def form_of(form: str | None, as_json: bool) -> str:
    """One of the formats. Raises UsageError for none, and for two."""
    from mltrack.views.tables.tabular import checked_form

    if form is None:
        return "json" if as_json else "table"
    if as_json and form != "json":
        raise UsageError(f"--json and --format {form[:40]} are two formats.", "Leave one of them away.")
    return checked_form(form)


def list_nothing(way: Way) -> None:
    """Where there is no project there are no runs."""
    from mltrack.views.console import show
    from mltrack.views.tables.table import no_runs
    from mltrack.views.tables.tabular import lines_of

    if way.form == "table":
        show(no_runs())
    else:
        put(lines_of(way.group_by or way.columns or ("id",), (), way.form), way.form)


def list_them(project: Project, query: RunQuery, way: Way) -> None:
    """Print the runs that a query asks for, in the way that was asked for."""
    from mltrack.operations.asking import tell_unknown

    if way.verdicts:
        from mltrack.operations.judging.verdict import with_verdicts

        query = with_verdicts(query)
    if query.sort or way.best or way.group_by or way.columns:
        query, way = in_full(project, query, way)
    tell_unknown(project, query, say)
    for name in (*way.columns, *way.group_by):
        if name.startswith(("params.", "metrics.", "packages.")):
            tell_unknown(project, replace(query, where=None, sort=name), say)
    if query.limit is None and way.form == "table" and sys.stdout.isatty():
        query = replace(query, limit=ON_A_TERMINAL)
    if way.best and not way.group_by:
        from mltrack.operations.seeing.best_first import tell_unfinished

        tell_unfinished(project, query, say)
    if way.group_by:
        list_groups(project, query, way)
    elif way.form != "table":
        put(lines_for(project, query, way), way.form)
    elif way.verdicts and not way.columns and not way.only_changed:
        list_verdicts(project, query, way)
    else:
        list_table(project, query, way)


def in_full(project: Project, query: RunQuery, way: Way) -> tuple[RunQuery, Way]:
    """The same with the bare names of metrics and params in full, and the order that --best asks for."""
    from mltrack.operations.seeing.fields import field_called
    from mltrack.operations.seeing.listing import best_sort
    from mltrack.operations.seeing.naming import full_name

    def full(name: str) -> str:
        return full_name(project, name, query, say)

    columns = [full(name) for name in way.columns]
    asked = dict(zip(columns, way.columns, strict=True))
    headings = {column: name for column, name in asked.items() if field_called(name) is None}
    best = way.best and full(way.best)
    way = replace(way, best=best, group_by=[full(name) for name in way.group_by], columns=columns, headings=headings)
    if best is not None and not way.group_by:
        return replace(query, sort=best_sort(project, best, say)), way
    return replace(query, sort=query.sort and full(query.sort)), way


def put(parts: Iterable[str], form: str) -> None:
    """Write rows as they come; on a terminal through the pager."""
    from mltrack.views.console import is_terminal, show_parts, shown_parts, speaks_unicode

    if form in ("json", "jsonl") and not speaks_unicode(sys.stdout):
        from mltrack.views.json import ascii_only

        parts = map(ascii_only, parts)
    if is_terminal(sys.stdout):
        from mltrack.views.pager import paged

        paged("".join(shown_parts(parts)))
    else:
        show_parts(parts)


def list_table(project: Project, query: RunQuery, way: Way) -> None:
    from mltrack.operations.find import list_runs
    from mltrack.operations.seeing.best_first import best_runs
    from mltrack.operations.seeing.listing import Rows, focus_of, with_what_is_shown
    from mltrack.views.console import show
    from mltrack.views.pager import paged
    from mltrack.views.tables.table import changed_table, chosen_table, runs_table

    hidden = query.include_deleted
    total = project.ledger.count(hidden)
    if way.only_changed or way.columns:
        documents = list(Rows(project, with_what_is_shown(query, way.columns), is_best=way.best is not None))
        make = changed_table if way.only_changed else chosen_table
        paged(make(documents, way.columns, total=total))
    else:
        focus, is_brief = focus_of(query)
        list_in_order = list_runs if way.best is None else best_runs
        paged(runs_table(list_in_order(project, replace(query, brief=is_brief)), focus=focus, total=total))
    if hidden and project.ledger.deleted_ids():
        show(f"Hidden: {', '.join(sorted(project.ledger.deleted_ids()))}")


def list_verdicts(project: Project, query: RunQuery, way: Way) -> None:
    from mltrack.operations.find import list_runs
    from mltrack.operations.seeing.best_first import best_runs
    from mltrack.views.pager import paged
    from mltrack.views.verdicts import verdicts_page

    list_in_order = list_runs if way.best is None else best_runs
    paged(verdicts_page(list_in_order(project, replace(query, brief=True))))


def lines_for(project: Project, query: RunQuery, way: Way) -> Iterator[str]:
    """The runs as csv, json, jsonl or md: a run a line, as they come."""
    from itertools import chain

    from mltrack.operations.seeing.listing import Rows, flat_names, flat_rows, parted, rows_of, with_what_is_shown
    from mltrack.views.json import dumps_line
    from mltrack.views.tables.table import same_lines
    from mltrack.views.tables.tabular import lines_of, listed

    rows = Rows(project, with_what_is_shown(query, way.columns), is_best=way.best is not None)
    if way.form in ("json", "jsonl") and not way.columns and not way.only_changed:
        texts = map(dumps_line, rows)
        return listed(texts) if way.form == "json" else (f"{text}\n" for text in texts)
    if way.form == "csv" and not way.columns and not way.only_changed:
        names = flat_names(rows)
        return lines_of(names, flat_rows(names, rows), way.form)
    shown = columns_for(project, query, way, rows)
    if not way.only_changed:
        return lines_of([one.name for one in shown], rows_of(shown, rows), way.form)
    found = parted(shown, rows)
    shown = list(found.differing) or shown[:1]
    lines = lines_of([one.name for one in shown], rows_of(shown, rows), way.form)
    return chain(lines, same_lines(found.same)) if way.form == "md" else lines


def columns_for(project: Project, query: RunQuery, way: Way, rows: Iterable[dict[str, object]]) -> list[Shown]:
    """The columns of rows for another program: those asked for, or those of the table; with --only-changed more."""
    from mltrack.operations.find import list_runs
    from mltrack.operations.seeing.fields import FAMILIES, Names, shown
    from mltrack.operations.seeing.listing import changeable, everything, names_in
    from mltrack.views.tables.columns import default_names

    if way.columns:
        has_families = any(name.lower() in FAMILIES for name in way.columns)
        headings = way.headings or {}
        found = shown(way.columns, names_in(rows) if has_families else Names())
        return [replace(one, name=headings.get(one.name, one.name)) for one in found]
    if way.only_changed and way.form == "md":
        names = names_in(rows)
        return [*shown(("id", "created_at", "status", "name"), names), *changeable(names)]
    if way.only_changed:
        return everything(rows)
    return shown(default_names(list_runs(project, replace(query, brief=True))), names_in(()))


def list_groups(project: Project, query: RunQuery, way: Way) -> None:
    from mltrack.operations.seeing.groups import groups_of, with_columns
    from mltrack.views.pager import paged
    from mltrack.views.tables.groups import groups_rows, groups_table
    from mltrack.views.tables.tabular import lines_of

    found = groups_of(project, query, way.group_by, way.best, say)
    found = with_columns(found, way.columns) if way.columns else found
    if way.form == "table":
        paged(groups_table(found, query.limit))
    else:
        names, rows = groups_rows(found, query.limit)
        put(lines_of(names, rows, way.form), way.form)
