"""`run --cached`: the past run that a command would only repeat, instead of the command.

The fingerprint is made before anything starts, by the functions that make it for a run; of the runs that have it, one
is taken only if all that it was seen to read is still what it was (`unchanged.py`), and all that it wrote can be had
(`put_back.py`). Else one sentence says why, and the command runs. See `docs/guides/cached.md`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError, StartError
from mltrack.nouns import noun
from mltrack.operations.env.kinds import kind_of, shown_options
from mltrack.operations.request import Plan, Recording, RunRequest, Tell
from mltrack.operations.running.basis import PIPE, basis_of
from mltrack.operations.running.beside import environment_request, git_dirs, without_inside
from mltrack.operations.running.put_back import Outputs, PutBack
from mltrack.operations.running.record import capture, find_declared, open_record, own_variables
from mltrack.operations.running.unchanged import Now, why_moved, why_not
from mltrack.records import new_id
from mltrack.redact import Redactor
from mltrack.snapshot.fingerprint import fingerprint
from mltrack.snapshot.inputs import keep_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mltrack.project import Project
    from mltrack.records import Run

MOST = 8
"""Past runs with the same fingerprint that are looked at, newest first."""


@noun
class Look:
    """What is known before the command starts: the run as far as it goes, and its fingerprint."""

    now: Now
    run: Run
    fingerprint: str | None
    stdin: str | None


def reuse(project: Project, plan: Plan, tell: Tell) -> Run | None:
    """The past run that this one would repeat, with its outputs put back; None if the command is to run.

    `plan.request.reuse` is told of it. Raises StartError where the command could not be started either, StorageError
    if the outputs cannot be written.
    """
    kind = kind_of(project, plan.request)
    if is_entered(kind):
        tell(f"not taken from a past run: what a command reads in a {kind} container is not known whole")
        return None
    try:
        look = look_ahead(project, plan)
        taken = choose(project, plan, look, tell)
    except StartError:
        raise
    except MltrackError as error:
        tell(f"not taken from a past run: {error}")
        return None
    if taken is None:
        return None
    run, outputs = taken
    moved = why_moved(look.now)
    if moved is not None:
        tell(f"not taken from {run.id}: {moved}")
        return None
    done = PutBack() if plan.place.is_copy else outputs.put_back(look.now.keys)
    from mltrack.snapshot.code import drop_refs

    drop_refs(look.run.code, git_dirs(look.now.captured))
    assert plan.request.reuse is not None
    plan.request.reuse(run, done)
    tell_unused(plan.request, run, tell)
    return run


def tell_unused(request: RunRequest, run: Run, tell: Tell) -> None:
    """Words for a new run are not laid on a past one, which may have its own."""
    given = {"--name": request.name, "--experiment": request.experiment, "--why": request.why, "--tag": request.tags}
    own = {"--name": run.name, "--experiment": run.experiment, "--why": run.why, "--tag": run.tags}
    unused = [flag for flag, value in given.items() if value and value != own[flag]]
    if unused:
        tell(f"not used, as there is no new run: {', '.join(unused)} (mltrack tag {run.id} ... and note do it)")


def is_entered(kind: str) -> bool:
    """Does a command start inside of such an environment, where less is seen of it?"""
    if kind in ("auto", "python", "system"):
        return False
    from mltrack import environments

    return hasattr(environments.get(kind), "start")


def look_ahead(project: Project, plan: Plan) -> Look:
    """All that a fingerprint is made of, as a run that began now would have it. Nothing is started."""
    from mltrack.environments import choose as choose_kind
    from mltrack.live.rundir import RunDir

    rundir = RunDir(project.work / f"look-{new_id()}")
    if plan.resume:
        rundir.path.mkdir(parents=True)
    try:
        redactor = Redactor(os.environ)
        captured = capture(project, plan)
        found = tuple(find_declared(project, plan, rundir))
        opening = open_record(plan, captured, redactor, rundir.id, project.config.frameworks)
        own = own_variables(plan, rundir)
        variables = {name: text for name, text in {**os.environ, **own}.items() if text is not None}
        recording = Recording(project, plan, rundir, redactor, captured, found, opening, {}, variables)
        request = replace(environment_request(recording), may_ask=False)
        known = choose_kind(request, kind_of(project, plan.request)).capture(request)
        environment = replace(
            known.environment,
            options=shown_options(known.environment.options, redactor),
            variables=redactor.variables(without_inside(variables)),
        )
        inputs = keep_inputs(found, lambda: project.store, project.stat_cache, 0, project.progress)
    finally:
        if plan.resume:
            shutil.rmtree(rundir.path, ignore_errors=True)
    run = replace(opening, environment=environment, inputs=tuple(inputs))
    basis = basis_of(recording, run)
    return Look(Now(recording, environment, known.lock), run, fingerprint(basis, project.key), basis.stdin)


def choose(project: Project, plan: Plan, look: Look, tell: Tell) -> tuple[Run, Outputs] | None:
    """The newest run that can stand for this one; else None, and the reason is told."""
    from mltrack.ledger.asking.likeness import with_fingerprint

    if look.stdin == PIPE:
        text = "it reads a pipe, or its standard input is closed, and what comes from there is not known"
        tell(f"not taken from a past run: {text} (try </dev/null)")
        return None
    if look.fingerprint is None:
        tell(f"not taken from a past run: {why_no_fingerprint(look.run)}")
        return None
    first: str | None = None
    for run in with_fingerprint(project.ledger.db, look.fingerprint, MOST):
        outputs = Outputs(project, run, plan.place.root)
        reason = why_not(look.now, run) or outputs.why_not()
        if reason is None:
            project.stat_cache.flush()
            return run, outputs
        first = first or f"not taken from {run.id}: {reason}"
    project.stat_cache.flush()
    tell(first or why_none(project, look))
    return None


def why_no_fingerprint(run: Run) -> str:
    left_out: Sequence[object] = run.code.all_left_out()
    if left_out:
        item = run.code.all_left_out()[0]
        return f"{item.path} is left out of the snapshot ({item.reason})"
    unread = [item.path for item in run.inputs if item.found == "declared" and item.digest is None]
    return f"the input {unread[0]} could not be read" if unread else "its environment is not known"


def why_none(project: Project, look: Look) -> str:
    """Why no run has this fingerprint: what tells the nearest from it."""
    from mltrack.operations.running.nearest import differences, nearest

    run = nearest(project, look.run)
    if run is None:
        return "no past run of this command ended well"
    return f"not taken from {run.id}: {differences(project, run, look.run)}"
