"""Finds the program that a command names, as a shell would; says why when there is none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from mltrack.errors import CommandNotFound, NotExecutable, StartError
from mltrack.executors import Command


def find_program(command: Command) -> str:
    """The path to execute, for the command's own PATH and directory. Raises CommandNotFound or NotExecutable."""
    if not command.argv or not command.argv[0]:
        raise CommandNotFound("The command is empty.", "Give a command after --, as in: mltrack run -- python train.py")
    name = command.argv[0]
    if "/" in name:
        return checked(command, name)
    refused: str | None = None
    for directory in command.environment.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(directory or ".", name)
        mode = mode_of(command, path)
        if mode is not None and stat.S_ISREG(mode):
            if os.access(place_of(command, path), os.X_OK):
                return path
            refused = refused or path
    if refused is not None:
        raise not_executable(refused)
    raise CommandNotFound(f"{name}: command not found.", hint_for(command))


def checked(command: Command, path: str) -> str:
    """The path as it is, if a file that may be executed is there."""
    mode = mode_of(command, path)
    if mode is None:
        raise CommandNotFound(f"{path}: No such file or directory.", f"It was looked for from {command.cwd}.")
    if stat.S_ISDIR(mode):
        raise NotExecutable(f"{path}: Is a directory.", "Name the program to run.")
    if not os.access(place_of(command, path), os.X_OK):
        raise not_executable(path)
    return path


def mode_of(command: Command, path: str) -> int | None:
    try:
        return os.stat(place_of(command, path)).st_mode
    except (OSError, ValueError):
        return None


def place_of(command: Command, path: str) -> str:
    """Where a file that the command sees lies for us: what it is to see at another place is not there yet."""
    place = os.path.join(command.cwd, path)
    if not command.binds:
        return place
    sources = {bind.target: bind.source for bind in command.binds}
    place = os.path.realpath(place)
    top = next((one for one in at_and_above(place) if one in sources), None)
    if top is None:
        return place
    ours = os.path.join(sources[top], place[len(top) :].lstrip("/")).rstrip("/")
    for one in at_and_above(ours):
        if one == sources[top]:
            return ours
        if one in sources:  # a stand-in, on which what is really there will be bound
            return f"{sources[one]}{ours[len(one) :]}"
    return ours


def at_and_above(path: str) -> Iterator[str]:
    """A path and the directories above it, the root last."""
    yield path
    while path != (path := os.path.dirname(path)):
        yield path


def not_executable(path: str) -> NotExecutable:
    hint = f"python {path}" if path.endswith(".py") else f"chmod +x {path}"
    return NotExecutable(f"{path}: Permission denied.", f"The file is not executable. Try: {hint}")


def hint_for(command: Command) -> str:
    name = command.argv[0]
    if any(character.isspace() for character in name):
        return "The whole command is one word; give it without the quotes around it."
    if mode_of(command, name) is not None:
        return f"Try: python {name}" if name.endswith(".py") else f"A file of that name is here. Try: ./{name}"
    return "Is it installed, and on the PATH of this environment?"


def failed_to_start(command: Command, program: str, problem: OSError) -> StartError:
    """The error for an execve() or chdir() that the system refused."""
    reason = os.strerror(problem.errno or 0)
    if problem.filename is not None:
        return StartError(f"{command.cwd}: {reason}.", "The command's directory is gone or may not be entered.")
    if isinstance(problem, FileNotFoundError):
        return NotExecutable(f"{program}: its interpreter was not found.", f"Look at its first line: head -1 {program}")
    return NotExecutable(f"{program}: {reason}.", "The system refused to execute it; try the same without mltrack.")
