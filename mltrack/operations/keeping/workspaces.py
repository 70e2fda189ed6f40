"""Workspaces, `work/<id>`: what reproductions, calibrations and shells laid out, who is in them, and which may go.

Beside a workspace lies `<id>.lock`, held by whoever works there, and `<id>.mark`, made when
it was as the store knows it: whatever changed later is somebody's own work. A directory that was named with `--into`
is none of these, and is never removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import StorageError
from mltrack.nouns import noun
from mltrack.operations.outside.left_behind import LOCK, claim, is_still
from mltrack.project import STATE
from mltrack.records import ID_ALPHABET

if TYPE_CHECKING:
    from mltrack.project import Project

MARK = ".mark"
ID_LENGTH = 16
LIVE, UNTOUCHED, CHANGED, UNKNOWN = "in use", "untouched", "changed", "unknown"
NAMED = 20
"""Changed files of one workspace that are named."""
YOUNG_S = 3600
"""A directory that nobody claimed may still be filled, by a run in a copy of its own, for so long."""
TICK_S = 0.002
COARSEST_S = 2.5
"""The coarsest times that a filesystem keeps."""


@noun
class Workspace:
    """A directory below `work/`. Sizes are what it takes on the disk, in bytes."""

    path: str
    """Absolute."""
    state: str
    """`in use`, `untouched` since its work ended, `changed` since, or `unknown`: nobody said when it ended."""
    size_bytes: int
    of: str | None = None
    """The run that was laid out in it."""
    by: str | None = None
    """`reproduce`, `shell` ..."""
    changed: tuple[str, ...] = ()
    """Files that are newer than the end of its work; at most NAMED."""


@noun
class Cleaned:
    """What went (`applied`) or would go, and what stays."""

    applied: bool
    gone: tuple[Workspace, ...]
    kept: tuple[Workspace, ...]
    freed_bytes: int


def is_ours(project: Project, top: Path) -> bool:
    """Is a directory one that mltrack made for itself? Its name is an id, and nobody typed it."""
    return top.parent == project.work and is_id(top.name)


def is_id(name: str) -> bool:
    return len(name) == ID_LENGTH and all(sign in ID_ALPHABET for sign in name)


def hold(project: Project, top: Path) -> int | None:
    """Say that somebody works in a workspace; what is returned is for `let_go`. None for a directory of others."""
    if not is_ours(project, top):
        return None
    return claim(top)


def mark(top: Path, of: str, by: str) -> None:
    """Say that a workspace holds nothing that the store does not know. Raises StorageError."""
    path = f"{top}{MARK}"
    try:
        with open(path, "w") as file:
            json.dump({"of": of, "by": by}, file)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", "Free some space.") from error


def is_marked(top: Path) -> bool:
    return os.path.exists(f"{top}{MARK}")


def await_tick(top: Path) -> None:
    """Wait until the filesystem's clock went on since the mark, so that whatever is changed from now on is newer."""
    marked = os.stat(f"{top}{MARK}").st_mtime_ns
    probe = Path(f"{top}{MARK}.now")
    deadline = time.monotonic() + COARSEST_S
    with suppress(OSError):
        while time.monotonic() < deadline:
            probe.touch()
            if probe.stat().st_mtime_ns > marked:
                break
            time.sleep(TICK_S)
        probe.unlink()


def remove(top: Path) -> None:
    """Remove a workspace and what lies beside it. What cannot be removed stays."""
    for directory, names, _ in os.walk(top):
        for place in (os.path.join(directory, name) for name in names):
            with suppress(OSError):
                if not os.path.islink(place):
                    os.chmod(place, 0o700)  # a command may have taken the right to remove
    shutil.rmtree(top, ignore_errors=True)
    if not os.path.lexists(top):
        for end in (MARK, LOCK):
            with suppress(OSError):
                os.unlink(f"{top}{end}")


def workspaces(project: Project) -> list[Workspace]:
    """All of them, by name. To be called after `reconcile`."""
    try:
        names = sorted(name for name in os.listdir(project.work) if is_id(name))
    except OSError:
        return []
    roots = [*roots_in_use(project), *places_at_work(project.work)]
    return [look_at(project.work / name, roots) for name in names if (project.work / name).is_dir()]


def look_at(top: Path, roots: list[str]) -> Workspace:
    """One workspace; `roots`: where runs that have not ended, and programs, are at work."""
    told = read_mark(top)
    of, by = told.get("of"), told.get("by")
    size = size_on_disk(top)
    if has_lock(top) or any(root == str(top) or root.startswith(f"{top}/") for root in roots):
        return Workspace(str(top), LIVE, size, of, by)
    if not told:
        is_young = not os.path.exists(f"{top}{LOCK}") and time.time() - os.stat(top).st_ctime < YOUNG_S
        return Workspace(str(top), LIVE if is_young else UNKNOWN, size)
    changed = changed_files(top)
    return Workspace(str(top), CHANGED if changed else UNTOUCHED, size, of, by, changed)


def read_mark(top: Path) -> dict[str, str]:
    try:
        with open(f"{top}{MARK}") as file:
            told = json.load(file)
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def is_held(top: Path) -> bool:
    """Does anybody hold the workspace's lock, or work in it without: a program that let go of what it inherited?"""
    return has_lock(top) or bool(places_at_work(top))


def has_lock(top: Path) -> bool:
    """Does anybody hold the workspace's lock?"""
    try:
        handle = os.open(f"{top}{LOCK}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def places_at_work(top: Path) -> set[str]:
    """The places at or below a directory where programs are, as far as they may be looked at: their working
    directories, themselves, and the files that they have open. Where there is no /proc, none."""
    found: set[str] = set()
    real = os.path.realpath(top)
    for process in processes():
        for place in places_of(process):
            if place == real or place.startswith(f"{real}/"):
                found.add(f"{top}{place[len(real) :]}")
    return found


def processes() -> list[str]:
    """The directories of the processes of this machine."""
    try:
        return [f"/proc/{name}" for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []


def places_of(process: str) -> Iterator[str]:
    links = [f"{process}/cwd", f"{process}/exe"]
    with suppress(OSError):
        links += [f"{process}/fd/{name}" for name in os.listdir(f"{process}/fd")]
    for link in links:
        with suppress(OSError):
            yield os.readlink(link)


def roots_in_use(project: Project) -> Iterator[str]:
    """Where the commands of runs work that have not been folded."""
    from mltrack.live.rundir import RunDir

    try:
        names = os.listdir(project.runs)
    except OSError:
        return
    for name in names:
        root = (RunDir(project.runs / name).read("start") or {}).get("root")
        if isinstance(root, str):
            yield root


def changed_files(top: Path) -> tuple[str, ...]:
    """The files below a workspace that changed after its mark, as paths in it; at most NAMED. All, if there is none."""
    try:
        since = os.stat(f"{top}{MARK}").st_mtime_ns
    except OSError:
        since = 0
    found: dict[str, None] = {}
    for path, fields in files_below(top):
        name = os.path.relpath(path, top)
        if fields.st_ctime_ns > since and not is_derived(name):
            found[named(name)] = None
            if len(found) == NAMED:
                break
    return tuple(sorted(found, key=lambda name: os.path.basename(name) != STATE))  # recorded runs count most


def named(name: str) -> str:
    """How a changed file is named: one of a ledger, into which somebody recorded runs, by the ledger's directory."""
    parts = name.split("/")
    return "/".join(parts[: parts.index(STATE) + 1]) if STATE in parts else name


def is_derived(name: str) -> bool:
    """Is it made by merely looking around? `git status` writes its index, and Python its bytecode."""
    directory, _, last = name.rpartition("/")
    return name == ".git/index" or (os.path.basename(directory) == "__pycache__" and last.endswith(".pyc"))


def files_below(top: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a directory that is no directory; what cannot be looked at is left out."""
    for directory, below, names in os.walk(top):
        links = (name for name in below if os.path.islink(os.path.join(directory, name)))
        for name in (*names, *links):
            path = os.path.join(directory, name)
            with suppress(OSError):
                yield path, os.lstat(path)


def size_on_disk(top: Path) -> int:
    """Bytes; a file with two names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for _, fields in files_below(top):
        key = (fields.st_dev, fields.st_ino)
        if key not in seen and stat.S_ISREG(fields.st_mode):
            seen.add(key)
            total += fields.st_blocks * 512
    return total


def clean(project: Project, apply: bool, force: bool) -> Cleaned:
    """Find the workspaces that nobody needs, and with `apply` remove them. With `force` those too in which files
    changed after their work had ended, or of which nobody said that it ended; never one in use."""
    from mltrack.operations.running.reconcile import reconcile

    reconcile(project)
    found = workspaces(project)
    going = [one for one in found if one.state == UNTOUCHED or (force and one.state != LIVE)]
    gone = [one for one in going if not apply or taken(Path(one.path), force)]
    kept = tuple(one for one in found if one not in gone)
    return Cleaned(apply, tuple(gone), kept, sum(one.size_bytes for one in gone))


def taken(top: Path, force: bool) -> bool:
    """Remove a workspace if still nobody works in it, and nothing changed meanwhile; is it gone?"""
    try:
        handle = os.open(f"{top}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_free = is_still(handle, f"{top}{LOCK}") and not places_at_work(top)
        if is_free and (force or not changed_files(top)):
            remove(top)
    except OSError:
        return False
    finally:
        os.close(handle)
    return not os.path.lexists(top)
