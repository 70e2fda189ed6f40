"""Which runs a command is about: names on the command line, queries, or both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.errors import NotFound, UsageError
from mltrack.nouns import noun
from mltrack.operations.find import find_run

if TYPE_CHECKING:
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
    sort: str = "-created_at"
    limit: int | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.words or self.where or self.since or self.branch or self.limit)


def chosen_runs(project: Project, choice: Choice, tell: Tell) -> list[Run]:
    """The runs that were named, in that order, then those that fit what was asked, each once; of nothing, all.

    `limit` is for those asked for, not for those named. Raises NotFound for a name that is none and for no run at all,
    Ambiguous, UsageError for a query that cannot be read.
    """
    named, asked = split(project, choice.words)
    is_asked = bool(asked or choice.where or choice.since or choice.branch or not named)
    found = {run.id: run for run in named}
    if is_asked:
        for run in asked_for(project, choice, asked, tell):
            found.setdefault(run.id, run)
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


def asked_for(project: Project, choice: Choice, words: Sequence[str], tell: Tell) -> list[Run]:
    from mltrack.ledger.queries import RunQuery
    from mltrack.operations.asking import condition_of, tell_unknown
    from mltrack.operations.find import list_runs

    parts = [f"({choice.where})"] if choice.where and words else [choice.where] if choice.where else []
    where = condition_of([*words, *parts], choice.since, choice.branch)
    query = RunQuery(choice.limit, choice.sort, where=where)
    tell_unknown(project, query, tell)
    return list_runs(project, query)
