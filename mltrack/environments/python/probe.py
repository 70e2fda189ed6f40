"""Asks an interpreter what it sees, and remembers the answer for as long as nothing that it read has changed.

The answer is the JSON of `probe.py.txt`, which runs in that interpreter. It is kept in the user's cache directory under
a name made of the interpreter and the variables that matter, with the stat of every file and directory it came from.
A cache that is damaged, old or not writable costs time, never an answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.digest import digest_bytes, digest_json
from mltrack.environments.answers import recall, remember
from mltrack.environments.interpreter import finished, head
from mltrack.errors import EnvironmentFailed

if TYPE_CHECKING:
    from mltrack.environments.interpreter import Interpreter

SOURCE = Path(__file__).with_name("probe.py.txt")
INSIDE = str(Path(__file__).parent.parent.parent / "inside")
"""What `mltrack run` puts on the PYTHONPATH of the command; it is not part of the environment."""

MARK = b"MLTRACK-PROBE "
SECONDS = 120
RACY_NS = 2_000_000_000
"""An answer is not kept while something it came from is younger: a second change could leave the same time behind."""

MATTER = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONUSERBASE",
    "PYTHONPLATLIBDIR",
    "PYTHONSAFEPATH",
    "HOME",
)
"""Variables that change what an interpreter sees."""

SHIM_MATTER = ("PYENV_VERSION", "PYENV_ROOT", "ASDF_PYTHON_VERSION", "MISE_PYTHON_VERSION", "VIRTUAL_ENV", "PATH")
SHIM_FILES = (".python-version", ".tool-versions", "mise.toml", ".mise.toml")
"""Where a version switcher, whose `python` is a script, reads which version is in force; here and in all parents."""

HARMFUL = (
    "PYTHONINSPECT",
    "PYTHONVERBOSE",
    "PYTHONWARNINGS",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONDUMPREFS",
    "PYTHONDEBUG",
)
"""Variables that would make a probe fail, wait or talk, and change nothing of what it sees."""


def probe(interpreter: Interpreter, cache: Path) -> dict[str, Any]:
    """What the interpreter says of itself and of the distributions it sees; see `probe.py.txt`.

    Raises EnvironmentFailed if it does not run.
    """
    variables = clean(interpreter.variables)
    source = SOURCE.read_bytes()
    key, own_checks = identify(interpreter, variables, source)
    path = cache / "probes" / f"{key}.json"
    kept = recall(path)
    if kept is not None and all(look(place) == found for place, found in kept["checks"]):
        return dict(kept)
    began_ns = time.time_ns()
    answer = run_probe(interpreter, variables, source)
    answer["checks"] += own_checks
    if len(interpreter.start) == 1 and not is_racy(answer["checks"], began_ns):
        remember(path, answer)
    return answer


def clean(variables: Mapping[str, str]) -> dict[str, str]:
    """The command's variables without mltrack's own and without those that only disturb."""
    kept = {name: text for name, text in variables.items() if not name.startswith("MLTRACK_") and name not in HARMFUL}
    places = [place for place in kept.pop("PYTHONPATH", "").split(os.pathsep) if place and place != INSIDE]
    if places:
        kept["PYTHONPATH"] = os.pathsep.join(places)
    return kept


def identify(interpreter: Interpreter, variables: Mapping[str, str], source: bytes) -> tuple[str, list[list[Any]]]:
    """The name of an answer in the cache, and what must be looked at besides what the interpreter names itself."""
    program = Path(interpreter.start[0])
    matter, places = list(MATTER), [program]
    is_script = head(program).startswith(b"#!")
    if is_script:
        matter += SHIM_MATTER
        places += [place / name for place in (interpreter.cwd, *interpreter.cwd.parents) for name in SHIM_FILES]
        places += [program.parent.parent / "version", Path(variables.get("HOME", "/")) / ".tool-versions"]
    is_relative = any(not Path(place).is_absolute() for place in variables.get("PYTHONPATH", "/").split(os.pathsep))
    key = digest_json(
        {
            "source": digest_bytes(source),
            "start": interpreter.start,
            "flags": interpreter.flags,
            "variables": {name: variables.get(name) for name in matter},
            "cwd": str(interpreter.cwd) if is_script or is_relative else None,
        }
    )
    return key.partition(":")[2][:32], [[str(place), look(place)] for place in places]


def look(path: str | Path) -> list[int] | None:
    """What tells that a file or directory has changed; the same as in `probe.py.txt`."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def run_probe(interpreter: Interpreter, variables: Mapping[str, str], source: bytes) -> dict[str, Any]:
    """Start the interpreter and read its answer."""
    words = [*interpreter.start, *interpreter.flags, "-c", source.decode()]
    try:
        _, said, errors = finished(words, interpreter.cwd, variables, SECONDS)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EnvironmentFailed(f"The Python of this command does not start: {error}.", hint_for(words)) from error
    for line in said.splitlines():
        if line.startswith(MARK):
            answer: dict[str, Any] = json.loads(line[len(MARK) :])
            return answer
    why = (errors.decode(errors="replace").strip().splitlines() or ["no answer"])[-1]
    raise EnvironmentFailed(
        f"The Python of this command ({' '.join(interpreter.start)}) cannot describe itself: {why}", hint_for(words)
    )


def hint_for(words: list[str]) -> str:
    return f"Try `{words[0]} -c 'import sys, json, os'`."


def is_racy(checks: list[list[Any]], began_ns: int) -> bool:
    """Has something changed so lately that another change might not show?"""
    return any(found is not None and found[0] > began_ns - RACY_NS for _, found in checks)
