"""A recorded command -> the same command in a rebuilt environment.

The interpreter and the programs of the old environment become those of the new one; launchers (`uv run`) are dropped,
for they would build an environment of their own; a notebook gets the new environment's kernel. Nothing of the old
environment may be used by accident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote

from mltrack.environments.command import Command, Launcher, is_python, unwrap
from mltrack.environments.interpreter import is_executable, locate, shebang
from mltrack.environments.kernels import NATIVE, execution_of, kernel_in, with_kernel
from mltrack.environments.scripts import script_words
from mltrack.environments.shells import SHELLS
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun
from mltrack.patterns import lazy
from mltrack.records import Warning

PATHS = lazy(r"[A-Za-z0-9_./+-]*/[A-Za-z0-9_.+-]+")


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
    warnings: list[Warning] = []
    if taken.launcher is not None:
        launched = " ".join(taken.launcher.words())
        text = f"The command was started without `{launched}`, in the environment that was recorded."
        warnings.append(Warning("unwrapped", text))
        taken = with_script(taken, taken.launcher)
    argv, told = map_notebook(taken, move)
    words = (*map_program(argv[0], move), *map_words(argv, move))
    kept = tuple(str(move.new / Path(word).name) if is_in_both(word, move) else word for word in taken.kept)
    return (*kept, *words), (*warnings, *told)


def with_script(command: Command, launcher: Launcher) -> Command:
    """The command behind a name that only the launcher knows: `[tool.pdm.scripts]` and its like."""
    words = script_words(launcher, command.argv[0], command.cwd)
    return command if words is None else replace(command, argv=(*words, *command.argv[1:]))


def map_words(argv: tuple[str, ...], move: Move) -> list[str]:
    """The words behind the program: other programs of the old environment among them become those of the new one."""
    is_shell = Path(argv[0]).name in SHELLS
    return [map_text(word, move) if is_shell and " " in word else map_word(word, move) for word in argv[1:]]


def map_word(word: str, move: Move) -> str:
    """`/old/bin/python` and `PYTHON=/old/bin/python`; only what is a program in both, and named by its whole path."""
    name, is_set, path = word.rpartition("=")
    is_both = path.startswith("/") and is_in_both(path, move)
    return f"{name}{is_set}{move.new / Path(path).name}" if is_both else word


def map_text(text: str, move: Move) -> str:
    """The text of `sh -c`, with the paths of the old environment's programs and of its `activate` replaced."""

    def mapped(found: re.Match[str]) -> str:
        is_both = is_in_both(found[0], move) or (
            is_of(found[0], move.old) and Path(found[0]).name == "activate" and (move.new / "activate").is_file()
        )
        return quote(str(move.new / Path(found[0]).name)) if is_both else found[0]

    return PATHS.sub(mapped, text)


def is_in_both(word: str, move: Move) -> bool:
    """Is this the path of a program in the old environment, which the new one has too?"""
    return is_of(word, move.old) and is_executable(move.new / Path(word).name)


def map_notebook(command: Command, move: Move) -> tuple[tuple[str, ...], tuple[Warning, ...]]:
    """The words of a command that runs a notebook: with the kernel of the new environment, for another one's name
    means nothing there, or still the old environment."""
    execution = execution_of(command)
    own = move.new.parent / "share" / "jupyter" / "kernels"
    if execution is None or not (own / NATIVE / "kernel.json").is_file():
        return command.argv, ()
    name = execution.kernel or kernel_in(command.cwd / execution.notebook if execution.notebook else None) or NATIVE
    if (own / name / "kernel.json").is_file():
        return command.argv, ()
    words = with_kernel(execution, NATIVE)
    text = f"The notebook was run with the kernel of the rebuilt environment, in place of {name!r}."
    return (*command.argv[: len(command.argv) - len(execution.words)], *words), (Warning("kernel", text),)


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
