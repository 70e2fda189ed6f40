"""Documents of plain values: YAML, JSON, TOML, INI and the constants of a Python file, chosen by suffix.

Reading gives dicts, lists and scalars that JSON can hold (TOML's dates become ISO text). Nothing is executed, no tag is
constructed, and only regular files are opened.
"""

from __future__ import annotations

import re
import stat
import sys
from typing import TYPE_CHECKING

from mltrack.errors import UsageError
from mltrack.formats.yaml_nodes import Broken, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

PARAMS_SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".py", ".ini", ".cfg")


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file. Raises UsageError if it is missing, is none, or cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is not a regular file.", "Name a file; pipes and devices would be consumed.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"The file {path} does not exist.", "Check its name, or take it out of the list.") from error
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        raise UsageError(f"The file {path} cannot be read: {reason}.", "Check its permissions.") from error


def parse_document(path: Path, data: bytes) -> Any:
    """The values of a document, by the path's suffix. Raises UsageError that names the file and the line."""
    try:
        return parse(data, path.suffix.lower())
    except Broken as error:
        raise broken_file(path, error) from error


def broken_file(path: Path, error: Broken) -> UsageError:
    """The error for a file that cannot be read: its name, the line where known, and what is wrong."""
    where = f"{path}, line {error.line}" if error.line else f"{path}"
    return UsageError(f"{where}: {error.problem}.", "Correct the file; mltrack reads it but never changes it.")


def parse(data: bytes, suffix: str) -> Any:
    """The values of a document of one suffix. Raises Broken; for an unknown suffix too."""
    reader = _READERS.get(suffix)
    if reader is None:
        raise Broken(f"the suffix {suffix!r} is none of {', '.join(_READERS)}")
    try:
        return reader(data)
    except RecursionError as error:
        raise Broken("it is nested too deeply") from error


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, names joined by dots. Lists stay lists; an empty mapping stays `{}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def decode(data: bytes) -> str:
    """UTF-8 text without its byte order mark. Raises Broken with the line of the first other byte."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Broken("it is not UTF-8 text", data.count(b"\n", 0, error.start) + 1) from error


def parse_json(data: bytes) -> Any:
    """JSON, with NaN and Infinity as Python writes them. Raises Broken."""
    import json

    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise Broken(f"{error.msg[:1].lower()}{error.msg[1:]}", error.lineno) from error
    except ValueError as error:
        raise Broken(str(error)) from error


def iso_text(moment: Any) -> str:
    return str(moment.isoformat())


def parse_toml(data: bytes, dated: Callable[[Any], str] = iso_text) -> dict[str, Any]:
    """TOML, its dates and times as ISO text, or as what `dated` makes of them. Raises Broken."""
    from importlib import import_module

    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    text = decode(data)
    try:
        values: dict[str, Any] = _plain_toml(toml.loads(text), dated)
    except toml.TOMLDecodeError as error:
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        problem = str(error)[: found.start()] if found else str(error)
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        raise Broken(f"{problem[:1].lower()}{problem[1:]}", line) from error
    return values


def _plain_toml(value: Any, dated: Callable[[Any], str]) -> Any:
    if isinstance(value, dict):
        return {key: _plain_toml(item, dated) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_toml(item, dated) for item in value]
    return dated(value) if hasattr(value, "isoformat") else value


def parse_ini(data: bytes) -> dict[str, dict[str, Any]]:
    """An INI file: sections of options, names as spelled. `[DEFAULT]` is a section like the others. Raises Broken."""
    import configparser

    from mltrack.formats.scalars import parse_word

    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="\0")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(decode(data))
    except configparser.MissingSectionHeaderError as error:
        raise Broken("an option stands before the first [section]", error.lineno) from error
    except configparser.ParsingError as error:
        line, text = error.errors[0]
        raise Broken(f"it is not an option, a section or a comment: {text}", line) from error
    return {
        section: {name: parse_word(text or "") for name, text in parser.items(section)} for section in parser.sections()
    }


def _parse_python(data: bytes) -> dict[str, Any]:
    from mltrack.formats.constants import parse_constants

    return parse_constants(decode(data))


_READERS = {
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
    ".json": parse_json,
    ".toml": parse_toml,
    ".py": _parse_python,
    ".ini": parse_ini,
    ".cfg": parse_ini,
}
