"""Runs in groups: one for each value of a field, or of several, with what came of the metrics in each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mltrack import flat
from mltrack.compare.goals import goal_of
from mltrack.errors import UsageError
from mltrack.formats.ranked import split_rank
from mltrack.ledger.asking.grouping import Group, GroupMetric
from mltrack.ledger.language.fields import ANY, METRIC, NAMED, VERSION, Asked
from mltrack.ledger.language.literals import version_key
from mltrack.nouns import noun
from mltrack.operations.seeing.fields import FAMILIES, Names, Shown, shown, shown_as, unknown_column

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.request import Tell
    from mltrack.project import Project

Document = Mapping[str, Any]


@noun
class Best:
    """By what the best run of each group is chosen."""

    shown: Shown
    is_least: bool

    @property
    def metric(self) -> str | None:
        """The metric whose last value it is, if it is that."""
        is_last = self.shown.asked.field is NAMED["metrics"]
        return self.shown.asked.key if is_last else None


@noun
class Chosen:
    """The best run of a group."""

    value: int | float
    document: Document


@noun
class Grouped:
    """Groups in the order in which they are to stand."""

    by: tuple[Shown, ...]
    groups: tuple[Group, ...]
    """The value of each is a tuple with one for each field of `by`."""
    goals: Mapping[str, str | None]
    """Every metric of some group, and whether `max` or `min` is better, if anybody knows."""
    best: Best | None = None
    chosen: tuple[Chosen | None, ...] = ()
    """With `best`: the best run of each group."""
    metrics: tuple[str, ...] | None = None
    """The only ones to be shown; None: those that tell groups apart."""
    params: tuple[str, ...] | None = None
    """The same of the params of the best runs."""


def with_columns(found: Grouped, columns: Sequence[str]) -> Grouped:
    """The same groups with these metrics, and with `best` these params of the best runs; `metrics` and `params` stand
    for those that tell groups apart. Raises UsageError for a field of which a group has many values."""
    metrics, params = [], []
    known = {one.asked for one in found.by} | ({found.best.shown.asked} if found.best is not None else set())
    for one in shown([name for name in columns if name.lower() not in FAMILIES], Names()):
        if one.asked in known:
            continue
        if one.asked.field is NAMED["metrics"]:
            metrics.append(str(one.asked.key))
        elif one.asked.name.startswith("params.") and found.best is not None:
            params.append(str(one.asked.key))
        else:
            raise UsageError(
                f"A group has many values of {one.name}.",
                "Columns of groups are metrics; with --best also params, of the best run of each.",
            )
    families = {name.lower() for name in columns}
    return replace(
        found,
        metrics=None if "metrics" in families else tuple(metrics),
        params=None if "params" in families else tuple(params),
    )


def groups_of(project: Project, query: RunQuery, names: Sequence[str], best: str | None, tell: Tell) -> Grouped:
    """The groups of the runs that a query asks for, whatever its limit: by their values; with `best` in the order of
    their best runs. Raises UsageError for what runs cannot be grouped by."""
    from mltrack.operations.seeing.listing import Rows, with_what_is_shown

    by = tuple(one_valued(name) for name in names)
    by_best = None if best is None else best_of(project, best, tell)
    goals = dict(project.config.goals)
    is_in_tables = all(one.asked.name != "command" for one in by)  # which has its words without their quotes there
    if is_in_tables and (by_best is None or by_best.metric is not None):
        return by_tables(project, query, by, goals, by_best)
    rows = Rows(project, with_what_is_shown(replace(query, limit=None), [*names, best or "id"]))
    return grouped(rows, by, goals, by_best)


def by_tables(
    project: Project, query: RunQuery, by: tuple[Shown, ...], goals: Mapping[str, str], best: Best | None = None
) -> Grouped:
    """The same as `grouped` of the runs that a query asks for, without reading a record of those that have ended."""
    from mltrack.ledger.asking.crossing import crossed, known_names

    known = {
        name: goal_of(name, goals) for name in known_names(project.ledger, "metric") if split_rank(name)[1] is None
    }
    if best is not None and best.metric in known:
        known[best.metric] = "min" if best.is_least else "max"
    groups = list(crossed(project.ledger, query, [quoted_field(one.asked) for one in by], known))
    groups = [replace(group, value=tuple(map(as_read, group.value, by))) for group in groups]
    groups = with_living(groups, project, query, by)
    chosen: dict[str, Chosen] = {}
    if best is not None:
        wanted = [one for one in (group.metrics.get(best.metric or "") for group in groups) if one is not None]
        found = {one.best: one.best_value for one in wanted if one.best is not None and one.best_value is not None}
        chosen = {one: Chosen(found[one], document) for one, document in documents_of(project, list(found)).items()}
    placed = [(group, chosen.get(best_id(group, best) or "")) for group in groups]
    placed.sort(key=lambda one: order_of(one[0].value, one[1], by, best))
    names = dict.fromkeys(name for group, _ in placed for name in group.metrics)
    made = tuple(group for group, _ in placed)
    return Grouped(
        by, made, {name: known[name] for name in names}, best, tuple(one for _, one in placed) if best else ()
    )


def as_read(value: Any, shown: Shown) -> Any:
    """A value of the tables as `Shown.read` has it: NaN of a param or a metric is a number."""
    return flat.scalar_of(value) if shown.kind in (ANY, METRIC) else value


def best_id(group: Group, best: Best | None) -> str | None:
    summary = group.metrics.get(best.metric or "") if best is not None else None
    return None if summary is None else summary.best


def quoted_field(asked: Asked) -> str:
    """A field by a name that is read as it and as nothing else."""
    if asked.key is None:
        return asked.name
    family = asked.name[: -len(asked.name.partition(".")[2]) - 1]
    part = asked.field.path[-1] if family == "metrics" else ""
    family = "environment." + asked.field.path[1] if asked.name.startswith("environment.") else family
    return f"{family}.{flat.quoted(asked.key)}{f'.{part}' if part else ''}"


def documents_of(project: Project, ids: Sequence[str]) -> dict[str, Document]:
    """The JSON of some runs, by their ids."""
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.language.fields import FIELDS
    from mltrack.ledger.language.tree import Compare, Literal
    from mltrack.operations.seeing.listing import Rows

    if not ids:
        return {}
    where = Compare(Asked("id", FIELDS["id"]), "=", tuple(map(Literal, ids)))
    return {one["id"]: one for one in Rows(project, RunQuery(where=where, include_deleted=True)) if one["id"] in ids}


def with_living(groups: Sequence[Group], project: Project, query: RunQuery, by: Sequence[Shown]) -> list[Group]:
    """The same groups with the runs that have no record yet."""
    from mltrack.digest import plain
    from mltrack.noun_json import to_dict
    from mltrack.operations.find import alive, fits

    found = {tuple(map(key_of, group.value)): group for group in groups}
    for run in alive(project):
        if fits(run, query):
            document = plain(to_dict(run))
            values = tuple(one.read(document) for one in by)
            key = tuple(map(key_of, values))
            group = found.get(key) or Group(values, 0, {}, "", "")
            statuses = {**group.statuses, run.status: group.statuses.get(run.status, 0) + 1}
            newest = max((group.newest_at, group.newest), (run.created_at, run.id))
            found[key] = replace(group, runs=group.runs + 1, statuses=statuses, newest=newest[1], newest_at=newest[0])
    return list(found.values())


def one_valued(name: str) -> Shown:
    """The field of that name, if a run has one value of it. Raises UsageError."""
    found = shown_as(name)
    if found is None:
        raise unknown_column(name)
    if found.asked.field.many:
        raise UsageError(f"Runs cannot be grouped by {name}: a run may have several.", "Group by another field.")
    return found


def best_of(project: Project, best: str, tell: Tell) -> Best:
    from mltrack.operations.seeing.listing import is_smaller_better

    shown = one_valued(best.removeprefix("-"))
    return Best(shown, is_smaller_better(project, best, shown.asked.key or shown.asked.name, tell))


@dataclass
class Spread:
    """Numbers as they come: how many, their mean, the sum of the squares of the distances to it."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: tuple[float, str] | None = None
    most: tuple[float, str] | None = None

    def add(self, value: float, run_id: str) -> None:
        """Of equals the first counts: lists have the newest first."""
        self.count += 1
        change = value - self.mean
        self.mean += change / self.count
        self.squares += change * (value - self.mean)
        if self.least is None or value < self.least[0]:
            self.least = (value, run_id)
        if self.most is None or value > self.most[0]:
            self.most = (value, run_id)

    def summary(self, goal: str | None) -> GroupMetric:
        deviation = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else None
        found = None if goal is None else self.most if goal == "max" else self.least
        value, run_id = found or (None, None)
        return GroupMetric(self.count, self.mean, deviation, run_id, value)


@dataclass
class Gathering:
    """A group while its runs come."""

    values: tuple[Any, ...]
    runs: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    newest: tuple[str, str] = ("", "")
    metrics: dict[str, Spread] = field(default_factory=dict)
    chosen: Chosen | None = None

    def add(self, document: Document, best: Best | None) -> None:
        self.runs += 1
        self.statuses[document["status"]] += 1
        self.newest = max(self.newest, (document["created_at"], document["id"]))
        if document["status"] != "finished":
            return
        for name, summary in document["metrics"].items():
            value = finite(summary["last"])
            if value is not None and split_rank(name)[1] is None:
                self.metrics.setdefault(name, Spread()).add(value, document["id"])
        if best is not None:
            value = finite(best.shown.read(document))
            if value is not None and (self.chosen is None or is_better(value, self.chosen.value, best.is_least)):
                self.chosen = Chosen(value, document)


def finite(value: Any) -> float | None:
    """A number that can be counted with; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def is_better(value: float, other: float, is_least: bool) -> bool:
    return value < other if is_least else value > other


def grouped(
    documents: Iterable[Document], by: tuple[Shown, ...], goals: Mapping[str, str], best: Best | None = None
) -> Grouped:
    """The groups of some runs, given as JSON, by the values of some fields. Pure."""
    found: dict[tuple[Any, ...], Gathering] = {}
    for document in documents:
        values = tuple(one.read(document) for one in by)
        key = tuple(map(key_of, values))
        found.setdefault(key, Gathering(values)).add(document, best)
    gathered = sorted(found.values(), key=lambda one: order_of(one.values, one.chosen, by, best))
    names = dict.fromkeys(name for one in gathered for name in one.metrics)
    known = {name: goal_of(name, goals) for name in names}
    if best is not None and best.metric in known:
        known[best.metric] = "min" if best.is_least else "max"
    made = tuple(group_of(one, known) for one in gathered)
    return Grouped(by, made, known, best, tuple(one.chosen for one in gathered) if best else ())


def group_of(one: Gathering, goals: Mapping[str, str | None]) -> Group:
    metrics = {name: spread.summary(goals[name]) for name, spread in one.metrics.items()}
    return Group(one.values, one.runs, dict(one.statuses), one.newest[1], one.newest[0], metrics)


def key_of(value: Any) -> tuple[str, Any]:
    """What makes a value of a field another: 1 and 1.0 are one, "1" and True are others, NaN is itself."""
    if isinstance(value, float) and math.isnan(value):
        return "nan", None
    return (
        "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
    ), value


def order_of(values: Sequence[Any], chosen: Chosen | None, by: Sequence[Shown], best: Best | None) -> tuple[Any, ...]:
    """Groups with the best run first; else by value."""
    place = tuple(order_of_value(value, shown.asked) for value, shown in zip(values, by, strict=True))
    if best is None:
        return place
    return (1, 0, place) if chosen is None else (0, chosen.value if best.is_least else -chosen.value, place)


def order_of_value(value: Any, asked: Asked) -> tuple[int, Any]:
    """Numbers, then texts, then what there is not."""
    if value is None:
        return 9, 0
    if isinstance(value, bool):
        return 1, value
    if isinstance(value, (int, float)):
        return (8, 0) if isinstance(value, float) and math.isnan(value) else (0, value)
    key = version_key(value) if asked.field.kind == VERSION else None
    return (3, str(value)) if key is None else (2, (key, value))
