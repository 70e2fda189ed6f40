"""Finds the Python interpreter that a command will really use.

Follows names on the command's own PATH, paths, shebangs, console scripts, pyenv's shims and launchers. Reads the first
bytes of files; starts a program only where nothing else knows the answer (a launcher, a shim).
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mltrack.environments.command import (
    DEPTH,
    Command,
    Launcher,
    interpreter_flags,
    is_python,
    python_words,
    unwrap,
)
from mltrack.nouns import noun
from mltrack.patterns import lazy_bytes

ASK_SECONDS = 60
"""How long a launcher or shim may take to answer."""

HEAD_BYTES = 4096
"""Of a file, to see how it is started; a shebang is at most 255 bytes, a launcher's second line is longer."""

EPHEMERAL = ("--with", "--with-editable", "--with-requirements", "-w", "--isolated", "-p", "--python")
"""Options of `uv run` that give the command an environment of its own."""

INSTALLING = ("uv", "pixi")
"""Launchers that bring the environment up to date before they start the command."""

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


def find_interpreter(argv: tuple[str, ...], cwd: Path, variables: Mapping[str, str]) -> Interpreter | None:
    """The interpreter that runs this command, or None where, as far as one can see, it is not Python."""
    return follow(unwrap(argv, cwd, variables))


def follow(command: Command) -> Interpreter | None:
    """From a name to its file, from a script to its shebang, until an interpreter stands there."""
    for _ in range(DEPTH):
        if command.launcher is not None:
            return behind_launcher(command, command.launcher)
        if not command.argv:
            return None
        program = locate(command.argv[0], command.cwd, command.variables)
        if program is None:
            return None
        if is_python(command.argv[0]):
            return Interpreter((str(program),), command.cwd, command.variables, interpreter_flags(command.argv))
        if is_shim(program):
            target = behind_shim(program, command)
            if target is None:
                return None
            command = unwrap((target, *command.argv[1:]), command.cwd, command.variables)
            continue
        started_by = shebang(program)
        if not started_by:
            return None
        command = unwrap((*started_by, str(program), *command.argv[1:]), command.cwd, command.variables)
    return None


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


def behind_launcher(command: Command, launcher: Launcher) -> Interpreter | None:
    """The interpreter of the environment that a launcher chooses."""
    program = locate(launcher.program, command.cwd, command.variables)
    if program is None:
        return None
    flags = interpreter_flags(command.argv) if command.argv and is_python(command.argv[0]) else ()
    found = uv_interpreter(command, launcher, program) if launcher.name == "uv" else None
    start = (str(found),) if found else (str(program), *launcher.words()[1:], "python")
    return Interpreter(start, command.cwd, command.variables, flags, launcher.name not in INSTALLING)


def uv_interpreter(command: Command, launcher: Launcher, uv: Path) -> Path | None:
    """The interpreter of the environment that `uv run` uses, where that exists already; None: uv must be asked."""
    if any(option.split("=")[0] in EPHEMERAL for option in launcher.options):
        return None
    script = own_environment(command)
    if script is not None:
        answer = ask((str(uv), "python", "find", "--script", str(script)), command.cwd, command.variables)
        return Path(answer) if answer else None
    for place in uv_places(command, launcher.options):
        python = place / "bin" / "python"
        if python.exists():
            return python
    return None


def uv_places(command: Command, options: tuple[str, ...]) -> list[Path]:
    """The directories of which uv takes the first that holds an environment."""
    roots = [] if "--no-project" in options else uv_roots(command.cwd, options)
    active = command.variables.get("VIRTUAL_ENV")
    if active and (not roots or "--active" in options):
        return [command.cwd / active]
    if not roots:
        return [place / ".venv" for place in (command.cwd, *command.cwd.parents)]
    return [root / command.variables.get("UV_PROJECT_ENVIRONMENT", ".venv") for root in roots]


def uv_roots(cwd: Path, options: tuple[str, ...]) -> list[Path]:
    """The directories that may hold the project's environment: that of the project, and those of workspaces above."""
    start = cwd
    for index, option in enumerate(options):
        name, is_joined, value = option.partition("=")
        if name in ("--directory", "--project"):
            start = start / (value if is_joined else "".join(options[index + 1 : index + 2]))
    projects = [place for place in (start, *start.parents) if (place / "pyproject.toml").is_file()]
    return projects[:1] + [place for place in projects[1:] if b"[tool.uv.workspace" in head(place / "pyproject.toml")]


def own_environment(command: Command) -> Path | None:
    """The script that `uv run` starts, if it names its own requirements in a comment block (PEP 723)."""
    if len(command.argv) < 2 or command.argv[:2] != python_words(command.argv[1:2], []):
        return None
    script = command.cwd / command.argv[1]
    try:
        text = script.read_bytes()
    except OSError:
        return None
    return script if re.search(rb"^# /// script\s*$", text, re.MULTILINE) else None


def ask(words: tuple[str, ...], cwd: Path, variables: Mapping[str, str]) -> str | None:
    """The last line that a program prints, or None if it fails."""
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ASK_SECONDS,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    lines = os.fsdecode(done.stdout).strip().splitlines()
    return lines[-1].strip() if done.returncode == 0 and lines else None
