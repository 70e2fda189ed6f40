"""Where the value of a key stands in a TOML text.

A small scanner of statements: headers, dotted keys, inline tables. The text was read by a real parser before, so it
does not check anything; `edits.py` proves the edit.
"""

from __future__ import annotations

import json
import re

_GAP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_NAME = re.compile(r"[ \t]*(?:([A-Za-z0-9_-]+)|(\"(?:[^\"\\]|\\.)*\")|'([^']*)')[ \t]*")
_STRINGS = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""",
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]}#\r\n]*")


def in_toml(text: str, key: str) -> list[tuple[int, int]]:
    """(start, end) in characters of every value that `key`, flattened with dots, could mean."""
    found: list[tuple[int, int]] = []
    prefix, at = "", _gap(text, 0)
    while at < len(text):
        if text[at] == "[":
            opening = 2 if text.startswith("[[", at) else 1
            name, at = _dotted(text, at + opening)
            prefix = f"{name}."
            at += opening
        else:
            at = _pair(text, at, (key, prefix), found)
        at = _gap(text, at)
    return found


def _pair(text: str, at: int, wanted: tuple[str, str], found: list[tuple[int, int]]) -> int:
    """Read `name = value` and note its span if it is the wanted key under the prefix; the end is given."""
    key, prefix = wanted
    name, at = _dotted(text, at)
    start = _gap(text, at + 1)
    path = prefix + name
    if text[start] == "{" and key.startswith(f"{path}."):
        return _table(text, start, (key, f"{path}."), found)
    end = _after_value(text, start)
    if path == key:
        found.append((start, end))
    return end


def _table(text: str, at: int, wanted: tuple[str, str], found: list[tuple[int, int]]) -> int:
    at = _gap(text, at + 1)
    while text[at] != "}":
        at = _gap(text, _pair(text, at, wanted, found))
        if text[at] == ",":
            at = _gap(text, at + 1)
    return at + 1


def _dotted(text: str, at: int) -> tuple[str, int]:
    """A dotted key as flattened name, and the position after it."""
    names: list[str] = []
    while True:
        part = _NAME.match(text, at)
        if part is None:
            return ".".join(names), at
        bare, quoted, literal = part.groups()
        names.append(bare or (_unquote(quoted) if quoted else literal))
        at = part.end()
        if text[at] != ".":
            return ".".join(names), at
        at += 1


def _unquote(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:  # an escape that only TOML has; the key is then not found
        return quoted


def _after_value(text: str, at: int) -> int:
    string = _STRINGS.match(text, at)
    if string:
        return string.end()
    if text[at] not in "[{":
        bare = _BARE.match(text, at)
        return at + len(bare[0].rstrip()) if bare else at
    closing = "]" if text[at] == "[" else "}"
    at = _gap(text, at + 1)
    while text[at] != closing:
        if closing == "}":
            at = _gap(text, _dotted(text, at)[1] + 1)
        at = _gap(text, _after_value(text, at))
        if text[at] == ",":
            at = _gap(text, at + 1)
    return at + 1


def _gap(text: str, at: int) -> int:
    """The position after blanks, newlines and comments."""
    gap = _GAP.match(text, at)
    return gap.end() if gap else at
