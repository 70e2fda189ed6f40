"""Which sources watch a run: the variables that make its processes tell, and who reads what they say (`watcher.py`).

On the path to a command's start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.observe import BEFORE, HOOK, VARIABLE

if TYPE_CHECKING:
    from mltrack.live.rundir import RunDir
    from mltrack.operations.observing.watcher import Watcher
    from mltrack.operations.request import Plan, Recording
    from mltrack.project import Project

CONTAINER = "docker"
IN_A_CONTAINER = "it runs in a container"
NO_COMPILER = "mltrack was installed without a C compiler"
NOT_WANTED = "the settings leave it out"
EXPECTED = (IN_A_CONTAINER, NO_COMPILER, NOT_WANTED)
"""Reasons that hold for every run of such an installation or command: recorded, and no warning of each run."""


def variables(project: Project, plan: Plan, rundir: RunDir) -> dict[str, str]:
    """What the command's environment needs so that its processes tell; makes the directory where they do."""
    if not is_on(project, "library") and not is_on(project, "hook"):
        return {}
    try:
        os.makedirs(rundir.observed / BEFORE, exist_ok=True)
    except OSError:
        return {}
    found = {VARIABLE: str(rundir.observed)}
    if not is_on(project, "hook"):
        found[HOOK] = "off"
    if is_on(project, "library") and not is_contained(project, plan):
        from mltrack.observe import library

        place = library.find()
        if place is not None and may_preload(plan, place):
            found |= library.variables(place, os.environ)
    return found


def is_on(project: Project, source: str) -> bool:
    """Do the settings have that source watch?"""
    named = project.config.observe_sources
    return "off" not in named and (not named or source in named)


def is_contained(project: Project, plan: Plan) -> bool:
    """Does the command run in a container, whose files are other ones?"""
    from mltrack.operations.env.kinds import kind_of

    return kind_of(project, plan.request) == CONTAINER


def why_unwatched(plan: Plan, library: Path) -> str | None:
    """Why the library cannot be in the command's own program; None if it can, or nobody knows."""
    from mltrack.errors import StartError
    from mltrack.executors import Command
    from mltrack.executors.program import find_program
    from mltrack.observe.library import usable

    try:
        program = find_program(Command(plan.argv, plan.working_directory, os.environ, 0, bytes))
    except (StartError, OSError):
        return None
    return usable(os.path.join(plan.working_directory, program), library)


def may_preload(plan: Plan, library: Path) -> bool:
    """May the command be told of the library? A static program does not look at it, and those that it starts do."""
    why = why_unwatched(plan, library)
    return why is None or "static" in why or "set-uid" in why


def watcher_of(recording: Recording) -> Watcher | None:
    """Who follows a run; None where the settings have nothing watch."""
    from mltrack.observe import library
    from mltrack.operations.observing.surroundings import scene_of
    from mltrack.operations.observing.watcher import Watcher

    project, plan = recording.project, recording.plan
    if "off" in project.config.observe_sources and not plan.request.trace:
        return None
    place = library.find()
    why_not = None
    if recording.started is not None:
        why_not = IN_A_CONTAINER
    elif place is None:
        why_not = NO_COMPILER
    elif not is_on(project, "library"):
        why_not = NOT_WANTED
    else:
        why_not = why_unwatched(plan, place)
    is_traced = plan.request.trace or "trace" in project.config.observe_sources
    return Watcher(scene_of(recording), why_not, is_traced)
