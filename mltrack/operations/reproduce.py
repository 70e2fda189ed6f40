"""`mltrack reproduce`: run a past experiment again from what was recorded, and say whether the result is the same.

Restores code, data and environment into a directory of their own, runs the command there, and compares. The new run
is recorded in the enclosing project, or in the directory itself, which then becomes a clone.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.compare.verdict import Rules, could_not_run, judge
from mltrack.environments.numbers import LOCAL, moving_numbers
from mltrack.errors import CheckFailed, MltrackError, NotSealed, StorageError
from mltrack.noun_json import to_dict
from mltrack.nouns import noun
from mltrack.operations.fetch import ensure_here
from mltrack.operations.find import find_run
from mltrack.operations.left_behind import sweep
from mltrack.operations.listed import Listed, listed, read_conditions
from mltrack.operations.objects import directories_of, named_objects
from mltrack.operations.outside import Outside, Way
from mltrack.operations.record import INSIDE, record
from mltrack.operations.request import Declared, Place, Plan, RunRequest, Tell, silent
from mltrack.operations.workspace import check_empty, copied_place, lay_out, remove_recorded_artifacts
from mltrack.project import Project
from mltrack.records import Condition, Parent, Run, Verdict, new_id
from mltrack.redact import PLACEHOLDER, Redactor

if TYPE_CHECKING:
    from mltrack.environments import Rebuilt


CHOICE = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_")
"""Which of a machine's devices: another machine has others."""
LAST_WORDS = 200
"""Characters of the last line of a failed command's output that are told."""


@noun
class Reproduction:
    """What `reproduce` came to."""

    then: Run
    now: Run | None
    """None when the command could not be started."""
    verdict: Verdict
    directory: Path


@noun
class Asked:
    """How to reproduce."""

    tell: Tell = silent
    output_to_stderr: bool = False
    put_back: bool = False
    """Data outside the project may be written at its own place, where nothing is."""


PLAIN = Asked()


def reproduce(
    ref: str, start: Path, url: str | None = None, into: Path | None = None, asked: Asked = PLAIN
) -> Reproduction:
    """Reproduce a run from the enclosing project, or from the remote at `url`.

    Raises NotFound, RemoteError, DataMissing and others when it cannot even begin; what fails later is a verdict.
    """
    project, then, top = begin(ref, start, url, into, asked.tell)
    with project:
        return again(project, then, top, asked)


def again(project: Project, then: Run, top: Path, asked: Asked = PLAIN) -> Reproduction:
    """Reproduce a run in the directory `top`; one below the project's own goes if it cannot even be restored."""
    return _Again(project, then, top, asked).do()


class _Again:
    """One reproduction, and how far it has come."""

    def __init__(self, project: Project, then: Run, top: Path, asked: Asked) -> None:
        self.project = project
        self.then = then
        self.top = top
        self.asked = asked
        self.tell = asked.tell
        self.phase = "fetching"
        self.outside = Outside(project, then, self.way(), asked.tell)
        self.listed = Listed(then, self.outside, [])

    def do(self) -> Reproduction:
        sweep(self.project)
        try:
            root = self.restore()
            self.phase = "environment"
            rebuilt = rebuild(self.project, self.then, root, self.tell)
            self.phase = "running"
            now = self.run(root, rebuilt)
        except NotSealed as error:  # the next command still needs what the run wrote
            return self.failed(error)
        except MltrackError as error:
            self.outside.drop()
            if self.phase in ("fetching", "restoring"):
                if self.top.parent == self.project.work:
                    shutil.rmtree(self.top, ignore_errors=True)
                raise
            return self.failed(error)
        except BaseException:
            self.outside.drop()
            raise
        self.outside.drop()
        return self.judged(now, rebuilt)

    def way(self) -> Way:
        """What may be done for the data outside the project. What the command needs stays to be seen."""
        from mltrack.operations.environment import user_cache

        needed = (self.top, self.project.root, self.project.state, INSIDE, user_cache(os.environ), Path(sys.prefix))
        in_container = bool(self.then.environment.image)
        root = Path(self.top, self.then.code.prefix)
        return Way(self.project.work / f"outside-{new_id()}", root, self.asked.put_back, needed, in_container)

    def restore(self) -> Path:
        """Code and data; returns the project's root in the workspace."""
        project, then = self.project, self.then
        self.tell(f"fetching code, data and environment of {then.id}")
        there = self.outside.already_there()
        ensure_here(project, needed(then, there), self.tell, directories_of(then))
        self.phase = "restoring"
        self.tell(f"restoring them in {self.top}")
        root = lay_out(project, then, self.top)
        self.outside.put(there)
        remove_recorded_artifacts(then, root)
        self.listed = listed(project, then, self.outside)
        self.listed.put(root)
        tell_of_here(then, self.tell)
        return root

    def run(self, root: Path, rebuilt: Rebuilt) -> Run:
        self.tell(f"running {' '.join(self.then.command)}")
        plan = plan_for(self.then, root, rebuilt, self.asked.output_to_stderr)
        place = self.listed.placed(self.outside.placed(plan.place))
        stdin = None if plan.stdin is None else place.lies_at(str(plan.stdin))
        return record(self.project, replace(plan, place=place, stdin=stdin), self.tell)

    def failed(self, error: MltrackError) -> Reproduction:
        return Reproduction(self.then, None, could_not_run(self.then.id, self.phase, cause_of(error)), self.top)

    def judged(self, now: Run, rebuilt: Rebuilt) -> Reproduction:
        verdict = judge(self.then, now, rules_for(self.project, self.then))
        told = [Condition(warning.kind, None, warning.message) for warning in rebuilt.warnings]
        met = self.outside.conditions_met(now)
        names = (*self.listed.conditions, *read_conditions(now))
        verdict = replace(verdict, conditions=(*names, *verdict.conditions, *self.outside.conditions, *met, *told))
        if verdict.cause and now.exit_code != 0:
            verdict = replace(verdict, cause=f"{verdict.cause}{last_words(self.project, now)}")
        self.project.ledger.add_event("verdict", now.id, to_dict(verdict))
        return Reproduction(self.then, replace(now, verdict=verdict), verdict, self.top)


def last_words(project: Project, run: Run) -> str:
    """` Its output ends with ...`, of a command that failed; nothing where it said nothing, or nobody knows what."""
    from mltrack.operations.log import Part, read_output

    try:
        lines = [line.data.decode(errors="replace").strip() for line in read_output(project, run.id, Part(lines=8))]
    except (MltrackError, OSError):
        return ""
    words = next((line for line in reversed(lines) if line), "")
    words = "".join(sign if sign.isprintable() else " " for sign in words)
    shown = words if len(words) <= LAST_WORDS else f"{words[:LAST_WORDS]}..."
    return f" Its output ends with `{shown}`." if words else ""


def cause_of(error: MltrackError) -> str:
    """The error as a text that may be kept: an installer's output can hold the password of an index."""
    return Redactor(os.environ).text(f"{error} {error.hint or ''}".strip())


def begin(ref: str, start: Path, url: str | None, into: Path | None, tell: Tell) -> tuple[Project, Run, Path]:
    """The project that records, the run to reproduce, and the directory to work in."""
    project = Project.find(start)
    if project is not None:
        if url is not None:
            from mltrack.operations.share import pull_from

            pull_from(project, url, tell)
        run = find_run(project, ref)
        return project, check_whole(run), into or project.work / new_id()
    from mltrack.errors import NotFound
    from mltrack.operations.share import clone_records

    if url is None:
        raise NotFound("There is no mltrack project here.", "Name where the run is: mltrack reproduce ID --from URL")
    top = into or start / f"reproduced-{ref.lstrip('@~') or 'run'}"
    check_empty(top)
    project = clone_records(url, top, tell)
    return project, check_whole(find_run(project, ref)), top


def check_whole(run: Run) -> Run:
    """Refuse at once what cannot be reproduced."""
    if run.status == "running":
        raise CheckFailed(f"{run.id} is still running.", "Reproduce it when it has ended.")
    if any(PLACEHOLDER in word for word in run.command):
        raise CheckFailed(
            f"The command of {run.id} held a secret, which was not recorded.",
            f"Check it out and run it yourself: mltrack checkout {run.id}",
        )
    return run


def tell_of_here(then: Run, tell: Tell) -> None:
    """Before it starts: what of this machine may give other numbers. The verdict's conditions say it again."""
    from mltrack.compare.differences import here_differs, in_words
    from mltrack.environments.libraries import of_machine
    from mltrack.snapshot.hardware import capture_hardware

    libraries = {} if then.environment.image else of_machine()  # a container brings its own
    changes = here_differs(then, capture_hardware(), libraries)
    if changes:
        tell(f"this machine may give other numbers in the last digits: {in_words(changes)}")


def needed(run: Run, there: Iterable[str] = ()) -> list[str]:
    """The objects that a reproduction needs: not the old artifacts, which are compared by digest alone, nor the inputs
    outside of the project that are in their places."""
    unneeded = (
        "artifact ",
        "metric ",
        "output ",
        "environment ",
        "resource ",
        "observed ",
    )  # trees of the environment come when it asks for them
    known = {f"input {path}" for path in there}
    return [digest for name, digest in named_objects(run) if not name.startswith(unneeded) and name not in known]


def rebuild(project: Project, run: Run, root: Path, tell: Tell) -> Rebuilt:
    """The recorded environment, built in the user's cache; where that cannot be written, in this project."""
    from mltrack.environments import RebuildRequest, get
    from mltrack.operations.environment import lock_of, recorded, user_cache

    name = (lock_of(run) or "none").removeprefix("b3:")[:32]
    places = [base / "environments" / name for base in (user_cache(os.environ), project.work)]
    kind = get(run.environment.kind)
    if run.environment.packages:
        many = len(run.environment.packages)
        what = f"Python {run.environment.python}" if run.environment.python else run.environment.kind
        tell(f"building the environment: {what}, {many} package{'s' if many > 1 else ''}")
    with recorded(project, run, tell) as environment:
        request = RebuildRequest(environment, run.command, root, places[0], root, run.cwd)
        try:
            return kind.rebuild(request)
        except StorageError as error:
            if hasattr(kind, "start"):  # a container engine builds where it builds
                raise
            tell(f"{error.message} Building it in {places[1]} instead.")
        return kind.rebuild(replace(request, place=places[1]))


def plan_for(then: Run, root: Path, rebuilt: Rebuilt, output_to_stderr: bool) -> Plan:
    """The recorded run as a plan that works in the restored copy."""
    from mltrack.confine import inside

    if then.cwd != ".":
        inside(root, then.cwd)  # a record from a remote may say anything
    declared = Declared(
        **{key: tuple(then.declared.get(key, ())) for key in ("inputs", "outputs", "params", "metrics", "stdout")}
    )
    request = RunRequest(
        command=then.command,
        cwd=root,
        name=then.name,
        experiment=then.experiment,
        seed=then.seed,
        environment_kind=then.environment.kind,
        environment_options={**then.environment.options, **rebuilt.options},
        output_to_stderr=output_to_stderr,
        parent=Parent("reproduce", then.id),
    )
    place = copied_place(root, then.code)
    place = Place(root, place.repository, True, then.code, None, {**recorded_variables(then), **rebuilt.variables})
    stdin = next((item.path for item in then.inputs if item.role == "stdin"), None)
    resume = tuple(item for item in then.inputs if item.role == "resume")
    stdin_path = None if stdin is None else Path(stdin) if Path(stdin).is_absolute() else inside(root, stdin)
    set_params = {name: then.params[name] for name, source in then.param_sources.items() if source == "--set"}
    made = {artifact.path for artifact in then.artifacts}
    in_parts = frozenset(name.rstrip("/") for name in then.declared.get("directories", ())) - made
    words = (then.command, rebuilt.argv, then.cwd)
    return Plan(request, place, *words, declared, set_params, (), stdin_path, resume, then, in_parts)


def recorded_variables(then: Run) -> dict[str, str | None]:
    """Variables that move numbers, as they were: threads, determinism, hash seed. The rest is of the old machine."""
    recorded = {name: text for name, text in then.environment.variables.items() if PLACEHOLDER not in text}
    numbers = {name: text for name, text in moving_numbers(recorded).items() if not name.startswith(CHOICE)}
    local = {name: text for name, text in recorded.items() if name.startswith(LOCAL)}
    return {**numbers, **local, "PYTHONPATH": relative_only(recorded.get("PYTHONPATH", ""))}


def relative_only(path: str) -> str | None:
    """The entries of a PYTHONPATH that mean something in a copy too; today's are none of the run's. None for none."""
    entries = [entry for entry in path.split(os.pathsep) if entry and not os.path.isabs(entry)]
    return os.pathsep.join(entry for entry in entries if ".." not in Path(entry).parts) or None


def rules_for(project: Project, then: Run) -> Rules:
    """What the project's settings say of a verdict."""
    config = project.config
    return Rules(config.tolerance, config.ignore, tuple(then.declared.get("metrics", ())))
