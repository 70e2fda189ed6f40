"""`mltrack rerun`: the command of a past run on today's tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import UsageError
from mltrack.operations.find import find_run
from mltrack.operations.request import RunRequest, Tell, silent
from mltrack.operations.run import run
from mltrack.records import Parent
from mltrack.redact import PLACEHOLDER

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run


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
        metrics=typed("metrics"),
        name=options.name or earlier.name,
        experiment=options.experiment or earlier.experiment,
        environment_kind=options.environment_kind or kind_again(earlier),
        environment_options={**earlier.environment.options, **options.environment_options},
        seed=earlier.seed if options.seed is None else options.seed,
        parent=Parent("rerun", earlier.id),
    )
    return run(project, request, tell)


def kind_again(earlier: Run) -> str | None:
    """A container is entered again; another environment is whatever the command finds today."""
    return None if earlier.environment.kind in ("python", "system") else earlier.environment.kind
