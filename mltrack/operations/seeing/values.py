"""Recorded values as keys and as texts: what is different stays different, however short it is told. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mltrack.digest import plain

LONGEST = 24
"""Signs of one value."""
ELLIPSIS = "\u2026"
NOTHING = "(none)"


def key_of(value: Any) -> tuple[str, Any]:
    """Equal for values that are the same: 1 and 1.0 are, the number 1 and the text "1" are not, nor nothing and
    "(none)"."""
    if value is None or isinstance(value, (bool, str)):
        return type(value).__name__, value
    if isinstance(value, (int, float)):
        return "number", "nan" if isinstance(value, float) and math.isnan(value) else value
    return "json", json.dumps(plain(value), sort_keys=True)


def short(value: Any) -> str:
    """A value in at most LONGEST signs."""
    text = NOTHING if value is None else f"{value:.4g}" if isinstance(value, float) else text_of(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}{ELLIPSIS}"


def told_apart(values: Sequence[Any]) -> dict[tuple[str, Any], str]:
    """Key of each value -> its text: as short as may be, and another one for every key."""
    known = {key_of(value): value for value in values}
    found = {key: short(value) for key, value in known.items()}
    for more in (exact, ending):
        found = refined(found, known, more)
    taken: set[str] = set()
    for key, text in found.items():
        number = 1
        while (own := text if number == 1 else f"{text} ({number})") in taken:
            number += 1
        taken.add(own)
        found[key] = own
    return found


def refined(
    found: Mapping[tuple[str, Any], str], known: Mapping[tuple[str, Any], Any], more: Callable[[Any], str]
) -> dict[tuple[str, Any], str]:
    """The texts, those that several have told in another way."""
    counts = Counter(found.values())
    return {key: text if counts[text] == 1 else more(known[key]) for key, text in found.items()}


def exact(value: Any) -> str:
    """With all digits, and texts in quotes, so that no number looks like them."""
    if value is None:
        return NOTHING
    if isinstance(value, (int, float)):
        return short(text_of(value)) if isinstance(value, int) else repr(value)
    return short(json.dumps(plain(value), ensure_ascii=False))


def ending(value: Any) -> str:
    """The last signs: paths differ there."""
    text = repr(value) if isinstance(value, float) else NOTHING if value is None else text_of(value)
    return text if len(text) <= LONGEST else f"{ELLIPSIS}{text[1 - LONGEST :]}"


def text_of(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1000:
        return f"an integer of {value.bit_length():,} bits"
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(value)
