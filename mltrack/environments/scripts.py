"""Names of commands that only a launcher knows: `pdm run train`, where pyproject.toml says what `train` is.

Read from the project's own files; only commands that are plain words, not a shell's text.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mltrack.environments.command import Launcher
from mltrack.patterns import lazy

DEPTH = 4
"""Names that lead to other names."""

ARGUMENTS = "{args}"
"""Hatch's place for the words that follow."""

SHELL_ONLY = lazy(r"[|;&<>$`{}*?]")


def script_words(launcher: Launcher, name: str, cwd: Path) -> tuple[str, ...] | None:
    """The words that a name stands for; None for what is no such name, or more than words."""
    table = {} if "/" in name else scripts_of(launcher, cwd)
    words: tuple[str, ...] = (name,)
    for _ in range(DEPTH):
        if words[0] not in table:
            break
        found = plain_words(table[words[0]])
        if not found:
            return None
        words = (*found, *words[1:])
    return None if words == (name,) else words


def plain_words(told: Any) -> tuple[str, ...] | None:
    """The words of `"python train.py"`, of a list of words, or of a table with `cmd`."""
    if isinstance(told, Mapping):
        told = told.get("cmd")
    if isinstance(told, list) and all(isinstance(word, str) for word in told):
        return tuple(told)
    if not isinstance(told, str):
        return None
    text = told.removesuffix(ARGUMENTS).rstrip()
    try:
        return None if SHELL_ONLY.search(text) else tuple(shlex.split(text))
    except ValueError:
        return None


def scripts_of(launcher: Launcher, cwd: Path) -> Mapping[str, Any]:
    """The table of names that a launcher reads, from the nearest project at or above a directory."""
    if launcher.name == "pipenv":
        return dig(read_nearest(cwd, "Pipfile"), "scripts")
    keys = {"pdm": ("tool", "pdm"), "rye": ("tool", "rye"), "hatch": ("tool", "hatch", "envs", hatch_name(launcher))}
    if launcher.name not in keys:
        return {}
    return dig(read_nearest(cwd, "pyproject.toml"), *keys[launcher.name], "scripts")


def hatch_name(launcher: Launcher) -> str:
    """The environment that hatch was told to use."""
    names = [after for word, after in zip(launcher.options, launcher.options[1:]) if word in ("-e", "--env")]
    return names[-1] if names else "default"


def dig(document: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The table at a place in a document; empty where there is none."""
    for key in keys:
        found = document.get(key)
        document = found if isinstance(found, Mapping) else {}
    return document


def read_nearest(cwd: Path, name: str) -> Mapping[str, Any]:
    """The nearest TOML file of that name; empty where there is none that can be read."""
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    for place in (cwd, *cwd.parents):
        try:
            document: Mapping[str, Any] = toml.loads((place / name).read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return {}
        return document
    return {}
