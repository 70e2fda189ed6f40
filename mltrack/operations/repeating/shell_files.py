"""How a person's own shell starts so that it keeps the variables of a run: their start-up files come first, ours last.

Pure but for the small files that it writes, in a directory that goes when the shell has ended. A shell that is not
known is started as it is, with the variables only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote

from mltrack.nouns import noun

PROGRAMS = ("python", "python3", "pip", "pip3", "R", "Rscript", "julia", "conda")
"""Names that an alias of the person's must not lead elsewhere."""
ZSH_FILES = (".zshenv", ".zprofile", ".zlogin")


@noun
class Dress:
    """What the shell is to keep."""

    scratch: Path
    """A directory for files of ours."""
    variables: Mapping[str, str | None]
    """Changes to the environment variables; None removes one."""
    prompt: str
    """What stands in front of the person's own prompt."""


def dressed(shell: str, dress: Dress, is_interactive: bool) -> tuple[tuple[str, ...], dict[str, str | None]]:
    """The words that start a shell, and more variables for it. One that reads a script from a pipe is no more than its
    variables."""
    wear = DRESSES.get(os.path.basename(shell).lstrip("-"))
    if wear is None or not is_interactive:
        return (shell,), {}
    return wear(shell, dress)


def settings(dress: Dress) -> str:
    """Lines of any shell of Bourne's family that set and remove the variables again."""
    lines = [
        f"unset {name}" if text is None else f"export {name}={quote(text)}"
        for name, text in sorted(dress.variables.items())
    ]
    lines += [f"unalias {name} 2>/dev/null" for name in PROGRAMS]
    return "\n".join([*lines, "hash -r 2>/dev/null", f'PS1={quote(dress.prompt)}"$PS1"', ""])


def bash(shell: str, dress: Dress) -> tuple[tuple[str, ...], dict[str, str | None]]:
    path = dress.scratch / "bashrc"
    write(path, f"[ -f ~/.bashrc ] && . ~/.bashrc\n{settings(dress)}")
    return (shell, "--rcfile", str(path), "-i"), {}


def posix(shell: str, dress: Dress) -> tuple[tuple[str, ...], dict[str, str | None]]:
    """dash, ksh and their like read the file that ENV names."""
    path = dress.scratch / "shrc"
    before = os.environ.get("ENV")
    put_back = "unset ENV" if before is None else f"ENV={quote(before)}; export ENV; [ -f {quote(before)} ] && . $ENV"
    write(path, f"{put_back}\n: ${{PS1:='$ '}}\n{settings(dress)}")
    return (shell, "-i"), {"ENV": str(path)}


def zsh(shell: str, dress: Dress) -> tuple[tuple[str, ...], dict[str, str | None]]:
    """zsh looks for its files in ZDOTDIR: ours send it on to the person's."""
    own = os.environ.get("ZDOTDIR") or os.environ.get("HOME") or "/"
    given = "unset ZDOTDIR" if os.environ.get("ZDOTDIR") is None else f"export ZDOTDIR={quote(own)}"
    for name in ZSH_FILES:
        there = quote(os.path.join(own, name))
        write(dress.scratch / name, f"[[ -f {there} ]] && . {there}\nZDOTDIR={quote(str(dress.scratch))}\n")
    there = quote(os.path.join(own, ".zshrc"))
    write(dress.scratch / ".zshrc", f"{given}\n[[ -f {there} ]] && . {there}\n{settings(dress)}")
    return (shell, "-i"), {"ZDOTDIR": str(dress.scratch)}


def fish(shell: str, dress: Dress) -> tuple[tuple[str, ...], dict[str, str | None]]:
    lines = [
        f"set -e {name}" if text is None else f"set -gx {name} {fish_quoted(name, text)}"
        for name, text in sorted(dress.variables.items())
    ]
    lines += [f"functions -e {name}" for name in PROGRAMS]
    lines += [
        "functions -q fish_prompt; and functions -c fish_prompt mltrack_own_prompt",
        "functions -q mltrack_own_prompt; or function mltrack_own_prompt; echo -n '> '; end",
        f"function fish_prompt; echo -n {fish_word(dress.prompt)}; mltrack_own_prompt; end",
    ]
    path = dress.scratch / "init.fish"
    write(path, "\n".join(lines) + "\n")
    return (shell, "-C", f"source {fish_word(str(path))}"), {}


def fish_quoted(name: str, text: str) -> str:
    """fish keeps PATH and its like as lists."""
    return " ".join(map(fish_word, text.split(os.pathsep))) if name == "PATH" else fish_word(text)


def fish_word(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def write(path: Path, text: str) -> None:
    path.write_bytes(os.fsencode(text))


DRESSES: Mapping[str, Callable[[str, Dress], tuple[tuple[str, ...], dict[str, str | None]]]] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
    **dict.fromkeys(("sh", "dash", "ash", "ksh", "mksh", "yash", "busybox"), posix),
}
"""Name of a shell -> how it starts."""
