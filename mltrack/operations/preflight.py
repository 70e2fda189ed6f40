"""`mltrack preflight`: how well could a run of this command be got again? Asked before hours of training.

Looks at what a run would capture, and at what the last run of the same command told; starts and keeps nothing. The
line at a run's start is in `foresight.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.compare.preflight.foreseen import OF_SNAPSHOT, counted, foresee, listed, settled_in
from mltrack.compare.preflight.grade import grade
from mltrack.compare.preflight.hindsight import SEEN, TO_SEE, lifted, look_back
from mltrack.errors import EnvironmentFailed, StartError, UsageError
from mltrack.nouns import noun
from mltrack.operations.env.kinds import kind_of
from mltrack.operations.request import Place, Plan, RunRequest, Tell, silent
from mltrack.operations.running.absent import absent
from mltrack.operations.running.foresight import SOURCES_LAST, Ahead, facts_of, words_of
from mltrack.records import Concern, Input, new_id

if TYPE_CHECKING:
    from mltrack.git.capture import Captured
    from mltrack.git.repository import Repository
    from mltrack.operations.env.seen import Seen
    from mltrack.project import Project
    from mltrack.records import Preflight, Run

SLOW_S = 1.0
PAST = 200
"""Among so many of the newest runs the last one of the same command is looked for."""


@noun
class Forecast:
    """What a run of the command would be, before it is."""

    command: tuple[str, ...]
    preflight: Preflight
    past: str | None
    """The last run of the same command, whose record was asked too."""
    is_offline: bool
    """Neither package indexes nor registries were asked."""


def preflight(start: Path, request: RunRequest, offline: bool, tell: Tell = silent) -> Forecast:
    """Look at a run that was asked for, and do not start it.

    Raises UsageError for a command that makes no sense; what would keep it from starting is a concern.
    """
    from tempfile import TemporaryDirectory

    from mltrack.project import Project, find_root

    if not request.command:
        raise UsageError("There is no command.", "Put it after two dashes: mltrack preflight -- python train.py")
    project = Project.find(start) or Project(find_root(start) or start)
    with project, TemporaryDirectory(prefix="mltrack-") as scratch:
        try:
            with told_if_slow("looking at the code", tell):
                ahead = look_ahead(project, request, Path(scratch))
        except StartError as error:
            return Forecast(request.command, grade([not_startable(error)]), None, offline)
        past = last_of(project, ahead.opening)
        seen, around = surroundings(project, ahead.plan, offline, tell)
        concerns = [*expected(ahead, past, seen), *around, *program_itself(ahead, past), *elsewhere(ahead)]
        last = by_last(past, project.config.keep_limit) if past is not None else ()
        return Forecast(ahead.opening.command, grade([*concerns, *last]), past.id if past else None, offline)


def expected(ahead: Ahead, past: Run | None, seen: Seen | None) -> list[Concern]:
    """What is known before the start, with what the last run told of it; and what the record will say, by the
    environment of now and the inputs as they will be kept."""
    facts = facts_of(ahead, SOURCES_LAST)
    sizes = {**facts.inputs, **observed_sizes(ahead.project, past, facts.inputs)}
    missing = {path: size for path, size in sizes.items() if not is_kept(past, path, size)}
    facts = replace(
        facts,
        inputs=sizes,
        needed_bytes=needed(missing, past, facts.keep_limit),
        free_bytes=free_bytes(ahead.project.root),
        settled=frozenset(settled_in(past)) if past is not None else frozenset(),
    )
    gone = lifted(past) if past is not None else set()
    early = [one for one in foresee(facts) if one.kind not in gone]
    record = seen_with(ahead.opening, seen)
    later = look_back(replace(record, inputs=predicted(sizes, facts.keep_limit)), facts.keep_limit)
    said = OF_SNAPSHOT.union(one.kind for one in early)
    return [*early, *(one for one in later if one.kind not in said)]


@contextmanager
def told_if_slow(sentence: str, tell: Tell) -> Iterator[None]:
    """Say what is being done, if it takes longer than a moment."""
    from threading import Timer

    timer = Timer(SLOW_S, tell, [sentence])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def look_ahead(project: Project, request: RunRequest, scratch: Path) -> Ahead:
    """What a run captures before its command starts. The snapshot's ref goes at once; StartError as a run raises it."""
    from mltrack.git.repository import find_repository, private_repository
    from mltrack.operations.run import declare, overridden
    from mltrack.operations.running.record import open_record
    from mltrack.redact import Redactor
    from mltrack.snapshot.inputs import find_inputs, name_below

    repository = find_repository(project.root) or private_repository(project.root, scratch / "code.git")
    place = Place(project.root, repository)
    cwd = name_below(project.root, request.cwd)
    plan = Plan(request, place, request.command, request.command, cwd, declare(project, request))
    if request.overrides:
        plan = overridden(project, plan)
    captured = captured_now(project, plan, repository)
    found = find_inputs(project.root, [(pattern, project.root) for pattern in plan.declared.inputs])
    opening = open_record(plan, captured, Redactor(os.environ), new_id(), project.config.frameworks)
    return Ahead(project, plan, captured, found, opening)


def captured_now(project: Project, plan: Plan, repository: Repository) -> Captured:
    """The exact tree; files that a filter converts are not kept, as nothing is."""
    from mltrack.git.capture import Limits, capture
    from mltrack.operations.running.beside import git_dirs
    from mltrack.operations.running.outputs import output_rule
    from mltrack.operations.running.record import prefix_of
    from mltrack.snapshot.code import drop_refs

    limits = Limits(project.config.untracked_limit, project.config.untracked_total)
    prefix = prefix_of(plan)
    captured = capture(repository, limits, output_rule(project, plan.declared, prefix), lambda path, file: "")
    drop_refs(captured.code, git_dirs(captured))
    return replace(captured, code=replace(captured.code, prefix=prefix))


def not_startable(error: StartError | EnvironmentFailed) -> Concern:
    return Concern("would-not-start", "F", error.message, error.hint or "")


def program_itself(ahead: Ahead, past: Run | None) -> Iterator[Concern]:
    """Is the program there at all, and can it be watched? (Of one in a container nothing is known here.)"""
    from shutil import which

    from mltrack.observe.library import find, usable

    project, plan = ahead.project, ahead.plan
    program = plan.command[0]
    if plan.request.environment_kind or kind_of(project, plan.request) == "docker":
        return
    found = which(program if "/" not in program else str(plan.working_directory / program))
    if found is None:
        text = f"The program {program} is not there, or may not be executed."
        yield Concern("would-not-start", "F", text, "Check its name, and that its environment is active.")
        return
    lacking = absent(plan.command, found, plan.working_directory, project.root)
    if lacking is not None:
        yield Concern("would-not-start", "F", f"{lacking} is not there.", "Check its name, and where it is started.")
    library = find()
    why = usable(found, library) if library is not None else None
    if why and (past is None or past.observation is None) and "off" not in project.config.observe_sources:
        text = f"What the program {program} reads cannot be seen: {why}."
        yield Concern("unwatched", "C", text, TO_SEE)


# -- what the last run of the same command told


def last_of(project: Project, opening: Run) -> Run | None:
    """The newest run of the same program with the same script; one that finished has seen more than others."""
    if not (project.state / "ledger.db").exists():
        return None
    from mltrack.ledger.asking.queries import RunQuery

    words = words_of(opening.command, opening.cwd)
    runs = [run for run in project.ledger.list(RunQuery(limit=PAST)) if words_of(run.command, run.cwd) == words]
    return next((run for run in runs if run.status == "finished"), runs[0] if runs else None)


def observed_sizes(project: Project, past: Run | None, known: Mapping[str, int]) -> dict[str, int]:
    """What the last run was seen to read, with the sizes of now."""
    found = {}
    for item in past.inputs if past is not None else ():
        if item.kind == "file" and item.path not in known and item.role is None:
            place = project.root / os.path.expanduser(item.path)
            if place.is_file():
                found[item.path] = place.stat().st_size
    return found


def is_kept(past: Run | None, path: str, size_bytes: int) -> bool:
    """Most likely in the store already: the last run kept a file of that name and size."""
    read = past.inputs if past is not None else ()
    return any(item.kept and (item.path, item.size_bytes) == (path, size_bytes) for item in read)


def needed(missing: Mapping[str, int], past: Run | None, keep_limit: int) -> int:
    """Bytes that the store will take: inputs that it lacks, and artifacts as large as the last ones."""
    artifacts = sum(item.size_bytes for item in past.artifacts) if past is not None else 0
    return min(sum(missing.values()), keep_limit) + artifacts


def free_bytes(place: Path) -> int | None:
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def predicted(sizes: Mapping[str, int], keep_limit: int) -> tuple[Input, ...]:
    """The inputs as the run will have them; those over the limit are told by `foresee` already."""
    room, found = keep_limit, []
    for path, size_bytes in sizes.items():
        if size_bytes <= room:
            room -= size_bytes
            found.append(Input(path, "file", "", size_bytes, kept=True))
    return tuple(found)


def by_last(past: Run, keep_limit: int) -> Iterator[Concern]:
    """What only a run can show."""
    for one in look_back(past, keep_limit):
        if one.kind in SEEN:
            yield replace(one, message=f"In its last run: {one.message[:1].lower()}{one.message[1:]}")


# -- the environment


def surroundings(project: Project, plan: Plan, offline: bool, tell: Tell) -> tuple[Seen | None, list[Concern]]:
    """The environment as a run would record it, and whether it could be built again now."""
    from mltrack import environments
    from mltrack.operations.env.seen import Which, looked_at

    lock = {"lock": False} if offline else {}
    request = replace(plan.request, environment_options={**plan.request.environment_options, **lock})
    asking = "" if offline else ", and asking whether it can be had again (--offline does not ask)"
    which = Which(plan.working_directory, asked=replace(request, command=plan.argv))
    try:
        with told_if_slow(f"looking at the environment{asking}", tell), looked_at(which, tell) as seen:
            return seen, [] if offline else list(gone(seen))
    except EnvironmentFailed as error:
        kind = kind_of(project, request)
        if kind != "auto" and hasattr(environments.get(kind), "start"):  # the command would have to be started in it
            return None, [not_startable(error)]
        text = f"The environment could not be looked at: {error.message}"
        return None, [Concern("environment-incomplete", "D", text, error.hint or "mltrack env show says more.")]


def gone(seen: Seen) -> Iterator[Concern]:
    """What of it cannot be had now."""
    from mltrack import environments
    from mltrack.operations.env.look import remedies_for

    kind = environments.get(seen.environment.kind)
    if seen.recorded.lock is None or not environments.can_check(kind):
        return
    findings = environments.check(kind, seen.recorded)
    problems = [f"{one.name} ({one.problem.rstrip('.')})" for one in findings if one.problem]
    if problems:
        remedies = list(remedies_for(None, environments.carries(kind), findings))
        text = f"{counted(len(problems), 'part')} of the environment not to be had now: {listed(problems)}."
        yield Concern("package-gone", "D", text, "; ".join(remedies) or "mltrack env check says more.")


def seen_with(opening: Run, seen: Seen | None) -> Run:
    if seen is None:
        return opening
    return replace(
        opening, environment=seen.environment, hardware=seen.hardware, warnings=(*opening.warnings, *seen.warnings)
    )


# -- what is elsewhere


def elsewhere(ahead: Ahead) -> Iterator[Concern]:
    """Is there another place than this machine? The store has the code whatever git remotes have."""
    plan = ahead.plan
    if not ahead.project.config.remotes:
        yield Concern(
            "no-remote",
            "C",
            "Nothing of this project's runs is on another machine.",
            "mltrack remote add origin URL, and mltrack push when it has ended.",
        )
    outer: list[str] = []
    inner: list[str] = []
    for path, commit in commits(ahead.captured):
        if not is_pushed(plan.place.root if not path else plan.place.repository.root / path, commit):
            (inner if path else outer).append(path or commit[:10])
    if outer:
        text = f"The commit {outer[0]} is on no git remote that is known here; the run keeps its code itself."
        yield Concern("commit-unpushed", "A", text, "git push")
    if inner:
        text = f"{counted(len(inner), 'submodule')} at a commit that no git remote has: {listed(inner)}."
        yield Concern("submodule-unpushed", "B", text, "git push, there. The snapshot has the code, nobody else has.")


def commits(captured: Captured) -> Iterator[tuple[str, str]]:
    """Path of each repository and its commit."""
    if captured.code.commit is not None:
        yield "", captured.code.commit
    for one in captured.code.nested:
        if one.code.commit is not None:
            yield one.path, one.code.commit


def is_pushed(place: Path, commit: str) -> bool:
    """Does a remote-tracking branch hold the commit?"""
    from mltrack.git.repository import find_repository, git

    repository = find_repository(place)
    if repository is None:
        return False
    return bool(git(repository, "for-each-ref", "--count=1", "--contains", commit, "refs/remotes"))
