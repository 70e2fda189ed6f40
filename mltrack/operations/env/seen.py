"""An environment to look at: one that a run recorded, or that of the directory now.

The environment of now is captured as a run of `python` would; nothing of it is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, NotFound, UsageError
from mltrack.nouns import noun
from mltrack.operations.request import RunRequest, Tell, silent

if TYPE_CHECKING:
    from mltrack.environments import Found, Package, Recorded, Tree
    from mltrack.project import Project
    from mltrack.records import Environment, Hardware, Run, Warning

COMMAND = "python"
"""What a run of now would start, to ask for its environment."""


@noun
class Which:
    """The environment that is meant: of the run `ref`, or of now, seen from the directory `start`."""

    start: Path
    ref: str | None = None
    python: str | None = None
    """For now: the program that a run would start, instead of the `python` on the PATH."""
    asked: RunRequest | None = None
    """For now: the run that would be started, instead of one of `python`."""


@noun
class Seen:
    """An environment to look at, while it is laid out."""

    run: Run | None
    """None: it is that of now."""
    recorded: Recorded
    hardware: Hardware
    warnings: tuple[Warning, ...] = ()
    kept: Mapping[str, Kept] = field(default_factory=dict)

    @property
    def environment(self) -> Environment:
        return self.recorded.environment

    @property
    def packages(self) -> tuple[Package, ...]:
        """What the lock tells of each package; kept wheels count as stored."""
        from mltrack.environments import get, packages

        found = packages(get(self.environment.kind), self.recorded)
        wheels = self.kept["wheels"].names if "wheels" in self.kept else frozenset()
        versions = self.environment.packages  # a lock leaves out the version of the project itself
        return tuple(
            replace(
                one,
                version=one.version or versions.get(one.name, ""),
                is_stored=one.is_stored or has_wheel(wheels, one),
            )
            for one in found
        )


@noun
class Kept:
    """A tree that was kept with an environment. Names and sizes only where its list is in the store here."""

    files: int | None
    size_bytes: int | None
    names: frozenset[str] = frozenset()


@contextmanager
def looked_at(which: Which, tell: Tell = silent, needs_lock: bool = True) -> Iterator[Seen]:
    """The environment that is meant. Raises NotFound, EnvironmentFailed, UsageError, and DataMissing where the lock is
    neither here nor on a remote; without `needs_lock` such a run counts as one without a lock."""
    if which.ref is None:
        with of_now(which, tell) as seen:
            yield seen
        return
    if which.python is not None:
        raise UsageError("--python is for the environment of now, not for that of a run.", "Leave one of the two away.")
    from mltrack.operations.env.kinds import recorded
    from mltrack.operations.find import find_run
    from mltrack.project import Project

    with Project.get(which.start) as project:
        run = find_run(project, which.ref)
        read = run if needs_lock or has_lock(project, run) else without_lock(run)
        with recorded(project, read, tell) as found:
            yield Seen(run, found, run.hardware, run.warnings, kept_of(project, run))


def has_lock(project: Project, run: Run) -> bool:
    """Is the run's lock here now, fetched if need be?"""
    from mltrack.operations.env.kinds import lock_of
    from mltrack.operations.fetch import bring

    lock = lock_of(run)
    try:
        bring(project, [] if lock is None else [lock])
    except DataMissing:
        return False
    return True


def without_lock(run: Run) -> Run:
    kept = {name: digest for name, digest in run.environment_kept.items() if name != "lock"}
    return replace(run, environment=replace(run.environment, lockfile=None), environment_kept=kept)


@contextmanager
def of_now(which: Which, tell: Tell) -> Iterator[Seen]:
    """The environment that a run of `python` in this directory would record."""
    from mltrack.environments import Recorded
    from mltrack.operations.env.kinds import user_cache
    from mltrack.project import Project, find_root
    from mltrack.snapshot.hardware import capture_hardware

    project = Project.find(which.start) or Project(find_root(which.start) or which.start)
    with project:
        found = capture_now(project, which, tell)
        with laid_out(found.trees) as lay_out:
            recorded = Recorded(
                found.environment,
                found.lock,
                dict(os.environ),
                user_cache(os.environ),
                lay_out,
                project.config.environment,
                tell,
            )
            kept = {name: Kept(len(tree), size_of(tree)) for name, tree in found.trees.items() if tree}
            yield Seen(None, recorded, capture_hardware(), found.warnings, kept)


def capture_now(project: Project, which: Which, tell: Tell) -> Found:
    """Capture as a run would. Raises NotFound where there is no Python and the settings name no other kind."""
    from mltrack.environments import Request, choose
    from mltrack.operations.env.kinds import kind_of, options_of, shown_options, user_cache
    from mltrack.redact import Redactor

    asked = which.asked or RunRequest((which.python or COMMAND,), which.start)
    kind, options = kind_of(project, asked), options_of(project, asked)
    request = Request(
        asked.command,
        which.start,
        dict(os.environ),
        user_cache(os.environ),
        project.root,
        options,
        may_ask=options.get("lock", True),
        tell=tell,
    )
    chosen = choose(request, kind)
    if kind == "auto" and chosen.NAME == "system" and which.asked is None:
        raise NotFound(
            f"{which.python or 'python'} is no Python here." if which.python else "There is no `python` on the PATH.",
            "Activate the environment that is meant, name its interpreter (--python .venv/bin/python), or name a run.",
        )
    found = chosen.capture(request)
    redactor = Redactor(os.environ)
    is_entered = hasattr(chosen, "start")  # then the variables of this machine are not those that a command sees
    shown = replace(
        found.environment,
        variables={} if is_entered else redactor.variables(os.environ),
        options=shown_options(found.environment.options, redactor),
    )
    return replace(found, environment=shown)


@contextmanager
def laid_out(trees: Mapping[str, Tree]) -> Iterator[Callable[[str], Path | None]]:
    """A way to lay out files that are not in a store: copies in a directory that goes at the end."""
    import shutil
    from tempfile import TemporaryDirectory

    from mltrack.confine import inside

    with TemporaryDirectory(prefix="mltrack-") as scratch:

        def lay_out(name: str) -> Path | None:
            place = Path(scratch) / name
            if not trees.get(name):
                return None
            if not place.exists():
                for path, source in trees[name].items():
                    target = inside(place, path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, target, follow_symlinks=False)
            return place

        yield lay_out


def size_of(tree: Tree) -> int:
    return sum(path.lstat().st_size for path in tree.values())


def kept_of(project: Project, run: Run) -> dict[str, Kept]:
    """The trees that were kept with a run's environment."""
    from mltrack.store.manifest import decode_manifest

    found = {}
    for name, digest in {**run.environment.trees, **run.environment_kept}.items():
        if name == "lock":
            continue
        if not project.store.has(digest):
            found[name] = Kept(None, None)
            continue
        entries = decode_manifest(project.store.get_bytes(digest))
        names = frozenset(os.fsdecode(entry.path) for entry in entries)
        found[name] = Kept(len(entries), sum(entry.size for entry in entries), names)
    return found


def has_wheel(names: frozenset[str], package: Package) -> bool:
    """Is there a wheel of this very version?"""
    start = f"{package.name}-{package.version}-".replace("-", "_").lower()
    return any(name.replace("-", "_").lower().startswith(start) for name in names)
