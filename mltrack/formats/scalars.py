"""The one grammar of scalars, for files, arguments and `--set`: YAML 1.2's core schema.

So `1e-3` is a number, `on` and `yes` are text, `~` is null. YAML itself is imported only for flow collections and
quoted text that JSON cannot read. Nothing here reads a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.patterns import lazy

if TYPE_CHECKING:
    from typing import Any

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = lazy(r"[-+]?[0-9]+")
_BASED = lazy(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = lazy(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST = 400
"""A longer run of digits stays text: it is an identifier, and Python refuses to convert very long ones."""


def parse_scalar(text: str) -> Any:
    """Text -> None, bool, int, float or the text itself. Blanks are not stripped; the empty text is null.

    A float beyond the range of a double (`1234567e890`, which is how an abbreviated commit may look) stays text.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > _LONGEST:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        value = float(text)
        return text if value in (float("inf"), float("-inf")) else value
    return text


def parse_value(text: str) -> Any:
    """A scalar, or what a flow collection (`[1, 2]`, `{a: 1}`) or quoted text (`"0.1"`, always text) says.

    Text that opens like one of these and is none (`[a-z]*.csv`) stays text.
    """
    return _parse_flow(text) if text.lstrip()[:1] in ("[", "{", '"', "'") else parse_scalar(text)


def parse_word(text: str) -> Any:
    """A word of a command: as `parse_value`, but quotes that reached the command are part of its text."""
    if text[:1] == "[" or (text[:1] == "{" and ":" in text):
        return _parse_flow(text)
    return parse_scalar(text)


def is_number(value: Any) -> bool:
    """Is it an int or a float, and no bool?"""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _parse_flow(text: str) -> Any:
    import json

    try:
        return json.loads(text, parse_float=parse_scalar, parse_int=parse_scalar, parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass
    from mltrack.formats.yaml_nodes import Broken, parse_yaml

    try:
        return parse_yaml(text)
    except Broken:
        return text


def _refuse(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are text in the core schema
