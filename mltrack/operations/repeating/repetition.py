"""A past run laid out in a directory of its own, with its environment, to be run there again.

What `reproduce`, `calibrate` and `shell` have in common. Nothing is judged here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.environments.numbers import LOCAL, moving_numbers
from mltrack.errors import Damaged, DataMissing, StorageError
from mltrack.nouns import noun
from mltrack.operations.fetch import ensure_here
from mltrack.operations.keeping.objects import directories_of, named_objects
from mltrack.operations.keeping.workspaces import hold, is_marked, mark, remove
from mltrack.operations.outside.listed import Listed, listed
from mltrack.operations.outside.places import Outside, Way
from mltrack.operations.repeating.workspace import copied_place, lay_out, remove_recorded_artifacts
from mltrack.operations.request import Declared, Place, Plan, RunRequest, Tell, silent
from mltrack.operations.running.record import INSIDE, record
from mltrack.operations.share import NewClone
from mltrack.project import Project
from mltrack.records import Parent, Run, new_id
from mltrack.redact import PLACEHOLDER
from mltrack.snapshot.habits import has_locale, has_zone, locale_of, time_zone

if TYPE_CHECKING:
    from mltrack.environments import Rebuilt

NAMED = 5
"""Parts that a message names."""

CHOICE = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_")
"""Which of a machine's devices: another machine has others."""


@noun
class Asked:
    """How to repeat."""

    tell: Tell = silent
    output_to_stderr: bool = False
    put_back: bool = False
    """Data outside the project may be written at its own place, where nothing is."""
    kind: str = "reproduce"
    """What the new run is to the one that it repeats: the kind of its parent."""
    clean: bool = False
    """Remove the workspace at the end if the verdict holds."""


PLAIN = Asked()


class Repetition:
    """A past run in a directory of its own, where its command can be run again, once or many times.

    The steps in their order: `restore`, `build`, then `run`, or what is made of `plan`; `drop` at the end, whatever
    happened. `phase` says how far it has come. To run it again, the directory is put back first (`pristine.py`), and
    the plan is made only once: it lays things out.
    """

    def __init__(self, project: Project, then: Run, top: Path, asked: Asked = PLAIN) -> None:
        self.project = project
        self.then = then
        self.top = top
        self.asked = asked
        self.tell = asked.tell
        self.phase = "fetching"
        self.outside = Outside(project, then, self.way(), asked.tell)
        self.listed = Listed(then, self.outside, [])
        self.root = Path(top, then.code.prefix)
        """The project's root in the directory."""
        self.rebuilt: Rebuilt | None = None
        self.held: int | None = None
        """While it is open, nobody takes the directory for one that nobody needs."""

    def way(self) -> Way:
        """What may be done for the data outside the project. What the command needs stays to be seen."""
        from mltrack.operations.env.kinds import user_cache

        needed = (self.top, self.project.root, self.project.state, INSIDE, user_cache(os.environ), Path(sys.prefix))
        in_container = bool(self.then.environment.image)
        root = Path(self.top, self.then.code.prefix)
        return Way(self.project.work / f"outside-{new_id()}", root, self.asked.put_back, needed, in_container)

    def restore(self) -> None:
        """Code and data; raises DataMissing, Damaged, StorageError, UsageError where the directory is not empty."""
        project, then = self.project, self.then
        self.held = hold(project, self.top)
        self.tell(f"fetching code, data and environment of {then.id}")
        there = self.outside.already_there()
        self.outside.take_in(there)
        try:
            ensure_here(project, needed(then, there), self.tell, directories_of(then), of=then)
        except Damaged:
            raise
        except DataMissing as error:
            raise DataMissing(lacking(project, then, there), f"{remedy(then)} {error.hint or ''}".strip()) from error
        self.phase = "restoring"
        self.tell(f"restoring them in {self.top}")
        self.root = lay_out(project, then, self.top)
        self.outside.put(there)
        remove_recorded_artifacts(then, self.root)
        self.listed = listed(project, then, self.outside)
        self.listed.put(self.root)
        tell_of_here(then, self.tell)

    def build(self) -> Rebuilt:
        """The recorded environment; raises what its kind raises."""
        self.phase = "environment"
        self.rebuilt = rebuild(self.project, self.then, self.root, self.tell)
        if isinstance(self.project, NewClone):
            self.project.is_used = True
        return self.rebuilt

    def plan(self) -> Plan:
        """The recorded command as it works here."""
        assert self.rebuilt is not None, "build comes first"
        plan = plan_for(self.then, self.root, self.rebuilt, self.asked)
        place = self.listed.placed(self.outside.placed(plan.place))
        stdin = None if plan.stdin is None else place.lies_at(str(plan.stdin))
        return replace(plan, place=place, stdin=stdin)

    def run(self) -> Run:
        """Run the command, and record it."""
        self.phase = "running"
        self.tell(f"running {' '.join(self.then.command)}")
        return record(self.project, self.plan(), self.tell)

    def drop(self) -> None:
        """Take away what was laid out for the command alone, outside of the directory; that is left to its reader."""
        self.outside.drop()
        if self.held is not None:
            if self.top.is_dir() and not is_marked(self.top):
                with suppress(StorageError):  # then it stays until somebody says otherwise
                    mark(self.top, self.then.id, self.asked.kind)
            os.close(self.held)
            self.held = None

    def remove_half(self) -> None:
        """A directory of ours that could not even be restored goes."""
        if self.phase in ("fetching", "restoring") and self.top.parent == self.project.work:
            remove(self.top)


def tell_of_here(then: Run, tell: Tell) -> None:
    """Before it starts: what of this machine may give other numbers. The verdict's conditions say it again."""
    from mltrack.compare.differences import here_differs, in_words
    from mltrack.environments.libraries import of_machine
    from mltrack.snapshot.hardware import capture_hardware

    libraries = {} if then.environment.image else of_machine()  # a container brings its own
    changes = here_differs(then, capture_hardware(), libraries)
    if changes:
        tell(f"this machine may give other numbers in the last digits: {in_words(changes)}")


def lacking_locale(then: Run) -> str | None:
    """The recorded locale, if this is another machine and does not have it: programs then do as in C."""
    name = locale_of(then.environment.variables)
    is_here = then.host == os.uname().nodename or then.environment.image is not None
    return None if is_here or has_locale(name) is not False else name


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


def lacking(project: Project, run: Run, there: Iterable[str]) -> str:
    """Which parts of a run are not to be had, as a sentence."""
    from mltrack.store.checkout import manifest_of

    wanted = set(needed(run, there))
    directories = set(directories_of(run))

    def is_missing(digest: str) -> bool:
        if project.store.missing([digest]):
            return True
        listed = manifest_of(project.store, digest) if digest in directories else ()
        return bool(project.store.missing([entry.digest for entry in listed if entry.digest]))

    parts = [name for name, digest in named_objects(run) if digest in wanted and is_missing(digest)]
    names = list(dict.fromkeys("environment" if name.startswith("environment") else name for name in parts))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"Of {run.id}, this is neither here nor on a remote: {', '.join(names[:NAMED])}{more}."


def remedy(run: Run) -> str:
    return (
        f"Push it from where it is (mltrack push {run.id}), name a remote that has it with --from,"
        " or put an input of another place back there."
    )


def rebuild(project: Project, run: Run, root: Path, tell: Tell) -> Rebuilt:
    """The recorded environment, built in the user's cache; where that cannot be written, in this project."""
    from mltrack.environments import RebuildRequest, get
    from mltrack.operations.env.kinds import lock_of, recorded, user_cache

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


def plan_for(then: Run, root: Path, rebuilt: Rebuilt, asked: Asked) -> Plan:
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
        experiment=then.experiment,
        seed=then.seed,
        environment_kind=then.environment.kind,
        environment_options={**then.environment.options, **rebuilt.options},
        output_to_stderr=asked.output_to_stderr,
        parent=Parent(asked.kind, then.id),
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
    """Variables that move numbers, as they were: threads, determinism, hash seed; and locale and time zone, of which
    those go that were not set. The rest is of the old machine."""
    recorded = {name: text for name, text in then.environment.variables.items() if PLACEHOLDER not in text}
    numbers = {name: text for name, text in moving_numbers(recorded).items() if not name.startswith(CHOICE)}
    local: dict[str, str | None] = {name: text for name, text in recorded.items() if name.startswith(LOCAL)}
    if then.environment.digest is not None:  # else nobody looked
        local = {**dict.fromkeys(name for name in os.environ if name.startswith(LOCAL)), **local}
    zone = then.origin.get("time_zone")
    if isinstance(zone, str) and "TZ" not in recorded and zone != time_zone() and has_zone(zone):
        local["TZ"] = zone
    return {**numbers, **local, "PYTHONPATH": relative_only(recorded.get("PYTHONPATH", ""))}


def relative_only(path: str) -> str | None:
    """The entries of a PYTHONPATH that mean something in a copy too; today's are none of the run's. None for none."""
    entries = [entry for entry in path.split(os.pathsep) if entry and not os.path.isabs(entry)]
    return os.pathsep.join(entry for entry in entries if ".." not in Path(entry).parts) or None
