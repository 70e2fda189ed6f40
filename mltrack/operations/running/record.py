"""The corridor of a run: capture what must be exact, start the command, work beside it, fold what came of it.

Order of writes: the run directory with `start.json` before the command; `process.json` and `beside.json` while it
lives; `outcome.json` when it ended; objects into the store; the record into the ledger; then the run directory goes.
Whatever is cut off in between, the next command finds the directory and folds what is there (`reconcile.py`).
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.errors import MltrackError, NotSealed, StartError, StorageError
from mltrack.noun_json import to_dict
from mltrack.operations.env.kinds import enter
from mltrack.operations.observing.sources import variables as watching
from mltrack.operations.request import Place, Plan, Recording, Tell
from mltrack.operations.running.basis import STDIN_AT, stdin_at
from mltrack.operations.running.beside import Beside
from mltrack.operations.running.finish import finish
from mltrack.operations.running.foresight import foreseen, tell_foreseen
from mltrack.operations.running.params import params_of, with_unnamed
from mltrack.records import SCHEMA, Run, Warning, new_id
from mltrack.redact import Redactor
from mltrack.snapshot.habits import habits
from mltrack.snapshot.inputs import FoundInput, find_inputs
from mltrack.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from mltrack.executors import Command, Outcome
    from mltrack.git.capture import Captured
    from mltrack.live.rundir import RunDir
    from mltrack.project import Project

RESERVE = "reserve"
RESERVE_SIZE = 8192
"""Bytes; random ones, so that no filesystem makes a hole of them or compresses them."""

INSIDE = Path(__file__).resolve().parents[2] / "inside"


def record(project: Project, plan: Plan, tell: Tell) -> Run:
    """Start the planned command, see it through, and seal its record.

    Raises StartError, with nothing recorded, when the command did not start. Raises NotSealed when it ended and its
    record could not be written: the run directory stays, and the next command tries again.
    """
    from mltrack.live.rundir import RunDir

    if plan.request.reuse is not None:
        from mltrack.operations.running.cached import reuse

        past = reuse(project, plan, tell)
        if past is not None:
            return past
    rundir = RunDir.create(project.runs, new_id())
    try:
        recording = prepare(project, plan, rundir, tell)
        beside = Beside(recording)
        outcome = execute(recording, beside)
    except BaseException as error:
        if isinstance(error, StartError) or rundir.read("process") is None:
            rundir.remove()
        raise
    if outcome.is_interrupted and plan.request.when_interrupted is not None:
        plan.request.when_interrupted()
    project.tell = project.tell or tell
    try:
        return finish(recording, beside, outcome)
    except (MltrackError, OSError) as error:
        keep_outcome(rundir, outcome)
        rundir.unlock()
        code = 128 + outcome.signal if outcome.signal else outcome.exit_code or 0
        raise NotSealed(
            f"The command ended, but its record could not be written: {error}", code, getattr(error, "hint", None)
        ) from error


def reserve(rundir: RunDir) -> None:
    """Take room for the outcome before the command starts: how it ended must be kept even where it fills the disk."""
    (rundir.path / RESERVE).write_bytes(os.urandom(RESERVE_SIZE))


def keep_outcome(rundir: RunDir, outcome: Outcome) -> None:
    """Write how the command ended, if the keeper could not, into the room that was reserved."""
    from dataclasses import asdict

    if rundir.read("outcome") is None:
        (rundir.path / RESERVE).unlink(missing_ok=True)
        with suppress(StorageError):
            rundir.write("outcome", asdict(outcome))


def prepare(project: Project, plan: Plan, rundir: RunDir, tell: Tell) -> Recording:
    """All that must be exact before the command's first instruction; the opening record is on disk when it returns."""
    redactor = Redactor(os.environ)
    captured = capture(project, plan)
    inputs = find_declared(project, plan, rundir)
    warn_left_out(captured, plan.request.strict, tell)
    opening = open_record(plan, captured, redactor, rundir.id, project.config.frameworks)
    opening = foreseen(project, plan, captured, inputs, opening)
    tell_foreseen(plan, opening, tell)
    before = state_before(plan, captured)
    reserve(rundir)
    rundir.write("start", {"run": to_dict(opening), **facts_of(plan.place)})
    own = {**own_variables(plan, rundir), **watching(project, plan, rundir)}
    variables = {name: text for name, text in {**os.environ, **own}.items() if text is not None}
    started = enter(project, plan, rundir.path, {name: variables[name] for name in own if name in variables}, tell)
    return Recording(project, plan, rundir, redactor, captured, tuple(inputs), opening, before, variables, started)


def facts_of(place: Place) -> dict[str, Any]:
    """What whoever folds a dead run must know of where its command worked."""
    facts: dict[str, Any] = {"root": str(place.root), "copy": place.is_copy}
    if place.outside or place.names:
        facts |= {"outside": {seen: str(here) for seen, here in place.outside.items()}, "names": dict(place.names)}
    return facts


def capture(project: Project, plan: Plan) -> Captured:
    """The exact tree, before the command's first instruction."""
    from mltrack.git.capture import Limits
    from mltrack.operations.running.outputs import output_rule
    from mltrack.snapshot.code import capture_code

    limits = Limits(project.config.untracked_limit, project.config.untracked_total)
    prefix = prefix_of(plan)
    is_output = output_rule(project, plan.declared, prefix)
    captured = capture_code(plan.place.repository, lambda: project.store, limits, is_output)
    code = replace(captured.code, prefix=prefix)
    if plan.place.code is not None:
        code = replace(code, branch=plan.place.code.branch, origin=plan.place.code.origin)
    return replace(captured, code=code)


def prefix_of(plan: Plan) -> str:
    """The project's directory below the top of the repository, with a closing slash; "" at the top."""
    below = os.path.relpath(plan.place.root, plan.place.repository.root)
    return "" if below == "." else f"{Path(below).as_posix()}/"


def find_declared(project: Project, plan: Plan, rundir: RunDir) -> list[FoundInput]:
    """Declared inputs, the artifacts that a resumed run starts from, and a file on stdin, all by stat only."""
    root = plan.place.root
    patterns = plan.declared.inputs
    found = []
    if plan.repeats is not None:  # what lies outside is where the command alone sees it
        from mltrack.operations.outside.places import declared_outside

        patterns = tuple(pattern for pattern in patterns if not os.path.isabs(os.path.expanduser(pattern)))
        found = declared_outside(plan.place, plan.repeats)
    found = find_inputs(root, [(pattern, root) for pattern in patterns]) + found
    if plan.resume:
        from mltrack.operations.running.resume import lay_out

        found += lay_out(project, plan.resume, rundir)
    return found + stdin_file(plan.place, plan.stdin)


def stdin_file(place: Place, stdin: Path | None) -> list[FoundInput]:
    """The regular file that standard input comes from, as an input with the role "stdin"."""
    import stat

    from mltrack.snapshot.inputs import name_below
    from mltrack.store.keep import stat_path

    if stdin is None:
        try:
            if sys.__stdin__ is None or not stat.S_ISREG(os.fstat(0).st_mode):
                return []
            stdin = Path(os.readlink("/proc/self/fd/0"))
        except OSError:
            return []
    if not stdin.is_file():
        return []  # a here-document: its file has no name any more
    name = place.named(name_below(place.root, Path(place.seen_as(stdin))))
    return [FoundInput(name, stdin, stat_path(stdin), "stdin")]


def warn_left_out(captured: Captured, strict: bool, tell: Tell) -> None:
    """Say what the snapshot does not hold, before the command starts; under --strict, refuse."""
    left_out = captured.code.all_left_out()
    if not left_out:
        return
    for item in left_out[:10]:
        tell(f"left out of the snapshot: {item.path} ({item.reason})")
    if len(left_out) > 10:
        tell(f"left out of the snapshot: {len(left_out) - 10} more files")
    if strict:
        raise StartError(
            f"{len(left_out)} file{'s' if len(left_out) > 1 else ''} would be left out, and --strict was given.",
            "Declare data with --input, ignore it in .gitignore, or raise code.untracked_limit.",
        )


def open_record(
    plan: Plan, captured: Captured, redactor: Redactor, run_id: str, frameworks: tuple[str, ...] = ()
) -> Run:
    """What is known of the run before its command starts."""
    request = plan.request
    params, sources = with_unnamed(plan, frameworks, *params_of(plan, frameworks))
    return Run(
        schema=SCHEMA,
        id=run_id,
        name=redactor.text(request.name) if request.name else None,
        experiment=redactor.text(request.experiment) if request.experiment else None,
        status="running",
        command=redactor.command(plan.command),
        cwd=plan.cwd,
        seed=request.seed,
        created_at=timestamp(time.time()),
        user=user_name(),
        host=os.uname().nodename,
        why=redactor.text(request.why) if request.why else None,
        tags=tuple(dict.fromkeys(map(redactor.text, request.tags))),
        code=captured.code,
        params=redactor.params(params),
        param_sources=sources,
        parent=request.parent,
        warnings=redaction_warning(plan, redactor) + secret_files(captured),
        declared={
            "inputs": plan.declared.inputs,
            "outputs": plan.declared.outputs,
            "params": plan.declared.params,
            "metrics": plan.declared.metrics,
            "stdout": plan.declared.stdout,
            "directories": output_directories(plan),
        },
        origin={"mltrack": VERSION, **places_of(plan), **habits(), **stdin_at(plan)},
    )


def places_of(plan: Plan) -> dict[str, Any]:
    """The home and the project's root that absolute paths of the record are to be read by; a repetition keeps those of
    the run that it repeats, for it names files as that did, and says where it was laid out."""
    if plan.repeats is not None:
        kept = {name: plan.repeats.origin[name] for name in ("home", "root") if name in plan.repeats.origin}
        return {**kept, "workspace": str(plan.place.root)}
    return {"home": os.path.expanduser("~"), "root": str(plan.place.installed_from or plan.place.root)}


def redaction_warning(plan: Plan, redactor: Redactor) -> tuple[Warning, ...]:
    if redactor.command(plan.command) == plan.command:
        return ()
    return (
        Warning("redacted-command", "A secret in the command is not recorded; a reproduction needs it given again."),
    )


def output_directories(plan: Plan) -> tuple[str, ...]:
    """The declared outputs that were directories before the start: a reproduction must find them too, if empty."""
    return tuple(name for name in plan.declared.outputs if (plan.place.root / name).is_dir())


def secret_files(captured: Captured) -> tuple[Warning, ...]:
    """Tracked files that look as if they held secrets: they are the user's code, so they are kept, and named."""
    return tuple(
        Warning("tracked-secret", f"{path} is tracked by git and may hold secrets; the snapshot has it too.")
        for path in captured.tracked_secrets()
    )


def timestamp(at: float) -> str:
    """Unix seconds -> ISO 8601 in UTC with microseconds."""
    whole = int(at)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((at - whole) * 1e6):06d}Z"


def user_name() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def state_before(plan: Plan, captured: Captured) -> dict[bytes, Any]:
    """Path below the root -> stat fields, of every captured file and of what is there of the declared outputs."""
    from mltrack.operations.running.outputs import below_root, stat_declared

    before = below_root(captured.files, captured.code.prefix)
    before.update(stat_declared(plan.place, (*plan.declared.outputs, *plan.declared.metrics)))
    return before


def own_variables(plan: Plan, rundir: RunDir) -> dict[str, str | None]:
    """The variables that the run itself sets, or with None removes: those of its place, and mltrack's own few names."""
    variables = dict(plan.place.variables)
    path = variables["PYTHONPATH"] if "PYTHONPATH" in variables else os.environ.get("PYTHONPATH")
    variables |= {
        "PYTHONPATH": f"{INSIDE}{os.pathsep}{path}" if path else str(INSIDE),
        "MLTRACK_RUN_ID": rundir.id,
        "MLTRACK_RUN_DIR": str(rundir.path),
        "MLTRACK_METRICS": str(rundir.metrics),
        "MLTRACK_PARAMS": str(rundir.params),
        "MLTRACK_ARTIFACTS": str(rundir.artifacts),
    }
    if plan.resume:
        variables["MLTRACK_RESUME"] = str(rundir.path / "resume")
    if plan.request.seed is not None:
        variables |= {"PYTHONHASHSEED": str(plan.request.seed % 2**32), "MLTRACK_SEED": str(plan.request.seed)}
    return variables


def command_of(recording: Recording) -> Command:
    """The command as it is started here. Raises StartError where it cannot be traced, if that was asked for."""
    from mltrack.executors import Command

    plan, started = recording.plan, recording.started
    command = Command(
        argv=started.argv if started else plan.argv,
        cwd=started.cwd if started else plan.working_directory,
        environment=started.variables if started else recording.variables,
        log_limit_bytes=recording.project.config.log_limit,
        redact=recording.redactor.data,
        new_redact=lambda: recording.redactor.another().data,
        quiet=plan.request.quiet,
        binds=() if started else plan.place.binds,
    )
    if is_traced(recording):
        from mltrack.operations.observing.tracing import traced

        return traced(recording, command)
    return command


def execute(recording: Recording, beside: Beside) -> Outcome:
    """Hand the command to its executor; standard input and output are put back afterwards."""
    from mltrack.executors.local import execute as execute_locally

    plan, command = recording.plan, command_of(recording)
    stops: list[Callable[[], None]] = []

    def work() -> None:
        if recording.started is None:  # else it is another process's child
            from mltrack.operations.observing.sampling import sample
            from mltrack.operations.series import Upkeep

            stops.append(sample(recording.rundir, Upkeep(recording.rundir, plan.declared.stdout)))
        beside.work()

    def when_ended() -> None:
        beside.ended.set()
        recording.project.progress.reveal()

    saved = redirect(plan)
    try:
        return execute_locally(command, recording.rundir, work, when_ended)
    finally:
        for stop in stops:
            stop()
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)


def is_traced(recording: Recording) -> bool:
    """Is the run to be watched with strace, by its flag or by the settings?"""
    return recording.plan.request.trace or "trace" in recording.project.config.observe_sources


def redirect(plan: Plan) -> dict[int, int]:
    """Point stdin at a recorded file, and stdout at stderr, where asked; returns descriptor -> its saved copy."""
    saved = {}
    if plan.stdin is not None:
        saved[0] = os.dup(0)
        source = os.open(plan.stdin, os.O_RDONLY)
        if plan.repeats is not None:
            os.lseek(source, int(plan.repeats.origin.get(STDIN_AT) or 0), os.SEEK_SET)
        os.dup2(source, 0)
        os.close(source)
    if plan.request.output_to_stderr:
        sys.stdout.flush()
        saved[1] = os.dup(1)
        os.dup2(2, 1)
    return saved
