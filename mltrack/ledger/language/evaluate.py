"""Does a run's JSON fit a query? For runs that have no rows in the ledger yet.

A second reading of the language beside `sql.py`, and simpler: a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mltrack.digest import canonical_json
from mltrack.ledger.language.fields import ANY, BOOL, ID, KEY, NUMBERS, TIME, VERSION, Asked
from mltrack.ledger.language.literals import HOLDS, NAMES, small, version_order
from mltrack.ledger.language.tree import Compare, Every, IsNull, Literal, Node, Not


def fits(node: Node, run: Mapping[str, Any]) -> bool:
    """Whether the query holds for a run, given as the value of its JSON with the packages in it."""
    if isinstance(node, Not):
        return not fits(node.item, run)
    if isinstance(node, IsNull):
        return bool(values(node.asked, run)) is node.negated
    if isinstance(node, Compare):
        return compares(node, run)
    decide = all if isinstance(node, Every) else any
    return decide(fits(item, run) for item in node.items)


def compares(node: Compare, run: Mapping[str, Any]) -> bool:
    field, found = node.asked.field, values(node.asked, run)
    holds = any(value_fits(field.kind, value, node.operator, one) for value in found for one in node.literals)
    return not holds and (field.many or bool(found)) if node.negated else holds


def values(asked: Asked, run: Mapping[str, Any]) -> list[Any]:
    """The values that a run has of a field, without nulls."""
    if asked.name == "command":
        return [" ".join(run["command"])]
    found: list[Any] = [run]
    for word in asked.field.path:
        key = asked.key if word == KEY else word
        found = [item.get(key) for item in found if isinstance(item, Mapping)]
        if asked.field.many:
            found = [one for item in found for one in (item if isinstance(item, list) else [item])]
    return [item for item in found if item is not None]


def value_fits(kind: str, value: Any, operator: str, literal: Literal) -> bool:
    """Whether one value compares so with one literal."""
    if kind in NUMBERS:
        return number_fits(value, operator, literal)
    if kind == BOOL:
        return value is literal.truth
    if kind == TIME:
        return time_fits(value, operator, literal)
    if kind == ID and operator == "=":
        return str(value).startswith(literal.text)
    if kind == VERSION and operator not in ("like", "~"):
        return version_fits(value, operator, literal.text)
    if kind == ANY:
        return any_fits(value, operator, literal)
    return text_fits(value, operator, literal.text)


def number_fits(value: Any, operator: str, literal: Literal) -> bool:
    if isinstance(value, str):
        value = NAMES.get(value)
    if literal.number is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return HOLDS[operator](small(value) if isinstance(value, int) else value, literal.number)


def time_fits(value: str, operator: str, literal: Literal) -> bool:
    assert literal.span is not None
    start, end = literal.span
    if operator == "=":
        return start <= value < end
    return value < start if operator == "<" else value < end if operator == "<=" else value >= (
        end if operator == ">" else start
    )  # fmt: skip


def version_fits(value: str, operator: str, wanted: str) -> bool:
    if operator == "=":
        return value == wanted or value.startswith((f"{wanted}.", f"{wanted}+"))
    order = version_order(value, wanted)
    return order is not None and HOLDS[operator](order, 0)


def any_fits(value: Any, operator: str, literal: Literal) -> bool:
    """The value decides how the literal is read: a number, a text, a truth value, a list."""
    if isinstance(value, bool):
        return operator == "=" and value is literal.truth
    if isinstance(value, (int, float)):
        return operator not in ("like", "~") and number_fits(value, operator, literal)
    if isinstance(value, (list, dict)):
        text = canonical_json(value).decode()
        wanted = literal.listed if operator == "=" else literal.text
        return wanted is not None and operator in ("=", "like", "~") and text_fits(text, operator, wanted)
    if operator in ("<", "<=", ">", ">="):
        if literal.number is not None:
            return number_fits(value, operator, literal)
        return text_fits(value, operator, literal.text)
    is_number = operator == "=" and value in NAMES and number_fits(value, operator, literal)
    return is_number or text_fits(value, operator, literal.text)


def text_fits(value: str, operator: str, wanted: str) -> bool:
    if operator == "=":
        return value == wanted
    if operator == "~":
        return folded(wanted) in folded(value)
    if operator == "like":
        return is_like(folded(value), folded(wanted))
    return value < wanted if operator == "<" else value <= wanted if operator == "<=" else value > wanted if (
        operator == ">"
    ) else value >= wanted  # fmt: skip


CAPITALS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def folded(text: str) -> str:
    """What `like` and `~` compare: A to Z as small letters, and as SQLite does, nothing behind a NUL."""
    return text.partition("\0")[0].translate(CAPITALS)


def is_like(text: str, pattern: str) -> bool:
    """Does a text fit a pattern with `%` for any text and `_` for any one character?

    Walks through both once and comes back to the last `%` only, so that no pattern takes long.
    """
    signs = pattern_signs(pattern)
    at = place = 0
    back: tuple[int, int] | None = None
    while at < len(text):
        if place < len(signs) and signs[place] == "%":
            back, place = (at, place + 1), place + 1
        elif place < len(signs) and signs[place] in ("_", f"={text[at]}"):
            at, place = at + 1, place + 1
        elif back is not None:
            back = (back[0] + 1, back[1])
            at, place = back
        else:
            return False
    return all(sign == "%" for sign in signs[place:])


def pattern_signs(pattern: str) -> list[str]:
    """`%`, `_`, and `=x` for a character that stands for itself: each but these, and any behind a backslash."""
    signs: list[str] = []
    characters = iter(pattern)
    for sign in characters:
        if sign == "\\":
            signs.append("=" + next(characters, ""))
        else:
            signs.append(sign if sign in "%_" else f"={sign}")
    return signs
