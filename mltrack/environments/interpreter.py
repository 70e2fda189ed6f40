"""Finds the Python interpreter that a command will really use.

Follows names on the command's own PATH, paths, shebangs, console scripts, pyenv's shims, launchers, shell scripts and
the kernels of notebooks. Reads the first bytes of files; starts a program only where nothing else knows the answer (a
launcher, a shim).
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path

from mltrack.environments.command import DEPTH, Command, interpreter_flags, is_python, unwrap
from mltrack.nouns import noun
from mltrack.patterns import lazy_bytes

ASK_SECONDS = 60
"""How long a launcher or shim may take to answer."""

HEAD_BYTES = 4096
"""Of a file, to see how it is started; a shebang is at most 255 bytes, a launcher's second line is longer."""

OWN_BUILDERS = ("tox", "nox")
"""Programs that build environments of their own and start commands of their own choice in them."""

NO_PYTHON = ("--no-python", "--no_python")
"""Options by which `torchrun` and its like start a program instead of a Python script."""

SHELL_DEPTH = 3
"""Scripts that start scripts; each may start many."""

SH_EXEC = lazy_bytes(rb"""'''exec' (?P<path>"\$\(dirname [^\n]*?\)"/'?[^' \n]+'?|"[^"]*"|'[^']*'|\S+)""")
"""The second line of a console script whose interpreter's path is too long, or has blanks, for a shebang."""


@noun
class Interpreter:
    """An interpreter as the command starts it."""

    start: tuple[str, ...]
    """The words that start it: its absolute path, or a launcher and `python`."""
    cwd: Path
    variables: Mapping[str, str]
    flags: tuple[str, ...] = ()
    """Those of the command's options that change where it looks for modules."""
    settled: bool = True
    """False where the launcher may still be installing."""
    remarks: tuple[str, ...] = field(default=())
    """Sentences: what else the command uses, which is not recorded."""


def find_interpreter(argv: tuple[str, ...], cwd: Path, variables: Mapping[str, str]) -> Interpreter | None:
    """The interpreter that runs this command, or None where, as far as one can see, it is not Python."""
    return follow(unwrap(argv, cwd, variables))


def follow(command: Command, depth: int = 0) -> Interpreter | None:
    """From a command to its interpreter, and from that of a program which starts others to theirs."""
    if depth >= DEPTH:
        return None
    found = follow_programs(command, depth)
    return None if found is None else of_notebook(command, found, depth)


def follow_programs(command: Command, depth: int) -> Interpreter | None:
    """From a name to its file, from a script to its shebang, until an interpreter stands there."""
    first = command
    for _ in range(DEPTH):
        if command.launcher is not None:
            from mltrack.environments.launchers import behind_launcher

            return behind_launcher(command, command.launcher)
        if not command.argv:
            return None
        program = locate(command.argv[0], command.cwd, command.variables)
        if program is None:
            return None
        if is_python(command.argv[0]):
            found = Interpreter((str(program),), command.cwd, command.variables, interpreter_flags(command.argv))
            return of_started(first, found, depth)
        if is_shim(program):
            target = behind_shim(program, command)
            if target is None:
                return None
            command = unwrap((target, *command.argv[1:]), command.cwd, command.variables)
            continue
        within = in_shell(command, depth)
        if within is not None:
            return within
        started_by = shebang(program)
        if not started_by:
            return None
        command = unwrap((*started_by, str(program), *command.argv[1:]), command.cwd, command.variables)
    return None


def in_shell(command: Command, depth: int) -> Interpreter | None:
    """The first interpreter that the text of a shell starts; others are remarked upon."""
    from mltrack.environments.shells import commands_in, script_of

    text = script_of(command) if depth < SHELL_DEPTH else None
    found: dict[tuple[str, ...], Interpreter] = {}
    for inner in commands_in(text, command) if text else ():
        one = follow(unwrap(inner.argv, inner.cwd, inner.variables), depth + 1)
        if one is not None:
            found.setdefault(one.start, one)
    if not found:
        return None
    first, *others = found.values()
    named = tuple(f"The command also starts {' '.join(one.start)}, whose packages are not recorded." for one in others)
    return replace(first, remarks=(*first.remarks, *named))


def of_started(command: Command, found: Interpreter, depth: int) -> Interpreter:
    """The interpreter of what a Python program starts, if its words name it: `torchrun --no-python ./train.sh`."""
    name = Path(command.argv[0]).name
    if name in OWN_BUILDERS:
        text = f"{name} builds environments of its own, which are not recorded; recorded is the one that it runs in."
        return replace(found, remarks=(*found.remarks, text))
    for index, word in enumerate(command.argv):
        if word in NO_PYTHON:
            rest = [word for word in command.argv[index + 1 :] if not word.startswith("-")]
            places = [command.argv.index(word, index) for word in rest]
            inner = (follow(replace(command, argv=command.argv[place:]), depth + 1) for place in places)
            return next((one for one in inner if one is not None), found)
    return found


def of_notebook(command: Command, found: Interpreter, depth: int) -> Interpreter:
    """The interpreter of a notebook's kernel, where the command runs one; that of the tool is then remarked upon."""
    from mltrack.environments.kernels import execution_of, find_kernel

    execution = execution_of(command)
    if execution is None or len(found.start) != 1:
        return found
    kernel = find_kernel(execution, command, Path(found.start[0]).parent.parent)
    if kernel is None:
        text = "The kernel of the notebook is not known; recorded is the environment of the program that runs it."
        return replace(found, remarks=(*found.remarks, text))
    if kernel.program is None:
        return replace(found, flags=())
    inner = follow(unwrap((kernel.program,), command.cwd, command.variables), depth + 1)
    if inner is None:
        text = f"The notebook's kernel {kernel.name!r} is {kernel.program}, whose packages are not recorded."
        return replace(found, remarks=(*found.remarks, text))
    if Path(inner.start[0]).parent == Path(found.start[0]).parent:
        return replace(inner, remarks=found.remarks)
    text = (
        f"The notebook's kernel {kernel.name!r} is {inner.start[0]}: recorded is that environment, not the one of "
        f"{found.start[0]}, which runs the notebook."
    )
    return replace(inner, remarks=(*found.remarks, *inner.remarks, text))


def default_interpreter(cwd: Path, variables: Mapping[str, str]) -> Interpreter | None:
    """The interpreter that `python`, else `python3`, means to a command's children."""
    for name in ("python", "python3"):
        program = locate(name, cwd, variables)
        if program is not None:
            return Interpreter((str(program),), cwd, variables)
    return None


def locate(word: str, cwd: Path, variables: Mapping[str, str]) -> Path | None:
    """The absolute path of the file that a program's name means, links unresolved; None if there is none."""
    if "/" in word:
        path = cwd / word
        return path if is_executable(path) else None
    for place in variables.get("PATH", os.defpath).split(os.pathsep):
        path = cwd / place / word
        if is_executable(path):
            return path
    return None


def is_executable(path: Path) -> bool:
    """Is this a regular file that we may start?"""
    try:
        return stat.S_ISREG(path.stat().st_mode) and os.access(path, os.X_OK)
    except (OSError, ValueError):
        return False


def head(path: Path) -> bytes:
    """The first bytes of a file; nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def shebang(program: Path) -> tuple[str, ...]:
    """The words that the kernel puts in front of a script; nothing for a file without a shebang."""
    start = head(program)
    if not start.startswith(b"#!"):
        return ()
    lines = start.split(b"\n", 2)
    if len(lines) > 1 and (found := SH_EXEC.match(lines[1])):
        return (exec_path(os.fsdecode(found["path"]), program),)
    return tuple(os.fsdecode(word) for word in lines[0][2:].strip().split(None, 1))


def exec_path(word: str, program: Path) -> str:
    """The path that a console script's `exec` line names, where that is relative to the script itself."""
    if "$(dirname " in word:
        return str(program.resolve().parent / word.rpartition("/")[2].strip("'\""))
    return word.strip("'\"")


def is_shim(program: Path) -> bool:
    """Is this one of pyenv's small shell scripts that stand for a program of the version in force?"""
    return program.parent.name == "shims" and b"pyenv" in head(program)


def behind_shim(program: Path, command: Command) -> str | None:
    """The path of the program that a shim would start here, as pyenv says."""
    pyenv = program.parent.parent / "bin" / "pyenv"
    answer = ask((str(pyenv), "which", program.name), command.cwd, command.variables)
    return answer if answer and answer.startswith("/") else None


def ask(words: tuple[str, ...], cwd: Path, variables: Mapping[str, str]) -> str | None:
    """The last line that a program prints, or None if it fails. As no process of the run, it must not tell as one."""
    given = {name: text for name, text in variables.items() if not name.startswith("MLTRACK_")}
    try:
        code, said, _ = finished(words, cwd, given, ASK_SECONDS)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    lines = os.fsdecode(said).strip().splitlines()
    return lines[-1].strip() if code == 0 and lines else None


def finished(words: Sequence[str], cwd: Path, variables: Mapping[str, str], seconds: float) -> tuple[int, bytes, bytes]:
    """Exit code, output and errors of a program. They are in files, for one that it leaves in the background may hold
    a pipe for ever. Raises OSError, ValueError, and TimeoutExpired when it and all that it started were ended."""
    import tempfile

    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        output.seek(0)
        errors.seek(0)
        return code, output.read(), errors.read()
