"""`mltrack remote`, `push`, `pull`, `clone`: the road between projects."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.config import CHECKOUT_FILE, PROJECT_FILE, read_settings
from mltrack.errors import DataMissing, MltrackError, NotFound, StorageError, UsageError
from mltrack.nouns import noun
from mltrack.operations.fetch import WITHOUT_DATA
from mltrack.operations.find import find_run
from mltrack.operations.keeping.objects import objects_of
from mltrack.operations.keeping.verify import Problem
from mltrack.operations.request import Tell, silent
from mltrack.operations.running.outputs import forget
from mltrack.operations.running.reconcile import reconcile
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.operations.env.carry import Carried
    from mltrack.progress import Progress
    from mltrack.sync.collection import RemoteGc
    from mltrack.sync.planning import Plan
    from mltrack.sync.remote import Remote
    from mltrack.sync.transfer import Transfer


def add_remote(project: Project, name: str, url: str, shared: bool = False) -> str:
    """Remember a remote in this checkout, or with `shared` in mltrack.yaml; returns the URL as it was written.

    A relative path is relative to the project. Raises UsageError for a URL that holds a password.
    """
    from mltrack.sync.urls import check_url

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UsageError(f"{name!r} cannot name a remote.", "Use letters, digits, dots and dashes.")
    if name in project.config.remotes:
        raise UsageError(f"There is a remote called {name} already.", f"Remove it first: mltrack remote rm {name}")
    if not url.strip():
        raise UsageError("The URL is empty.", f"Give a directory or a URL: mltrack remote add {name} URL")
    check_url(url)
    if "://" not in url and not os.path.isabs(url):
        url = os.path.relpath(Path(os.getcwd(), url), project.root)
    path = project.root / PROJECT_FILE if shared else project.state / CHECKOUT_FILE
    if shared:
        append_remote(path, name, url)
    else:
        settings = read_settings(path)
        write_settings(path, {**settings, "remotes": {**settings.get("remotes", {}), name: url}})
    project.reload()
    return url


def append_remote(path: Path, name: str, url: str) -> None:
    """Add a remote to the user's own file, which is not ours to rewrite: only where it has no `remotes` yet."""
    if "remotes" in read_settings(path):
        raise UsageError(f"{path.name} has remotes already.", f"Add this line below them: {name}: {url}")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(path, f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}remotes:\n  {name}: {url}\n")


def remove_remote(project: Project, name: str) -> None:
    """Forget a remote of this checkout. What is on it stays."""
    path = project.state / CHECKOUT_FILE
    settings = read_settings(path)
    remotes = dict(settings.get("remotes", {}))
    if name not in remotes:
        where = (
            f"It is in {PROJECT_FILE}: remove it there." if name in project.config.remotes else "See: mltrack remote ls"
        )
        raise NotFound(f"This checkout has no remote called {name}.", where)
    del remotes[name]
    write_settings(path, {**settings, "remotes": remotes})
    project.reload()


def write_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write our own settings file, as JSON: that is YAML too, and is read without importing yaml before every run."""
    import json

    write_text(path, json.dumps(settings, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def gather(project: Project, refs: Sequence[str], wheels: bool, images: bool, tell: Tell = silent) -> list[Carried]:
    """Before a push: put together what the environments of these runs (all by default) need, where it was asked for by
    a flag or a setting."""
    from mltrack.operations.env.carry import IMAGE, WHEELS, carry

    config = project.config
    whats = [WHEELS] if wheels or config.push_wheels else []
    whats += [IMAGE] if images or config.push_images else []
    if not whats:
        return []
    reconcile(project)
    ids, ended = ids_of(project, refs), project.ledger.ids()
    runs = [project.ledger.get(run) for run in ids if run in ended] if ids else project.ledger.list()
    return carry(project, runs, whats, tell)


def push(
    project: Project, refs: Sequence[str] = (), name: str | None = None, progress: Progress | None = None
) -> Transfer:
    """Send runs (all finished ones by default) and what they need to a remote.

    Imported runs whose data never came stay here; that is an error only where they were named. Raises DataMissing.
    """
    from mltrack.ledger.keeping.bulk import imported_ids
    from mltrack.sync.transfer import push as send

    reconcile(project)
    ids = ids_of(project, refs) or None
    imported = imported_ids(project.ledger)
    try:
        remote = project.remote(name)
        excused = imported if ids is None else frozenset[str]()
        return send(remote, project.ledger, project.store, objects_of, ids, progress, excused=excused)
    except DataMissing as error:
        if ids is None or imported.isdisjoint(ids):
            raise
        raise type(error)(error.message, WITHOUT_DATA) from error


def selected(project: Project, words: Sequence[str], where: str | None, tell: Tell = silent) -> list[str]:
    """The ids of the runs that were named, or that a query asks for; none where nothing is asked, which means all.

    Raises NotFound where none fits, Ambiguous, UsageError.
    """
    from mltrack.operations.seeing.selection import Choice, chosen_runs

    choice = Choice(tuple(words), where)
    try:
        return [] if choice.is_empty else [run.id for run in chosen_runs(project, choice, tell)]
    except (NotFound, UsageError) as error:
        place = next((word for word in words if re.match(r"~?\.{0,2}/|\w+://", word) or os.path.isdir(word)), None)
        if place is None:
            raise
        hint = f"mltrack remote add NAME {place}, then: mltrack push --remote NAME"
        raise UsageError(f"{place} is a place, and no run.", hint) from error


def ids_of(project: Project, refs: Sequence[str]) -> list[str]:
    """The runs that are named; whole ids are known at once."""
    known = project.ledger.ids() if len(refs) > 1 else ()
    return [ref if ref in known else find_run(project, ref).id for ref in refs]


def pull(
    project: Project,
    refs: Sequence[str] = (),
    name: str | None = None,
    data: bool = False,
    progress: Progress | None = None,
) -> Transfer:
    """Bring records and events from a remote, and with `data` the objects that they need."""
    from mltrack.sync.transfer import pull as receive

    remote = project.remote(name)
    moved = receive(remote, project.ledger, project.store, objects_of, None, data and not refs, progress)
    forget(project)
    if data and refs:
        ids = [find_run(project, ref).id for ref in refs]
        moved = receive(remote, project.ledger, project.store, objects_of, ids, True, progress)
    return moved


def pull_from(project: Project, url: str, tell: Tell = silent) -> None:
    """Bring the records of a remote. Data can be fetched from it as long as this project is open; it does not become
    one of the project's. Raises UsageError for a URL that holds a password."""
    from mltrack.sync.urls import check_url

    check_url(url)
    address = absolute(url)
    known = {
        at if "://" in at else os.path.abspath(project.root / at): name for name, at in project.config.remotes.items()
    }
    name = known.get(address) or project.lend(address)
    tell(f"fetching the records of {address}")
    pull(project, name=name)


def absolute(url: str) -> str:
    return url if "://" in url else os.path.abspath(url)


class NewClone(Project):
    """A project that was made for one command, in a directory that was empty or not there. Left by an error, it goes
    again with all that it holds, until it `is_used`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.was_there = root.exists()
        self.is_used = False
        """Somebody's work may be in it."""

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None or self.is_used:
            super().__exit__(*exc)
        else:
            self.take_back()

    def take_back(self) -> None:
        """Remove it. Nothing else was in the directory, which stays if it was there."""
        from mltrack.operations.keeping.workspaces import remove

        self.close()
        if not self.was_there:
            remove(self.root)
            return
        for place in list(self.root.iterdir()):
            if place.is_dir() and not place.is_symlink():
                remove(place)
            else:
                place.unlink(missing_ok=True)


def clone(url: str, top: Path, tell: Tell = silent) -> Project:
    """A new project with the records of a remote, as a git repository with nothing checked out."""
    from mltrack.git.repository import git_environment

    project = clone_records(url, top, tell)
    project.is_used = True
    done = subprocess.run(["git", "init", "-q", str(top)], env=git_environment(), capture_output=True, text=True)
    if done.returncode:
        raise StorageError(f"git could not make a repository in {top}: {done.stderr.strip()}", "See its message.")
    return project


def clone_records(url: str, top: Path, tell: Tell = silent) -> NewClone:
    """A new project in `top` that has the records of a remote, and the remote as `origin`. No data comes along.

    Raises UsageError where `top` is not empty.
    """
    from mltrack.sync.urls import check_url

    check_url(url)
    check_absent(top)
    address = absolute(url)
    project = NewClone(top)
    project.tell = tell
    try:
        project.make()
        add_remote(project, "origin", address)
        tell(f"fetching the records of {address}")
        pull(project)
    except BaseException:
        project.take_back()
        raise
    return project


def check_absent(top: Path) -> None:
    if top.exists() and (not top.is_dir() or any(top.iterdir())):
        raise UsageError(
            f"{top} is there already and is not an empty directory.",
            "Name another one, with --into where that is asked for.",
        )


@noun
class RemoteRow:
    """A remote as `remote ls` shows it; what was not looked at is null."""

    name: str
    url: str
    runs: int | None = None
    size_bytes: int | None = None
    replicas: int | None = None
    last_push_at: str | None = None
    """By the server's clock, ISO 8601 in UTC."""
    error: str | None = None


def remotes(project: Project, look: bool = True) -> Iterator[RemoteRow]:
    """The project's remotes, each with what it has; one that cannot be reached says so in its row."""
    from mltrack.sync.planning import overview

    for name, url in project.config.remotes.items():
        row = RemoteRow(name, url)
        try:
            found = overview(project.remote(name), project.ledger) if look else None
        except MltrackError as error:
            yield replace(row, error=error.message)
            continue
        if found is None:
            yield row
            continue
        last = found.last_push_at
        when = None if last is None else datetime.fromtimestamp(last, timezone.utc).isoformat()[:19] + "Z"
        yield replace(row, runs=found.runs, size_bytes=found.size_bytes, replicas=found.replicas, last_push_at=when)


def plan_push(project: Project, refs: Sequence[str] = (), name: str | None = None) -> Plan:
    """What a push would send; nothing is moved."""
    from mltrack.sync.planning import plan_push as plan

    reconcile(project)
    ids = ids_of(project, refs) or None
    return plan(project.remote(name), project.ledger, project.store, objects_of, ids)


def plan_pull(project: Project, refs: Sequence[str] = (), name: str | None = None, data: bool = False) -> Plan:
    """What a pull would bring; nothing is moved."""
    from mltrack.sync.planning import plan_pull as plan

    ids = [find_run(project, ref).id for ref in refs] or None
    return plan(project.remote(name), project.ledger, project.store, objects_of, ids, data)


@noun
class RemoteGcRequest:
    """`drop`: runs whose data need not stay on the remote; `grace_s` seconds lie between the two passes."""

    name: str | None = None
    apply: bool = False
    grace_s: float = 24 * 3600.0
    drop: tuple[str, ...] = ()


def gc_remote(project: Project, request: RemoteGcRequest) -> RemoteGc:
    """Find what nobody needs on a remote; with `apply` condemn it, and remove what was condemned a grace time ago.

    Raises Damaged where it cannot be told what is needed, NotFound for a run to drop, RemoteError.
    """
    from mltrack.sync.collection import GcRoad, collect
    from mltrack.sync.transfer import alone, push_edits

    remote = project.remote(request.name)
    drop = frozenset(find_run(project, ref).id for ref in request.drop)
    if request.apply and drop:
        for run in sorted(drop - project.ledger.dropped_ids()):
            project.ledger.add_event("drop", run, None)
        push_edits(remote, project.ledger, project.store, objects_of, sorted(drop))
    with alone(project.ledger):
        road = GcRoad(remote, project.ledger, project.store, objects_of, request.grace_s, request.apply, drop)
        return collect(road)


def verify_remote(
    project: Project,
    name: str | None,
    sample: float | None = None,
    repair: bool = False,
    progress: Progress | None = None,
) -> list[Problem]:
    """Check every byte of a remote, or a part; with `repair` mend what can be mended with what is here."""
    from mltrack.sync.check import Checked, CheckRequest, check
    from mltrack.sync.mending import mend
    from mltrack.sync.transfer import alone

    remote = project.remote(name)
    checked = Checked()
    request = CheckRequest(objects_of, 1.0 if sample is None else sample, progress)
    found = list(check(remote, request, checked))
    if not found:
        return []
    left = {(item.kind, item.name) for item in found}
    if repair:
        with alone(project.ledger):
            mend(remote, project.ledger, project.store, checked, progress)
        waiting = condemned_paths(remote)
        after = check(remote, replace(request, sample=1.0))
        left = {(item.kind, item.name) for item in after if item.name not in waiting}
    copies = copies_of(project, {item.digest for item in found if item.kind == "object" and item.digest}, name)
    return [
        Problem(item.kind, item.message, item.digest, item.run, item.path, copies.get(item.digest or "", ()),
                repaired=(item.kind, item.name) not in left)
        for item in found
    ]  # fmt: skip


def condemned_paths(remote: Remote) -> set[str]:
    """What waits for a gc to remove it: damaged packs whose objects were sent again, for one."""
    from mltrack.sync.condemned import read_condemned

    return {path for one in read_condemned(remote) for path in one.paths}


def copies_of(project: Project, digests: set[str], but: str | None) -> dict[str, tuple[str, ...]]:
    """Where good copies of these objects are: in the store here, on other remotes."""
    from mltrack.operations.keeping.copies import on_remotes

    if not digests:
        return {}
    places = {"the store here": digests - project.store.missing(digests)}
    places |= {f"remote {name}": held for name, held in on_remotes(project, digests, but).items()}
    return {digest: tuple(name for name, held in places.items() if digest in held) for digest in digests}
