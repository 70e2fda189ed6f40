"""Names as people type them, in a project: which field a bare name means, and what was meant by one that is none.

A run's own fields come first. Where no run has a value of one, and a param or metric is called so, that is meant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.ledger.asking.queries import RunQuery
from mltrack.ledger.language.fields import ALIASES, Asked
from mltrack.ledger.language.problems import QueryError
from mltrack.operations.seeing.fields import (
    AGE,
    FAMILIES,
    Names,
    as_typed,
    field_called,
    meant,
    offered,
    one_shown,
    shown_as,
    typed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mltrack.operations.request import Tell
    from mltrack.project import Project
    from mltrack.records import Run


OTHER = "no run here has a {} of its own: {} is meant"


def every_name(project: Project, live: Sequence[Run] | None = None) -> Names:
    """The params and metrics that some run has, of those still alive too."""
    from mltrack.ledger.asking.crossing import known_names
    from mltrack.operations.find import alive

    live = alive(project) if live is None else live
    params = dict.fromkeys(known_names(project.ledger, "param")) | dict.fromkeys(
        name for run in live for name in run.params
    )
    metrics = dict.fromkeys(known_names(project.ledger, "metric")) | dict.fromkeys(
        name for run in live for name in run.metrics
    )
    return Names(list(params), list(metrics))


def full_name(project: Project, name: str, query: RunQuery, tell: Tell) -> str:
    """A field as the query language names it, with the `-` in front of it if there is one.

    A bare name, or an end of one, is that of a metric or param that some run has. A run's own field that no run of the
    query has is the param or metric of that name, which is told. Raises UsageError for what is neither.
    """
    way, bare = ("-", name[1:]) if name.startswith("-") else ("", name)
    if bare.lower() in (AGE, *FAMILIES):
        return name
    asked = field_called(bare)
    is_own = asked is not None and asked.key is None and "." not in bare
    other = called_the_same(project, bare) if asked is None or is_own else None
    if asked is None:
        names = Names() if other else every_name(project)
        return way + (other or typed(one_shown(bare, set(names.params), set(names.metrics))))
    if other is None or has_some(project, asked, query):
        return name
    tell(OTHER.format(bare, other))
    return way + other


def name_among(runs: Sequence[Run], name: str, tell: Tell) -> str:
    """The same of runs that are at hand: a name, but where none of them has that field, of the param or metric called
    so."""
    own = shown_as(name)
    if own is None or own.asked.key is not None or any(own.of_run(run) is not None for run in runs):
        return name
    for family in ("metrics", "params"):
        if any(name in getattr(run, family) for run in runs):
            tell(OTHER.format(name, as_typed(family, name)))
            return as_typed(family, name)
    return name


def called_the_same(project: Project, name: str) -> str | None:
    """The metric or param of that very name, if a run that has ended has one."""
    for family in ("metrics", "params"):
        full = as_typed(family, name)
        if not project.ledger.unknown_names(RunQuery(sort=full), ()):
            return full
    return None


def has_some(project: Project, asked: Asked, query: RunQuery) -> bool:
    """Has some run of the query a value of a field?"""
    from mltrack.ledger.language.tree import Every, IsNull
    from mltrack.operations.find import list_runs

    is_there = IsNull(asked, negated=True)
    where = is_there if query.where is None else Every((query.where, is_there))
    return bool(list_runs(project, replace(query, limit=1, sort="", brief=True, where=where)))


def mistaken(project: Project, query: RunQuery, live: Sequence[Run]) -> Iterator[str]:
    """Sentences about a run's own fields in a query that no run has, where a param or metric is called so."""
    from mltrack.ledger.language.tree import every_asked

    asked = [] if query.where is None else [one for one in every_asked(query.where) if one.key is None]
    if not asked:
        return
    names = every_name(project, live)
    params, metrics = set(names.params), set(names.metrics)
    for one in dict.fromkeys(asked):
        words = [word for word in (one.name, *also_called(one.name)) if "." not in word]
        found = [typed(same) for word in words for same in meant(word, params, metrics)]
        if found and not has_some(project, one, RunQuery()):
            yield f"no run has a {words[0]}; did you mean {' or '.join(found[:3])}?"


def also_called(name: str) -> list[str]:
    return [alias for alias, full in ALIASES.items() if full == name]


def informed(error: QueryError, project: Project) -> QueryError:
    """The same error, which offers the params and metrics that runs of the project have."""
    if not error.unknown:
        return error
    names = every_name(project)
    some = offered(error.unknown, set(names.params), set(names.metrics))
    if not any(one.startswith(("params.", "metrics.")) for one in some):
        return error
    said = f"there is no field called {error.unknown[:60]}; did you mean {' or '.join(some)}?"
    return QueryError(error.text, error.at, said)
