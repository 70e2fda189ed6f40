"""Config files that a command names: `--config conf.yaml`, `-c x.toml`, `config=train.conf`, `train.py config/a.py`.

Nobody declared them, so only what clearly is a config counts: a small file of names at its top, of a kind that people
write by hand, or one that the command or its own name calls a config. Everything else (a vocabulary, a data set's
labels, an output of the last time) is none, and no error.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from mltrack.formats.launchers import arguments_start
from mltrack.nouns import noun
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

LARGEST = 128 << 10
"""Bytes: it is read before the command starts, and YAML takes half a second a megabyte."""
MOST = 1000
"""Params of one file; with more it is data."""

WRITTEN_BY_HAND = (".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf")
BY_ITS_NAME = (".json", ".py")
"""Kinds that are data or code as often, so that something must call the file a config."""

_PAIR = lazy(r"(?:--)?\+{0,2}([A-Za-z_][\w./-]*)=(.+)", re.DOTALL)
_CALLED = lazy(r"conf|cfg|param|hyper|setting|option|\bargs?\b|preset|recipe|experiment|^[cfp]$", re.IGNORECASE)
_DATA = lazy(r"data|input|output|\bout\b|vocab|label|class|token|save|log|result|metric|names", re.IGNORECASE)


@noun
class Named:
    """A file that a word of a command names."""

    option: str
    """The option or key that it is the value of, without dashes; "" for a word of its own."""
    path: str
    """As it stands there."""


def named_configs(command: Sequence[str]) -> list[Named]:
    """The words of a command that may name a config file, in order and each once. Looks at no disk."""
    words = command[arguments_start(command) :]
    if not any(map(_has_suffix, words)):
        return []
    found: dict[str, Named] = {}
    for option, word in _values(words):
        if _has_suffix(word) and "://" not in word and _may_be(option, word):
            found.setdefault(word, Named(option, word))
    return list(found.values())


def _has_suffix(word: str) -> bool:
    return word.lower().endswith((*WRITTEN_BY_HAND, *BY_ITS_NAME))


def _values(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(option or "", value) of every word that is a value."""
    option = ""
    for word in words:
        pair = _PAIR.fullmatch(word)
        if pair:
            yield pair[1], pair[2]
            option = ""
        elif word.startswith("-") and len(word) > 1:
            option = word.lstrip("-")
        else:
            yield option, word


def _may_be(option: str, path: str) -> bool:
    if option and not _CALLED.search(option) and _DATA.search(option):
        return False
    if not path.lower().endswith(BY_ITS_NAME):
        return True
    stem = path.rpartition(".")[0]
    if path.lower().endswith(".py"):
        return bool(_CALLED.search(option)) or (not option and bool(_CALLED.search(stem)))
    return bool(_CALLED.search(option) or _CALLED.search(stem))


def read_config(path: Path) -> dict[str, Any] | None:
    """The flat params of a config file; None where it is none: missing, too large, broken, no names, or a program."""
    from mltrack.formats.documents import flatten, parse
    from mltrack.formats.yaml_nodes import Broken

    data = read_small(path, LARGEST)
    if data is None:
        return None
    suffix = path.suffix.lower()
    if suffix == ".py" and not is_only_settings(data):
        return None
    try:
        values = parse_pairs(data) if suffix == ".conf" else parse(data, suffix)
    except (Broken, ValueError, MemoryError):
        return None
    if not isinstance(values, dict):
        return None
    flat = flatten({str(name): value for name, value in values.items()})
    return flat if 0 < len(flat) <= MOST else None


def read_small(path: Path, limit: int) -> bytes | None:
    """The bytes of a regular file of at most `limit` bytes; None for anything else."""
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > limit:
            return None
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= limit else None


def is_only_settings(data: bytes) -> bool:
    """Does a Python file only give values to names, as config files in Python do? A function makes it a program."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(data).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    plain = (ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom, ast.ClassDef)
    return all(
        isinstance(item, plain) or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
        for item in body
    )


def parse_pairs(data: bytes) -> dict[str, Any]:
    """A file of `key = value` lines, as LightGBM and XGBoost read them; `#` begins a comment. Raises Broken.

    A line that is no pair makes the file something else: then it has none.
    """
    from mltrack.formats.documents import decode
    from mltrack.formats.scalars import parse_word

    values: dict[str, Any] = {}
    for line in decode(data).splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[\w.\-\[\]]+", name.strip()):
            return {}
        values[name.strip()] = parse_word(value.strip().strip("\"'"))
    return values
