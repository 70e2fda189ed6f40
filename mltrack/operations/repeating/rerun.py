"""`mltrack rerun`: the command of a past run on today's tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.errors import MltrackError, UsageError
from mltrack.operations.find import find_run
from mltrack.operations.request import RunRequest, Tell, silent
from mltrack.operations.run import STDOUT, run
from mltrack.records import Parent
from mltrack.redact import PLACEHOLDER

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run


HARMLESS = ("image", "at", "shm", "gpus")
"""Settings of a container that give it nothing of this machine but what the project holds."""


FOUND = ("python", "conda", "r", "julia", "system")
"""Kinds that a command shows by itself."""


def rerun(project: Project, ref: str, options: RunRequest, tell: Tell = silent) -> Run:
    """Run the recorded command again where the project is now.

    What `options` says beats the record; of inputs, outputs, params and metrics the record's are taken.
    """
    earlier = find_run(project, ref)
    if any(PLACEHOLDER in word for word in earlier.command):
        raise UsageError(
            f"The command of {earlier.id} held a secret, which was not recorded.",
            "Type it again: mltrack run -- COMMAND",
        )
    root = project.root
    cwd = Path(root, earlier.cwd)

    def typed(key: str) -> tuple[str, ...]:
        return tuple(str(root / pattern) for pattern in earlier.declared.get(key, ()))

    request = replace(
        options,
        command=earlier.command,
        cwd=cwd,
        inputs=typed("inputs"),
        outputs=typed("outputs"),
        params=typed("params"),
        metrics=(*typed("metrics"), *(f"{STDOUT}{pattern}" for pattern in earlier.declared.get("stdout", ()))),
        name=options.name or earlier.name,
        experiment=options.experiment or earlier.experiment,
        environment_kind=options.environment_kind or kind_again(earlier),
        environment_options={**options_again(project, earlier), **options.environment_options},
        seed=earlier.seed if options.seed is None else options.seed,
        parent=Parent("rerun", earlier.id),
    )
    done = run(project, request, tell)
    before, now = earlier.environment.image, done.environment.image
    if before is not None and now is not None and before.id != now.id:
        tell(f"the image {now.reference} is not the one that {earlier.id} ran in")
    return with_verdict(project, earlier, done, tell)


def with_verdict(project: Project, earlier: Run, done: Run, tell: Tell) -> Run:
    """A rerun with its verdict, kept as an event. One that another run took the place of has its own already; where
    none can be had, the run itself is no worse for it."""
    is_other = done.parent != Parent("rerun", earlier.id) or done.verdict is not None
    if is_other or "running" in (earlier.status, done.status):
        return done
    from mltrack.operations.judging.judging import judged_run, keep_verdict

    try:
        return keep_verdict(project, done, judged_run(project, earlier, done))
    except (MltrackError, OSError) as error:
        tell(f"no verdict: {error}")
        return done


def options_again(project: Project, earlier: Run) -> dict[str, Any]:
    """The recorded settings of a container, as they were; of a stranger's record only what names the image."""
    recorded = dict(earlier.environment.options)
    if project.ledger.is_from_here(earlier.id, project.ledger.replicas):
        return recorded
    return {key: recorded[key] for key in HARMLESS if key in recorded}


def kind_again(earlier: Run) -> str | None:
    """A container is entered again; another environment is whatever the command finds today."""
    return None if earlier.environment.kind in FOUND else earlier.environment.kind
