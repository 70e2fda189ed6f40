"""What else can be said of a file that no run is known to have made or used: git, code, likeness, a run still running.

Clues, not answers: each is a sentence, found in a moment or left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError
from mltrack.ledger.asking.content import Holding, last_at, of_size
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.operations.origin.subject import Subject
    from mltrack.project import Project
    from mltrack.records import CodeState, Run

MOST_CODE = 64 << 20
"""Bytes of a file that may be code."""
MOST_CANDIDATES = 200
"""Large files of runs that one is compared with."""
BLOCK = 1 << 20
LEAST_ALIKE = 0.01
"""Part of a file that must be in another for that to be named."""


@noun
class Clue:
    """`kind`: `changed`, `running`, `tracked`, `code` or `alike`."""

    kind: str
    message: str
    run: str | None = None


def clues(project: Project, subject: Subject, live: Sequence[Run]) -> Iterator[Clue]:
    """All that can be said, the most telling first."""
    yield from changed(project, subject)
    yield from running(subject, live)
    if subject.place is None or subject.kind != "file":
        return
    try:
        yield from tracked(subject.place)
        if (subject.size_bytes or 0) <= MOST_CODE:
            yield from code(project, subject.place, subject.digest)
        yield from alike(project, subject.place, subject.size_bytes or 0)
    except (MltrackError, OSError):
        return  # a broken repository or a file that went away: the answer stands without


def changed(project: Project, subject: Subject) -> Iterator[Clue]:
    """Did the newest run that wrote at this path leave other bytes there?"""
    root = os.path.realpath(project.root)
    if subject.place is None or not subject.place.is_relative_to(root):
        return
    path = subject.place.relative_to(root)
    for place in (path, *path.parents[:-1]):
        found = last_at(project.ledger, place.as_posix())
        if found is None or found.digest == subject.digest or (place != path and found.kind != "directory"):
            continue
        if place == path:
            yield Clue("changed", f"{found.path} of {found.run} was written here, with other bytes.", found.run)
        elif not holds(project, found, path.relative_to(place), subject.digest):
            message = f"The directory {found.path} of {found.run} was written here, without this content at this place."
            yield Clue("changed", message, found.run)
        return


def holds(project: Project, directory: Holding, path: PurePath, digest: str) -> bool:
    """Did the directory have that content at that path? Nothing is said, so True, where its list is not here."""
    from mltrack.store.checkout import manifest_of

    try:
        entries = manifest_of(project.store, str(directory.digest))
    except MltrackError:
        return True
    name = os.fsencode(path.as_posix())
    return any(entry.path == name and entry.digest == digest for entry in entries)


def running(subject: Subject, live: Sequence[Run]) -> Iterator[Clue]:
    """Runs that were running when the file was written last."""
    from datetime import datetime, timezone

    written = None
    if subject.place is not None:
        moment = datetime.fromtimestamp(subject.place.stat().st_mtime, timezone.utc)
        written = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for run in live:
        if written is None or written >= (run.started_at or run.created_at):
            yield Clue(
                "running", f"{run.id} is still running and may have made it: what it made is known later.", run.id
            )


def tracked(place: Path) -> Iterator[Clue]:
    """The commit that a file came with, if git tracks it."""
    from mltrack.git.repository import answers, ask, find_repository

    repo = find_repository(place.parent)
    if repo is None:
        return
    name = os.path.relpath(place, os.path.realpath(repo.root))
    blob, commit = answers(
        ask(repo, "ls-tree", "-z", "HEAD", "--", name),
        ask(repo, "log", "-1", "--format=%h%x00%an%x00%as%x00%s", "--", name),
    )
    if blob.error is not None or commit.error is not None or not blob.output or not commit.output:
        return
    identity = blob.output.split(b"\t")[0].split(b" ")[-1].decode()
    if place.stat().st_size > MOST_CODE or blob_id(place, len(identity)) != identity:
        yield Clue("tracked", "git tracks a file at this path, and HEAD has other bytes there.")
        return
    short, author, day, title = os.fsdecode(commit.output.rstrip(b"\n")).split("\0", 3)
    yield Clue("tracked", f"git tracks it: it came with commit {short} of {day} by {author}, {title!r}.")


def blob_id(place: Path, length: int) -> str:
    """What git calls these bytes, in a repository whose ids have so many hex digits."""
    import hashlib

    state = hashlib.sha256() if length == 64 else hashlib.sha1(usedforsecurity=False)
    state.update(b"blob %d\0" % place.stat().st_size)
    with place.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def code(project: Project, place: Path, digest: str) -> Iterator[Clue]:
    """Is it a file of the newest run's code?"""
    from mltrack.ledger.asking.queries import RunQuery

    newest = project.ledger.list(RunQuery(limit=1))
    if not newest or newest[0].code.tree is None or project.store.missing(newest[0].code.packs):
        return
    path = path_in_code(project, newest[0].code, place, digest)
    if path is not None:
        message = f"It is code: {path} in the tree of {newest[0].id}, not data."
        yield Clue("code", message, newest[0].id)


def path_in_code(project: Project, state: CodeState, place: Path, digest: str) -> str | None:
    """Where the content lies in a run's tree, or among the files whose bytes git would have changed."""
    from tempfile import TemporaryDirectory

    from mltrack.git.repository import git, object_store
    from mltrack.snapshot.code import open_trees, scratch_place
    from mltrack.store.checkout import manifest_of

    if state.raw is not None and not project.store.missing([state.raw]):
        for entry in manifest_of(project.store, state.raw):
            if entry.digest == digest:
                return os.fsdecode(entry.path)
    tree = str(state.tree)
    with TemporaryDirectory(dir=scratch_place(project.store)) as scratch:
        listed = git(object_store(open_trees([state], project.store, Path(scratch))), "ls-tree", "-r", "-z", tree)
    wanted = blob_id(place, len(tree)).encode()
    for line in listed.split(b"\0"):
        facts, _, path = line.partition(b"\t")
        if facts.endswith(wanted):
            return os.fsdecode(path)
    return None


def alike(project: Project, place: Path, size_bytes: int) -> Iterator[Clue]:
    """The large file of a run that shares most chunks with this one."""
    from mltrack.store.chunks import SINGLE
    from mltrack.store.entries import CHUNK

    candidates = of_size(project.ledger, max(size_bytes // 4, SINGLE + 1), size_bytes * 4, MOST_CANDIDATES)
    if size_bytes <= SINGLE or not candidates:
        return
    lengths = chunks_of(place)
    keys = {(CHUNK, raw) for raw in lengths}
    known = keys - project.store.missing_entries(keys)
    if not known:
        return
    nearest, shared = None, 0
    for one in candidates:
        theirs = pieces_of(project, one)
        same = sum(lengths[raw] for _, raw in known if raw in theirs)
        if same > shared:
            nearest, shared = one, same
    if nearest is not None and shared >= size_bytes * LEAST_ALIKE:
        part = min(99, round(100 * shared / size_bytes))
        message = f"No run made exactly this; {part} % of it is in {nearest.path} of {nearest.run}."
        yield Clue("alike", message, nearest.run)


def chunks_of(place: Path) -> dict[bytes, int]:
    """The chunks of a file: raw digest -> how many bytes of the file."""
    from mltrack.store.chunks import split
    from mltrack.store.entries import raw_digest

    found: dict[bytes, int] = {}
    with place.open("rb") as file:
        for chunk in split(iter(lambda: file.read(BLOCK), b"")):
            raw = raw_digest(chunk)
            found[raw] = found.get(raw, 0) + len(chunk)
    return found


def pieces_of(project: Project, one: Holding) -> set[bytes]:
    """The chunks of a file of a run; none where it is not here."""
    try:
        return {raw for raw, _ in project.store.pieces(str(one.digest)) or ()}
    except MltrackError:
        return set()
