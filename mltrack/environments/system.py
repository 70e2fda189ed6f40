"""The kind `system`: a command that is not Python, as far as one can see.

Recorded are the programs that the command itself names, on the way from its first word to the machine code that runs
(`run.sh`, then `bash`): name, size and digest, no path. What those programs start in turn, and the libraries they
load, are not known. Nothing is installed again; `rebuild` compares with what is here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.digest import PREFIX, digest_json, hasher
from mltrack.environments import Found, Package, Rebuilt
from mltrack.environments.command import DEPTH, unwrap
from mltrack.environments.interpreter import locate, shebang
from mltrack.environments.libraries import of_machine
from mltrack.errors import Damaged, EnvironmentFailed
from mltrack.nouns import noun
from mltrack.patterns import lazy
from mltrack.records import Environment, Warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mltrack.environments import RebuildRequest, Recorded, Request

NAME = "system"

TITLE = "# mltrack programs 1"
LINE = lazy(r"(?P<digest>b3:[0-9a-f]{64}) (?P<size>\d+) (?P<name>.+)")
BLOCK = 1 << 20


@noun
class Program:
    """A program that a command starts, by what it is and not by where it lies."""

    name: str
    size_bytes: int
    digest: str


def applies(request: Request) -> bool:
    """Always: it is what remains."""
    return True


def capture(request: Request) -> Found:
    """The programs that the command names. Never raises: a program that cannot be read is not recorded."""
    project = request.project or request.cwd
    programs = see_programs(request.argv, request.cwd, request.variables, project)
    identity = {"kind": NAME, "programs": [[program.name, program.digest] for program in programs]}
    lock = "".join(f"{line}\n" for line in [TITLE, *map(line_of, programs)])
    return Found(Environment(digest=digest_json(identity), kind=NAME, libraries=of_machine()), lock.encode())


def rebuild(request: RebuildRequest) -> Rebuilt:
    """The command as it is; with a warning that says what of this machine it uses, unless that is what it was.

    Raises EnvironmentFailed if its program is not here.
    """
    cwd = request.workspace / request.cwd
    recorded = {program.name: program for program in read_programs(request.recorded.lock or b"")}
    here = {
        program.name: program
        for program in see_programs(request.command, cwd, request.recorded.variables, request.workspace)
    }
    missing = [name for name in recorded if name not in here]
    if missing:
        raise EnvironmentFailed(
            f"The program {missing[0]!r}, which the run used, is not on this machine.",
            "Install it, or put its directory on PATH, and try again.",
        )
    if recorded and recorded == here:
        return Rebuilt(request.command, {}, None)
    told = [f"{name} ({compare(recorded.get(name), program)})" for name, program in here.items()]
    message = f"The environment is this machine's: {', '.join(told) or 'its programs'}."
    return Rebuilt(request.command, {}, None, (Warning("environment", message),))


def packages(recorded: Recorded) -> tuple[Package, ...]:
    """The programs of the lock, each by its digest; none of them is kept. Raises Damaged."""
    problem = "only its digest is recorded"
    found = {program.name: program for program in read_programs(recorded.lock or b"")}
    return tuple(
        Package(name, one.digest[:13], "program", size_bytes=one.size_bytes, problem=problem, identity=one.digest)
        for name, one in sorted(found.items())
    )


def see_programs(words: tuple[str, ...], cwd: Path, variables: Mapping[str, str], project: Path) -> list[Program]:
    """The programs from the first word to the one that is machine code; files of the project are code, not programs."""
    command, programs = unwrap(words, cwd, variables), []
    for _ in range(DEPTH):
        path = locate(command.argv[0], command.cwd, command.variables) if command.argv else None
        if path is None:
            break
        if project.resolve() not in path.resolve().parents:
            try:
                programs.append(Program(name_of(path), path.stat().st_size, digest_of(path)))
            except OSError:
                break
        started_by = shebang(path)
        if not started_by:
            break
        command = unwrap((*started_by, str(path)), command.cwd, command.variables)
    return programs


def name_of(path: Path) -> str:
    """A program's name, in one line of UTF-8."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace").replace("\n", "\\n")


def digest_of(path: Path) -> str:
    state = hasher()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return PREFIX + state.digest().hex()


def line_of(program: Program) -> str:
    return f"{program.digest} {program.size_bytes} {program.name}"


def read_programs(lock: bytes) -> list[Program]:
    """The programs of a lock. Raises Damaged at a strange line."""
    programs = []
    for line in lock.decode("utf-8", "replace").splitlines()[1:]:
        found = LINE.fullmatch(line)
        if found is None:
            raise Damaged(f"The list of programs has a strange line: {line[:200]!r}.", "Run `mltrack verify`.")
        programs.append(Program(found["name"], int(found["size"]), found["digest"]))
    return programs


def compare(then: Program | None, now: Program) -> str:
    if then is None:
        return "not recorded"
    return "the same bytes" if then.digest == now.digest else "other bytes than those of the run"
