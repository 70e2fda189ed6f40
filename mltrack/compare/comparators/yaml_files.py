"""YAML: one document, its values compared leaf by leaf; tags count, comments do not. Nothing is ever constructed.

A key that stands twice, a key that is a collection and more than one document are refused: then the lines decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltrack.compare.comparators import Finding, Unreadable
from mltrack.compare.contents.contents import whole
from mltrack.compare.contents.trees import Walk

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "the order of keys, layout, quotes and comments, and in strings what any text lets differ"

LARGEST = 16 << 20
"""Bytes: YAML takes seconds to read."""
_DEEPEST = 100
_MOST = 200_000
_OWN = "tag:yaml.org,2002:"


def fits(name: str, head: bytes) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def compare(a: Content, b: Content, around: Around) -> Finding:
    walk = Walk(around)
    walk.compare(parse(whole(a, LARGEST)), parse(whole(b, LARGEST)))
    return walk.finding("the layout, a comment or the order of keys differs")


def parse(data: bytes) -> Any:
    """The values of the one document. Raises Unreadable."""
    from mltrack.formats.yaml_nodes import Broken, compose

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
            return scalar(node)
        if node.id == "sequence":
            return [self.value(item, depth + 1) for item in node.value]
        found: dict[str, Any] = {}
        for key, item in node.value:
            if key.id != "scalar":
                raise Unreadable("it is no YAML that is read: a key is a collection")
            if key.value in found:
                raise Unreadable("it is no YAML that is read: a key stands twice")
            found[key.value] = self.value(item, depth + 1)
        return found


def is_known(tag: str) -> bool:
    return tag.removeprefix(_OWN) in ("null", "bool", "int", "float", "str", "seq", "map", "merge")
