"""Which columns a list of runs has, by the names of the query language, and what each says of a run.

A column may also be asked for by the bare name of a metric or a param that the listed runs have. Pure; runs are given
as the values of their JSON.
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
    found = shown_as(name)
    if found is not None:
        return found
    if name in metrics or name in params:
        make = metric if name in metrics else param
        return Shown(name, make(name).kind, make(name).asked)
    head, _, part = name.rpartition(".")
    asked = find_field(f"metrics.{name}") if head in metrics and part in flat.PARTS else None
    if asked is not None:
        return Shown(name, asked.field.kind, asked)
    raise unknown_column(name, [*metrics, *params])


def unknown_column(name: str, known: Sequence[str]) -> UsageError:
    """Says which was probably meant."""
    from difflib import get_close_matches

    if name.lower() in NAMED:
        return UsageError(f"{name} has names of its own.", f"Write {name}.NAME.")
    near = get_close_matches(name, [*known, *ALIASES, *FIELDS, AGE, *FAMILIES], 1)
    near = near or [one for one in known if one.lower().startswith(name.lower())]
    meant = near[0] if near else nearest_field(name)
    some = ["id", "status", "age", *FAMILIES, *list(known)[:20]]
    hint = f"Did you mean {meant}?" if meant else f"Known columns: {', '.join(some)}; see docs/reference/query.md."
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
