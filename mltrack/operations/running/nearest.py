"""Why no past run has the fingerprint: the nearest one, and what differs from it, in a few words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError
from mltrack.operations.running.params import UNNAMED

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run

MOST = 3
"""Differences that are named."""
LONGEST = 40
"""Characters of a value."""
RECENT = 200
"""Runs among which one of another command is looked for."""


def nearest(project: Project, run: Run) -> Run | None:
    """The newest finished run of the same command; else of one that begins with the same words."""
    from mltrack.ledger.asking.likeness import with_beginning, with_command

    found = with_command(project.ledger.db, run.command, 1)
    found = found or with_beginning(project.ledger.db, run.command[:2], RECENT)
    return found[0] if found else None


def differences(project: Project, then: Run, now: Run) -> str:
    """What in the two runs makes their fingerprints differ."""
    found = list(dict.fromkeys(each(project, then, now)))
    if not found and then.fingerprint is None:
        return "what it used is not known whole"
    more = f", and {len(found) - MOST} more" if len(found) > MOST else ""
    return (
        f"{', '.join(found[:MOST])}{more}"
        if found
        else "a variable that is not recorded differs, or its standard input"
    )


def each(project: Project, then: Run, now: Run) -> Iterator[str]:
    """Every difference, the most telling first."""
    from mltrack.snapshot.fingerprint import code_identity

    for name in sorted({*then.params, *now.params}):
        source = then.param_sources.get(name, now.param_sources.get(name))
        is_unread = source == UNNAMED and name not in then.params  # it was not the command's
        if source != "logged" and not is_unread and then.params.get(name) != now.params.get(name):
            yield f"params.{name} {short(then.params.get(name))} -> {short(now.params.get(name))}"
    if code_identity(then.code) != code_identity(now.code):
        names = changed_files(project, then, now)
        yield f"code: {', '.join(names)}" if names else "code"
    before = {item.path: item.digest for item in then.inputs if item.found == "declared"}
    after = {item.path: item.digest for item in now.inputs if item.found == "declared"}
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield f"{path} {'changed' if path in before and path in after else 'is declared by one of them only'}"
    if then.command != now.command:
        yield "another command"
    if then.cwd != now.cwd:
        yield f"directory {then.cwd} -> {now.cwd}"
    if then.seed != now.seed:
        yield f"seed {short(then.seed)} -> {short(now.seed)}"
    if then.environment.digest != now.environment.digest:
        yield from of_environment(then, now)
    yield from of_surroundings(then, now)


def of_surroundings(then: Run, now: Run) -> Iterator[str]:
    """Variables, as far as they are recorded, and where home directory and project lie."""
    from mltrack.snapshot.fingerprint import is_volatile

    before, after = then.environment.variables, now.environment.variables
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name) and not is_volatile(name):
            yield f"the variable {name} {short(before.get(name))} -> {short(after.get(name))}"
    for name in ("home", "root", "stdin_at"):
        if then.origin.get(name) != now.origin.get(name):
            yield f"{name} {short(then.origin.get(name))} -> {short(now.origin.get(name))}"


def of_environment(then: Run, now: Run) -> Iterator[str]:
    before, after = dict(then.environment.packages), dict(now.environment.packages)
    names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    for name in names:
        yield f"{name} {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
    if then.environment.python != now.environment.python:
        yield f"Python {then.environment.python} -> {now.environment.python}"
    if not names:
        yield "environment"


def changed_files(project: Project, then: Run, now: Run) -> list[str]:
    """The names of files that differ, as far as git still has both trees."""
    from mltrack.git.patch import changed_names
    from mltrack.git.repository import find_repository

    repository = find_repository(project.root)
    git_dir = repository.git_dir if repository is not None else project.state / "code.git"
    if then.code.tree is None or now.code.tree is None or then.code.tree == now.code.tree:
        return []
    try:
        return [path for _, path in changed_names(git_dir, then.code.tree, now.code.tree)][:MOST]
    except MltrackError:
        return []


def short(value: object) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
