"""Runs uv: tells how far it is while it works, and gives its own words when it fails, without credentials.

The one place that starts an installer. What is installed, and from where, is decided in `installing.py`.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from mltrack.environments import silent
from mltrack.errors import EnvironmentFailed, StorageError
from mltrack.nouns import noun
from mltrack.patterns import lazy
from mltrack.redact import Redactor

LAST_LINES = 15
"""Of the installer's own output, shown when it fails."""

TOLD_EVERY_S = 5.0
BLOCK = 1 << 16

FULL = ("No space left on device", "os error 28", "Disk quota exceeded", "Read-only file system")
NO_CACHE = "Failed to initialize cache"

COLOUR = lazy(r"\x1b\[[0-9;]*m")
STEPS = (
    (lazy(r"Resolved (\d+) packages?"), "found {0} distributions"),
    (lazy(r"\s*Building ([^\s]+)"), "building {0} from source"),
    (lazy(r"\s*Downloading (\S+) \(([^)]+)\)"), "downloading {0} ({1})"),
    (lazy(r"Prepared (\d+) packages?"), "fetched {0} distributions"),
    (lazy(r"Installed (\d+) packages?"), "put {0} distributions in place"),
    (lazy(r"Bytecode compiled (\d+) files?"), "compiled {0} modules"),
)
"""A line of uv -> what is told."""

ONE = lazy(r"\b1 (distribution|module)s\b")
BUILT = re.compile(r"^\s*Built ([A-Za-z0-9._-]+)", re.MULTILINE)


@noun
class Uv:
    """uv, and how it is run."""

    program: str
    variables: Mapping[str, str]
    cwd: Path
    """The restored project: what its own settings of uv say of indexes holds."""
    log: Path
    """Where all of its output is kept when it fails."""
    scratch: Path
    """A directory that may be made, for uv's own cache where the user's cannot be written; the caller removes it."""
    tell: Callable[[str], None] = silent


def find_uv(variables: Mapping[str, str]) -> str:
    """The uv that came with mltrack, else the one on PATH. Raises EnvironmentFailed if there is none."""
    from mltrack.environments.interpreter import locate

    try:
        from uv import find_uv_bin

        return os.fspath(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = locate("uv", Path.cwd(), variables)
    if found is None:
        raise EnvironmentFailed("uv, which builds environments, is not here.", "Install it with `pip install uv`.")
    return str(found)


def attempt(uv: Uv, *words: str) -> tuple[int, str]:
    """Run uv, with nothing of its configuration but where packages come from; its exit code and what it said.

    Raises EnvironmentFailed if it does not start.
    """
    from mltrack.environments.python.configuring import configuration, without_configuration

    with configuration(uv.cwd, uv.variables, is_foreign=True) as configured:
        uv, words = replace(uv, variables=without_configuration(uv.variables)), (*words, *configured)
        code, said = converse(uv, words)
        if code and NO_CACHE in said:
            uv.tell("uv's own cache cannot be written; using another one for this time")
            code, said = converse(replace(uv, variables={**uv.variables, "UV_CACHE_DIR": str(uv.scratch)}), words)
    return code, Redactor(uv.variables).text(said)


def converse(uv: Uv, words: tuple[str, ...]) -> tuple[int, str]:
    """Run a program once, telling its steps and that it is still at work."""
    try:
        process = subprocess.Popen(
            [uv.program, *words],
            cwd=uv.cwd,
            env={**uv.variables, "UV_NO_PROGRESS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise EnvironmentFailed(f"uv does not start: {error}.", "Reinstall it with `pip install uv`.") from error
    said = bytearray()
    with process:
        try:
            for block in blocks(process, uv.tell):
                for line in block.decode(errors="replace").splitlines():
                    tell_step(line, uv.tell)
                said += block
        except BaseException:
            process.kill()
            raise
    return process.returncode, COLOUR.sub("", said.decode(errors="replace"))


def blocks(process: subprocess.Popen[bytes], tell: Callable[[str], None]) -> Iterator[bytes]:
    """The output of a process as it comes, in whole lines; its silence is told."""
    assert process.stdout is not None
    began, pending = time.monotonic(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(TOLD_EVERY_S):
                tell(f"still at work, for {time.monotonic() - began:.0f} s")
                continue
            got = os.read(process.stdout.fileno(), BLOCK)
            if not got:
                break
            whole, end, pending = (pending + got).rpartition(b"\n")
            if end:
                yield whole + end
    if pending:
        yield pending


def tell_step(line: str, tell: Callable[[str], None]) -> None:
    """Tell a step of uv in our words."""
    for pattern, words in STEPS:
        found = pattern.match(COLOUR.sub("", line))
        if found is not None:
            tell(ONE.sub(r"1 \1", words.format(*found.groups())))


def failure(uv: Uv, what: str, code: int, said: str, advice: str = "") -> EnvironmentFailed | StorageError:
    """The error for output of uv that ended badly; all of it is kept in the log."""
    if any(text in said for text in FULL):
        line = next(line.strip() for line in said.splitlines() if any(text in line for text in FULL))
        return StorageError(
            f"The environment cannot be {what}: {line}.", "Make room, or set XDG_CACHE_HOME to a directory with room."
        )
    lines = said.strip().splitlines()
    kept = keep_log(uv, said) if len(lines) > LAST_LINES else ""
    return EnvironmentFailed(
        f"The environment cannot be {what}: uv failed with exit code {code}.",
        f"{advice}uv said:\n" + "\n".join(lines[-LAST_LINES:]) + kept,
    )


def keep_log(uv: Uv, said: str) -> str:
    """Keep the installer's whole output; a sentence that says where, if that could be done."""
    try:
        uv.log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(uv.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", errors="replace") as file:
            file.write(said)
    except OSError:
        return ""
    return f"\nAll that uv said is in {uv.log}."


def built_from_source(said: str) -> list[str]:
    """The distributions that uv says it built."""
    return sorted(set(BUILT.findall(said)))
