"""Other programs that install something: run, and where they fail, heard out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun
from mltrack.redact import Redactor

LAST_LINES = 15
"""Of the tool's own output, shown when it fails."""


@noun
class Use:
    """One use of a tool."""

    name: str
    """As people call it: `Julia`, `micromamba`."""
    words: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    failure: str
    """What has come to nothing if it fails: `The R packages cannot be installed`."""
    remedy: str
    """How to get the tool."""
    given: bytes | None = None
    """Its standard input."""


def use(tool: Use) -> None:
    """Run it to its end. Raises EnvironmentFailed with what it said last, without secrets."""
    given: dict[str, Any] = {"input": tool.given} if tool.given is not None else {"stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(
            tool.words,
            cwd=tool.cwd,
            env=dict(tool.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **given,
        )
    except OSError as error:
        raise EnvironmentFailed(f"{tool.name} does not start: {error}.", tool.remedy) from error
    if done.returncode:
        said = Redactor(tool.variables).text(os.fsdecode(done.stdout)).strip().splitlines()[-LAST_LINES:]
        raise EnvironmentFailed(
            f"{tool.failure}: {tool.name} failed with exit code {done.returncode}.",
            f"{tool.name} said:\n" + "\n".join(said),
        )
