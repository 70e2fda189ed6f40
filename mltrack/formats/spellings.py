"""How a value may be written in each format, the likeliest spelling first.

The spellings are candidates: `edits.py` takes the first one that reads back as the value.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def spellings(suffix: str, value: Any, text: str, old: str) -> Iterator[str]:
    """Candidates for `value`, given as `text`, in the place of the token `old`."""
    if suffix in (".ini", ".cfg"):
        yield value if isinstance(value, str) else text
        return
    write = {".json": json_text, ".toml": toml_text, ".py": python_text}.get(suffix, yaml_text)
    if not isinstance(value, str):
        if not isinstance(value, (list, dict)):
            yield _both_yamls(text, value) if write is yaml_text else text
        if suffix == ".py" and isinstance(value, list) and old.startswith("("):
            items = write(value)[1:-1]
            yield f"({items},)" if len(value) == 1 else f"({items})"
        yield write(value)
        return
    if suffix in (".yaml", ".yml", ".toml") and old[:1] not in ('"', "'"):
        yield value  # plain text of YAML; a date of TOML
    if suffix != ".json" and old.startswith("'"):
        yield _single(suffix, value)
    yield write(value)
    if suffix in (".yaml", ".yml"):
        yield _single(suffix, value)


def _both_yamls(text: str, value: Any) -> str:
    """A number as YAML 1.1 reads it too: there, and so for PyYAML, `1e-3` and `0o17` are text and `017` is 15."""
    if type(value) is float and "." not in text:
        text = re.sub(r"(?i)(e)", r".0\1", text, count=1)
    if type(value) is float:
        return re.sub(r"(?i)(e)(\d)", r"\1+\2", text)
    return str(value) if type(value) is int and not text.startswith("0x") else text


def _single(suffix: str, text: str) -> str:
    if suffix == ".py":
        return repr(text)
    return "'" + (text if suffix == ".toml" else text.replace("'", "''")) + "'"


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def yaml_text(value: Any) -> str:
    """Flow style on one line: JSON, but for infinities and NaN."""
    if isinstance(value, list):
        return f"[{', '.join(map(yaml_text, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json_text(str(key))}: {yaml_text(item)}" for key, item in value.items()) + "}"
    return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value)) or json_text(value)


def toml_text(value: Any) -> str:
    """One line; null, which TOML lacks, becomes text that does not read back."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml_text, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json_text(str(key))} = {toml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float):
        return repr(value)
    return json_text(value).replace("\x7f", "\\u007f")


def python_text(value: Any) -> str:
    return json_text(value) if isinstance(value, str) else repr(value)
