"""A recorded command -> the same command in a rebuilt environment.

The interpreter and the programs of the old environment become those of the new one; launchers (`uv run`) are dropped,
for they would build an environment of their own. Nothing of the old environment may be used by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mltrack.environments.command import Command, is_python, unwrap
from mltrack.environments.interpreter import is_executable, locate, shebang
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun
from mltrack.records import Warning


@noun
class Move:
    """From where to where."""

    old: Path | None
    """The directory of the recorded environment's programs."""
    new: Path
    """That of the rebuilt one."""
    cwd: Path
    variables: Mapping[str, str]
    """Those of this machine."""


def map_command(command: tuple[str, ...], move: Move) -> tuple[tuple[str, ...], tuple[Warning, ...]]:
    """The words to start, and what must be said about them.

    Raises EnvironmentFailed if the command names a program of the old environment that the new one lacks.
    """
    taken = through_shebang(unwrap(command, move.cwd, move.variables))
    if not taken.argv:
        return command, ()
    warnings: tuple[Warning, ...] = ()
    if taken.launcher is not None:
        launched = " ".join(taken.launcher.words())
        text = f"The command was started without `{launched}`, in the environment that was recorded."
        warnings = (Warning("unwrapped", text),)
    words = (*map_program(taken.argv[0], move), *taken.argv[1:])
    return (*taken.kept, *words), warnings


def through_shebang(command: Command) -> Command:
    """A script that `uv run` starts by its own shebang, as the command that this comes to; any other as it is."""
    if command.launcher is not None or not command.argv or "/" not in command.argv[0]:
        return command
    program = locate(command.argv[0], command.cwd, command.variables)
    started_by = shebang(program) if program is not None else ()
    inner = unwrap((*started_by, *command.argv), command.cwd, command.variables)
    return inner if started_by and inner.launcher is not None else command


def map_program(word: str, move: Move) -> tuple[str, ...]:
    """The word or words that take the place of a command's first one."""
    name = Path(word).name
    same = move.new / name
    if is_python(word) and (is_of(word, move.old) or "/" not in word or Path(word).is_absolute()):
        return (str(same if is_executable(same) else move.new / "python"),)
    if is_of(word, move.old):
        if not is_executable(same):
            raise not_brought(name)
        return (str(same),)
    if "/" not in word:
        if is_executable(same):
            return (str(same),)
        if is_python_script(word, move):
            raise not_brought(name)
        return (word,)
    return (*script_python(word, move), word)


def not_brought(name: str) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"The command's program {name!r} belonged to the recorded environment and is not in the rebuilt one.",
        "It was not brought by a recorded distribution; start it by hand in `mltrack checkout`'s directory.",
    )


def is_python_script(word: str, move: Move) -> bool:
    """Would the name start a script of some Python environment of this machine? It would bring today's code along."""
    program = locate(word, move.cwd, move.variables)
    started_by = shebang(program) if program is not None else ()
    return bool(started_by) and is_python(started_by[0])


def is_of(word: str, directory: Path | None) -> bool:
    """Is this the path of a program in the old environment? `.venv/bin/python` is, if the environment lay there."""
    if directory is None or "/" not in word:
        return False
    parent = Path(word).parent
    if parent.is_absolute():
        return parent == directory
    below = tuple(part for part in parent.parts if part not in (".", ".."))
    return bool(below) and directory.parts[-len(below) :] == below


def script_python(word: str, move: Move) -> tuple[str, ...]:
    """The new interpreter, for a script whose shebang names an old one by its path; `env python` finds it by itself."""
    program = locate(word, move.cwd, move.variables)
    started_by = shebang(program) if program is not None else ()
    if not started_by or not is_python(started_by[0]):
        return ()
    flags = started_by[1].split() if len(started_by) > 1 else []
    return (str(move.new / "python"), *flags)
