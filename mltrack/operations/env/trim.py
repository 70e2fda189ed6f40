"""`mltrack env trim`: the lock of a run without what its processes did not import, proved by building it.

Kept is what was imported, the project's own distributions, and what these say that they require. A lock does not tell
extras apart; the metadata in what was built does, and what only extras that nobody asked for require is removed again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import CheckFailed, DataMissing, EnvironmentFailed, NotFound, UsageError
from mltrack.nouns import noun
from mltrack.operations.env.export import write_all
from mltrack.operations.request import Tell, silent

if TYPE_CHECKING:
    from mltrack.environments import Rebuilt, Recorded
    from mltrack.environments.python.lock import Lock
    from mltrack.operations.repeating.reproduce import Reproduction
    from mltrack.project import Project
    from mltrack.records import Run

FORMATS = ("pylock", "requirements")
PATIENCE_S = 900
LOOK = r"""
import importlib, json, re, sys
from importlib import metadata

asked = json.load(open(sys.argv[1]))
here = {}
for found in metadata.distributions():
    name = found.metadata["Name"]
    if name:
        here.setdefault(re.sub("[-_.]+", "-", name).lower(), found)
FORM = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?[^;]*;?(.*)", re.S)
todo, seen = [(name, "") for name in asked["roots"]], set()
while todo:
    name, extra = todo.pop()
    if (name, extra) in seen or name not in here:
        continue
    seen.add((name, extra))
    for line in here[name].requires or ():
        other, extras, marker = FORM.match(line).groups()
        wanted = re.findall(r"extra\s*==\s*['\"]([^'\"]*)['\"]", marker)
        if not wanted or extra in wanted:
            other = re.sub("[-_.]+", "-", other).lower()
            todo += [(other, part.strip()) for part in ["", *(extras or "").split(",")]]


def tops(found):
    paths = [str(path) for path in found.files or () if str(path)[:1] not in "./"]
    packages = {path.rpartition("/")[0] for path in paths if path.endswith(("/__init__.py", "/__init__.pyc"))}
    names = {path.split(".")[0] for path in paths if "/" not in path and path.endswith((".py", ".so"))}
    outer = {one for one in packages if not any(one.startswith(other + "/") for other in packages)}
    return sorted(names | {one.replace("/", ".") for one in outer if all(map(str.isidentifier, one.split("/")))})


failed = {}
for name in asked["imported"]:
    reasons, done = [], 0
    for top in tops(here[name]) if name in here else ():
        try:
            importlib.import_module(top)
            done += 1
        except BaseException as error:
            lacking = re.sub("[-_.]+", "-", (getattr(error, "name", None) or "").split(".")[0]).lower()
            reasons.append((lacking in asked["dropped"], "import %s: %s: %s" % (top, type(error).__name__, error)))
    if reasons and (not done or any(is_dropped for is_dropped, _ in reasons)):
        failed[name] = max(reasons)[1]
sizes = {name: sum(path.size or 0 for path in found.files or ()) for name, found in here.items()}
json.dump({"needed": sorted({name for name, _ in seen}), "failed": failed, "sizes": sizes}, open(sys.argv[2], "w"))
"""
"""Run by an interpreter (3.8 or newer): what the roots require, do the imports work, how large is each distribution?"""


@noun
class Answer:
    """What LOOK said."""

    needed: frozenset[str]
    failures: Mapping[str, str]
    sizes: Mapping[str, int]


@noun
class TrimRequest:
    """Which run. `keep` are distributions that stay whatever was seen; with `is_run` the whole run is reproduced."""

    start: Path
    ref: str
    format: str = "pylock"
    target: Path | None = None
    force: bool = False
    keep: tuple[str, ...] = ()
    is_run: bool = False


@noun
class Trimmed:
    """What was left, and how it was proved. Sizes are of installed files, in bytes."""

    run: str
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    imported: tuple[str, ...]
    bytes_before: int
    bytes_after: int
    unknown_sizes: int
    """Distributions whose size nobody told; they are in neither sum."""
    failures: Mapping[str, str]
    """Distribution -> why its import does not work in what was built."""
    grade: str | None
    """Of the reproduction, if one was asked for."""
    text: str
    written: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        from mltrack.compare.verdict.grades import is_success

        return not self.failures and (self.grade is None or is_success(self.grade))


def trim(request: TrimRequest, tell: Tell = silent) -> Trimmed:
    """Find what can go, build what stays, try it; only what holds is written.

    Raises UsageError, NotFound, DataMissing where nobody looked at the imports, EnvironmentFailed.
    """
    from mltrack.environments.python.lock import read_lock
    from mltrack.operations.env.kinds import recorded
    from mltrack.operations.find import find_run
    from mltrack.project import Project

    if request.format not in FORMATS:
        raise UsageError(f"{request.format!r} is no format of a trimmed lock.", f"Use one of: {', '.join(FORMATS)}.")
    with Project.get(request.start) as project:
        run = find_run(project, request.ref)
        check_trimmable(run, request)
        with recorded(project, run, tell) as environment:
            lock = read_lock(environment.lock or b"")
            roots = roots_of(lock, run, request.keep)
            smaller, answer = proved(project, run, environment, lock, roots, tell)
            grade = None
            if request.is_run and not answer.failures:
                grade = reproduced(project, run, smaller, tell).verdict.grade
            sizes = {**installed_sizes(project, run, tell), **answer.sizes}
            found = told(run, lock, smaller, replace(answer, sizes=sizes), grade)
            return written(request, found, reduced(environment, smaller))


def check_trimmable(run: Run, request: TrimRequest) -> None:
    if run.environment.kind != "python":
        raise UsageError(
            f"{run.id} has an environment of the kind {run.environment.kind}; only Python's can be trimmed.",
            "See what is in it: mltrack env show",
        )
    if run.environment.imported is None and not request.keep:
        raise DataMissing(
            f"Nobody looked at which packages the processes of {run.id} imported.",
            f"Run it again: mltrack rerun {run.id}. Or name what it needs: --keep NAME",
        )
    if run.environment.lockfile is None:
        raise EnvironmentFailed(f"{run.id} has no lock of its environment.", f"See why: mltrack show {run.id}")


def roots_of(lock: Lock, run: Run, keep: Iterable[str]) -> set[str]:
    """What must stay: imported, named by the user, the project's own. Raises NotFound for a name that is not there."""
    from mltrack.environments.python.distributions import normalise

    names = {found.name for found in lock.distributions}
    named = {normalise(name) for name in keep}
    if named - names:
        raise NotFound(f"{min(named - names)} is not in the environment of {run.id}.", "See: mltrack env show")
    own = {found.name for found in lock.distributions if found.source == "project"}
    return (set(run.environment.imported or ()) & names) | named | own


def closure(lock: Lock, roots: Iterable[str]) -> set[str]:
    """The roots and everything that they require, extras and other circumstances included."""
    by_name = {found.name: found for found in lock.distributions}
    needed: set[str] = set()
    todo = [name for name in roots if name in by_name]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo.extend(other for other in by_name[name].requires if other in by_name)
    return needed


def kept_only(lock: Lock, names: Set[str]) -> Lock:
    return replace(lock, distributions=tuple(found for found in lock.distributions if found.name in names))


def reduced(environment: Recorded, lock: Lock) -> Recorded:
    """The recorded environment with a smaller lock."""
    from mltrack.environments.python.lock import write_lock

    packages = {found.name: found.version for found in lock.distributions}
    return replace(environment, environment=replace(environment.environment, packages=packages), lock=write_lock(lock))


def proved(
    project: Project, run: Run, environment: Recorded, lock: Lock, roots: Set[str], tell: Tell
) -> tuple[Lock, Answer]:
    """The smallest lock that could be built and imported from, and what was seen in it."""
    names = closure(lock, roots)
    imported = sorted(set(run.environment.imported or roots) & names)
    with scratch(project, run, lock, tell) as (top, workspace):
        tell(f"building it with {len(names)} of {len(lock.distributions)} packages")
        built = build(reduced(environment, kept_only(lock, names)), top / "environment", workspace)
        asked: dict[str, Sequence[str]] = {"roots": sorted(roots), "imported": (), "dropped": ()}
        needed = look(built.argv, built.variables, asked, top).needed
        if names - needed:
            tell(f"removing {len(names - needed)} that only extras require")
            uninstall(built, environment, sorted(names - needed))
            names &= needed
        dropped = sorted({found.name for found in lock.distributions} - names)
        answer = look(built.argv, built.variables, {**asked, "imported": imported, "dropped": dropped}, top)
        return kept_only(lock, names), answer


def uninstall(built: Rebuilt, environment: Recorded, names: Sequence[str]) -> None:
    """Remove distributions from what was built: quicker than to build it once more. Raises EnvironmentFailed."""
    from mltrack.environments.python.indexes import installer_settings
    from mltrack.environments.python.installer import find_uv

    words = [find_uv(environment.variables), "pip", "uninstall", "--no-config", "--python", built.argv[0], *names]
    given = dict(installer_settings(environment.variables).variables)
    done = subprocess.run(words, env=given, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise EnvironmentFailed("The environment cannot be made smaller.", "\n".join(["uv said:", *said[-15:]]))


@contextmanager
def scratch(project: Project, run: Run, lock: Lock, tell: Tell) -> Iterator[tuple[Path, Path]]:
    """A directory to build in, and in it the run's code if distributions are installed from that."""
    from mltrack.operations.fetch import ensure_here
    from mltrack.operations.keeping.objects import code_objects, raw_manifests
    from mltrack.records import new_id
    from mltrack.snapshot.code import restore_code

    top = project.work / f"trim-{new_id()}"
    workspace = top / "code"
    try:
        workspace.mkdir(parents=True)
        if any(found.source == "project" for found in lock.distributions):
            tell("restoring the project's own code")
            ensure_here(
                project, [digest for _, digest in code_objects(run.code, "code")], tell, raw_manifests(run.code)
            )
            restore_code(run.code, project.store, workspace)
            workspace = workspace / run.code.prefix.rstrip("/") if run.code.prefix else workspace
        yield top, workspace
    finally:
        shutil.rmtree(top, ignore_errors=True)


def build(environment: Recorded, place: Path, workspace: Path) -> Rebuilt:
    from mltrack.environments import RebuildRequest, get

    return get("python").rebuild(RebuildRequest(environment, ("python",), workspace, place, workspace))


def installed_sizes(project: Project, run: Run, tell: Tell) -> dict[str, int]:
    """Of the distributions where the run had them; nothing if it was not recorded here, or they are not there now."""
    from mltrack.records import new_id

    program = run.environment.interpreter
    if run.origin.get("replica") != project.ledger.replica or not program or not os.access(program, os.X_OK):
        return {}
    top = project.work / f"trim-{new_id()}"
    try:
        top.mkdir(parents=True)
        return dict(look((program,), {}, {"roots": (), "imported": (), "dropped": ()}, top).sizes)
    except CheckFailed as error:
        tell(f"how large the packages were cannot be told: {error.message}")
        return {}
    finally:
        shutil.rmtree(top, ignore_errors=True)


def look(
    program: Sequence[str], changes: Mapping[str, str | None], asked: Mapping[str, Sequence[str]], top: Path
) -> Answer:
    """What an interpreter sees: what the roots require, which imports do not work. Raises CheckFailed."""
    question, answer = top / "question.json", top / "answer.json"
    question.write_text(json.dumps(asked))
    answer.unlink(missing_ok=True)
    given = {**os.environ, **changes}
    variables = {name: text for name, text in given.items() if text is not None and name != "PYTHONPATH"}
    words = [*program, "-c", LOOK, str(question), str(answer)]
    try:
        done = subprocess.run(
            words, cwd=top, env=variables, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise CheckFailed(f"The imports did not end within {PATIENCE_S} s.", "Try the whole run: --run") from error
    except OSError as error:
        raise CheckFailed(f"The interpreter does not start: {error}.", f"Try `{program[0]} --version`.") from error
    try:
        said = json.loads(answer.read_text())
    except (OSError, ValueError) as error:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise CheckFailed(f"The imports ended their process: {last[0]}.", "Try the whole run: --run") from error
    return Answer(frozenset(said["needed"]), said["failed"], said["sizes"])


def reproduced(project: Project, run: Run, lock: Lock, tell: Tell) -> Reproduction:
    """Reproduce the run in an environment of the smaller lock."""
    from mltrack.environments.python.lock import write_lock
    from mltrack.operations.repeating.repetition import Asked
    from mltrack.operations.repeating.reproduce import again
    from mltrack.records import new_id

    digest = project.store.put_bytes(write_lock(lock))
    packages = {found.name: found.version for found in lock.distributions}
    environment = replace(run.environment, lockfile=digest, packages=packages)
    kept = {name: tree for name, tree in run.environment_kept.items() if name != "lock"}
    smaller = replace(run, environment=environment, environment_kept=kept)
    return again(project, smaller, project.work / new_id(), Asked(tell, output_to_stderr=True))


def told(run: Run, lock: Lock, smaller: Lock, answer: Answer, grade: str | None) -> Trimmed:
    kept = {found.name for found in smaller.distributions}
    sizes = answer.sizes
    return Trimmed(
        run=run.id,
        kept=tuple(sorted(kept)),
        dropped=tuple(sorted(found.name for found in lock.distributions if found.name not in kept)),
        imported=tuple(run.environment.imported or ()),
        bytes_before=sum(sizes.get(found.name, 0) for found in lock.distributions),
        bytes_after=sum(sizes.get(name, 0) for name in kept),
        unknown_sizes=sum(1 for found in lock.distributions if found.name not in sizes),
        failures=answer.failures,
        grade=grade,
        text="",
    )


def written(request: TrimRequest, found: Trimmed, environment: Recorded) -> Trimmed:
    """With the text, and the files if they were asked for. What does not hold is not written."""
    from mltrack import environments

    python = environments.get("python")
    text = environments.export(python, environment, request.format)
    if request.target is None or not found.holds:
        return replace(found, text=text)
    companions = environments.companions(python, environment, request.format)
    return replace(found, text=text, written=write_all(request.target, text, companions, request.force))
