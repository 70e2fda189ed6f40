"""The nouns of a query: what the parser makes, and `sql.py` and `evaluate.py` read."""

from __future__ import annotations

from collections.abc import Iterator

from mltrack.ledger.language.fields import Asked
from mltrack.nouns import noun


@noun
class Literal:
    """A value of a query, read in every way that its field may need; None where it cannot be read so."""

    text: str
    number: int | float | None = None
    truth: bool | None = None
    span: tuple[str, str] | None = None
    """Of a time: its first microsecond and the first one behind it, as records write them."""
    listed: str | None = None
    """A list or table as canonical JSON."""


@noun
class Compare:
    """A field against values. With several it is `=` and means any of them."""

    asked: Asked
    operator: str
    """`= < <= > >= like ~`."""
    literals: tuple[Literal, ...]
    negated: bool = False
    """There is a value, and the comparison does not hold; of a field of many values: it holds for none of them."""


@noun
class IsNull:
    """The field has no value in the run."""

    asked: Asked
    negated: bool = False


@noun
class Not:
    item: Node


@noun
class Every:
    """Every item holds; of no items: true."""

    items: tuple[Node, ...] = ()


@noun
class Some:
    """Some item holds."""

    items: tuple[Node, ...]


Node = Compare | IsNull | Not | Every | Some


def every_asked(node: Node) -> Iterator[Asked]:
    """The fields that a query names."""
    if isinstance(node, (Compare, IsNull)):
        yield node.asked
    elif isinstance(node, Not):
        yield from every_asked(node.item)
    else:
        for item in node.items:
            yield from every_asked(item)
