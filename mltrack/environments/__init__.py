"""The family of environment kinds: how the software that a command sees is captured, checked, and built again.

A kind is a module with the names of `EnvironmentKind`; `tests/contracts/test_environments.py` runs over every one. Four
of the names are required, the others have defaults here. No kind stores anything or knows a project: it names files to
keep, and is given a way to have them laid out again. This file holds the contract only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from mltrack import plugins
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.records import Environment, Warning

Tree = Mapping[str, Path]
"""A directory to keep: path below it, with slashes -> the file that has the content, whose execute bit counts."""

LayOut = Callable[[str], "Path | None"]
"""Takes the name of a tree that was kept with an environment (`wheels`, `sources`, `context`, `image`); lays it out, in
a directory that stays until the work is done, from the store or a remote. None if none of that name was kept."""


def nothing_kept(name: str) -> Path | None:
    """The `LayOut` of an environment with which nothing was kept."""
    return None


def silent(sentence: str) -> None:
    """Tell nobody."""


@noun
class Request:
    """What to capture: the command as it is about to be started, or is running."""

    argv: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    """The whole environment that the command is given; its PATH decides what a name means."""
    cache: Path
    """The user's cache directory for mltrack; it may be absent or read-only."""
    project: Path | None = None
    """The project's root; what is installed from below it is named relative to it. The same as `cwd` if absent."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The settings below `environment:` in mltrack.yaml, flags laid on top: `image`, `mounts` ...; without `kind`."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What `start` learned, in `capture`."""
    may_ask: bool = True
    """May package indexes and registries be asked?"""
    known: bytes | None = None
    """The lock of the run that this one repeats: what it says need not be asked again."""
    tell: Callable[[str], None] = silent
    """Told what takes time."""


@noun
class StartRequest:
    """A command that is to start inside of an environment that must be entered, a container say."""

    request: Request
    """`argv`, `cwd` and `variables` are what the command is to see inside."""
    run_dir: Path
    """The run's own directory; files may be left in it until the run has ended. The command writes there too."""
    own: Mapping[str, str]
    """The variables that the run itself sets, paths of this machine among them; part of `request.variables`."""
    reads: tuple[Path, ...] = ()
    """Files and directories outside the project that the command reads: declared inputs, mltrack's own `inside/`."""
    binds: Mapping[str, Path] = field(default_factory=dict)
    """Absolute path as the command is to see it -> what it finds there, and does not change."""


@noun
class Started:
    """How to start a command so that it runs inside."""

    argv: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    """The whole environment of the program that is started here."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON; handed to `capture` as `request.facts`."""


@noun
class Found:
    """What was captured. The caller stores `lock` and `trees` and puts their digests into the record."""

    environment: Environment
    lock: bytes | None
    warnings: tuple[Warning, ...] = ()
    trees: Mapping[str, Tree] = field(default_factory=dict)
    """What no index or registry will have: `wheels`, `sources`, `context`."""
    settled: bool = True
    """False where the command itself may install something first (`uv run`): capture once more when it has ended."""
    tops: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Package -> the import paths that it brings (`torch`, `six.py`, `google/cloud/storage`); to tell what was used."""


@noun
class Recorded:
    """An environment as it comes back from a record, on this machine or another."""

    environment: Environment
    lock: bytes | None
    variables: Mapping[str, str]
    """The environment to work with and to look programs up in: PATH, HOME, proxies, settings of pip and uv."""
    cache: Path
    """The user's cache directory for mltrack."""
    lay_out: LayOut = nothing_kept
    options: Mapping[str, Any] = field(default_factory=dict)
    """The settings of today, below `environment:`."""
    tell: Callable[[str], None] = silent
    is_ours: bool = False
    """Was it recorded here? A program that the record of a stranger names is not started before a run is asked for."""

    @property
    def own_interpreter(self) -> str | None:
        """The interpreter of the run, if it may be started."""
        return self.environment.interpreter if self.is_ours else None


@noun
class RebuildRequest:
    """What to build again, and for which command."""

    recorded: Recorded
    command: tuple[str, ...]
    workspace: Path
    """The root of the restored tree."""
    place: Path
    """The directory of the new environment. One that was completed before is used again, a half-built one is built
    again. Where distributions of the project itself belong to it, a directory beside this one, named for the tree."""
    editable_root: Path | None = None
    """The tree that editable installs of the project point into; the workspace if absent."""
    cwd: str = "."
    """Where the command starts, relative to the workspace."""


@noun
class Rebuilt:
    """How to start the command in the environment that was built."""

    argv: tuple[str, ...]
    variables: Mapping[str, str | None]
    """Changes to the command's environment variables; None removes one."""
    python: str | None
    warnings: tuple[Warning, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """For `start`, where the kind has it: settings that name what was built (an image by its id)."""


@noun
class Gathered:
    """What was put together late: a lock with hashes where the run's has none, a tree that a remote is to carry."""

    lock: bytes | None = None
    tree: Tree | None = None
    """None: this kind has no such thing."""
    warnings: tuple[Warning, ...] = ()
    """Each thing that could not be had, with the reason."""


@noun
class Finding:
    """One thing that a check looked at. `problem` is None where all is well."""

    name: str
    """A distribution with its version, an interpreter, an image."""
    problem: str | None = None
    """A sentence: what is gone, or differs."""
    place: str | None = None
    """Where it can be had: an index, `stored`, this machine."""


@noun
class Package:
    """One package of an environment, as far as its lock tells."""

    name: str
    version: str
    source: str = ""
    """A word of the kind's own: `index`, `vcs`, `project` ...; empty where that is not known."""
    place: str | None = None
    """An index, a repository at a commit, a directory of the project, the name of a file."""
    hashes: int = 0
    """Of the files that it can be had from."""
    is_stored: bool = False
    """Is its file, or the code in its directory, kept with the run?"""
    is_editable: bool = False
    size_bytes: int | None = None
    """Of the file that was installed; None where that is not known."""
    problem: str | None = None
    """Why it is not certain to be had again bit for bit; None where it is."""
    identity: str | None = None
    """A digest of what was installed; two packages of one version with two identities are two builds."""


class EnvironmentKind(Protocol):
    """The names of a kind's module."""

    NAME: str
    """The word for it in records and in `--env`."""

    def applies(self, request: Request) -> bool:
        """Does this kind know what software the command sees? Cheap; never raises for a strange command."""

    def capture(self, request: Request) -> Found:
        """Describe the environment. Works also where `applies` says no, as far as it can: the user asked for it by
        name. Raises EnvironmentFailed."""

    def rebuild(self, request: RebuildRequest) -> Rebuilt:
        """Build the environment in `place`, and say how to start the command in it. Raises EnvironmentFailed."""


class Entered(Protocol):
    """An optional name: a command is not simply started, the environment must be entered."""

    def start(self, request: StartRequest) -> Started:
        """Make sure that the environment is here, before the command starts, and say how to start the command inside.
        Raises EnvironmentFailed."""


class Checked(Protocol):
    """An optional name."""

    def check(self, recorded: Recorded) -> tuple[Finding, ...]:
        """Could it be built here, now? Looks at everything that it needs, installs and downloads nothing large."""


class Exported(Protocol):
    """Optional names."""

    FORMATS: tuple[str, ...]
    """Of `pylock`, `requirements`, `conda`, `dockerfile` and words of the kind's own."""

    def export(self, recorded: Recorded, format: str) -> str:
        """The environment as a text that other programs read. `format` is one of FORMATS."""


class Listed(Protocol):
    """An optional name."""

    def packages(self, recorded: Recorded) -> tuple[Package, ...]:
        """What the lock tells of each package, sorted by name. Raises Damaged."""


class Accompanied(Protocol):
    """An optional name, for a kind that exports."""

    def companions(self, recorded: Recorded, format: str) -> Mapping[str, bytes | Path]:
        """The files that an export in this format names by relative path -> their content, or where it lies."""


class Carried(Protocol):
    """Optional names: what a remote can carry, so that nothing else is needed to build it again."""

    CARRIES: tuple[str, ...]
    """Of `wheels` and `image`."""

    def gather(self, recorded: Recorded, what: str, scratch: Path) -> Gathered:
        """Put together the tree `what`, one of CARRIES; new files are made below `scratch`, which the caller removes
        after it stored them. Raises EnvironmentFailed."""


class Completed(Protocol):
    """An optional name, of kinds whose lock may lack something that can be learned later."""

    def complete(self, recorded: Recorded, project: Path) -> Gathered:
        """The lock with what it lacks, as far as it can be learned now. `project` has settings of its own."""

    def agrees(self, lock: bytes, later: bytes) -> bool:
        """Does a lock that came later say the same of what was installed? Anyone who may write to a remote can send
        one. Raises Damaged."""


def get(kind: str) -> EnvironmentKind:
    """The kind of that name. Raises UsageError if there is none."""
    return cast(EnvironmentKind, plugins.load("environments", kind))


def choose(request: Request, kind: str = "auto") -> EnvironmentKind:
    """The kind named, or for `auto` the first built-in one that applies; `system` always does.

    A plug-in's kind is taken only when it is named: looking for plug-ins would cost every run.
    """
    if kind != "auto":
        return get(kind)
    candidates = map(get, plugins.built_in("environments"))  # each is imported only when those before it do not apply
    return next(candidate for candidate in candidates if candidate.applies(request))


def host_path(facts: Mapping[str, Any], path: str) -> str | None:
    """Where a path that a command in an entered environment used lies on this machine; None for one that is in the
    environment, an image say. `facts`: those of `Started`; without any the command sees what we see."""
    if "mounts" not in facts:
        return path
    found: tuple[str, str] | None = None
    for target, source in facts["mounts"]:
        if (path == target or path.startswith(f"{target}/")) and (found is None or len(target) > len(found[0])):
            found = (target, source)
    return None if found is None else f"{found[1]}{path[len(found[0]) :]}"


def start(kind: EnvironmentKind, request: StartRequest) -> Started | None:
    """How to enter the environment; None for a kind whose commands are started as they are."""
    if not hasattr(kind, "start"):
        return None
    return cast(Entered, kind).start(request)


def check(kind: EnvironmentKind, recorded: Recorded) -> tuple[Finding, ...]:
    """What the kind finds; nothing for a kind that cannot check."""
    return cast(Checked, kind).check(recorded) if hasattr(kind, "check") else ()


def can_check(kind: EnvironmentKind) -> bool:
    """Has this kind a way to check?"""
    return hasattr(kind, "check")


def packages(kind: EnvironmentKind, recorded: Recorded) -> tuple[Package, ...]:
    """What is known of each package; names and versions for a kind whose lock tells no more."""
    if hasattr(kind, "packages") and recorded.lock is not None:
        return cast(Listed, kind).packages(recorded)
    return tuple(Package(name, version) for name, version in sorted(recorded.environment.packages.items()))


def export(kind: EnvironmentKind, recorded: Recorded, format: str) -> str:
    """The environment in one of the kind's `formats`."""
    return cast(Exported, kind).export(recorded, format)


def companions(kind: EnvironmentKind, recorded: Recorded, format: str) -> Mapping[str, bytes | Path]:
    """The files that belong to an export; none for most formats."""
    return cast(Accompanied, kind).companions(recorded, format) if hasattr(kind, "companions") else {}


def formats(kind: EnvironmentKind) -> tuple[str, ...]:
    """The formats that `export` of this kind knows."""
    return cast(Exported, kind).FORMATS if hasattr(kind, "export") else ()


def carries(kind: EnvironmentKind) -> tuple[str, ...]:
    """The trees that `gather` of this kind can put together."""
    return cast(Carried, kind).CARRIES if hasattr(kind, "gather") else ()
