"""What a person asks for, in the query language and by its short forms, as a query for the ledger."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.language.tree import Node
    from mltrack.operations.request import Tell
    from mltrack.operations.seeing.runs import Runs
    from mltrack.project import Project


@noun
class Bounds:
    """What must hold of runs beside a query."""

    since: str | None = None
    until: str | None = None
    branch: str | None = None


ALWAYS = Bounds()


def condition_of(words: Sequence[str], bounds: Bounds = ALWAYS, project: Project | None = None) -> Node | None:
    """The words of a query, and what else must hold; None where nothing is asked. Raises UsageError, which knows the
    names of the runs of the project."""
    if not words and bounds == ALWAYS:
        return None
    from mltrack.ledger.language.tree import Compare, Every, Literal

    branch = bounds.branch
    parts: list[Node] = [read_query(words, project)]
    if bounds.since is not None:
        parts.append(created(">=", bounds.since, "--since"))
    if bounds.until is not None:
        parts.append(created("<=", bounds.until, "--until"))
    if branch is not None:
        parts.append(Compare(known_field("branch"), "=", (Literal(branch),)))
    parts = [part for part in parts if part != Every()]
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def read_query(words: Sequence[str], project: Project | None) -> Node:
    from mltrack.ledger.language.parser import join_words, parse
    from mltrack.ledger.language.problems import QueryError

    try:
        return parse(join_words(words))
    except QueryError as error:
        if project is None:
            raise
        from mltrack.operations.seeing.naming import informed

        raise informed(error, project) from None


def created(operator: str, text: str, option: str) -> Node:
    """Since or until a time: `2d` is two days ago, `2026-11-01` the whole of that day. Raises UsageError."""
    from datetime import datetime, timezone

    from mltrack.ledger.language.literals import read_time
    from mltrack.ledger.language.tree import Compare, Literal

    now = datetime.now(timezone.utc)
    span = read_time(text, now) or read_time(f"-{text}", now)
    if span is None:
        raise UsageError(
            f"{option}: {text[:80]!r} is no time.", 'Write 2d, "2 days ago", today, yesterday or 2026-11-01.'
        )
    return Compare(known_field("created"), operator, (Literal(text, span=span),))


def known_field(name: str) -> Any:
    from mltrack.ledger.language.fields import find_field

    found = find_field(name)
    assert found is not None, name
    return found


def tell_unknown(project: Project, query: RunQuery, tell: Tell) -> None:
    """Say which names in a query no run has, so that an empty list does not look like an answer."""
    if query.where is None and query.sort in ("", "created_at", "-created_at"):
        return
    from mltrack.operations.find import alive
    from mltrack.operations.seeing.naming import mistaken

    live = alive(project)
    names = [("metric", name) for run in live for name in run.metrics]
    names += [("param", name) for run in live for name in run.params]
    for sentence in (*project.ledger.unknown_names(query, names), *mistaken(project, query, live)):
        tell(sentence)


def runs(
    query: str = "",
    *,
    sort: str = "-created_at",
    limit: int | None = None,
    since: str | None = None,
    until: str | None = None,
    branch: str | None = None,
    directory: str | Path | None = None,
) -> Runs:
    """The runs of the project around `directory` that fit a query of `docs/reference/query.md`, newest first.

    A list, with `to_pandas()`, `to_polars()`, `to_arrow()`. `sort` is a field, after `-` largest first; `since` and
    `until` are times such as `2d` or `2026-11-01`. Without a directory it is the current one's project; in what mltrack
    laid out, the project that did. Raises UsageError for what cannot be asked, NotFound without a project.
    """
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.find import list_runs
    from mltrack.operations.request import silent
    from mltrack.operations.seeing.naming import full_name
    from mltrack.operations.seeing.runs import Runs
    from mltrack.project import Project

    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UsageError(f"limit={limit!r} is no number of runs.", "Give an integer from 1, or None for all.")
    bounds = Bounds(since, until, branch)
    start = Path.cwd() if directory is None else Path(directory).absolute()
    variables = os.environ if directory is None else {}
    with Project.find(start) or laid_out_by(start, variables) or Project.get(start) as project:
        asked = RunQuery(limit, where=condition_of([query], bounds, project), without_packages=False)
        asked = replace(asked, sort=sort and full_name(project, sort, asked, silent))
        return Runs(list_runs(project, asked), project.root)


def laid_out_by(start: Path, variables: Mapping[str, str]) -> Project | None:
    """The project that owns a workspace: it lies below its `.mltrack/`, or was named by a person, and then the command
    that runs there was told where to put its artifacts."""
    from mltrack.project import STATE, Project

    told = variables.get("MLTRACK_ARTIFACTS")
    for place in (start, *((Path(told),) if told else ())):
        for above in place.parents:
            if above.name == STATE and above.is_dir():
                return Project(above.parent)
    return None
