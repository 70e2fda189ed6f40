"""The interpreter behind a launcher: `uv run`, `poetry run`, `hatch run`, `pipx run` and their like.

Files tell where they can; else the launcher is asked, with words that install nothing where it has such. A launcher
that builds the environment when it is first used is never asked to build it a second time beside the command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mltrack.environments.command import Command, Launcher, interpreter_flags, is_python, python_words
from mltrack.environments.interpreter import Interpreter, ask, head, is_executable, locate, shebang

EPHEMERAL = ("--with", "--with-editable", "--with-requirements", "-w", "--isolated", "-p", "--python")
"""Options of `uv run` that give the command an environment of its own."""

INSTALLING = ("uv", "uvx", "pixi", "hatch", "pipx", "pipenv", "poetry")
"""Launchers that may bring the environment up to date, or build it, before they start the command."""

LOCKED = ("uv", "uvx", "pixi")
"""Those that may be asked meanwhile: they take turns."""

PIPX_TO_UV = ("--with", "--python", "--index-url")
OWN_NAME = "import sys; print(sys.executable)"


def behind_launcher(command: Command, launcher: Launcher) -> Interpreter | None:
    """The interpreter of the environment that a launcher chooses; until that is built, the launcher's own."""
    program = locate(launcher.program, command.cwd, command.variables)
    if program is None:
        return None
    flags = interpreter_flags(command.argv) if command.argv and is_python(command.argv[0]) else ()
    is_settled = launcher.name not in INSTALLING
    finders = {"uv": uv_interpreter, "hatch": hatch_interpreter, "pipx": pipx_interpreter, "pipenv": pipenv_interpreter}
    finders["poetry"] = poetry_interpreter
    found = finders[launcher.name](command, launcher, program) if launcher.name in finders else None
    if found is not None:
        return Interpreter((str(found),), command.cwd, command.variables, flags, is_settled)
    if not is_settled and launcher.name not in LOCKED:
        started_by = shebang(program)
        own = locate(started_by[0], command.cwd, command.variables) if started_by else None
        if own is None or not is_python(own.name):
            return None
        text = (
            f"{launcher.name} had no environment yet when this was recorded; it is the one of {launcher.name} itself."
        )
        return Interpreter((str(own),), command.cwd, command.variables, (), False, (text,))
    start = (str(program), *launcher.words()[1:], "python")
    return Interpreter(start, command.cwd, command.variables, flags, is_settled)


def python_in(place: str | Path | None) -> Path | None:
    """The interpreter of the environment at a place, if there is one."""
    python = Path(place) / "bin" / "python" if place else None
    return python if python is not None and is_executable(python) else None


def hatch_interpreter(command: Command, launcher: Launcher, hatch: Path) -> Path | None:
    """That of the environment which `hatch env find` names; it need not exist yet."""
    name = option(launcher.options, "-e", "--env")
    before = launcher.start[1 : launcher.start.index("run")]
    words = tuple(without(before, "-e", "--env"))
    return python_in(ask((str(hatch), *words, "env", "find", *filter(None, [name])), command.cwd, command.variables))


def poetry_interpreter(command: Command, launcher: Launcher, poetry: Path) -> Path | None:
    """That of the project's environment; where poetry is told to make none, the one it uses instead."""
    before = launcher.start[1 : launcher.start.index("run")]
    path = ask((str(poetry), *before, "env", "info", "--path"), command.cwd, command.variables)
    if path:
        return python_in(path)
    making = ask((str(poetry), *before, "config", "virtualenvs.create"), command.cwd, command.variables)
    if making != "false":
        return None
    executable = ask((str(poetry), *before, "env", "info", "--executable"), command.cwd, command.variables)
    return Path(executable) if executable and is_executable(Path(executable)) else None


def pipenv_interpreter(command: Command, launcher: Launcher, pipenv: Path) -> Path | None:
    """That of the environment which `pipenv --venv` names; it fails where there is none."""
    return python_in(ask((str(pipenv), "--venv"), command.cwd, command.variables))


def pipx_interpreter(command: Command, launcher: Launcher, pipx: Path) -> Path | None:
    """That of the newest environment in pipx's cache that has the program; of uv's, where pipx leaves it to uv."""
    if not command.argv or "/" in command.argv[0] or is_python(command.argv[0]):
        return None
    uv = uv_of_pipx(command, launcher, pipx)
    if uv is not None:
        options = [f"{name}={value}" for name in PIPX_TO_UV for value in values(launcher.options, name)]
        spec = option(launcher.options, "--spec") or command.argv[0]
        words = (str(uv), "tool", "run", *options, "--from", spec, "python", "-c", OWN_NAME)
        answer = ask(words, command.cwd, command.variables)
        return Path(answer) if answer else None
    found = [place for cache in pipx_caches(command.variables) for place in cache.glob(f"*/bin/{command.argv[0]}")]
    newest = max(found, key=lambda path: path.parent.parent.stat().st_mtime_ns, default=None)
    return python_in(newest.parent.parent) if newest is not None else None


def uv_of_pipx(command: Command, launcher: Launcher, pipx: Path) -> Path | None:
    """The uv that a recent pipx uses by itself where it finds one; None where it works with pip."""
    chosen = option(launcher.options, "--backend") or command.variables.get("PIPX_DEFAULT_BACKEND")
    if chosen == "pip" or not (chosen or knows_uv(pipx)):
        return None
    beside = pipx.resolve().parent / "uv"
    return beside if is_executable(beside) else locate("uv", command.cwd, command.variables)


def knows_uv(pipx: Path) -> bool:
    """Is this a pipx that can leave its work to uv?"""
    started_by = shebang(pipx)
    place = Path(started_by[0]).parent.parent if started_by else pipx.parent.parent
    return any(place.glob("lib/python*/site-packages/pipx/backends/uv.py"))


def pipx_caches(variables: Mapping[str, str]) -> list[Path]:
    """Where pipx keeps the environments of `pipx run`."""
    home = Path(variables.get("HOME", "/"))
    if variables.get("PIPX_HOME"):
        return [Path(variables["PIPX_HOME"]) / ".cache"]
    base = Path(variables.get("XDG_CACHE_HOME") or home / ".cache")
    return [base / "pipx", home / "Library" / "Caches" / "pipx", home / ".local" / "pipx" / ".cache"]


def values(options: tuple[str, ...], name: str) -> list[str]:
    """The values of an option that may be given several times."""
    found: list[str] = []
    for index, word in enumerate(options):
        if word == name:
            found += options[index + 1 : index + 2]
        elif word.startswith(f"{name}="):
            found.append(word.partition("=")[2])
    return found


def option(options: tuple[str, ...], *names: str) -> str | None:
    """The value of the last option of these names."""
    found = None
    for index, word in enumerate(options):
        name, is_joined, value = word.partition("=")
        if name in names:
            found = value if is_joined else "".join(options[index + 1 : index + 2])
    return found or None


def without(options: tuple[str, ...], *names: str) -> Iterator[str]:
    """The options less some that take a value."""
    words = iter(options)
    for word in words:
        name, is_joined, _ = word.partition("=")
        if name not in names:
            yield word
        elif not is_joined:
            next(words, None)


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
