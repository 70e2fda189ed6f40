"""A field of the query language over many runs, as numbers or as texts that a plot can set on an axis. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltrack.errors import NotFound
from mltrack.ledger.language.fields import DURATION, METRIC, NUMBER, SIZE, TIME, VERSION
from mltrack.nouns import noun
from mltrack.operations.seeing.fields import AGE, Shown, one_shown
from mltrack.plots import Axis

if TYPE_CHECKING:
    from mltrack.records import Run

    Value = float | str | None

NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
UNITS = {DURATION: "s", SIZE: "bytes"}


@noun
class Column:
    """A field of each run: numbers, or texts for all where one of them is a text; None where a run has none."""

    axis: Axis
    values: tuple[Value, ...]

    @property
    def is_named(self) -> bool:
        return any(isinstance(value, str) for value in self.values)


def column(runs: Sequence[Run], name: str) -> Column:
    """A field by its name in the query language, or the bare name of a metric or param. Raises UsageError, NotFound."""
    shown = one_shown(name, names_of(runs, "params"), names_of(runs, "metrics"))
    found = column_of(runs, shown)
    if all(value is None for value in found.values):
        raise nobody_has(runs, shown)
    return found


def column_of(runs: Sequence[Run], shown: Shown) -> Column:
    kind = TIME if shown.kind == AGE else shown.kind
    raw = [shown.of_run(run) for run in runs]
    if kind == TIME:
        return times(shown.name, raw)
    values = [value_of(one, kind in (NUMBER, METRIC, DURATION, SIZE)) for one in raw]
    if any(isinstance(value, str) for value in values):
        return named(shown, raw)
    return Column(Axis(shown.name, unit=UNITS.get(kind, "")), tuple(values))


def named(shown: Shown, raw: Sequence[Any]) -> Column:
    """A column of names in their order: among texts numbers come first, by size, and what groups of `ls` take for one
    value has one name. A text that reads as one of those numbers or truth values has quotes."""
    from mltrack.formats.predictions import ordered
    from mltrack.operations.seeing.groups import key_of, order_of_value

    plain = [text_of(one) if isinstance(one, (list, tuple, dict)) else one for one in raw]
    kinds = {key_of(one): one for one in plain if one is not None}
    taken = {key: name_of(one) for key, one in kinds.items() if not isinstance(one, str)}
    others = set(taken.values())
    texts = {key: quoted(one) if one in others else one for key, one in kinds.items() if isinstance(one, str)}
    names = {**taken, **texts}
    if taken or shown.kind == VERSION:
        order = [names[key] for key in sorted(kinds, key=lambda key: order_of_value(kinds[key], shown.asked))]
    else:
        order = list(ordered(texts.values()))
    values = tuple(None if one is None else names[key_of(one)] for one in plain)
    return Column(Axis(shown.name, names=tuple(dict.fromkeys(order))), values)


def name_of(value: Any) -> str:
    """A number or truth value as a name: `2` of 2 and of 2.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(text_of(value))


def quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def value_of(raw: Any, is_number: bool) -> Value:
    """A recorded value as a number, else as a text. JSON has NaN and infinities as texts, params too."""
    if isinstance(raw, str):
        return NOT_FINITE.get(raw, None if is_number else raw)
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return text_of(raw)
    try:
        return float(raw)
    except OverflowError:
        return math.inf if raw > 0 else -math.inf


def text_of(raw: Any) -> str | None:
    if raw is None or isinstance(raw, str):
        return raw
    if isinstance(raw, (list, tuple)) and all(isinstance(one, str) for one in raw):
        return ", ".join(raw)
    if isinstance(raw, int) and raw.bit_length() > 1000:
        return f"an integer of {raw.bit_length():,} bits"
    import json

    from mltrack.digest import plain

    return json.dumps(plain(raw), ensure_ascii=False)


def times(name: str, raw: Sequence[Any]) -> Column:
    """Times as seconds after the first of them."""
    from datetime import datetime

    moments = [datetime.fromisoformat(one.replace("Z", "+00:00")).timestamp() if one else None for one in raw]
    first = min((one for one in moments if one is not None), default=0.0)
    start = next((str(text)[:16].replace("T", " ") for text, one in zip(raw, moments) if one == first), "")
    values = tuple(None if one is None else one - first for one in moments)
    return Column(Axis(f"{name}, after {start} UTC", unit="s"), values)


def names_of(runs: Sequence[Run], family: str) -> dict[str, None]:
    """The names of params or metrics that runs have, in the order in which they first come."""
    return dict.fromkeys(name for run in runs for name in getattr(run, family))


def nobody_has(runs: Sequence[Run], shown: Shown) -> NotFound:
    from difflib import get_close_matches

    family = "params" if shown.asked.name.startswith("params.") else "metrics"
    known = list(names_of(runs, family))
    near = get_close_matches(shown.asked.key or "", known, 3, 0.4) or known[:8]
    many = "The run has" if len(runs) == 1 else f"None of {len(runs):,} runs has"
    hint = f"Known {family}: {', '.join(near)}" if shown.asked.key and near else "See what runs have: mltrack show"
    return NotFound(f"{many} {'no ' if len(runs) == 1 else ''}{shown.name}.", hint)


def is_finite(value: Value) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
