"""YAML: one document, its values compared leaf by leaf; tags and types count, comments do not. What is a truth value or
a date to some readers only (`yes`, `2026-01-02`) is another than the same in quotes. Nothing is ever constructed.

A key that stands twice, a key that is a collection and more than one document are refused: then the lines decide.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mltrack.compare.comparators import Finding, Unreadable
from mltrack.compare.comparators.text import marks
from mltrack.compare.contents.contents import whole
from mltrack.compare.contents.trees import Typed, Walk

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "the order of keys, layout, quotes and comments, and in strings what any text lets differ"

LARGEST = 16 << 20
"""Bytes: YAML takes seconds to read."""
_DEEPEST = 100
_MOST = 200_000
_SIGNS = (b"[", b"{", b",", b"\n", b"\r", b"- ", b": ", b"? ")
"""Each value has one of these before or behind it."""
_OWN = "tag:yaml.org,2002:"


def fits(name: str, head: bytes) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def compare(a: Content, b: Content, around: Around) -> Finding:
    if (found := marks(a, b)) is not None:
        return found
    walk = Walk(around)
    walk.compare(parse(whole(a, LARGEST)), parse(whole(b, LARGEST)))
    return walk.finding("the layout, a comment or the order of keys differs")


def parse(data: bytes) -> Any:
    """The values of the one document. Raises Unreadable."""
    from mltrack.formats.yaml_nodes import Broken, compose

    if sum(map(data.count, _SIGNS)) > 2 * _MOST:
        raise Unreadable("it may have too many values to be compared in memory")
    try:
        node = compose(data.decode("utf-8"))
        return None if node is None else Reader().value(node, 0)
    except UnicodeDecodeError as error:
        raise Unreadable("it is no YAML: not UTF-8 text") from error
    except Broken as error:
        line = f"line {error.line:,}: " if error.line else ""
        raise Unreadable(f"it is no YAML that is read: {line}{error.problem}") from error
    except (RecursionError, ValueError) as error:
        raise Unreadable("it is no YAML that is read: nested too deeply, or a number has too many digits") from error


class Reader:
    """One walk over the nodes; counts them, for a few aliases can stand for more values than memory holds."""

    def __init__(self) -> None:
        self.seen = 0

    def value(self, node: Any, depth: int) -> Any:
        self.seen += 1
        if depth > _DEEPEST or self.seen > _MOST:
            raise Unreadable("it is no YAML that is read: nested too deeply, or aliases stand for too many values")
        found = self._plain(node, depth)
        return found if node.tag.startswith(_OWN) and is_known(node.tag) else {f"!{node.tag}": found}

    def _plain(self, node: Any, depth: int) -> Any:
        from mltrack.formats.yaml_nodes import scalar

        if node.id == "scalar":
            return Typed(node.value) if typed_elsewhere(node) else scalar(node)
        if node.id == "sequence":
            return [self.value(item, depth + 1) for item in node.value]
        found: dict[str, Any] = {}
        for key, item in node.value:
            if key.id != "scalar":
                raise Unreadable("it is no YAML that is read: a key is a collection")
            name = name_of(key)
            if name in found:
                raise Unreadable("it is no YAML that is read: a key stands twice")
            found[name] = self.value(item, depth + 1)
        return found


def name_of(key: Any) -> str:
    """The name that stands for a key: `1` is another than `"1"`."""
    kind = elsewhere(key) if typed_elsewhere(key) else key.tag.removeprefix(_OWN)
    text = str(key.value)
    if kind == "str":
        return f"!{text}" if text.startswith("!") else text
    return f"!{kind} {text}"


def typed_elsewhere(node: Any) -> bool:
    """Is a plain scalar text to YAML 1.2, and a truth value, a date or a number to readers of YAML 1.1?"""
    return node.tag == f"{_OWN}str" and not node.style and elsewhere(node) != "str"


def elsewhere(node: Any) -> str:
    """What a plain scalar is to YAML 1.1: `bool`, `timestamp`, `str`."""
    return _resolver().resolve(type(node), node.value, (True, False)).removeprefix(_OWN)  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _resolver() -> Any:
    from yaml.resolver import Resolver

    return Resolver()


def is_known(tag: str) -> bool:
    return tag.removeprefix(_OWN) in ("null", "bool", "int", "float", "str", "seq", "map", "merge")
