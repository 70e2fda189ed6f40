"""What `ls` lists: which runs come first, which columns tell them apart, and rows of any columns as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack import flat
from mltrack.errors import UsageError
from mltrack.formats.ranked import split_rank
from mltrack.noun_json import to_dict
from mltrack.nouns import noun
from mltrack.operations.find import each_document
from mltrack.operations.seeing.fields import Names, Shown, field_called, in_question, metric, param, shown_as

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.request import Tell
    from mltrack.project import Project

Document = Mapping[str, Any]

ANYWAY = frozenset(("id", "status", "created_at", "started_at", "finished_at", "name", "experiment", "command", "tag"))
"""Fields that a list of runs shows anyway, in some way."""

CHANGEABLE = (
    "experiment", "seed", "branch", "commit", "dirty", "environment.kind", "python", "environment.digest",
    "hardware.cpu", "hardware.gpus", "inputs.digest", "user", "host", "cwd", "command",
)  # fmt: skip
"""Beside params and metrics, what is worth a word where it differs between runs."""


def best_sort(project: Project, field: str, tell: Tell) -> str:
    """The order that puts the best run first by a field, as `--sort` takes it; see `best_first` for what comes first.

    `-metrics.loss`: smaller is better. Raises UsageError for what runs cannot be sorted by.
    """
    from mltrack.ledger.asking.choosing import sort_field

    name = field.removeprefix("-")
    asked = sort_field(name)
    return name if is_smaller_better(project, field, asked.key or asked.name, tell) else f"-{name}"


def is_smaller_better(project: Project, field: str, name: str, tell: Tell) -> bool:
    """Does the least value come first? By the minus in front, the project's goals, the words of the name."""
    from mltrack.compare.goals import goal_of

    if field.startswith("-"):
        return True
    goal = goal_of(name, project.config.goals)
    if goal is None:
        from shlex import quote

        tell(
            f"whether a larger {name} is better is not known: the largest is first"
            f" (smaller is better: --best {quote(f'-{field}')})"
        )
    return goal == "min"


class Rows:
    """The runs of a query as JSON values. Asks again each time it is walked through, and holds only some at once."""

    def __init__(self, project: Project, query: RunQuery, is_best: bool = False) -> None:
        """`is_best`: what the query sorts by says which run is the best, and those that finished come first."""
        self.project = project
        self.query = query
        self.is_best = is_best

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from mltrack.operations.seeing.best_first import best_documents, best_runs

        if self.query.without_packages:
            return (best_documents if self.is_best else each_document)(self.project, self.query)
        from mltrack.digest import plain
        from mltrack.operations.find import list_runs

        list_in_order = best_runs if self.is_best else list_runs
        return (plain(to_dict(run)) for run in list_in_order(self.project, self.query))


def with_what_is_shown(query: RunQuery, columns: Sequence[str]) -> RunQuery:
    """The same query, with the packages of the runs where a column is one."""
    asked = [field_called(name) for name in columns]
    needs = any(one is not None and "packages" in one.field.path for one in asked)
    return replace(query, without_packages=not needs)


def names_in(documents: Iterable[Document]) -> Names:
    """The params and metrics that some runs have, each in the order in which they came up; of ranks the first only."""
    found = names_with_ranks(documents)
    return Names(found.params, [name for name in found.metrics if split_rank(name)[1] is None])


def names_with_ranks(documents: Iterable[Document]) -> Names:
    params: dict[str, None] = {}
    metrics: dict[str, None] = {}
    for document in documents:
        params.update(dict.fromkeys(document["params"]))
        metrics.update(dict.fromkeys(document["metrics"]))
    return Names(list(params), list(metrics))


def rows_of(shown: Sequence[Shown], documents: Iterable[Document]) -> Iterator[list[Any]]:
    """The values of some columns, a list a run."""
    for document in documents:
        yield [one.read(document) for one in shown]


def flat_rows(names: Sequence[str], documents: Iterable[Document]) -> Iterator[list[Any]]:
    """Everything of each run, by the names of `flat.py`."""
    for document in documents:
        row = flat.flat(document)
        yield [row.get(name) for name in names]


def flat_names(documents: Iterable[Document]) -> list[str]:
    """The names of all columns of some runs, without keeping a row of them."""
    return flat.names_of(dict.fromkeys(flat.row_names(document)) for document in documents)


@noun
class Parted:
    """Columns that differ between runs, and those that do not."""

    differing: tuple[Shown, ...] = ()
    same: tuple[tuple[Shown, Any], ...] = ()
    """With the one value that all have."""


def parted(shown: Sequence[Shown], documents: Iterable[Document]) -> Parted:
    """Which columns differ between the runs: by their values and types, a missing one being another. Columns that no
    run has a value in are in neither part."""
    first: list[Any] = []
    differs: set[int] = set()
    is_there = False
    for row in rows_of(shown, documents):
        keys = [(type(value), repr(value)) for value in row]
        if not is_there:
            first, firsts, is_there = row, keys, True
            continue
        differs.update(place for place, key in enumerate(keys) if key != firsts[place])
    same = [(one, first[place]) for place, one in enumerate(shown) if is_there and place not in differs]
    return Parted(
        tuple(one for place, one in enumerate(shown) if place in differs),
        tuple((one, value) for one, value in same if value is not None),
    )


def changeable(names: Names) -> list[Shown]:
    """What may differ between runs and be worth a word: params and metrics in turn, then facts of the run."""
    params, metrics = [param(name) for name in names.params], [metric(name) for name in names.metrics]
    mixed = [one for pair in zip(params, metrics) for one in pair]
    rest = [*params[len(metrics) :], *metrics[len(params) :]]
    facts = [found for found in map(shown_as, CHANGEABLE) if found is not None]
    return [*mixed, *rest, *facts]


def everything(documents: Iterable[Document]) -> list[Shown]:
    """Every column that a row has by `flat.py`."""
    names = names_with_ranks(documents)
    facts = [found for found in map(shown_as, flat.FACTS) if found is not None]
    return [*facts, *map(param, names.params), *map(metric, names.metrics)]


def focus_of(query: RunQuery) -> tuple[list[Shown], bool]:
    """What a query and its order name and a list does not show anyway, and whether brief runs have it all."""
    from mltrack.ledger.asking.queries import NOT_IN_TABLES

    found = [one for one in in_question(query.where, query.sort) if one.asked.name not in ANYWAY]
    found = [one for one in found if not one.asked.field.many and "packages" not in one.asked.field.path]
    return found, not any(one.asked.field.path[0] in NOT_IN_TABLES for one in found)


def check_together(best: str | None, sort: str | None, group_by: str | None, only_changed: bool) -> None:
    """Raises UsageError for options that contradict each other."""
    if best is not None and sort is not None:
        raise UsageError("--best and --sort both give the order.", "Leave one of them away.")
    if group_by is not None and sort is not None:
        raise UsageError(
            "--sort puts runs in order, and groups stand by their values.", "With --best FIELD: by their best runs."
        )
    if group_by is not None and only_changed:
        raise UsageError("--only-changed compares runs, and --group-by shows groups.", "Leave one of them away.")
