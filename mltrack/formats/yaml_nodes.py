"""YAML -> plain values, by walking its nodes: no tag is ever constructed, so a file cannot make an object.

Plain scalars follow `scalars.py`; anchors, aliases and merge keys work; an unknown tag is ignored and its node read
as it stands. Of a key that stands twice the last counts, as with PyYAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.formats.scalars import parse_scalar

if TYPE_CHECKING:
    from typing import Any

_TAG = "tag:yaml.org,2002:"
_TYPES = {type(None): "null", bool: "bool", int: "int", float: "float", str: "str"}
_DEEPEST = 200
_MOST = 1_000_000
_NESTED = 1000


class Broken(Exception):
    """A document that cannot be read: what is wrong, and the line (from 1) where that is known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def parse_yaml(source: str | bytes) -> Any:
    """The one document of a YAML text as dicts, lists and scalars; None if it is empty. Raises Broken."""
    node = compose(source)
    return None if node is None else _Plain().value(node, 0)


def compose(source: str | bytes, exact_marks: bool = False) -> Any:
    """The root node of the one document, or None. `exact_marks` asks for marks that count characters of a str."""
    import yaml

    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    base: Any = yaml.SafeLoader if exact_marks else fast

    class CoreLoader(base):  # type: ignore[misc]
        def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
            if kind is not yaml.ScalarNode:
                return _TAG + ("seq" if kind is yaml.SequenceNode else "map")
            if not implicit[0]:
                return _TAG + "str"
            return _TAG + ("merge" if value == "<<" else _TYPES[type(parse_scalar(value))])

    try:
        if len(source) > _NESTED and not exact_marks:
            check_depth(source, fast)
        loader = CoreLoader(source)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "it is not YAML"
        raise Broken(problem, mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise Broken(str(error).splitlines()[0]) from error
    except RecursionError as error:
        raise Broken("it is nested too deeply") from error


def check_depth(source: str | bytes, loader: Any) -> None:
    """Refuse what is nested so deeply that composing it in C would end the process. Raises Broken."""
    import yaml

    depth = 0
    for event in yaml.parse(source, loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _NESTED:
            raise Broken("it is nested too deeply", event.start_mark.line + 1 if event.start_mark else None)


class _Plain:
    """One walk over the nodes; counts them, since a few aliases can stand for more values than memory holds."""

    def __init__(self) -> None:
        self.seen = 0

    def value(self, node: Any, depth: int) -> Any:
        self.seen += 1
        if depth > _DEEPEST or self.seen > _MOST:
            line = node.start_mark.line + 1
            raise Broken("it is nested too deeply, or its aliases stand for too many values", line)
        if node.id == "scalar":
            return scalar(node)
        if node.id == "sequence":
            return [self.value(item, depth + 1) for item in node.value]
        return self.mapping(node, depth)

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, item in node.value:
            if key.tag == _TAG + "merge":
                self.merge(item, merged, depth)
            else:
                own[key_of(key)] = self.value(item, depth + 1)
        return {**merged, **own}

    def merge(self, node: Any, merged: dict[str, Any], depth: int) -> None:
        """Add what `<<` brings; of several mappings the first that has a key counts."""
        sources = node.value if node.id == "sequence" else [node]
        for source in sources:
            if source.id != "mapping":
                raise Broken("`<<` needs a mapping or a list of mappings", source.start_mark.line + 1)
            for name, item in self.value(source, depth + 1).items():
                merged.setdefault(name, item)


def scalar(node: Any) -> Any:
    """The value of a scalar node; explicit `!!str`, `!!float` and the like are heeded, other tags are not."""
    tag = node.tag.removeprefix(_TAG)
    if tag in ("null", "bool", "int"):
        return parse_scalar(node.value)
    if tag == "float":
        value = parse_scalar(node.value)
        return float(value) if type(value) is int else value
    return node.value


def key_of(node: Any) -> str:
    """The name that a key node stands for: its text as written. Raises Broken for a key that is a collection."""
    if node.id != "scalar":
        raise Broken("a list or mapping cannot be a name", node.start_mark.line + 1)
    return str(node.value)
