"""Notebooks that are run by a command: which kernel, and which Python that kernel starts.

`papermill`, `jupyter nbconvert --execute` and `jupyter execute` start another interpreter, the notebook's kernel, and
that is the one whose packages matter. Kernels are found as jupyter finds them, by reading files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mltrack.environments.command import Command, is_python
from mltrack.nouns import noun
from mltrack.patterns import lazy

NATIVE = "python3"
"""The kernel of the program's own environment."""

PAPERMILL_VALUES: dict[str, int] = {
    **dict.fromkeys(("-p", "--parameters", "-r", "--parameters_raw"), 2),
    **dict.fromkeys(
        (
            "-f", "--parameters_file", "-y", "--parameters_yaml", "-b", "--parameters_base64", "-k", "--kernel", "-l",
            "--language", "--cwd", "--engine", "--log-level", "--start-timeout", "--execution-timeout",
            "--autosave-cell-every", "--start_timeout", "--execution_timeout", "--stdout-file", "--stderr-file",
        ),
        1,
    ),
}  # fmt: skip

JUPYTER_VALUES = dict.fromkeys(
    (
        "--to", "--output", "--output-dir", "--template", "--template-file", "--theme", "--writer", "--post",
        "--config", "--log-level", "--nbformat", "--reveal-prefix", "--sanitize_html", "--kernel_name", "--timeout",
        "--startup_timeout",
    ),
    1,
)  # fmt: skip
"""And `--Class.name VALUE`."""

OWN_PYTHON = lazy(r"python(\d(\.\d+)?)?$")
"""What jupyter takes for the interpreter that it runs in itself."""

MOST_BYTES = 200_000_000


@noun
class Execution:
    """A command that runs a notebook."""

    tool: str
    """`papermill`, `nbconvert`, `execute`."""
    words: tuple[str, ...]
    """Those behind the program's own."""
    kernel: str | None
    """As an option names it."""
    notebook: str | None


@noun
class Kernel:
    """A kernel, by its name, and the program that it starts; None is the interpreter of the tool itself."""

    name: str
    program: str | None


def execution_of(command: Command) -> Execution | None:
    """What notebook a command runs; None if it runs none."""
    words = tool_words(command.argv)
    if not words:
        return None
    tool, rest = words[0], words[1:]
    if tool == "papermill":
        notebook = first_word(rest, PAPERMILL_VALUES)
        return Execution(tool, rest, option(rest, "-k", "--kernel"), notebook)
    if tool == "nbconvert" and "--execute" in rest:
        name = option(rest, "--ExecutePreprocessor.kernel_name")
        return Execution(tool, rest, name, first_word(rest, JUPYTER_VALUES))
    if tool == "execute":
        name = option(rest, "--kernel_name", "--NbClientApp.kernel_name")
        return Execution(tool, rest, name, first_word(rest, JUPYTER_VALUES))
    return None


def tool_words(argv: tuple[str, ...]) -> tuple[str, ...]:
    """`jupyter nbconvert A`, `jupyter-nbconvert A`, `python -m nbconvert A` -> nbconvert A."""
    if not argv:
        return ()
    name, rest = Path(argv[0]).name, argv[1:]
    if is_python(name):
        if "-m" not in rest:
            return ()
        place = rest.index("-m")
        name, rest = "".join(rest[place + 1 : place + 2]), rest[place + 2 :]
    if name == "jupyter" and rest:
        name, rest = f"jupyter-{rest[0]}", rest[1:]
    for prefix in ("jupyter-", "nbconvert", "papermill"):
        if name.startswith(prefix):
            return (name.removeprefix("jupyter-"), *rest)
    return ()


def option(words: tuple[str, ...], *names: str) -> str | None:
    """The value of an option, as the next word or behind `=`."""
    for index, word in enumerate(words):
        name, is_joined, value = word.partition("=")
        if name in names:
            return value if is_joined else "".join(words[index + 1 : index + 2]) or None
    return None


def first_word(words: tuple[str, ...], values: Mapping[str, int]) -> str | None:
    """The first word that is neither an option nor the value of one."""
    index = 0
    while index < len(words):
        if not words[index].startswith("-") or words[index] == "-":
            return words[index]
        is_setting = values is JUPYTER_VALUES and "." in words[index] and "=" not in words[index]
        index += 1 + values.get(words[index], is_setting)
    return None


def find_kernel(execution: Execution, command: Command, prefix: Path) -> Kernel | None:
    """The kernel that will run the notebook; `prefix` is the tool's environment. None where it cannot be known."""
    name = execution.kernel or kernel_in(command.cwd / execution.notebook if execution.notebook else None)
    if name is None or "/" in name:
        return None
    for place in kernel_places(prefix, command.variables):
        spec = read_json(place / name / "kernel.json")
        words = spec.get("argv") if isinstance(spec, dict) else None
        if isinstance(words, list) and words and isinstance(words[0], str):
            return Kernel(name, None if OWN_PYTHON.match(words[0]) else words[0])
    return Kernel(name, None) if name == NATIVE else None


def kernel_in(notebook: Path | None) -> str | None:
    """The kernel that a notebook names in its metadata."""
    found = read_json(notebook) if notebook is not None else None
    for key in ("metadata", "kernelspec", "name"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def read_json(path: Path) -> Any:
    """What a file says; None if it says nothing that can be read."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def kernel_places(prefix: Path, variables: Mapping[str, str]) -> Iterator[Path]:
    """The directories in which jupyter looks for kernels, in its order."""
    for place in variables.get("JUPYTER_PATH", "").split(os.pathsep):
        if place:
            yield Path(place) / "kernels"
    own = [prefix / "share" / "jupyter" / "kernels"]
    users = list(users_places(variables))
    asked = variables.get("JUPYTER_PREFER_ENV_PATH")
    is_own_first = asked.lower() not in ("no", "n", "false", "off", "0", "0.0") if asked else is_owned(prefix)
    yield from (*own, *users) if is_own_first else (*users, *own)
    yield Path("/usr/local/share/jupyter/kernels")
    yield Path("/usr/share/jupyter/kernels")
    yield Path(variables.get("HOME", "/")) / ".ipython" / "kernels"


def users_places(variables: Mapping[str, str]) -> Iterator[Path]:
    home = Path(variables.get("HOME", "/"))
    data = variables.get("JUPYTER_DATA_DIR")
    if data:
        yield Path(data) / "kernels"
    else:
        yield Path(variables.get("XDG_DATA_HOME") or home / ".local" / "share") / "jupyter" / "kernels"
        yield home / "Library" / "Jupyter" / "kernels"
    yield home / ".local" / "share" / "jupyter" / "kernels"


def is_owned(prefix: Path) -> bool:
    """Is this a virtual or conda environment of the user's own? Its kernels then come before the user's."""
    try:
        is_environment = (prefix / "pyvenv.cfg").is_file() or (prefix / "conda-meta").is_dir()
        return is_environment and os.access(prefix, os.W_OK)
    except OSError:
        return False


def with_kernel(execution: Execution, name: str) -> tuple[str, ...]:
    """The words of the command with another kernel named."""
    names = {"papermill": ("-k", "--kernel"), "nbconvert": ("--ExecutePreprocessor.kernel_name",)}
    options = names.get(execution.tool, ("--kernel_name", "--NbClientApp.kernel_name"))
    words, index = list(execution.words), 0
    while index < len(words):
        option_name, is_joined, _ = words[index].partition("=")
        if option_name in options:
            if is_joined:
                words[index] = f"{option_name}={name}"
            elif index + 1 < len(words):
                words[index + 1] = name
            return tuple(words)
        index += 1
    added = (options[0], name) if execution.tool == "papermill" else (f"{options[0]}={name}",)
    return (*words, *added)
