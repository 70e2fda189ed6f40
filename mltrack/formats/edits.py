"""Change one value of a params file by its span: every other byte stays, comments, order and line endings too.

An edit is proved before it is given back: the new text is read again and may differ in that one key only. What cannot
be changed so (an anchor that other keys share, a value over several lines) is refused. Nothing is written here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.digest import canonical_json
from mltrack.errors import UsageError
from mltrack.formats.documents import decode, flatten, parse
from mltrack.formats.params import known_keys
from mltrack.formats.scalars import parse_value
from mltrack.formats.spellings import spellings
from mltrack.formats.yaml_nodes import Broken

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Finder = Callable[[str, str], list[tuple[int, int]]]

_MARK = b"\xef\xbb\xbf"


def edit_file(data: bytes, suffix: str, key: str, text: str) -> bytes:
    """The file's bytes with the value of `key` (flattened with dots) changed to what `text` says by the scalar grammar.

    Raises UsageError if the file is broken, has no such key, or its value cannot be changed alone.
    """
    suffix = suffix.lower()
    value = parse_value(text)
    try:
        source = decode(data)
        before = _params(data, suffix)
        if key not in before:
            raise UsageError(f"The params file has no key {key!r}.", known_keys(key, before))
        start, end = _span(source, suffix, key)
    except Broken as error:
        where = f" (line {error.line})" if error.line else ""
        raise UsageError(f"The value of {key!r} cannot be edited: {error.problem}{where}.", _HINT) from error
    after = {name: item for name, item in before.items() if name != key}
    wanted = canonical_json({**after, **flatten({key: value})})
    mark = _MARK if data.startswith(_MARK) else b""
    for spelling in spellings(suffix, value, text, source[start:end]):
        edited = mark + _put(source, start, end, spelling).encode()
        if _reads_as(edited, suffix, wanted):
            return edited
    raise UsageError(
        f"The value of {key!r} cannot be changed to {text!r} alone: other keys share it, or the format cannot say it.",
        _HINT,
    )


_HINT = "Edit the file yourself, or give the value on the command line."


def _span(source: str, suffix: str, key: str) -> tuple[int, int]:
    """Where the one value of the key stands, in characters. Raises Broken if that is not one place on one line."""
    spans = _finder(suffix)(source, key)
    if not spans:
        raise Broken("its place in the file cannot be told, perhaps because an anchor brings it")
    start, end = spans[-1]
    line = source.count("\n", 0, start) + 1
    if len(spans) > 1:
        raise Broken("it stands more than once", line)
    if any(newline in source[start:end] for newline in "\n\r"):
        raise Broken("it stands on more than one line", line)
    return start, end


def _put(source: str, start: int, end: int, spelling: str) -> str:
    """The source with the span replaced; a value that was empty gets the blank that YAML wants after a colon."""
    blank = " " if start == end and source[:start].endswith(":") else ""
    return source[:start] + blank + spelling + source[end:]


def _reads_as(data: bytes, suffix: str, wanted: bytes) -> bool:
    try:
        return canonical_json(_params(data, suffix)) == wanted
    except Broken:
        return False


def _params(data: bytes, suffix: str) -> dict[str, Any]:
    values = parse(data, suffix)
    if not isinstance(values, dict):
        raise Broken("the file holds no names")
    return flatten(values)


def _finder(suffix: str) -> Finder:
    from mltrack.formats import spans, toml_spans

    return {
        ".yaml": spans.in_yaml,
        ".yml": spans.in_yaml,
        ".json": spans.in_json,
        ".toml": toml_spans.in_toml,
        ".py": spans.in_python,
        ".ini": spans.in_ini,
        ".cfg": spans.in_ini,
    }[suffix]
