"""After the run: what its Python processes told of themselves, in `processes/*.json` of the run directory.

Written by `inside/_mltrack_process.py` in processes of the user, so that nothing in it is trusted: sizes are capped,
what is damaged or strange is passed over. A process that was killed has told nothing; only the number of such is known.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mltrack.nouns import noun
from mltrack.patterns import lazy

FORMAT = 1
MOST_FILES = 20_000
MOST_BYTES = 2_000_000
"""Of one process; the largest seen, with 400 distributions, is 90 KB."""
MOST_BYTES_IN_ALL = 100_000_000

MOST_PREFIX = 4096

KEY = lazy(r"[A-Za-z][A-Za-z0-9_.]{0,60}")
MOST_VALUE = 300
MOST_KEYS = 200

LAUNCHERS = (
    "torchrun", "torch.distributed.run", "torch.distributed.launch", "accelerate", "accelerate.commands.launch",
    "deepspeed", "deepspeed.launcher.launch", "horovodrun", "lightning", "papermill", "jupyter-nbconvert",
)  # fmt: skip
"""Programs that start the one that computes; their own threads and switches move no numbers."""


@noun
class Process:
    """What one Python process told."""

    executable: str
    prefix: str
    python: str
    is_forked: bool
    """It tells only of what it did after it was forked; its parent tells of the rest."""
    program: str
    """The name of the script or module that was started."""
    modules: Mapping[str, str]
    """Module -> file, outside the standard library; of a namespace, each part."""
    facts: Mapping[str, str]
    """The keys of `Environment.libraries`."""
    variables: Mapping[str, str]
    """Variables that move numbers and that the program itself changed."""
    rank: str = ""
    """Among the processes of one training; empty for others."""
    host: str = ""
    error: str = ""
    """The name of the uncaught exception that ended it."""
    pid: int = 0


@noun
class Processes:
    """All Python processes of a run, as far as they were seen."""

    told: tuple[Process, ...] = ()
    silent: tuple[str, ...] = ()
    """The prefixes of interpreters that started and were gone before they could tell: killed, ended by `os._exit`, or
    turned into a program that is not Python."""


def read_processes(run_dir: Path) -> Processes:
    """What the processes of a run left in its directory. Never raises for what is missing, damaged or strange."""
    place = run_dir / "processes"
    try:
        names = sorted(os.listdir(place))
    except OSError:
        return Processes()
    told: list[Process] = []
    pids, left = set(), MOST_BYTES_IN_ALL  # one that became another Python told as that, under the same number
    for name in [name for name in names if name.endswith(".json")][:MOST_FILES]:
        text = read_capped(place / name, min(MOST_BYTES, left))
        process = None if text is None else read_process(text, pid_of(name))
        if text is not None and process is not None:
            left -= len(text)
            told.append(process)
            pids.add(name.partition("-")[0])
    began = [name for name in names if name.endswith(".began") and name.partition("-")[0] not in pids]
    marks = (read_capped(place / name, MOST_PREFIX) for name in began[:MOST_FILES])
    return Processes(tuple(told), tuple(os.fsdecode(mark) for mark in marks if mark is not None))


def pid_of(name: str) -> int:
    """`123-ab.json` -> 123."""
    digits = name.partition("-")[0]
    return int(digits) if len(digits) < 12 and digits.isascii() and digits.isdigit() else 0


def read_capped(path: Path, most: int) -> bytes | None:
    """A regular file of at most `most` bytes; None for anything else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return None
        return os.read(fd, found.st_size)
    except OSError:
        return None
    finally:
        os.close(fd)


def read_process(text: bytes, pid: int = 0) -> Process | None:
    """What a process, whose file names it by `pid`, told; None if this is nothing that one of ours wrote."""
    try:
        told = json.loads(text)
        if told["format"] != FORMAT:
            return None
        return Process(
            executable=text_of(told["executable"]),
            prefix=text_of(told["prefix"]),
            python=text_of(told["python"]),
            is_forked=told["forked"] is True,
            program=text_of(told["program"]),
            modules={str(name): text_of(file) for name, file in told["modules"].items()},
            facts=facts_of(told["facts"]),
            variables=facts_of(told["variables"]),
            rank=text_of(told.get("rank", "")),
            host=text_of(told.get("host", "")),
            error=text_of(told.get("error", "")),
            pid=pid,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def text_of(value: Any) -> str:
    """The value, which must be a text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError
    return value


def facts_of(told: Mapping[str, Any]) -> dict[str, str]:
    """Those entries that may stand in a record: short, printable, with a plain name."""
    found = {
        key: value.strip()[:MOST_VALUE]
        for key, value in told.items()
        if isinstance(value, str) and KEY.fullmatch(key) and value.isprintable() and value.strip()
    }
    return dict(sorted(found.items())[:MOST_KEYS])


def imported(
    processes: Processes, tops: Mapping[str, Sequence[str]], interpreter: str | None = None
) -> tuple[str, ...] | None:
    """Names of the distributions that were imported, sorted; None if no process told, or one was killed too soon.

    `tops`: distribution -> the import paths that it brings (`torch`, `six.py`, `google/cloud/storage`). `interpreter`:
    the environment's; processes of others (poetry's own, say) then do not count.
    """
    told = of_environment(processes.told, interpreter)
    if not told or any(interpreter is None or prefix == prefix_of(interpreter) for prefix in processes.silent):
        return None
    owners: dict[str, set[str]] = {}
    for name, paths in tops.items():
        for path in paths:
            owners.setdefault(module_of(path), set()).add(name)
    for name in tops:  # what is installed as editable lists no files
        owners.setdefault(name.replace("-", "_"), {name})
    found: set[str] = set()
    for module in {module for process in told for module in process.modules}:
        found |= owners_of(module, owners)
    return tuple(sorted(found))


def of_environment(told: Iterable[Process], interpreter: str | None) -> list[Process]:
    """The processes whose Python is the environment's; all, where it is not known."""
    everyone = list(told)
    if interpreter is None:
        return everyone
    prefix = prefix_of(interpreter)
    return [one for one in everyone if one.prefix == prefix or one.executable == interpreter]


def prefix_of(interpreter: str) -> str:
    return str(Path(interpreter).parent.parent)


def module_of(path: str) -> str:
    """`google/cloud/storage` -> google.cloud.storage; `_cffi.cpython-311-x86_64-linux-gnu.so` -> _cffi."""
    place, _, last = path.strip("/").rpartition("/")
    if last.endswith((".py", ".so", ".pyd", ".pyc")):
        last = last.partition(".")[0]
    return ".".join(part for part in (*place.split("/"), last) if part)


def owners_of(module: str, owners: Mapping[str, set[str]]) -> set[str]:
    """The distributions of the longest import path that holds the module."""
    while module:
        if module in owners:
            return owners[module]
        module = module.rpartition(".")[0]
    return set()


def libraries(processes: Processes, interpreter: str | None = None) -> dict[str, str]:
    """What the processes say that moved their numbers; where they do not agree, every value once, sorted."""
    values: dict[str, set[str]] = {}
    everyone = of_environment(processes.told, interpreter) or processes.told
    workers = [one for one in everyone if one.program not in LAUNCHERS]
    for process in workers or everyone:
        for key, value in (*process.facts.items(), *process.variables.items()):
            values.setdefault(key, set()).add(value)
    return {key: ", ".join(sorted(found))[:MOST_VALUE] for key, found in sorted(values.items())}
