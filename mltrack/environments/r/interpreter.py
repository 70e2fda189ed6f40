"""Finds R and asks it where its packages are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mltrack.environments.command import DEPTH, unwrap
from mltrack.environments.interpreter import locate, shebang
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun

NAMES = ("Rscript", "R")
SECONDS = 60
MARK = "MLTRACK-R"
SCRIPT = Path(__file__).with_name("tell.R.txt")
SETTINGS = ("R_ENVIRON", "R_ENVIRON_USER")
"""Variables that name files of variables. `--vanilla` empties them, so that the script is told them by other names."""

INSTALL = "Install R (Debian: r-base-core; others: https://cran.r-project.org), and try again."


@noun
class R:
    """An R of this machine."""

    program: Path
    """Its Rscript."""
    version: str
    platform: str
    home: Path
    """The library with the packages that R itself consists of."""
    libraries: tuple[Path, ...]
    """Where packages are looked for, the first first; `home` is among them."""


def find_r(argv: tuple[str, ...], cwd: Path, variables: Mapping[str, str]) -> Path | None:
    """The R or Rscript that a command starts, following shebangs; None if it starts something else."""
    command = unwrap(argv, cwd, variables)
    for _ in range(DEPTH):
        if not command.argv:
            return None
        is_r = Path(command.argv[0]).name in NAMES
        if not is_r and command.launcher is not None:
            return None
        program = locate(command.argv[0], command.cwd, command.variables)
        if is_r or program is None:
            return program
        started_by = shebang(program)
        if not started_by:
            return None
        command = unwrap((*started_by, str(program), *command.argv[1:]), command.cwd, command.variables)
    return None


def rscript_of(program: Path) -> Path:
    """The Rscript beside an R; it takes a command without being told to be quiet."""
    beside = program.with_name("Rscript")
    return beside if program.name == "R" and beside.exists() else program


def ask_r(program: Path, cwd: Path, variables: Mapping[str, str]) -> R:
    """What an R says of itself, for a command in `cwd`; nothing of the project is run, for its settings are code.
    Raises EnvironmentFailed if it does not run."""
    words = [str(rscript_of(program)), "--vanilla", "-e", SCRIPT.read_text()]
    told = {f"TELL_{name}": variables[name] for name in SETTINGS if name in variables}
    given = {**variables, **told, "TELL_DIRECTORY": str(cwd.absolute()), "R_TESTS": ""}
    try:
        done = subprocess.run(words, cwd="/", env=given, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EnvironmentFailed(f"R does not start: {error}.", f"Try `{words[0]} --version`.") from error
    lines = os.fsdecode(done.stdout).splitlines()
    if MARK not in lines or len(lines) < lines.index(MARK) + 4:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no answer"])[-1]
        raise EnvironmentFailed(f"R cannot describe itself: {said}", f"Try `{words[0]} --version`.")
    version, platform, home, *libraries = lines[lines.index(MARK) + 1 :]
    return R(rscript_of(program), version, platform, Path(home), tuple(map(Path, libraries)))
