"""What a run wrote, renamed or removed outside its project: what its repetition will do there again.

The artifacts of the record, and what its observation lists beside them: files that were gone at its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, NotFound
from mltrack.nouns import noun
from mltrack.observe.rules import TEMPORARY, is_below
from mltrack.operations.outside.moves import recorded_place
from mltrack.redact import PLACEHOLDER

if TYPE_CHECKING:
    from mltrack.operations.observing.observed import Line
    from mltrack.project import Project
    from mltrack.records import Run

RULES = ("temporary", "not there", "data", "written", "intermediate", "rewritten", "include", "program", "library")
"""Of what a run wrote, moved or removed; what else it touched is the system's, or a tool's own."""


@noun
class Writing:
    """One path outside of the project."""

    path: str
    is_new: bool
    """The run made it; False for a file that it found there and then changed or removed."""


def writings_of(project: Project, run: Run) -> Iterator[Writing]:
    """Each path once, as the record calls it."""
    lines = {line.path: line for line in changed_outside(project, run)}
    inputs = {item.path for item in run.inputs}
    for path in dict.fromkeys((*outside_artifacts(run), *lines)):
        line = lines.get(path)
        was_there = path in inputs or (line is not None and ("w" not in line.letters or "f" in line.letters))
        yield Writing(path, not was_there)


def outside_artifacts(run: Run) -> list[str]:
    return [item.path for item in run.artifacts if os.path.isabs(item.path) and item.found != "logged"]


def changed_outside(project: Project, run: Run) -> Iterator[Line]:
    """The lines of the run's observation on absolute paths that were written, moved away or removed."""
    from mltrack.operations.observing.observed import read_observed
    from mltrack.operations.outside.arrange import is_plain

    if run.status == "running" or run.observation is None:
        return
    try:
        lines = read_observed(project, run)
    except (NotFound, DataMissing):
        return
    home = recorded_place(run, "home")
    for line in lines:
        is_changed = line.rule in RULES and not {"w", "u", "d"}.isdisjoint(line.letters)
        if is_changed and is_plain(line.path) and PLACEHOLDER not in line.path and not is_scratch(line.path, home):
            yield line


def is_scratch(path: str, home: str | None) -> bool:
    """Does it lie in a directory for temporary files, where every run has names of its own?"""
    if home is not None and is_below(path, home):
        return False
    return any(is_below(path, place) for place in TEMPORARY)
