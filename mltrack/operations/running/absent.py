"""Is the script that a command names there at all, or the module? Said before it starts, and only where it is certain.

The command itself is not started. Of a module, its own Python is asked where it would be found; nothing is imported.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mltrack.formats.launchers import arguments_start
from mltrack.patterns import lazy

PYTHON = lazy(r"(?:python|pypy)\d*(?:\.\d+)*")
SHELLS = ("bash", "sh", "dash", "zsh")
PATIENCE_S = 10
ABSENT = 3
QUESTION = f"""
import importlib.machinery, importlib.util, os, sys
name, root = sys.argv[1:]
parts = name.split(".")
spec = importlib.util.find_spec(parts[0])
certain = spec is None
for end in range(1, len(parts)):
    places = list(spec.submodule_search_locations or ()) if spec else []
    certain = spec is None or bool(places) and all(os.path.realpath(p).startswith(root + os.sep) for p in places)
    spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: end + 1]), places) if places else None
    if spec is None:
        break
sys.exit({ABSENT} if spec is None and certain else 0)
"""
"""The program of the question. Of a package that is not the project's own, the inside may be anything."""


def absent(command: Sequence[str], found: str, cwd: Path, root: Path) -> str | None:
    """What the command names and nobody has, as `The script x.py`; None if it is there, or it is not certain.

    `found`: where the command's program lies.
    """
    name = command[0].rpartition("/")[2]
    is_python = PYTHON.fullmatch(name) is not None
    start = arguments_start(command)
    if not (is_python or name in SHELLS) or start < 2:
        return None
    word, before = command[start - 1], command[1 : start - 1]
    if is_python and before and re.fullmatch(r"-[bBdEiIOPqsSuvx]*m", before[-1]):
        is_known = not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", word) or not is_no_module(found, word, cwd, root)
        return None if is_known else f"The module {word}"
    if word.startswith(("-", "+")) or any(re.match(r"[-+][A-Za-z]*[cs]", other) for other in before):
        return None
    if os.path.lexists(cwd / word) or (not is_python and is_on_path(word)):
        return None
    return f"The script {word}"


def is_on_path(word: str) -> bool:
    """Shells look there too, for scripts that nobody may execute as well."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return "/" not in word and any(os.path.exists(os.path.join(place, word)) for place in places)


def is_no_module(python: str, name: str, cwd: Path, root: Path) -> bool:
    """Does that Python say so?"""
    words = [python, "-c", QUESTION, name, os.path.realpath(root)]
    try:
        done = subprocess.run(words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == ABSENT
