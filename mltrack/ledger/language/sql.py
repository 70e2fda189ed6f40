"""A query's tree -> a condition in SQL. Values and names are bound, never part of the text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from typing import Any as Anything

from mltrack.ledger.language.fields import ANY, BOOL, ID, NUMBERS, TIME, VERSION, Asked, Field
from mltrack.ledger.language.literals import HOLDS, NAMES, version_order
from mltrack.ledger.language.tree import Compare, Every, IsNull, Literal, Node, Not, Some

if TYPE_CHECKING:
    import sqlite3

Part = tuple[str, list[Anything]]
"""SQL, and the values for its question marks in their order."""

NOTHING: Part = ("0", [])
GROUP = 40
LAST = "\U0010ffff"
"""Behind the beginning of an id: what no id that begins so is above."""


def condition(node: Node, negated: bool = False) -> Part:
    """The WHERE of a query, or of its opposite, for `run_row AS run`.

    Null counts as false. `not` is led down to the comparisons: SQLite's parser has no room for many within one another.
    """
    if isinstance(node, Not):
        return condition(node.item, not negated)
    if isinstance(node, (Every, Some)):
        is_and = isinstance(node, Every) is not negated
        word, none = (" AND ", "1") if is_and else (" OR ", "0")
        return joined([condition(item, negated) for item in node.items], word, none)
    sql, bound = existence(node.asked, wanted=node.negated) if isinstance(node, IsNull) else comparison(node)
    return (f"NOT ifnull({sql}, 0)" if negated else sql), bound


def joined(parts: list[Part], word: str, none: str) -> Part:
    """The parts with a word between them; in groups, as SQLite allows no deep expression."""
    if not parts:
        return none, []
    if len(parts) > GROUP:
        groups = [parts[start : start + GROUP] for start in range(0, len(parts), GROUP)]
        return joined([joined(group, word, none) for group in groups], word, none)
    return "(" + word.join(sql for sql, _ in parts) + ")", [value for _, bound in parts for value in bound]


def add_functions(db: sqlite3.Connection, sql: str) -> None:
    """Give the connection what a condition calls."""
    if "version_order(" in sql:
        db.create_function("version_order", 2, version_order, deterministic=True)


def existence(asked: Asked, wanted: bool) -> Part:
    field = asked.field
    if field.source is None:
        return f"{field.sql} IS {'NOT ' if wanted else ''}NULL", []
    return exists(asked, (f"{field.sql} IS NOT NULL", []), wanted)


def exists(asked: Asked, part: Part, wanted: bool = True) -> Part:
    """Whether some of a field's rows fit: of those that runs share found once, of a run's own looked up for it."""
    source = asked.field.source
    assert source is not None
    rows, bound = rows_that(asked, part)
    word = "" if wanted else "NOT "
    if source.is_shared:
        return f"{source.of_run} {word}IN (SELECT {source.own} {rows})", bound
    own = f" AND {source.own} = {source.of_run}" if source.own else ""
    return f"{word}EXISTS (SELECT 1 {rows}{own})", bound


def rows_that(asked: Asked, part: Part) -> Part:
    """A field's rows that fit, of whatever run: from FROM on."""
    source = asked.field.source
    assert source is not None
    sql, bound = part
    named = f"{source.named} AND " if source.named else ""
    return f"FROM {source.table} WHERE {named}{sql}", ([asked.key] if source.named else []) + bound


def comparison(node: Compare) -> Part:
    field = node.asked.field
    part = value_part(node)
    if field.source is None:
        return part
    return exists(node.asked, part, wanted=not (node.negated and field.many))


def value_part(node: Compare) -> Part:
    """What must hold of one value; of a field of many values, what may hold of none where the node is negated."""
    field = node.asked.field
    sql, bound = holds(field, node.operator, node.literals)
    if node.negated and not field.many:
        sql = f"({field.sql} IS NOT NULL AND NOT ifnull({sql}, 0))"
    return sql, bound


def holds(field: Field, operator: str, literals: tuple[Literal, ...]) -> Part:
    """Whether a value that is there compares so with any of the literals."""
    if operator == "=" and field.kind not in (*NUMBERS, BOOL, TIME, ID, VERSION, ANY):
        return one_of(field.sql, [literal.text for literal in literals])
    return joined([value_holds(field, operator, literal) for literal in literals], " OR ", "0")


def one_of(value: str, wanted: list[Anything]) -> Part:
    return f"{value} IN ({', '.join('?' * len(wanted))})", wanted


def value_holds(field: Field, operator: str, literal: Literal) -> Part:
    value, kind = field.sql, field.kind
    if kind in NUMBERS:
        return number_holds(value, operator, literal.number)
    if kind == BOOL:
        return f"{value} = ?", [literal.truth]
    if kind == TIME:
        return time_holds(value, operator, literal)
    if kind == ID and operator == "=":
        return f"({value} >= ? AND {value} < ?)", [literal.text, literal.text + LAST]
    if kind == VERSION and operator not in ("like", "~"):
        return version_holds(value, operator, literal.text)
    if kind == ANY:
        return any_holds(value, operator, literal)
    return text_holds(value, operator, literal.text)


def number_holds(value: str, operator: str, number: int | float | None) -> Part:
    """Numbers are numbers, but NaN and the infinities are texts, which SQLite sorts behind all numbers.

    A `+` keeps SQLite from walking an index for each half of an OR, and leaves it the range of the whole.
    """
    if number is None:
        return NOTHING
    names: list[Anything] = [name for name, one in NAMES.items() if HOLDS[operator](one, number)]
    if math.isnan(number):
        return one_of(value, names) if names else NOTHING
    if operator in (">", ">="):
        others = [name for name in NAMES if name not in names]
        return f"({value} {operator} ? AND +{value} NOT IN ({', '.join('?' * len(others))}))", [number, *others]
    if not names:
        return f"{value} {operator} ?", [number]
    sql, bound = one_of(f"+{value}", names)
    return f"(+{value} {operator} ? OR {sql})", [number, *bound]


def time_holds(value: str, operator: str, literal: Literal) -> Part:
    assert literal.span is not None
    start, end = literal.span
    if operator == "=":
        return f"({value} >= ? AND {value} < ?)", [start, end]
    sign, bound = {"<": ("<", start), "<=": ("<", end), ">": (">=", end), ">=": (">=", start)}[operator]
    return f"{value} {sign} ?", [bound]


def version_holds(value: str, operator: str, wanted: str) -> Part:
    """`+` and `.` are followed by `,` and `/` in the order of signs."""
    if operator == "=":
        ranges = " OR ".join([f"({value} >= ? AND {value} < ?)"] * 2)
        return f"({value} = ? OR {ranges})", [wanted, f"{wanted}.", f"{wanted}/", f"{wanted}+", f"{wanted},"]
    return f"version_order({value}, ?) {operator} 0", [wanted]


def text_holds(value: str, operator: str, wanted: str) -> Part:
    if operator == "~":
        escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{value} LIKE ? ESCAPE '\\'", [f"%{escaped}%"]
    if operator == "like":
        return f"{value} LIKE ? ESCAPE '\\'", [wanted]
    return f"{value} {operator} ?", [wanted]


def any_holds(value: str, operator: str, literal: Literal) -> Part:
    """A parameter: its type decides how the literal is read."""
    kinds: list[tuple[str, Part]] = []
    is_text, plain = operator in ("like", "~"), f"+{value}"
    if not is_text:
        number = number_holds(plain, operator, literal.number)
        if number != NOTHING:
            kinds.append((f"(param.type IN ('int', 'float') OR {plain} IN ('NaN', 'Infinity', '-Infinity'))", number))
    if operator == "=" and literal.truth is not None:
        kinds.append(("param.type = 'bool'", (f"{plain} = ?", [literal.truth])))
    if is_text or operator == "=" or literal.number is None:
        kinds.append(("param.type = 'str'", text_holds(plain, operator, literal.text)))
    wanted = literal.listed if operator == "=" else literal.text if is_text else None
    if wanted is not None:
        kinds.append(("param.type = 'json'", text_holds(plain, operator, wanted)))
    exact, bound = joined([(f"({kind} AND {sql})", bound) for kind, (sql, bound) in kinds], " OR ", "0")
    range, first = range_of(value, operator, literal)
    return f"({range} AND {exact})", first + bound


def range_of(value: str, operator: str, literal: Literal) -> Part:
    """What holds of every parameter that compares so, and an index can find."""
    number = literal.number
    if operator == "=" and (number is None or math.isfinite(number)):
        ways = (literal.text, number, literal.truth, literal.listed)
        return one_of(value, [way for way in ways if way is not None])
    if operator in (">", ">=") and number is not None and math.isfinite(number):
        return f"{value} {operator} ?", [number]
    return "1", []
