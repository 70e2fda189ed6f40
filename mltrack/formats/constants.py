"""The constants of a Python file: names that are given a literal at module or class level.

The file is parsed, never executed. A name whose last assignment is no literal (`LR = compute()`) has no known value and
is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.formats.yaml_nodes import Broken

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator
    from typing import Any


def parse_constants(source: str) -> dict[str, Any]:
    """Name -> value, `Class.NAME` as nested dicts. Tuples and sets become lists. Raises Broken."""
    return _values(constant_nodes(source))


def constant_nodes(source: str) -> dict[str, Any]:
    """Name -> the AST node of its last assignment, and class name -> the same for its body. Raises Broken."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():  # an invalid escape in the user's file is not ours to report
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        raise Broken(error.msg, error.lineno) from error
    except (ValueError, MemoryError) as error:
        raise Broken(str(error) or "it is nested too deeply") from error
    return _nodes(tree.body)


def _nodes(body: list[ast.stmt]) -> dict[str, Any]:
    import ast

    found: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            found[statement.name] = _nodes(statement.body)
            continue
        for name, node in _assignments(statement):
            found.pop(name, None)
            if node is not None and not (name.startswith("__") and name.endswith("__")):
                found[name] = node
    return found


def _assignments(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """The names that a statement binds, with the expression, or None where its value cannot be told."""
    import ast

    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.value
            else:
                yield from ((node.id, None) for node in ast.walk(target) if isinstance(node, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        yield statement.target.id, statement.value
    elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id, None


def _values(nodes: dict[str, Any]) -> dict[str, Any]:
    import ast

    values: dict[str, Any] = {}
    for name, node in nodes.items():
        if isinstance(node, dict):
            inner = _values(node)
            if inner:
                values[name] = inner
            continue
        try:
            values[name] = _plain(ast.literal_eval(node))
        except (ValueError, TypeError, MemoryError, RecursionError):
            continue
    return values


def _plain(value: Any) -> Any:
    """A literal as JSON can hold it; raises ValueError for bytes, complex numbers and the like."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=repr)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    raise ValueError(f"not a plain value: {value!r}")
