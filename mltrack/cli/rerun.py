"""`mltrack rerun`: one past run again, or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import (
    AsJson,
    Branch,
    Cached,
    Experiment,
    Isolated,
    Many,
    Name,
    Overrides,
    Quiet,
    Seed,
    Since,
    Strict,
    Tags,
    Trace,
    Until,
    Why,
)
from mltrack.cli.start import Reuse, drawn_keeping, say, told, working_directory
from mltrack.errors import MltrackError, UsageError
from mltrack.operations.request import RunRequest, silent
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.operations.repeating.rerun_many import Again, Chosen
    from mltrack.records import Run

INTERRUPTED = 130


def rerun(
    refs: Annotated[
        Many, typer.Argument(metavar="[RUN]...", help="Ids, names, tags or unique prefixes; @ is the newest.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="QUERY", help="All that fit, as in ls; the oldest first.")
    ] = None,
    since: Since = None,
    until: Until = None,
    branch: Branch = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Of those that fit, the newest N.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="List what would be run; start nothing.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first that does not end well.")] = False,
    overrides: Overrides = None,
    tags: Tags = None,
    name: Name = None,
    experiment: Experiment = None,
    why: Why = None,
    seed: Seed = None,
    isolated: Isolated = False,
    strict: Strict = False,
    quiet: Quiet = False,
    trace: Trace = False,
    cached: Cached = False,
    as_json: AsJson = False,
) -> int:
    """Run a past run's command again on today's tree; or those of many, the oldest first.

    The exit code is the command's own. Of many it is 0 if all ended with 0, else 1; one that fails stops no other.
    """
    options = RunRequest(
        command=(),
        cwd=working_directory(),
        overrides=tuple(overrides or ()),
        tags=tuple(tags or ()),
        name=name,
        experiment=experiment,
        why=why,
        seed=seed,
        isolated=isolated,
        strict=strict,
        quiet=quiet,
        trace=trace,
        output_to_stderr=as_json,
        reuse=Reuse(quiet) if cached else None,
    )
    asked = (where, since, until, branch)
    asks = asked != (None,) * 4
    if not asks and len(refs or ()) == 1 and not plan:
        return rerun_one((refs or [""])[0], options, as_json)
    from mltrack.cli.app import tell_error
    from mltrack.views.reruns import repeats_line

    try:
        if asks == bool(refs):
            raise UsageError("Which runs?", "Name runs, or ask for some: mltrack rerun --where QUERY")
        with Project.get(working_directory()) as project:
            chosen = choose(project, refs or (), asked, limit)
            for run in chosen.running:
                say(f"{run.id} is still running and is left out")
            if chosen.repeats:
                say(repeats_line(chosen.repeats))
            return show_plan(chosen, as_json) if plan else rerun_all(project, chosen, options, fail_fast)
    except MltrackError as error:  # no command's own exit code has to be told from ours
        tell_error(error.message, error.hint)
        return error.exit_code


def rerun_one(ref: str, options: RunRequest, as_json: bool) -> int:
    from mltrack.operations.repeating.rerun import rerun as rerun_past

    with Project.get(working_directory()) as project:
        return told(lambda tell: rerun_past(project, ref, options, tell), project, options.quiet, as_json, options)


def choose(project: Project, refs: Many | tuple[str, ...], asked: tuple[str | None, ...], limit: int | None) -> Chosen:
    """The runs that were named, or asked for by a query, times and a branch."""
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.operations.asking import Bounds, condition_of, tell_unknown
    from mltrack.operations.repeating import rerun_many

    if refs:
        return rerun_many.choose(project, refs)
    where, *bounds = asked
    condition = condition_of([where] if where else (), Bounds(*bounds), project)
    query = RunQuery(limit, where=condition, brief=True)
    tell_unknown(project, query, say)
    return rerun_many.choose(project, (), query)


def show_plan(chosen: Chosen, as_json: bool) -> int:
    from mltrack.views.console import show, show_json
    from mltrack.views.reruns import plan_json, plan_page

    if as_json:
        show_json(plan_json(chosen))
    else:
        show(plan_page(chosen.runs))
    return 0


def rerun_all(project: Project, chosen: Chosen, options: RunRequest, fail_fast: bool) -> int:
    """Run them, and report; an interrupt ends it after the run that it ended."""
    from mltrack.operations.repeating.rerun_many import rerun_many
    from mltrack.views.console import show, show_json
    from mltrack.views.reruns import progress_line, reruns_json, reruns_page

    total = len(chosen.runs)
    tell = silent if options.quiet else say
    if not options.quiet:
        project.progress.draw, project.progress.say = drawn_keeping, say

    def begun(number: int, run: Run) -> None:
        tell(progress_line(number, total, run))

    done: list[Again] = []
    stopped = False
    try:
        for one in rerun_many(project, chosen.runs, options, begun, tell):
            done.append(one)
            if one.error:
                tell(f"{one.then.id} was not run again: {one.error}")
            stopped = one.is_interrupted
            if stopped or (fail_fast and not one.is_well):
                break
    except KeyboardInterrupt:
        stopped = True
    finally:
        project.progress.close()
    if options.output_to_stderr:
        show_json(reruns_json(done, chosen.runs))
    else:
        show(reruns_page(done, chosen.runs))
    return INTERRUPTED if stopped else int(not all(one.is_well for one in done))
