"""The variables of a conda environment that is entered: PATH, what marks it, and what its packages' scripts set."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

SCRIPTS = "etc/conda/activate.d"
SECONDS = 60

SOURCE_ALL = 'for script; do . "$script" >/dev/null; done; exec "$0" -0'
"""Packages (compilers, GDAL, CUDA) set their variables by scripts that only a shell can read. The words are fixed; the
scripts are arguments."""

MEANT = ("CONDA_SHLVL", "CONDA_PROMPT_MODIFIER", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables of another environment, which go."""

SHELLS_OWN = ("_", "PWD", "OLDPWD", "SHLVL", "BASH_EXECUTION_STRING")


def activation(prefix: Path, variables: Mapping[str, str], name: str | None = None) -> dict[str, str | None]:
    """The changes to the variables of a command that is to run in the prefix, which it knows by its old name; None
    removes one."""
    path = os.pathsep.join([str(prefix / "bin"), *others(variables)])
    changes: dict[str, str | None] = dict.fromkeys(MEANT)
    changes |= {"PATH": path, "CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": name}
    given = {name: text for name, text in {**variables, **changes}.items() if text is not None}
    after = sourced(sorted((prefix / SCRIPTS).glob("*.sh")), given)
    changes |= {name: text for name, text in after.items() if given.get(name) != text and name not in SHELLS_OWN}
    changes |= {name: None for name in given if after and name not in after and name not in SHELLS_OWN}
    return changes


def others(variables: Mapping[str, str]) -> list[str]:
    """The directories of PATH that are not those of another environment: today's must not help out."""
    parts = [part for part in variables.get("PATH", os.defpath).split(os.pathsep) if part]
    foreign = ("pyvenv.cfg", "conda-meta")
    return [part for part in parts if not any((Path(part).parent / name).exists() for name in foreign)]


def sourced(scripts: list[Path], variables: Mapping[str, str]) -> dict[str, str]:
    """All variables after these scripts ran; nothing if there are none, or a shell cannot read them."""
    if not scripts:
        return {}
    shell = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
    words = [shell, "-c", SOURCE_ALL, "/usr/bin/env", *map(str, scripts)]
    try:
        done = subprocess.run(
            words,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = [os.fsdecode(row).partition("=") for row in done.stdout.split(b"\0") if row]
    return {name: text for name, mark, text in rows if mark} if done.returncode == 0 else {}
