"""Where the value of a key stands in a text, for YAML, JSON, INI and Python; TOML has a file of its own.

Each finder takes the text and a flattened key, and gives (start, end) in characters for every place that could be
meant. It may be generous: `edits.py` proves an edit before it counts. The text was read before and is not broken.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mltrack.formats.yaml_nodes import Broken, compose

if TYPE_CHECKING:
    from typing import Any

Spans = list[tuple[int, int]]

_BLANK = re.compile(r"[ \t\r\n]*")
_INI_OPTION = re.compile(r"\s*(?![#;\s])(.*?)\s*[=:][^\S\r\n]*(.*?)\s*", re.DOTALL)


def in_yaml(text: str, key: str) -> Spans:
    """By the marks of YAML's nodes. Raises Broken for a value that has an anchor, an alias or a tag."""
    root = compose(text, exact_marks=True)
    found = list(_yaml_nodes(root, key, "")) if root is not None else []
    for node in found:
        if text[node.start_mark.index : node.start_mark.index + 1] in ("&", "*", "!"):
            raise Broken("it has an anchor or a tag", node.start_mark.line + 1)
    return [(node.start_mark.index, node.end_mark.index) for node in found]


def _yaml_nodes(node: Any, key: str, prefix: str) -> list[Any]:
    found: list[Any] = []
    for name, value in node.value if node.id == "mapping" else []:
        path = f"{prefix}{name.value}"
        if path == key:
            found.append(value)
        elif key.startswith(f"{path}."):
            found.extend(_yaml_nodes(value, key, f"{path}."))
    return found


def in_json(text: str, key: str) -> Spans:
    """By decoding member after member of the objects on the way to the key."""
    return _json_spans(text, _BLANK.match(text).end(), key, "")  # type: ignore[union-attr]


def _json_spans(text: str, at: int, key: str, prefix: str) -> Spans:
    decode = json.JSONDecoder().raw_decode
    found: Spans = []

    def skip(position: int) -> int:
        return _BLANK.match(text, position).end()  # type: ignore[union-attr]

    at = skip(at + 1)
    while text[at] != "}":
        name, end = decode(text, at)
        start = skip(skip(end) + 1)
        _, end = decode(text, start)
        path = f"{prefix}{name}"
        if path == key:
            found.append((start, end))
        elif key.startswith(f"{path}.") and text[start] == "{":
            found.extend(_json_spans(text, start, key, f"{path}."))
        at = skip(end)
        if text[at] == ",":
            at = skip(at + 1)
    return found


def in_ini(text: str, key: str) -> Spans:
    """Line by line: a section, then `name = value` or `name: value`."""
    found: Spans = []
    section, at = "", 0
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        option = _INI_OPTION.fullmatch(line)
        if stripped.startswith("[") and "]" in stripped:
            section = stripped[1 : stripped.rindex("]")]
        elif option and f"{section}.{option[1]}" == key:
            found.append((at + option.start(2), at + option.end(2)))
        at += len(line)
    return found


def in_python(text: str, key: str) -> Spans:
    """By the positions of the syntax tree, whose columns count UTF-8 bytes."""
    from mltrack.formats.constants import constant_nodes

    starts = [0, *(newline.end() for newline in re.finditer(r"\r\n|\r|\n", text))]

    def offset(line: int, column: int) -> int:
        begin = starts[line - 1]
        return begin + len(text[begin : begin + column].encode()[:column].decode())

    return [
        (offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset))
        for node in _python_nodes(constant_nodes(text), key, "")
    ]


def _python_nodes(nodes: dict[str, Any], key: str, prefix: str) -> list[Any]:
    found: list[Any] = []
    for name, node in nodes.items():
        path = f"{prefix}{name}"
        if path == key:
            found.append(node)
        elif key.startswith(f"{path}."):
            found.extend(_python_nodes(node if isinstance(node, dict) else _members(node), key, f"{path}."))
    return found


def _members(node: Any) -> dict[str, Any]:
    """The values of a dict literal by name; of a name that stands twice the last."""
    import ast

    if not isinstance(node, ast.Dict):
        return {}
    pairs = zip(node.keys, node.values, strict=True)
    return {str(name.value): value for name, value in pairs if isinstance(name, ast.Constant)}
