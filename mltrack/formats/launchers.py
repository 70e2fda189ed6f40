"""Where a command's own arguments begin: after the script, not among the options of what launches it.

Tables of interpreters, wrappers (`uv run`, `env`, `nohup`) and launchers (`torchrun`, `mpirun`). An unknown program's
arguments begin right after it, so a gap in a table can only find more options, never lose one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mltrack.patterns import lazy

if TYPE_CHECKING:
    from collections.abc import Sequence

_PYTHON = lazy(r"(?:python|pypy)(?:\d+(?:\.\d+)*)?[wtd]*|ipython3?")
_PYTHON_VALUES = ("-W", "-X", "--check-hash-based-pycs")
_SCRIPT = (".py", ".sh", ".ipynb", ".r", ".jl", ".pl", ".rb", ".js")

_INTERPRETERS = {
    "bash": ("-O", "-o", "+O", "+o", "--rcfile", "--init-file"),
    "sh": ("-o", "+o"),
    "zsh": ("-o", "+o"),
    "dash": ("-o", "+o"),
    "rscript": ("-e",),
    "julia": ("-J", "-t", "-p", "-C", "--sysimage"),
    "node": ("-r", "--require", "--import"),
    "perl": ("-I",),
    "ruby": ("-I", "-r"),
    "java": ("-cp", "-classpath", "--class-path", "--module-path"),
}

_UV_VALUES = (
    "--with", "--with-editable", "--with-requirements", "-p", "--python", "--extra", "--group", "--only-group",
    "--no-group", "--project", "--directory", "--env-file", "--package", "--index-url", "-i", "--index", "--cache-dir",
    "--config-file", "-w", "--color", "--link-mode", "--resolution", "--prerelease", "--exclude-newer",
)  # fmt: skip
_RUNNERS = {
    "uv": _UV_VALUES,
    "poetry": ("-C", "--directory", "-P", "--project"),
    "pipenv": (),
    "pdm": ("-p", "--project", "--venv"),
    "hatch": ("-e", "--env", "-p", "--project"),
    "rye": ("--pyproject",),
    "pixi": ("-e", "--environment", "--manifest-path"),
    "conda": ("-n", "--name", "-p", "--prefix", "--cwd"),
    "mamba": ("-n", "--name", "-p", "--prefix", "--cwd"),
    "micromamba": ("-n", "--name", "-p", "--prefix", "--cwd", "-r"),
}
"""Tools whose `run` starts the command that follows: their options that take a value."""

_WRAPPERS = {
    "env": ("-u", "--unset", "-C", "--chdir"),
    "nohup": (),
    "setsid": (),
    "time": ("-f", "--format", "-o", "--output"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n", "--class", "--classdata"),
    "stdbuf": ("-i", "-o", "-e"),
    "timeout": ("-s", "--signal", "-k", "--kill-after"),
    "taskset": ("-c", "--cpu-list"),
    "numactl": ("-N", "-m", "-C", "-i", "--membind", "--cpunodebind", "--physcpubind"),
    "xvfb-run": ("-n", "-s", "-e", "-f"),
}
"""Programs that start the command that follows: their options that take a value."""

_LAUNCHERS = {"torchrun", "accelerate", "deepspeed", "horovodrun", "coverage", "kernprof", "scalene", "viztracer"}
"""Launchers of a Python script or `-m MODULE`, after options of their own."""
_LAUNCHER_MODULES = {"torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch", "coverage"}
_PARALLEL = {"mpirun", "mpiexec", "mpiexec.hydra", "orterun", "srun", "nsys", "ncu", "py-spy", "strace", "perf"}
"""Launchers of any program, after options of their own."""


def arguments_start(command: Sequence[str]) -> int:
    """The index of the first word that belongs to the program itself; at most `len(command)`."""
    at = 0
    while at < len(command):
        name = command[at].replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")
        if _PYTHON.fullmatch(name):
            return _after_python(command, at + 1)
        if name in _INTERPRETERS:
            return _after_script(command, at + 1, _INTERPRETERS[name])
        if name in _LAUNCHERS:
            return _after_launched(command, at + 1)
        following = _launched(command, at, name)
        if following is None:
            return at + 1
        if following < 0:
            return -following
        at = following
    return len(command)


def _launched(command: Sequence[str], at: int, name: str) -> int | None:
    """Where the command begins that the program at `at` starts: None if it starts none, and the negated start of
    its arguments if it was `uv run -m MODULE`."""
    if name in _PARALLEL:
        return _find_program(command, at + 1)
    if name in _WRAPPERS:
        return _skip_options(command, at + 1, _WRAPPERS[name], positionals=int(name == "timeout"))
    if name not in _RUNNERS:
        return None
    run = _skip_options(command, at + 1, _RUNNERS[name])
    if run >= len(command) or command[run] != "run":
        return None
    following = _skip_options(command, run + 1, _RUNNERS[name])
    if name == "uv" and command[following - 1] in ("-m", "--module"):
        return -(following + 1)
    return following


def _skip_options(command: Sequence[str], at: int, with_value: Sequence[str], positionals: int = 0) -> int:
    """The index of the first word that is no option, option's value or `NAME=value`."""
    while at < len(command):
        word = command[at]
        if word == "--":
            return at + 1
        if word.startswith("-"):
            at += 2 if word in with_value else 1
        elif re.match(r"[A-Za-z_]\w*=", word):
            at += 1
        elif positionals:
            at, positionals = at + 1, 0
        else:
            break
    return min(at, len(command))


def _after_python(command: Sequence[str], at: int) -> int:
    while at < len(command):
        word = command[at]
        if re.fullmatch(r"-[A-Za-z]*m", word):
            module = command[at + 1] if at + 1 < len(command) else ""
            return _after_launched(command, at + 2) if module in _LAUNCHER_MODULES else min(at + 2, len(command))
        if re.fullmatch(r"-[A-Za-z]*c", word):
            return min(at + 2, len(command))
        if word == "-" or not word.startswith("-"):
            return at + 1
        if word.startswith("-m"):
            return at + 1
        at += 2 if word in _PYTHON_VALUES else 1
    return len(command)


def _after_script(command: Sequence[str], at: int, with_value: Sequence[str]) -> int:
    while at < len(command) and command[at].startswith(("-", "+")) and command[at] != "-":
        at += 2 if command[at] in (*with_value, "-c") else 1
    return min(at + 1, len(command))


def _after_launched(command: Sequence[str], at: int) -> int:
    """After the first script, or module after `-m`; the launcher's own options are no params."""
    for index in range(at, len(command)):
        word = command[index]
        if word in ("-m", "--module") and index + 1 < len(command) and not command[index + 1].startswith("-"):
            return index + 2
        if word.lower().endswith(_SCRIPT) and not word.startswith("-"):
            return index + 1
    return at


def _find_program(command: Sequence[str], at: int) -> int | None:
    """The first later word that is clearly a program: an interpreter, a script, or a path to a program."""
    for index in range(at, len(command)):
        word = command[index]
        name = word.rpartition("/")[2].lower()
        if word.startswith("-"):
            continue
        if _PYTHON.fullmatch(name) or name in _INTERPRETERS or name in _LAUNCHERS or name in _RUNNERS:
            return index
        if name.endswith(_SCRIPT) or word.startswith("./"):
            return index
    return None
