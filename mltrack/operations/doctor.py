"""`mltrack doctor`: can mltrack work here, and well?"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mltrack.errors import MltrackError
from mltrack.nouns import noun
from mltrack.project import Project
from mltrack.store.filesystems import mount_of
from mltrack.store.locks import locks_hold

LOW_SPACE = 1 << 30


@noun
class Finding:
    """One thing that was looked at. `state` is ok, warning or failure."""

    state: str
    what: str
    advice: str | None = None


def examine(start: Path) -> list[Finding]:
    """Everything that a run here depends on, in the order in which it is needed."""
    return [*tools(), *place(start), *project_at(start)]


def tools() -> Iterator[Finding]:
    yield Finding("ok", f"Python {platform.python_version()} at {sys.executable}")
    git = shutil.which("git")
    if git is None:
        yield Finding("failure", "git is not on PATH.", "Install git: mltrack keeps exact trees with it.")
    else:
        version = subprocess.run([git, "--version"], capture_output=True, text=True).stdout.split()[2]
        old = tuple(int(part) for part in version.split(".")[:2]) < (2, 25)
        yield Finding("warning" if old else "ok", f"git {version}", "2.25 or newer is tested." if old else None)
    try:
        from uv import find_uv_bin

        yield Finding("ok", f"uv at {os.fspath(find_uv_bin())}")
    except (ImportError, FileNotFoundError):
        yield Finding(
            "failure", "uv is not there.", "Install it (pip install uv): reproduce builds environments with it."
        )

    yield watching()


def watching() -> Finding:
    """Is the preloaded library there, and if not, what is missed?"""
    from mltrack.observe import library

    if sys.platform != "linux":
        return Finding("ok", "runs are watched by Python's audit events: what other programs read is not seen.")
    found = library.find()
    if found is None:
        return Finding(
            "warning",
            "The library that watches programs is not built: of what is not Python, inputs and outputs are not seen.",
            "Install a C compiler (apt install gcc libc6-dev) and install mltrack once more.",
        )
    reason = library.usable(sys.executable, found)
    if reason is not None:
        return Finding("warning", f"Programs here are watched by Python's audit events only: {reason}.")
    return Finding("ok", "programs are watched by the preloaded library")


def place(start: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(start).free
    low = free < LOW_SPACE
    yield Finding("warning" if low else "ok", f"{free / 2**30:.1f} GiB free here", "Free some space." if low else None)
    mount = mount_of(start)
    if mount.kind and not mount.is_network:
        yield Finding("ok", f"filesystem {mount.kind}")


def network(state: Path) -> Iterator[Finding]:
    """What is to be known where other machines may use the project too."""
    mount = mount_of(state)
    if mount.is_network:
        yield Finding(
            "ok",
            f"the project lies on {mount.kind} ({mount.place}), a network filesystem: slower, safe. Its databases keep "
            "a rollback journal, and files are read again where else their times would be believed.",
        )
    try:
        hold = locks_hold(str(state))
    except MltrackError as error:
        yield Finding("failure", f"locks: {error}", error.hint)
        return
    if not hold:
        yield Finding(
            "failure",
            f"Locks do not work in {state}: two commands at once could spoil each other's writes.",
            "Mount the filesystem with locks, or put the project on another and share it by a remote.",
        )
    elif mount.locks_stay_here:
        yield Finding(
            "warning",
            f"Locks in {state} are seen by this machine only.",
            "Use the project from one machine at a time, mount it with locks, or share it by a remote.",
        )
    else:
        yield Finding("ok", "locks work" + (", also between machines" if mount.is_network else ""))


def project_at(start: Path) -> Iterator[Finding]:
    project = Project.find(start)
    if project is None:
        yield Finding("ok", "no project here yet", "The first `mltrack run` makes one.")
        return
    with project:
        for what, look in (("settings", settings), ("ledger", ledger), ("store", store), ("runs", runs)):
            try:
                yield look(project)
            except MltrackError as error:
                yield Finding("failure", f"{what}: {error}", error.hint)
        yield Finding(*writable(project.state))
        if os.access(project.state, os.W_OK):
            yield from network(project.state)


def settings(project: Project) -> Finding:
    remotes = ", ".join(project.config.remotes) or "none"
    return Finding("ok", f"settings are sound; remotes: {remotes}")


def ledger(project: Project) -> Finding:
    return Finding("ok", f"the ledger opens; runs: {project.ledger.count()}")


def store(project: Project) -> Finding:
    totals = project.store.totals()
    return Finding("ok", f"the store opens; objects: {totals.objects}, packs: {totals.packs}")


def runs(project: Project) -> Finding:
    from mltrack.operations.running.reconcile import reconcile

    return Finding("ok", f"runs alive: {len(reconcile(project))}")


def writable(state: Path) -> tuple[str, str, str | None]:
    if os.access(state, os.W_OK):
        return "ok", f"{state} is writable", None
    return "failure", f"{state} is not writable.", "Change its permissions; runs cannot be recorded."
