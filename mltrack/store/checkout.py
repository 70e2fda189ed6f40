"""Store -> files: a file, a link, a directory by its manifest, or some of what a manifest lists.

Whatever the manifest says, nothing is written outside the target, and nothing through a link that lies there. Every
file appears only when complete and verified. What lies there already and differs is refused, or kept aside.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mltrack.errors import Damaged, DataMissing, NotFound, StorageError, UsageError
from mltrack.nouns import noun
from mltrack.progress import Progress
from mltrack.store.disk import create, remove, temporary_beside, write_all, writing
from mltrack.store.keep import keep_path
from mltrack.store.manifest import ManifestEntry, decode_manifest, link_is_safe
from mltrack.store.placing import FILES, Filling, Keeper, Plan, Top, has_digest, look, refuse, taken_twice
from mltrack.store.placing import install as install_file
from mltrack.store.spans import Span, pour, read_span, small_and_large
from mltrack.store.statcache import stat_key

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mltrack.store.expanded import Expanded
    from mltrack.store.objects import Store

LINKS = ("auto", "copy", "reflink", "hard", "symlink")

CLONED = 1 << 20
"""Bytes above which a file is cloned rather than copied; below, it would save nothing."""

WORKERS = 4
"""Threads that write files. They wait for the disk, or a server, more than they compute."""


@noun
class Manner:
    """How files come to be where they belong."""

    force: bool = False
    """Keep aside what is in the way, instead of refusing."""
    link: str = "copy"
    """One of LINKS. All but "copy" need `expanded`."""
    expanded: Expanded | None = None
    progress: Progress | None = None
    """Told of bytes as they are done."""


PLAIN = Manner()


@noun
class Restored:
    """What was done. `kept_aside` is the file or directory that now holds what was in the way."""

    written: int
    left: int
    kept_aside: Path | None = None


def restore_path(
    store: Store, kind: str, digest: str, target: Path, executable: bool = False, manner: Manner = PLAIN
) -> Restored:
    """Write the object as a "file", "link" or "directory" at `target`, whose parents are made.

    Raises DataMissing before anything is written if a part is not here, UsageError if something else is there, Damaged
    if a part is not what it should be or wants to be written elsewhere, StorageError if the disk refuses.
    """
    if kind == "directory":
        return restore_entries(store, manifest_of(store, digest), target, manner)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    place = Path(os.path.realpath(target.parent)) / target.name
    kind = "executable" if executable and kind == "file" else kind
    entry = ManifestEntry(os.fsencode(target.name), kind, store.size(digest), digest)
    keeper = Keeper(str(place), manner.force, single=True)
    return Restoration(store, [entry], place.parent, manner, keeper).run()


def restore_entries(store: Store, listed: Sequence[ManifestEntry], target: Path, manner: Manner = PLAIN) -> Restored:
    """The same for what a manifest lists, or some of it, below `target`."""
    return Restoration(store, listed, target, manner).run()


def manifest_of(store: Store, digest: str) -> list[ManifestEntry]:
    """What a directory's manifest lists. Raises DataMissing or Damaged."""
    return decode_manifest(store.get_bytes(digest))


def matches(path: Path, kind: str, digest: str) -> bool:
    """Is what lies at `path` of that kind, with exactly that content?"""
    try:
        found = keep_path(path, None)
    except NotFound:
        return False
    return found.kind == kind and found.digest == digest


class File(NamedTuple):
    """A file to be written: at `place` if that lies in a directory of ours, else beside it, to be renamed."""

    entry: ManifestEntry
    place: str
    ours: bool

    @property
    def mode(self) -> int:
        return 0o777 if self.entry.kind == "executable" else 0o666


class Restoration:
    """One restoration, from the first look to the last rename."""

    def __init__(
        self, store: Store, listed: Sequence[ManifestEntry], target: Path, manner: Manner, keeper: Keeper | None = None
    ) -> None:
        self.store = store
        self.listed = listed
        self.target = target
        self.manner = manner
        self.keeper = keeper or Keeper(os.fspath(target), manner.force)
        self.texts: dict[bytes, bytes] = {}

    def look(self) -> Plan:
        """What there is to do. Nothing is written; raises DataMissing or Damaged if it could not be."""
        all_here(self.store, self.listed)
        self.texts = link_targets(self.store, self.listed)
        return look(self.target, self.listed, self.texts)

    def run(self, plan: Plan | None = None) -> Restored:
        """Do it. Raises UsageError if something is in the way, and it is not to be kept aside."""
        plan = plan or self.look()
        if not self.manner.force:
            refuse([plan])
        plan.set_modes()
        fillings: list[Filling] = []
        try:
            for top, entries in plan.by_top():
                fillings.append(Filling(top, entries, plan))
            self._fill(plan, fillings)
            for filling in fillings:
                filling.finish(self.keeper)
        except Exception:
            for filling in fillings:
                filling.discard()
            raise
        finally:  # an interruption leaves what is filled half, for the next time
            for filling in fillings:
                filling.close()
        return Restored(len(plan.entries), plan.left, self.keeper.place)

    def _fill(self, plan: Plan, fillings: list[Filling]) -> None:
        tops = {filling.top.path: filling.top for filling in fillings}
        done = {path for filling in fillings for path in filling.done}

        def now(path: bytes, top: Top | None) -> str:
            return plan.now(path, top and tops[top.path])

        for path, top in plan.directories:
            place = now(path, top)
            with writing(place):
                os.makedirs(place, exist_ok=True)
        files, links = [], []
        for entry, top in plan.entries:
            if entry.kind == "link":
                links.append((entry.path, now(entry.path, top), top is not None))
            elif entry.path not in done:
                files.append(File(entry, now(entry.path, top), top is not None))
        self._tell(sum(entry.size for entry in self.listed if entry.kind in FILES) - sum(f.entry.size for f in files))
        self._write(files)
        for path, place, ours in links:
            self._make_link(self.texts[path], place, ours)

    def _tell(self, size: int) -> None:
        if self.manner.progress is not None and size:
            self.manner.progress(size)

    # -- files

    def _write(self, files: list[File]) -> None:
        link = resolved(self.manner, self.target)
        if link in ("hard", "symlink"):
            self._link(files, link)
        elif link == "reflink":
            self._link([file for file in files if file.entry.size > CLONED], link)
            self._copy([file for file in files if file.entry.size <= CLONED])
        else:
            self._copy(files)

    def _copy(self, files: list[File]) -> None:
        wanted: dict[str, list[File]] = {}
        for file in files:
            wanted.setdefault(str(file.entry.digest), []).append(file)
        small, large = small_and_large(self.store, wanted)
        for size in _by_threads(lambda span: self._write_span(span, wanted), small):
            self._tell(size)
        for digest in large:
            for file in wanted[digest]:
                if self.store.size(digest) != file.entry.size:
                    raise other_size(file.entry)
                self._put(file, lambda handle, digest=digest: pour(self.store, digest, handle, self.manner.progress))  # type: ignore[misc]

    def _write_span(self, span: Span, wanted: dict[str, list[File]]) -> int:
        size = 0
        for digest, data in read_span(self.store, span):
            for file in wanted[digest]:
                if len(data) != file.entry.size:
                    raise other_size(file.entry)
                self._put(file, lambda handle, data=data: write_all(handle, data))  # type: ignore[misc]
                size += len(data)
        return size

    def _put(self, file: File, fill: Callable[[int], object]) -> None:
        """Make a file and have it filled; it has its name only when that is done."""
        place = file.place if file.ours else temporary_beside(file.place)
        try:
            with writing(file.place):
                try:
                    handle = create(place, file.mode)
                except FileExistsError as error:
                    raise taken_twice(file.place) from error
                try:
                    fill(handle)
                finally:
                    os.close(handle)
                if not file.ours:
                    self._install(place, file)
        except BaseException:
            if not file.ours:
                remove(place)
            raise

    def _install(self, temporary: str, file: File) -> None:
        def is_right() -> bool:
            try:
                return has_digest(file.place, stat_key(os.lstat(file.place)), str(file.entry.digest))
            except OSError:
                return False

        install_file(temporary, file.place, is_right, self.keeper)

    # -- links

    def _link(self, files: list[File], link: str) -> None:
        """Hard or symbolic links to whole files, or clones of them."""
        expanded = self.manner.expanded
        assert expanded is not None
        wanted = {
            file: (str(file.entry.digest), link != "reflink" and file.entry.kind == "executable") for file in files
        }
        places = expanded.bring(self.store, wanted.values())
        for file, one in wanted.items():
            source = places[one]
            if os.stat(source).st_size != file.entry.size:
                raise other_size(file.entry)
            if link == "reflink":
                self._put(file, lambda handle, source=source: cloned(source, handle))  # type: ignore[misc]
            else:
                self._make(file, source, link)
            self._tell(file.entry.size)

    def _make(self, file: File, source: str, link: str) -> None:
        temporary = file.place if file.ours else temporary_beside(file.place)
        try:
            with writing(file.place):
                if link == "symlink":
                    os.symlink(source, temporary)
                else:
                    os.link(source, temporary)
                if not file.ours:
                    self._install(temporary, file)
        except BaseException:
            if not file.ours:
                remove(temporary)
            raise

    def _make_link(self, text: bytes, place: str, ours: bool) -> None:
        """A link of the tree itself."""
        temporary = place if ours else temporary_beside(place)
        with writing(place):
            os.symlink(text, os.fsencode(temporary))
            try:
                if not ours:
                    install_file(temporary, place, lambda: _reads(place) == text, self.keeper)
            except BaseException:
                remove(temporary)
                raise


def _reads(place: str) -> bytes | None:
    try:
        return os.readlink(os.fsencode(place))
    except OSError:
        return None


def _by_threads(work: Callable[[Span], int], spans: list[Span]) -> Iterator[int]:
    """The results, as they come; few are begun before they are needed, so that an interruption is soon heeded."""
    if len(spans) < 2:
        yield from map(work, spans)
        return
    from concurrent.futures import ThreadPoolExecutor

    flying: deque[Future[int]] = deque()
    with ThreadPoolExecutor(WORKERS) as workers:
        try:
            for span in spans:
                flying.append(workers.submit(work, span))
                if len(flying) > 2 * WORKERS:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            for future in flying:
                future.cancel()


def resolved(manner: Manner, target: Path) -> str:
    """How files come to the nearest directory above `target` that is there. Raises UsageError if that cannot be."""
    from mltrack.store.reflink import can_clone

    link = manner.link
    if link == "copy" or manner.expanded is None:
        return "copy"
    try:
        manner.expanded.make()
    except StorageError:
        if link == "auto":
            return "copy"  # the project cannot be written, and need not be
        raise
    there = target.absolute()
    while not there.is_dir():
        there = there.parent
    if link in ("auto", "reflink"):
        if can_clone(str(manner.expanded.path), str(there)):
            return "reflink"
        if link == "reflink":
            raise UsageError(f"Files in {there} cannot be clones: the filesystem has none.", "Use --link copy.")
        return "copy"
    if link == "hard" and os.stat(there).st_dev != os.stat(manner.expanded.path).st_dev:
        raise UsageError(
            f"{there} and {manner.expanded.path} are on two filesystems; a hard link cannot be.",
            "Use --link symlink, or --link copy.",
        )
    return link


def cloned(source: str, handle: int) -> None:
    """Make an open file a clone. Raises OSError where that cannot be after all."""
    from mltrack.store.reflink import clone

    if not clone(source, handle):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), source)


def all_here(store: Store, listed: Iterable[ManifestEntry]) -> None:
    """Raises DataMissing unless every object is in the store."""
    lacking = store.missing({entry.digest for entry in listed if entry.digest is not None})
    if lacking:
        first = next(entry for entry in listed if entry.digest in lacking)
        raise DataMissing(
            f"{len(lacking)} objects of the directory are not in the store, the first is {os.fsdecode(first.path)}.",
            "Run `mltrack pull --data` if a remote has them.",
        )


def link_targets(store: Store, listed: Iterable[ManifestEntry]) -> dict[bytes, bytes]:
    """Path -> target of every link, all of them proved to stay inside, before one is made. Raises Damaged."""
    links = [entry for entry in listed if entry.kind == "link"]
    contents = store.get_batch({str(entry.digest) for entry in links})
    found = {entry.path: contents[str(entry.digest)] for entry in links}
    for path, text in found.items():
        if not link_is_safe(path, text) or b"\0" in text:
            raise Damaged(
                f"The link {os.fsdecode(path)!r} points out of its directory, to {os.fsdecode(text)!r}.",
                "The manifest is damaged or hostile; the link was not made.",
            )
    return found


def other_size(entry: ManifestEntry) -> Damaged:
    return Damaged(f"{os.fsdecode(entry.path)} has another size than its manifest says.", "Run `mltrack verify`.")
