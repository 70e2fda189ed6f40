"""A code state -> a directory: the recorded commit as HEAD, the exact tree on top of it, nothing run.

No hook, no filter, no checkout of git's: every file is written here, each path proved to stay inside. What comes
from a record or a pack is taken for hostile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.confine import GIT_NAMES, checked_parts, inside
from mltrack.errors import Damaged, DataMissing, MltrackError, StorageError, UsageError
from mltrack.git.capture import REFS
from mltrack.git.exclusions import is_ours
from mltrack.git.indexfile import IndexEntry, write_index
from mltrack.git.pack import index_pack
from mltrack.git.repository import MARK, Repository, ask, failure, git, make_repository
from mltrack.git.worktree import BLOCK, EXECUTABLE, FILE, GITLINK, LINK
from mltrack.nouns import noun
from mltrack.records import CodeState

if TYPE_CHECKING:
    from typing import IO

PAST_S = 10
"""Raw files get a time so far before the index's that git believes their stat; see indexfile.py."""


@noun
class Sources:
    """Where the bytes come from; called for the code state and for each nested one."""

    packs: Callable[[CodeState], Iterable[Path]]
    """Pack files that together hold every object; one may be removed when the next is asked for."""
    write_raw: Callable[[CodeState, Path], list[bytes]]
    """Writes the files that are kept raw below the given root, over what is there; gives their paths."""


@noun
class Entry:
    """A line of `git ls-tree -r`."""

    path: bytes
    mode: bytes
    name: str


def restore(code: CodeState, target: Path, sources: Sources) -> None:
    """Make `target`, absent or empty (a `.mltrack/` apart), a repository with this code.

    HEAD is detached at the recorded commit, without its history; changes are unstaged. Raises UsageError if something
    is in the way, Damaged on a path that would leave the target, DataMissing if an object is not in the packs.
    """
    if code.snapshot is None:
        raise DataMissing(
            "The run has no snapshot of its code.", "It was recorded without one; nothing can be restored."
        )
    if target.is_symlink() or (target.exists() and not _is_empty(target)):
        raise UsageError(f"{target} is not empty.", "Name a directory that does not exist yet.")
    repo = _make_repository(code, target)
    for pack in sources.packs(code):
        index_pack(repo.git_dir, pack)
    _set_head(repo, code)
    entries = _list_tree(repo, code.snapshot)
    try:
        _write_files(repo, entries, code)
    except OSError as error:
        place = error.filename or target
        raise StorageError(
            f"{place} cannot be written: {error.strerror}.", "Free some space, or choose another place."
        ) from error
    raw = set(sources.write_raw(code, target)) if code.raw else set()
    _write_index(repo, entries, code, raw)
    for nested in code.nested:
        restore(nested.code, _nested_place(target, nested.path), sources)


def safe_place(root: Path, path: bytes) -> Path:
    """Where a path of a snapshot goes: inside of root, and not into anything called `.git`. Raises Damaged."""
    if any(part.lower() in GIT_NAMES for part in checked_parts(path)):
        raise Damaged(
            f"The path {os.fsdecode(path)!r} would write into a git directory.",
            "The record or pack is damaged or hostile; nothing was written for it.",
        )
    return inside(root, path)


def _is_empty(target: Path) -> bool:
    """A directory with nothing in it but mltrack's own?"""
    return target.is_dir() and all(item.name == ".mltrack" for item in target.iterdir())


def _nested_place(target: Path, path: str) -> Path:
    place = safe_place(target, os.fsencode(path))
    if place.is_symlink():
        raise Damaged(f"{path!r} is a symbolic link where a repository belongs.", "The record is damaged or hostile.")
    return place


def _make_repository(code: CodeState, target: Path) -> Repository:
    algorithm = "sha256" if len(code.snapshot or "") == 64 else "sha1"
    git_dir = target / ".git"
    make_repository(target, f"--object-format={algorithm}")
    return Repository(target, git_dir, git_dir)


def _set_head(repo: Repository, code: CodeState) -> None:
    """HEAD, the snapshot's ref, and `.git/shallow` where the commit has parents, which are not here."""
    _require(repo, code)
    git(repo, "config", "core.autocrlf", "false")
    if code.commit is not None:
        text = git(repo, "cat-file", "commit", code.commit)
        if b"\nparent " in text.partition(b"\n\n")[0]:
            (repo.git_dir / "shallow").write_text(f"{code.commit}\n")
        git(repo, "update-ref", "--no-deref", "HEAD", code.commit)
    elif code.branch is not None:
        git(repo, "check-ref-format", f"refs/heads/{code.branch}")
        git(repo, "symbolic-ref", "HEAD", f"refs/heads/{code.branch}")
    else:  # the code was in no repository, so that there is nothing to be dirty against here either
        (repo.git_dir / MARK).touch()
    git(repo, "update-ref", f"{REFS}{code.snapshot}", f"{code.snapshot}")


def _require(repo: Repository, code: CodeState) -> None:
    """Raises DataMissing unless both commits are here."""
    for commit in (code.snapshot, code.commit):
        if commit is not None and git(repo, "cat-file", "--batch-check", input=commit.encode()).split()[1:2] != [
            b"commit"
        ]:
            raise DataMissing(f"The commit {commit} is not in the packs of its record.", "Run `mltrack verify`.")


def _list_tree(repo: Repository, treeish: str) -> list[Entry]:
    entries = []
    for line in git(repo, "ls-tree", "-r", "-z", treeish).split(b"\0"):
        facts, _, path = line.partition(b"\t")
        if path:
            mode, _, name = facts.split(b" ")
            entries.append(Entry(path, mode, name.decode()))
    return entries


def _write_files(repo: Repository, entries: list[Entry], code: CodeState) -> None:
    """Write every file, then the links, so that no file is ever written through a link of the same tree."""
    entries = [entry for entry in entries if not is_ours(entry.path)]
    files = [entry for entry in entries if entry.mode not in (LINK, GITLINK)]
    links = [entry for entry in entries if entry.mode == LINK]
    left_out = {os.fsencode(item.path) for item in code.left_out}
    for entry, blob in _read_blobs(repo, files + links):
        if blob is None:
            if entry.path not in left_out:
                raise DataMissing(f"The content of {os.fsdecode(entry.path)!r} is not here.", "Run `mltrack verify`.")
            continue
        place = safe_place(repo.root, entry.path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.mode == LINK:
                place.symlink_to(os.fsdecode(b"".join(blob)))
            else:
                _write_file(place, 0o777 if entry.mode == EXECUTABLE else 0o666, blob)
        except (FileExistsError, NotADirectoryError) as error:
            raise Damaged(f"The tree names {os.fsdecode(entry.path)!r} twice.", "It is damaged or hostile.") from error
    for entry in entries:
        if entry.mode == GITLINK:
            safe_place(repo.root, entry.path).mkdir(parents=True, exist_ok=True)


def _write_file(place: Path, mode: int, blob: Iterator[bytes]) -> None:
    fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        for block in blob:
            file.write(block)


def _read_blobs(repo: Repository, entries: list[Entry]) -> Iterator[tuple[Entry, Iterator[bytes] | None]]:
    """Each entry with its content in blocks, to be used before the next entry; None where the object is missing."""
    import tempfile

    with tempfile.TemporaryFile() as wanted:
        # A file and not a pipe: git may read ahead as far as it likes while we write what it gives.
        wanted.write(b"".join(f"{entry.name}\n".encode() for entry in entries))
        wanted.seek(0)
        process = ask(repo, "cat-file", "--batch", "--buffer", input=wanted).process
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            for entry in entries:
                words = process.stdout.readline().split()
                if words[1:] == [b"missing"]:
                    yield entry, None
                    continue
                if len(words) != 3 or words[1] != b"blob":
                    process.kill()
                    raise failure(process.stderr.read().decode(errors="replace").strip() or "an object is no blob")
                size = int(words[2])
                blob = _blocks(process.stdout, size)
                yield entry, blob
                for _ in blob:
                    pass
                process.stdout.read(1)


def _blocks(source: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        block = source.read(min(size, BLOCK))
        if not block:
            raise MltrackError("git ended in the middle of an object.", "Check the repository with `git fsck`.")
        size -= len(block)
        yield block


def _write_index(repo: Repository, entries: list[Entry], code: CodeState, raw: set[bytes]) -> None:
    """The index of HEAD's tree. What equals HEAD is marked unchanged by its stat, also where raw bytes were put."""
    head = _list_tree(repo, code.commit) if code.commit is not None else []
    here = {entry.path: entry for entry in entries}
    past = time.time() - PAST_S
    made = []
    for entry in head:
        found = None
        if here.get(entry.path) == entry and entry.mode in (FILE, EXECUTABLE, LINK):
            place = safe_place(repo.root, entry.path)
            if entry.path in raw:
                os.utime(place, (past, past))
            found = place.lstat() if os.path.lexists(place) else None
        made.append(IndexEntry(entry.path, entry.mode, entry.name, found))
    algorithm = "sha256" if len(code.snapshot or "") == 64 else "sha1"
    write_index(repo.git_dir / "index", made, algorithm)
