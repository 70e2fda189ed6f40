"""Directories as they were laid out, to be had again after a command worked in them.

What the command made goes; what it changed or removed comes back, with its times and permissions: from the store, if
it was restored from there, else from a copy. What it left alone is neither read nor written again.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mltrack.errors import StorageError
from mltrack.operations.observing.listings import STAND_IN_NS

if TYPE_CHECKING:
    from mltrack.records import Input
    from mltrack.store.objects import Store

OWN = b".mltrack"
"""At the top of a directory that is a project too: its state is not the command's."""


class Seen(NamedTuple):
    """What lies at a path: the fields that show whether it was touched."""

    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    blocks: int
    target: bytes

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_hole(self) -> bool:
        """A stand-in, as long as what it stands for and with nothing in it: a copy of it would take its whole size."""
        return self.is_file and self.size > 0 and self.blocks == 0 and self.mtime_ns == STAND_IN_NS


class Pristine:
    """Directories, as they are when this is made. `put_back` has them so again."""

    def __init__(self, store: Store, tops: Sequence[Path], kept: Path, inputs: Mapping[Path, Input]) -> None:
        """`kept`: a directory to be made for copies. `inputs`: what can be restored from the store, by place.

        Raises StorageError.
        """
        from mltrack.store.filesystems import mount_of

        self._store = store
        self._tops = [os.fsencode(top) for top in tops]
        self._kept = os.fsencode(kept)
        self._inputs = {os.fsencode(place): item for place, item in inputs.items()}
        self._copies: dict[bytes, bytes] = {}
        self._trusts_stat = all(mount_of(top).is_trusted for top in tops)
        try:
            os.makedirs(self._kept)
            self._seen = self._look()
            for path, seen in self._seen.items():
                if seen.is_file and not seen.is_hole and self._input_of(path) is None:
                    self._copies[path] = os.path.join(self._kept, b"%d" % len(self._copies))
                    copy(path, self._copies[path])
        except OSError as error:
            raise unwritable(kept, error) from error

    def put_back(self) -> int:
        """Undo what was done since; returns how many paths that were. Raises StorageError, DataMissing, Damaged."""
        try:
            return self._put_back()
        except OSError as error:
            raise unwritable(Path(os.fsdecode(self._tops[0])), error) from error

    def is_as_laid_out(self) -> bool:
        """Is everything still as it was put back? Asked right before a start: what an earlier command left running may
        have written since. Raises StorageError."""
        try:
            return not any(self._apart())
        except OSError as error:
            raise unwritable(Path(os.fsdecode(self._tops[0])), error) from error

    def _apart(self) -> tuple[list[bytes], list[bytes]]:
        """The paths that changed or went, and those that came."""
        now = self._look()
        changed = [path for path, then in self._seen.items() if self._is_changed(path, then, now.get(path))]
        return changed, [path for path in now if path not in self._seen]

    def _put_back(self) -> int:
        self._unlock()
        changed, extra = self._apart()
        for path in (*extra, *changed):
            remove(path)
        inputs = {place for path in changed if (place := self._input_of(path)) is not None}
        for path in changed:
            self._make(path)
        for place in inputs:
            self._restore(place)
        self._settle(changed)
        return len(changed) + len(extra)

    def _unlock(self) -> None:
        """Have the directories be writable again, or nothing could be removed from them. One in whose place, or above
        which, there is a link by now is another directory, and not ours."""
        ours = {os.path.dirname(top) for top in self._tops}
        for path, then in self._seen.items():
            if then.is_directory and os.path.dirname(path) in ours and is_directory(path):
                ours.add(path)
                os.chmod(path, stat.S_IMODE(then.mode) | stat.S_IRWXU)

    def _is_changed(self, path: bytes, then: Seen, now: Seen | None) -> bool:
        if now is None or stat.S_IFMT(now.mode) != stat.S_IFMT(then.mode):
            return True
        if then.is_directory:
            return False  # what is in it is looked at, and its times are put back
        if now != then._replace(blocks=now.blocks):  # blocks are given when the disk sees fit
            return True
        return not self._trusts_stat and then.is_file and not then.is_hole and self._differs(path)

    def _differs(self, path: bytes) -> bool:
        """Does the content of a file differ? Asked where its times prove nothing."""
        if path in self._copies:
            from filecmp import cmp

            return not cmp(path, self._copies[path], shallow=False)
        place = self._input_of(path)
        if place is None or place != path:
            return place is not None
        from mltrack.store.checkout import matches

        return not matches(Path(os.fsdecode(path)), "file", str(self._inputs[place].digest))

    def _input_of(self, path: bytes) -> bytes | None:
        """The place of the input that a path is, or is in."""
        while path not in self._inputs:
            above = os.path.dirname(path)
            if above == path:
                return None
            path = above
        return path

    def _make(self, path: bytes) -> None:
        """Have again what does not come from the store."""
        then = self._seen[path]
        if then.is_directory:
            os.makedirs(path, exist_ok=True)
        elif then.target:
            os.symlink(then.target, path)
        elif path in self._copies:
            copy(self._copies[path], path)
        elif then.is_hole:
            with open(path, "xb") as file:
                file.truncate(then.size)

    def _restore(self, place: bytes) -> None:
        """An input, again from the store: what of it is right is left alone."""
        from mltrack.store.checkout import Manner, restore_path

        item, target = self._inputs[place], Path(os.fsdecode(place))
        done = restore_path(self._store, item.kind, str(item.digest), target, item.executable, Manner(force=True))
        if done.kept_aside is not None:
            remove(os.fsencode(done.kept_aside))

    def _settle(self, changed: Sequence[bytes]) -> None:
        """Times and permissions as they were, the deepest first; then remember how what was made anew looks."""
        directories = [path for path, seen in self._seen.items() if seen.is_directory]
        for path in [*changed, *sorted(directories, key=lambda path: -path.count(b"/"))]:
            then = self._seen[path]
            if not then.target and os.path.lexists(path):
                os.chmod(path, stat.S_IMODE(then.mode))
            os.utime(path, ns=(then.mtime_ns, then.mtime_ns), follow_symlinks=False)
        now = self._look()
        self._seen = {path: now[path] for path in self._seen if path in now}

    def _look(self) -> dict[bytes, Seen]:
        """Everything in the directories, links not followed; what is above comes first."""
        found: dict[bytes, Seen] = {}
        for top in self._tops:
            for path in walk(top, skip=os.path.join(top, OWN)):
                with suppress(FileNotFoundError):
                    found[path] = look(path)
        return found


def walk(top: bytes, skip: bytes) -> Iterator[bytes]:
    """A directory and every path in it, but for one; nothing where there is none."""
    if not os.path.lexists(top):
        return
    yield top
    waiting = [top] if is_directory(top) else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.path == skip:
                    continue
                yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def is_directory(path: bytes) -> bool:
    """Is it a directory itself, and no link to one?"""
    return os.path.isdir(path) and not os.path.islink(path)


def look(path: bytes) -> Seen:
    found = os.lstat(path)
    target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else b""
    return Seen(
        found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_blocks, target
    )


def copy(source: bytes, target: bytes) -> None:
    """The bytes of a file under another name, shared where the filesystem can. Fails where something is there."""
    from mltrack.store.reflink import clone

    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file, open(source, "rb") as bytes_of:
        if not clone(os.fsdecode(source), handle):
            shutil.copyfileobj(bytes_of, file, 1 << 20)


def remove(path: bytes) -> None:
    """Remove whatever is there, if anything is; a directory that was made read-only too."""
    if not is_directory(path):
        with suppress(FileNotFoundError):
            os.unlink(path)
        return
    for directory in list(walk(path, b"")):
        if is_directory(directory):
            os.chmod(directory, stat.S_IRWXU)
    shutil.rmtree(path)


def unwritable(place: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{place} cannot be put back as it was: {error.strerror or error}.",
        "Either the disk is full, or a process that the command left behind still writes there.",
    )
