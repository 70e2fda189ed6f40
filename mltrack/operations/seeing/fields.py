"""Which columns a list of runs has, by the names of the query language, and what each says of a run.

A column may also be asked for by the bare name of a metric or a param, or by an end of it that is one's alone, as
headings are. Pure; runs are given as the values of their JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack import flat
from mltrack.errors import UsageError
from mltrack.ledger.language.evaluate import values
from mltrack.ledger.language.fields import ALIASES, FIELDS, NAMED, Asked, find_field, nearest_field
from mltrack.ledger.language.lexer import tokens
from mltrack.ledger.language.problems import QueryError
from mltrack.noun_json import to_dict
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.ledger.language.tree import Node
    from mltrack.records import Run

AGE = "age"
"""Kind of a column that tells how long ago a run was made; the other kinds are those of the language."""
FAMILIES = ("params", "metrics")
"""As a column each stands for all that the listed runs have."""
FLAT = {"tag": "tags", "note": "notes"}
"""Fields of several values that are one text in a row, by another name."""


@noun
class Shown:
    """A column: its name as it was asked for, and the field that it shows."""

    name: str
    kind: str
    asked: Asked
    expanded: bool = False
    """It was not named itself: it came with `params` or `metrics`."""

    def read(self, document: Mapping[str, Any]) -> Any:
        """What a run's JSON says: a scalar, a list where there may be several; None where there is nothing."""
        asked = self.asked
        fact = FLAT.get(asked.name, asked.name)
        if fact in flat.FACTS and fact not in flat.LISTS and fact != "code.changed":
            return flat.fact(document, fact, flat.FACTS[fact])
        found = values(asked, document)
        if asked.field.many:
            return found or None
        return flat.scalar_of(found[0]) if found else None

    def of_run(self, run: Run) -> Any:
        """The same of a run that is none of JSON yet: only the part that is read is made."""
        head = self.asked.field.path[0]
        return self.read({head: to_dict(getattr(run, head))})


def field_called(name: str) -> Asked | None:
    """The field of that name, which may have quoted parts; None where there is none."""
    try:
        words = tokens(name)
    except QueryError:
        words = []
    return find_field(words[0].text, words[0].closed) if len(words) == 2 else find_field(name)


def shown_as(name: str) -> Shown | None:
    """The column of that name, if it is a field's."""
    if name.lower() == AGE:
        return Shown(name, AGE, Asked("created_at", FIELDS["created_at"]))
    asked = field_called(name)
    return None if asked is None else Shown(name, asked.field.kind, asked)


def param(name: str, expanded: bool = False) -> Shown:
    return Shown(f"params.{name}", NAMED["params"].kind, Asked(f"params.{name}", NAMED["params"], name), expanded)


def metric(name: str, expanded: bool = False) -> Shown:
    field = NAMED["metrics"]
    return Shown(flat.metric_name(name), field.kind, Asked(f"metrics.{name}", field, name), expanded)


@noun
class Names:
    """The names that the listed runs have, in the order in which they are to stand."""

    params: Sequence[str] = ()
    metrics: Sequence[str] = ()


def shown(asked: Sequence[str], names: Names) -> list[Shown]:
    """The columns asked for, each once; `params` and `metrics` stand for all of them. Raises UsageError."""
    made: dict[str, Shown] = {}
    params, metrics = set(names.params), set(names.metrics)
    for name in asked:
        if name.lower() in FAMILIES:
            make = param if name.lower() == "params" else metric
            found = [make(item, True) for item in getattr(names, name.lower())]
        else:
            found = [one_shown(name, params, metrics)]
        for one in found:
            made.setdefault(one.asked.name if one.kind != AGE else AGE, one)
    return list(made.values())


def one_shown(name: str, params: Collection[str], metrics: Collection[str]) -> Shown:
    """The column of that name: a field, or the metric or param that a bare name means. Raises UsageError."""
    found = shown_as(name)
    if found is not None:
        return found
    some = meant(name, params, metrics)
    if len(some) == 1:
        return Shown(name, some[0].kind, some[0].asked)
    head, _, part = name.rpartition(".")
    of_part = [one for one in meant(head, (), metrics) if part in flat.PARTS] if not some else []
    asked = find_field(f"{of_part[0].asked.name}.{part}") if len(of_part) == 1 else None
    if asked is not None:
        return Shown(name, asked.field.kind, asked)
    raise unknown_column(name, params, metrics)


def meant(name: str, params: Collection[str], metrics: Collection[str]) -> list[Shown]:
    """The metrics and params that a bare name may mean: the one of that very name, else all that end in it."""
    if name in metrics or name in params:
        return [metric(name) if name in metrics else param(name)]
    return [*map(metric, ending(name, metrics)), *map(param, ending(name, params))]


def ending(name: str, names: Collection[str]) -> list[str]:
    return sorted(one for one in names if one.endswith(name) and name in flat.ends_of(one))


def as_typed(family: str, name: str) -> str:
    """A param or metric as the query language takes it: in quotes only where it would be read as something else."""
    plain = f"{family}.{name}"
    try:
        is_word = [one.text for one in tokens(plain)[:-1]] == [plain]
    except QueryError:
        is_word = False
    found = find_field(plain) if is_word else None
    return plain if found is not None and found.key == name else f"{family}.{flat.quoted(name)}"


def typed(shown: Shown) -> str:
    """The name by which a param, a metric or a part of one can be asked for anywhere."""
    asked = shown.asked
    if asked.key is None or not asked.name.startswith(("params.", "metrics.")):
        return shown.name
    name = as_typed(asked.name.partition(".")[0], asked.key)
    return name if asked.name.endswith(f".{asked.key}") else f"{name}.{asked.field.path[-1]}"


MOST_NAMED = 3
"""Names that a hint offers."""


def offered(name: str, params: Collection[str], metrics: Collection[str], others: Sequence[str] = ()) -> list[str]:
    """What was probably meant by a name that is no field's: those that end in it, else the nearest there are."""
    from difflib import get_close_matches

    some = [typed(one) for one in meant(name, params, metrics)]
    if some:
        return some[:MOST_NAMED]
    known: dict[str, str] = {}
    for family, names in (("params", params), ("metrics", metrics)):
        for one in sorted(names):
            known |= dict.fromkeys((flat.ends_of(one)[0], one), as_typed(family, one))
    known |= {one: one for one in (*ALIASES, *FIELDS, *others)}
    near = get_close_matches(name, known, 1) or [one for one in known if one.lower() == name.lower()][:1]
    near = near or [one for one in known if one.lower().startswith(name.lower())][:1]
    return [known[one] for one in near]


def unknown_column(name: str, params: Collection[str] = (), metrics: Collection[str] = ()) -> UsageError:
    """Says which was probably meant."""
    if name.lower() in NAMED:
        return UsageError(f"{name} has names of its own.", f"Write {name}.NAME.")
    some = offered(name, params, metrics, (AGE, *FAMILIES)) or [one for one in (nearest_field(name),) if one]
    hint = f"Did you mean {' or '.join(some)}?" if some else "Names: see `mltrack show`, and docs/reference/query.md."
    if len(meant(name, params, metrics)) > 1:
        return UsageError(f"{name[:80]!r} may be one of several.", hint)
    return UsageError(f"There is no column {name[:80]!r}.", hint)


def split_columns(text: str | None, option: str = "--columns") -> list[str]:
    """`id,params."a,b",acc` -> its names; a comma between quotes or brackets is part of one. Raises UsageError."""
    if not text:
        return []
    found, name, end = [], "", ""
    for sign in text:
        if sign == "," and not end:
            found.append(name.strip())
            name = ""
            continue
        name += sign
        end = "" if sign == end else end or {'"': '"', "'": "'", "[": "]"}.get(sign, "")
    found.append(name.strip())
    if not all(found):
        raise UsageError(f"{option}: a name is missing in {text[:80]!r}.", f"Such as: {option} params.lr,params.depth")
    return found


def in_question(where: Node | None, sort: str) -> list[Shown]:
    """The fields that a query and its order name: a list shows what it was chosen by."""
    from mltrack.ledger.language.tree import every_asked

    asked = [] if where is None else list(every_asked(where))
    sorted_by = field_called(sort.removeprefix("-")) if sort else None
    found = [sorted_by, *asked] if sorted_by is not None else asked
    return [Shown(one.name, one.field.kind, one) for one in dict.fromkeys(found)]
