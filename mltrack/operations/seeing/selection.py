"""Which runs a command is about: names on the command line, queries, or both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import NotFound, UsageError
from mltrack.nouns import noun
from mltrack.operations.find import find_run

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.request import Tell
    from mltrack.project import Project
    from mltrack.records import Run

SIGNS = re.compile(r"[<>=~()]|\btag:|\s")
"""What a word of the query language has, and the name of a run has seldom; a run of that very name comes first."""


@noun
class Choice:
    """What was asked for on the command line."""

    words: tuple[str, ...] = ()
    """Names of runs (ids, names, tags, prefixes, `@`) and queries, in any order."""
    where: str | None = None
    since: str | None = None
    branch: str | None = None
    sort: str = ""
    """A field, after `-` largest first. Nothing: those named as they were named, the others newest first."""
    limit: int | None = None
    until: str | None = None

    @property
    def asks(self) -> bool:
        """Is there a question beside the words?"""
        return bool(self.where or self.since or self.until or self.branch)

    @property
    def is_empty(self) -> bool:
        return not (self.words or self.asks or self.limit)


def chosen_runs(project: Project, choice: Choice, tell: Tell) -> list[Run]:
    """The runs that were named, in that order, then those that fit what was asked, each once; of nothing, all.

    `sort` and `limit` are for those asked for; where runs are only named, for these. Raises NotFound for a name that is
    none and for no run at all, Ambiguous, UsageError for a query that cannot be read.
    """
    named, asked = split(project, choice.words)
    is_asked = bool(asked or choice.asks or not named)
    found = {run.id: run for run in named}
    if is_asked:
        for run in asked_for(project, choice, asked, tell):
            found.setdefault(run.id, run)
    else:
        found = {one: found[one] for one in in_order(project, list(found), choice, tell)}
    if not found:
        raise NotFound("No run fits.", "See what there is: mltrack ls")
    return list(found.values())


def split(project: Project, words: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs that words name, and the words that are a query's."""
    named: list[Run] = []
    asked: list[str] = []
    for word in words:
        try:
            named.append(find_run(project, word))
        except (NotFound, UsageError):
            if asked or SIGNS.search(word):
                asked.append(word)
            else:
                raise
    return named, asked


def in_order(project: Project, ids: Sequence[str], choice: Choice, tell: Tell) -> Sequence[str]:
    """The ids of runs that were named, in the order asked for if one was, and only as many as were."""
    if choice.sort:
        from mltrack.ledger.asking.queries import RunQuery
        from mltrack.ledger.language.fields import FIELDS, Asked
        from mltrack.ledger.language.tree import Compare, Literal
        from mltrack.operations.find import list_runs
        from mltrack.operations.seeing.naming import full_name

        where = Compare(Asked("id", FIELDS["id"]), "=", tuple(map(Literal, ids)))
        query = RunQuery(include_deleted=True, where=where, brief=True)
        query = replace(query, sort=full_name(project, choice.sort, query, tell))
        ids = [run.id for run in list_runs(project, query) if run.id in ids]
    return ids[: choice.limit]


def asked_for(project: Project, choice: Choice, words: Sequence[str], tell: Tell) -> list[Run]:
    from mltrack.operations.find import list_runs

    return list_runs(project, query_of(project, choice, words, tell))


def query_of(project: Project, choice: Choice, words: Sequence[str], tell: Tell) -> RunQuery:
    """What is asked by the words that name no run and by the options. Raises UsageError."""
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.asking import Bounds, condition_of, tell_unknown
    from mltrack.operations.seeing.naming import full_name

    parts = [f"({choice.where})"] if choice.where and words else [choice.where] if choice.where else []
    bounds = Bounds(choice.since, choice.until, choice.branch)
    query = RunQuery(choice.limit, where=condition_of([*words, *parts], bounds, project))
    if choice.sort:
        query = replace(query, sort=full_name(project, choice.sort, query, tell))
    tell_unknown(project, query, tell)
    return query
