"""After a run: what the files of frameworks say of it (`collect/frameworks/`), under the project's settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.operations.running.params import reads

if TYPE_CHECKING:
    from mltrack.collect.frameworks import Found
    from mltrack.config import Config
    from mltrack.records import Artifact, Run

Locate = Callable[[str], Path]
"""Where the bytes of a path of the record lie now."""


def framework_facts(config: Config, run: Run, artifacts: Iterable[Artifact], locate: Locate) -> Found | None:
    """The params and metrics that frameworks wrote; None where nothing is to be read.

    `run`: its opening record, for the command and what it declared. `artifacts`: what it wrote. Reading is bounded and
    nothing in a file can raise; texts are not redacted here.
    """
    from mltrack.collect.frameworks import FAMILY, find_facts, left_behind

    members = [name for name in FAMILY if reads(config.frameworks, name)]
    if run.declared.get("metrics"):  # who declares says which files count
        members = [name for name in members if name not in ("results", "tensorboard")]
    if not members:
        return None
    left = left_behind(locate, run.cwd, run.command, written_paths(artifacts, locate))
    return find_facts(left, members, run.params) if left.names else None


def written_paths(artifacts: Iterable[Artifact], locate: Locate) -> Iterator[str]:
    """The path of every file that was written, those below directories too."""
    for artifact in artifacts:
        if artifact.kind != "directory":
            yield artifact.path
            continue
        top = str(locate(artifact.path))
        for directory, _, files in os.walk(top):
            below = os.path.relpath(directory, top)
            start = artifact.path if below == "." else f"{artifact.path}/{below}"
            yield from (f"{start}/{name}" for name in files)
