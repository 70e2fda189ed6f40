"""What the processes of a run told of themselves, joined with what was captured beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.records import Environment, Warning

if TYPE_CHECKING:
    from mltrack.collect.imports import Processes
    from mltrack.redact import Redactor

SYSTEM = "/usr"
"""A Python of the operating system, which its own tools use too."""


def with_told(
    environment: Environment, tops: Mapping[str, Sequence[str]], run_dir: Path, redactor: Redactor
) -> tuple[Environment, tuple[Warning, ...]]:
    """The environment with what was imported and what moved numbers, and what must be said.

    `tops`: distribution -> import paths; empty where the kind does not know them.
    """
    from mltrack.collect.imports import imported, libraries, read_processes
    from mltrack.environments.libraries import merged

    processes = read_processes(run_dir)
    told = {key: redactor.text(text) for key, text in libraries(processes, environment.interpreter).items()}
    known = replace(
        environment,
        imported=imported(processes, tops, environment.interpreter) if tops else None,
        libraries=merged(environment.libraries, told),
    )
    return known, unseen_python(processes) if environment.kind == "system" else ()


def unseen_python(processes: Processes) -> tuple[Warning, ...]:
    """A warning where a command that seemed to have nothing to do with Python has started one."""
    found = sorted({one.executable for one in processes.told if one.prefix != SYSTEM})
    if not found:
        return ()
    text = f"The command started {', '.join(found)}, whose packages are not recorded. If that is the `python` on your "
    return (Warning("environment", f"{text}PATH, `--env python` records it."),)
