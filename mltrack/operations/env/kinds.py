"""Where operations meet the environment kinds: which one, with what settings, and what of it the store keeps.

A kind names files; here they become trees in the store, and are laid out again from there or from a remote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.digest import digest_bytes
from mltrack.operations.request import Tell, silent
from mltrack.redact import PLACEHOLDER

if TYPE_CHECKING:
    from mltrack.environments import Found, LayOut, Recorded, Started, Tree
    from mltrack.operations.request import Plan, RunRequest
    from mltrack.project import Project
    from mltrack.records import Environment, Run
    from mltrack.redact import Redactor

IN_A_CONTAINER = ("image", "build")
"""Settings that mean a container where no kind is named."""


def kind_of(project: Project, request: RunRequest) -> str:
    """The kind that flags and settings ask for; `auto` if they leave it to the command."""
    named = request.environment_kind or project.config.environment_kind
    options = options_of(project, request)
    return "docker" if named == "auto" and any(key in options for key in IN_A_CONTAINER) else named


def options_of(project: Project, request: RunRequest) -> dict[str, Any]:
    """The settings of the environment, with what flags lay on top. An image that a flag names is not built."""
    options = {**project.config.environment, **request.environment_options}
    if "image" in request.environment_options and "build" not in request.environment_options:
        options.pop("build", None)
    return options


def user_cache(variables: Mapping[str, str]) -> Path:
    """The user's cache directory for mltrack, after the XDG base directory specification."""
    base = variables.get("XDG_CACHE_HOME") or os.path.join(variables.get("HOME") or "/nonexistent", ".cache")
    return Path(base) / "mltrack"


def enter(project: Project, plan: Plan, run_dir: Path, own: Mapping[str, str], tell: Tell) -> Started | None:
    """How the command starts in an environment that must be entered; None for all others, at no cost.

    `own` are the variables of the run itself. Raises EnvironmentFailed, UsageError.
    """
    kind = kind_of(project, plan.request)
    if kind in ("auto", "python", "system"):
        return None
    from mltrack import environments

    variables = {**os.environ, **own}
    request = environments.Request(
        plan.argv,
        plan.working_directory,
        variables,
        user_cache(variables),
        plan.place.root,
        options_of(project, plan.request),
        tell=tell,
    )
    binds = {bind.target: Path(bind.source) for bind in plan.place.binds}
    reads = tuple(
        Path(pattern)
        for pattern in plan.declared.inputs
        if os.path.isabs(pattern) and Path(pattern).exists() and pattern not in binds
    )
    return environments.start(environments.get(kind), environments.StartRequest(request, run_dir, own, reads, binds))


def keep_found(project: Project, found: Found) -> Environment:
    """The environment with its lock and trees in the store. Raises StorageError."""
    store = project.store
    trees = {name: keep_tree(project, tree) for name, tree in found.trees.items() if tree}
    lockfile = None
    if found.lock is not None:  # mostly that of the run before: to look is cheaper than to cut a megabyte into chunks
        lockfile = digest_bytes(found.lock)
        lockfile = lockfile if store.has(lockfile, hold=True) else store.put_bytes(found.lock)
    return replace(found.environment, lockfile=lockfile, trees={**found.environment.trees, **trees})


def keep_tree(project: Project, tree: Tree) -> str:
    """Put the files of a tree into the store; the digest of their manifest. Raises StorageError, NotFound."""
    from mltrack.errors import StorageError
    from mltrack.store.keep import keep_path
    from mltrack.store.manifest import ManifestEntry, encode_manifest

    entries = []
    for name, path in sorted(tree.items()):
        kept = keep_path(path, project.store, project.stat_cache, progress=project.progress)
        if kept.digest is None or kept.kind == "directory":
            raise StorageError(f"{path} cannot be kept: it changed, or is no file.", "Try again.")
        kind = "executable" if kept.executable and kept.kind == "file" else kept.kind
        entries.append(ManifestEntry(os.fsencode(name), kind, kept.size_bytes, kept.digest))
    return project.store.put_bytes(encode_manifest(entries))


@contextmanager
def recorded(project: Project, run: Run, tell: Tell = silent) -> Iterator[Recorded]:
    """A run's environment for `rebuild`, `check`, `export`, `gather`; trees that are laid out go at the end.

    Raises DataMissing if the lock is neither here nor on a remote.
    """
    from mltrack.environments import Recorded
    from mltrack.operations.fetch import bring

    bring(project, [digest for digest in (run.environment.lockfile, lock_of(run)) if digest is not None])
    is_ours = run.status == "running" or project.ledger.is_from_here(run.id, project.ledger.replicas)
    with laid_out(project, run) as lay_out:
        yield Recorded(
            run.environment,
            trusted_lock(project, run, tell),
            dict(os.environ),
            user_cache(os.environ),
            lay_out,
            project.config.environment,
            tell,
            is_ours,
        )


def trusted_lock(project: Project, run: Run, tell: Tell) -> bytes | None:
    """The later lock if it says the same of what was installed as the run's own, which is sealed; else that one."""
    from mltrack.environments import get

    sealed, later = run.environment.lockfile, run.environment_kept.get("lock")
    if sealed is None:
        return None
    own = project.store.get_bytes(sealed)
    if later is None or later == sealed:
        return own
    added = project.store.get_bytes(later)
    kind = get(run.environment.kind)
    if hasattr(kind, "agrees") and kind.agrees(own, added):
        return added
    tell(f"a lock that came later for {run.id} says something else than its own, and is not used")
    return own


def lock_of(run: Run) -> str | None:
    """The digest of the best lock of a run's environment: one that was completed later, else the run's own."""
    return run.environment_kept.get("lock") or run.environment.lockfile


@contextmanager
def laid_out(project: Project, run: Run) -> Iterator[LayOut]:
    """A way to lay out what was kept with an environment, each tree once, in a directory that goes at the end."""
    import shutil

    from mltrack.operations.fetch import ensure_here
    from mltrack.records import new_id
    from mltrack.store.checkout import restore_path

    trees = {**run.environment.trees, **run.environment_kept}
    top = project.work / f"environment-{new_id()}"

    def lay_out(name: str) -> Path | None:
        if name not in trees or name == "lock":
            return None
        place = top / name
        if not place.exists():
            ensure_here(project, [trees[name]], directories=[trees[name]])
            restore_path(project.store, "directory", trees[name], place)
        return place

    try:
        yield lay_out
    finally:
        shutil.rmtree(top, ignore_errors=True)


def shown_options(options: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The settings as they may be recorded: a variable with a secret keeps its name, and is passed on another time."""
    given = options.get("env")
    if not given:
        return dict(options)
    texts = redactor.params({name: text for name, text in given.items() if text is not None})
    shown = {name: None if texts.get(name) is None or PLACEHOLDER in texts[name] else texts[name] for name in given}
    return {**options, "env": shown}
