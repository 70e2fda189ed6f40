"""The programs that make a conda environment from an explicit list of archives: which is here, and its words.

micromamba, mamba and conda take the same list; py-rattler, a library, does it without any of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltrack.environments.conda.channels import channel_of
from mltrack.environments.conda.lock import CondaPackage
from mltrack.environments.interpreter import locate
from mltrack.environments.tools import Use, use
from mltrack.nouns import noun

MISSING = "There is no micromamba, mamba, conda or py-rattler on this machine."
REMEDY = (
    "Put micromamba, which is a single file, on PATH, or install py-rattler beside mltrack: "
    "`pip install 'mltrack-ledger[conda]'`."
)

CREATES = ("micromamba", "mamba", "conda")
"""In the order of preference: all three read the user's settings, the first is the fastest."""

RATTLER = "py-rattler"
LINKER = Path(__file__).with_name("linker.py.txt")

FOREIGN = ("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_SHLVL", "CONDA_PROMPT_MODIFIER", "PYTHONPATH", "PYTHONHOME")
"""Variables of the environment that is active now, which must not bend another one."""


@noun
class Tool:
    """A program, or the library."""

    name: str
    program: str


@noun
class Job:
    """What is to be made."""

    prefix: Path
    """It does not exist yet."""
    packages: tuple[CondaPackage, ...]
    """In the order of installation."""
    urls: Mapping[str, str]
    """Name -> where its archive is taken from."""
    scratch: Path
    cache: Path
    """Where py-rattler keeps the archives that it fetched."""
    variables: Mapping[str, str]


def find_tool(variables: Mapping[str, str]) -> Tool | None:
    """The best of those that are here."""
    for name in CREATES:
        program = locate(name, Path.cwd(), variables)
        if program is not None:
            return Tool(name, str(program))
    return Tool(RATTLER, sys.executable) if has_rattler() else None


def has_rattler() -> bool:
    """Is py-rattler installed beside mltrack?"""
    from importlib.util import find_spec

    return find_spec("rattler") is not None


def make_prefix(tool: Tool, job: Job) -> None:
    """Make the prefix. Raises EnvironmentFailed with the tool's own words."""
    if tool.name == RATTLER:
        words = [tool.program, "-I", "-c", LINKER.read_text()]
        run(tool, words, job.scratch, job.variables, json.dumps(rattler_request(job)).encode())
        return
    listing = job.scratch / "explicit.txt"
    listing.write_text(explicit(job.packages, job.urls))
    own = ["--no-default-packages"] if tool.name == "conda" else []
    words = [tool.program, "create", "--yes", *own, "--prefix", str(job.prefix), "--file", str(listing)]
    run(tool, words, job.scratch, job.variables)


def explicit(packages: tuple[CondaPackage, ...], urls: Mapping[str, str]) -> str:
    """The list that conda, mamba and micromamba install from without solving anything."""
    lines = [urls[found.name] + (f"#{found.md5}" if found.md5 else "") for found in packages if found.name in urls]
    return "".join(f"{line}\n" for line in ["@EXPLICIT", *lines])


def rattler_request(job: Job) -> dict[str, Any]:
    """What `linker.py.txt` reads."""
    keys = ("name", "version", "build", "build_number", "subdir", "noarch", "md5", "sha256", "size_bytes", "depends")
    packages = [
        {
            **{key: getattr(found, key) for key in keys},
            "file": found.file,
            "url": job.urls[found.name],
            "channel": channel_of(job.urls[found.name]),
        }
        for found in job.packages
        if found.name in job.urls
    ]
    return {"packages": packages, "prefix": str(job.prefix), "cache": str(job.cache)}


def run(tool: Tool, words: list[str], cwd: Path, variables: Mapping[str, str], given: bytes | None = None) -> None:
    """Run a tool. Raises EnvironmentFailed with what it said last."""
    kept = {name: text for name, text in variables.items() if name not in FOREIGN}
    use(Use(tool.name, tuple(words), cwd, kept, "The conda environment cannot be made", REMEDY, given))
