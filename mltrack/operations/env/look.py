"""`mltrack env show`, `diff`, `check`: what is known of environments, and whether they could be built now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.nouns import noun
from mltrack.operations.env.seen import Seen, Which, looked_at
from mltrack.operations.request import Tell, silent

if TYPE_CHECKING:
    from mltrack.compare.changes import Change
    from mltrack.compare.packages import PackageChange
    from mltrack.environments import Finding, Package
    from mltrack.records import Environment, Hardware, Warning

LISTED = 8
"""Names in one sentence; more are counted."""


@noun
class Locked:
    """How complete a lock is. A package is counted once: by hashes, else as certain in another way, else as uncertain;
    not at all where the lock's kind does not tell."""

    is_there: bool
    packages: int
    hashed: int
    certain: int
    """Without a hash of a file, but by a commit, or by code that is kept."""
    uncertain: int
    stored: int
    """Of all of them: those whose file, or the code of whose directory, is kept."""


@noun
class Shown:
    """What is known of one environment. `run` is None for that of now."""

    run: str | None
    name: str | None
    environment: Environment
    implementation: str | None
    platform: str | None
    locked: Locked
    packages: tuple[Package, ...]
    kept: Mapping[str, Mapping[str, int | None]]
    """Name of a tree -> `files` and `size_bytes`."""
    hardware: Hardware
    not_recorded: tuple[str, ...]
    warnings: tuple[Warning, ...]


@noun
class EnvironmentDifferences:
    """What is not the same in two environments; an id is None for the environment of now."""

    a: str | None
    b: str | None
    software: tuple[Change, ...]
    """Kind, Python, image, options."""
    packages: tuple[PackageChange, ...]
    libraries: tuple[Change, ...]
    hardware: tuple[Change, ...]
    variables: tuple[Change, ...]
    remarks: tuple[str, ...] = ()
    """What else there is to say, and is no difference."""

    @property
    def is_empty(self) -> bool:
        return not any((self.software, self.packages, self.libraries, self.hardware, self.variables))


@noun
class CheckedEnvironment:
    """What a check found."""

    run: str | None
    kind: str
    is_checked: bool
    """False for a kind that has no way to check."""
    findings: tuple[Finding, ...]
    remedies: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not any(finding.problem for finding in self.findings)


def show(which: Which, tell: Tell = silent) -> Shown:
    """Everything that is known of an environment."""
    with looked_at(which, tell, needs_lock=False) as seen:
        packages = seen.packages
        implementation, platform = base_of(seen)
        return Shown(
            seen.run.id if seen.run else None,
            seen.run.name if seen.run else None,
            seen.environment,
            implementation,
            platform,
            locked_of(seen, packages),
            packages,
            {name: {"files": kept.files, "size_bytes": kept.size_bytes} for name, kept in seen.kept.items()},
            seen.hardware,
            tuple(not_recorded(seen, packages)),
            seen.warnings,
        )


def base_of(seen: Seen) -> tuple[str | None, str | None]:
    """The implementation of Python and the platform, where the lock tells them."""
    if seen.environment.kind != "python" or seen.recorded.lock is None:
        return None, None
    from mltrack.environments.python.lock import read_lock

    lock = read_lock(seen.recorded.lock)
    return lock.implementation, lock.platform or None


def locked_of(seen: Seen, packages: Sequence[Package]) -> Locked:
    certain = [one for one in packages if one.problem is None and (one.source or one.hashes)]
    return Locked(
        seen.recorded.lock is not None,
        len(packages),
        sum(1 for one in certain if one.hashes),
        sum(1 for one in certain if not one.hashes),
        sum(1 for one in packages if one.problem is not None),
        sum(1 for one in packages if one.is_stored),
    )


def not_recorded(seen: Seen, packages: Sequence[Package]) -> Iterator[str]:
    """What a reader may take for granted and is not there, as sentences."""
    environment = seen.environment
    if seen.recorded.lock is None:
        is_lost = seen.run is not None and seen.run.environment.lockfile is not None
        what = "Its lock is neither here nor on a remote" if is_lost else "There is no lock"
        yield f"{what}: it cannot be built again."
    by_problem: dict[str, list[str]] = {}
    for one in packages:
        if one.problem is not None:
            by_problem.setdefault(one.problem, []).append(one.name)
    for problem, names in by_problem.items():
        yield f"{problem[:1].upper()}{problem[1:]}: {listed(names)}."
    if environment.kind == "system" and seen.recorded.lock is not None:
        yield "What the programs of the command start in turn, and the libraries that they load."
    is_told = any(warning.kind == "image" for warning in seen.warnings)
    if environment.image is not None and environment.image.digest is None and not is_told:
        yield "The image has no digest that a registry knows: only the engine it is on, and `push --images`, have it."
    if seen.run is not None and environment.imported is None and environment.packages:
        yield "Nobody looked at which packages its processes imported."


def listed(names: Sequence[str]) -> str:
    """`a, b and 4 more`."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more:,} more" if more > 0 else "")


def diff(a: Which, b: Which, tell: Tell = silent) -> EnvironmentDifferences:
    """What is not the same in two environments, from a to b."""
    from mltrack.compare.differences import of_environments, of_hardware
    from mltrack.compare.packages import of_packages

    with looked_at(a, tell, needs_lock=False) as first, looked_at(b, tell, needs_lock=False) as second:
        before, after = first.packages, second.packages
        changes = of_environments(first.environment, second.environment)
        if first.run is None or second.run is None:  # entering the environment settles more than the settings say
            changes = [one for one in changes if not (one.what.startswith("options.") and one.kind != "changed")]
        return EnvironmentDifferences(
            first.run.id if first.run else None,
            second.run.id if second.run else None,
            tuple(change for change in (*changes, *of_bases(first, second)) if is_software(change)),
            tuple(of_packages(before, after)),
            tuple(change for change in changes if change.what.startswith("libraries.")),
            tuple(of_hardware(first.hardware, second.hardware)),
            tuple(change for change in changes if change.what.startswith("variables.")),
            tuple(remarks_on(first, second)),
        )


def differences_json(found: EnvironmentDifferences) -> dict[str, Any]:
    """The differences as JSON values, sections as in `mltrack diff --json`."""
    from mltrack.compare.differences import change_to_json
    from mltrack.noun_json import to_dict

    sections = ("software", "packages", "libraries", "hardware", "variables")
    result: dict[str, Any] = {"a": found.a, "b": found.b, "is_empty": found.is_empty}
    for section in sections:
        changes = getattr(found, section)
        result[section] = to_dict(changes) if section == "packages" else [change_to_json(one) for one in changes]
    return {**result, "remarks": list(found.remarks)}


NOT_SOFTWARE = ("packages.", "libraries.", "variables.", "lockfile", "digest")
"""Changes that are told in their own way. Two locks may differ in what they know and describe the same."""


def is_software(change: Change) -> bool:
    return not change.what.startswith(NOT_SOFTWARE)


def of_bases(a: Seen, b: Seen) -> list[Change]:
    """The implementations of Python and the platforms, where both locks tell them."""
    from mltrack.compare.changes import of_mappings

    names = ("implementation", "platform")
    first, second = dict(zip(names, base_of(a), strict=True)), dict(zip(names, base_of(b), strict=True))
    known = [name for name in names if first[name] and second[name]]
    return of_mappings({name: first[name] for name in known}, {name: second[name] for name in known})


def remarks_on(a: Seen, b: Seen) -> Iterator[str]:
    """Where the comparison could not look."""
    for letter, one in (("a", a), ("b", b)):
        if one.recorded.lock is None:
            yield f"The lock of {letter} is not here: only names and versions of its packages could be compared."


def check(which: Which, tell: Tell = silent) -> CheckedEnvironment:
    """Could it be built here, now? Nothing is installed."""
    from mltrack import environments

    with looked_at(which, tell) as seen:
        kind = environments.get(seen.environment.kind)
        run = seen.run.id if seen.run else None
        if not environments.can_check(kind):
            return CheckedEnvironment(run, seen.environment.kind, False, ())
        if seen.recorded.lock is None:
            finding = environments.Finding("lock", "There is none: the environment cannot be built again.")
            return CheckedEnvironment(run, seen.environment.kind, True, (finding,))
        findings = environments.check(kind, seen.recorded)
        remedies = tuple(remedies_for(run, environments.carries(kind), findings))
        return CheckedEnvironment(run, seen.environment.kind, True, findings, remedies)


CARRIERS = {"wheels": "--wheels", "image": "--images"}


def remedies_for(run: str | None, carries: Sequence[str], findings: Sequence[Finding]) -> Iterator[str]:
    """What to do about the problems, as commands with what they are for."""
    problems = [finding.name for finding in findings if finding.problem]
    interpreters = [name for name in problems if name.startswith("Python ")]
    for name in interpreters:
        version, implementation = f"{name} ".split(" ")[1:3]
        wanted = f"{implementation.strip('()')}@{version}" if implementation else version
        yield f"Get the interpreter: uv python install {wanted}"
    if len(problems) == len(interpreters):
        return
    if run is None:
        yield "Choose versions that can be had, before you train; or record the run, and let the remote carry them:"
    for what in carries:
        where = run or "RUN"
        yield f"From a machine that still has them: mltrack push {CARRIERS[what]} {where}"
