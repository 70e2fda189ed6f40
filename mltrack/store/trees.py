"""A directory into the store: many small files at a time, large ones one after another, then the manifest."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mltrack.digest import digest_bytes, from_raw
from mltrack.nouns import noun
from mltrack.store.chunks import SINGLE
from mltrack.store.keep import Changed, Kept, Progress, digest_file, read_small
from mltrack.store.manifest import Row, encode_rows
from mltrack.store.statcache import STAT, StatKey
from mltrack.store.walk import Seen, Tree, walk

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mltrack.store.objects import Store
    from mltrack.store.statcache import StatCache

BATCH_FILES = 256
BATCH_BYTES = 4 << 20
WORKERS = 2
"""Threads that read, hash and compress. More do not help: for small files the interpreter's lock is the limit."""


class Done(NamedTuple):
    """A file's digest, or why it has none."""

    seen: Seen
    digest: str | None = None
    problem: str | None = None
    """Null with a null digest: it changed."""


@noun
class Reader:
    """Where files are read from and put to."""

    root: bytes
    store: Store | None

    def place(self, seen: Seen) -> bytes:
        return self.root + b"/" + seen.path

    def batch(self, files: list[Seen]) -> list[Done]:
        """Read small files, and put all their bytes at once."""
        done: list[Done] = []
        blobs: list[tuple[Seen, bytes]] = []
        for seen in files:
            try:
                blobs.append((seen, read_small(self.place(seen), seen.key)))
            except Changed:
                done.append(Done(seen))
            except OSError as error:
                done.append(Done(seen, problem=f"cannot be read: {error.strerror}"))
        contents = [blob for _, blob in blobs]
        digests = map(digest_bytes, contents) if self.store is None else self.store.put_batch(contents)
        done.extend(Done(seen, digest) for (seen, _), digest in zip(blobs, digests, strict=True))
        return done

    def large(self, seen: Seen, progress: Progress | None) -> Done:
        try:
            return Done(seen, digest_file(self.place(seen), seen.key, self.store, progress))
        except Changed:
            return Done(seen)
        except OSError as error:
            return Done(seen, problem=f"cannot be read: {error.strerror}")


def keep_tree(
    path: Path,
    store: Store | None,
    cache: StatCache | None,
    expected: Mapping[bytes, StatKey] | None,
    progress: Progress | None,
) -> Kept:
    """`keep_path` for a directory."""
    root = os.fsencode(path.absolute())
    when = cache.now_ns() if cache is not None else 0
    try:
        tree = walk(root)
    except OSError as error:
        return Kept("directory", None, 0, 0, problems=(("", f"cannot be read: {error.strerror}"),))
    size = sum(seen.key.size for seen in tree.files)
    if tree.vanished or (expected is not None and dict(expected) != tree.keys()):
        return Kept("directory", None, size, len(tree.files), changed=True, problems=_told(tree.problems))
    known = _known(root, tree, store, cache)
    done = [Done(seen, known[seen.path]) for seen in tree.files if seen.path in known]
    if progress is not None:
        progress(sum(one.seen.key.size for one in done))
    fresh = list(_read(Reader(root, store), [seen for seen in tree.files if seen.path not in known], progress))
    if cache is not None:
        for one in fresh:
            if one.digest is not None:
                cache.record(root + b"/" + one.seen.path, one.seen.key, one.digest, when)
    return _finish(tree, done + fresh, store)


def _finish(tree: Tree, done: list[Done], store: Store | None) -> Kept:
    """The manifest of what was read, put into the store."""
    problems = [*tree.problems, *((one.seen.path, one.problem) for one in done if one.problem is not None)]
    size, files = sum(one.seen.key.size for one in done), len(done)
    if any(one.digest is None and one.problem is None for one in done):
        return Kept("directory", None, size, files, changed=True, problems=_told(problems))
    put: Callable[[bytes], str] = digest_bytes if store is None else store.put_bytes
    listed: list[Row] = [
        (one.seen.path, "executable" if one.seen.executable else "file", one.seen.key.size, one.digest)
        for one in done
        if one.digest is not None
    ]
    listed += [(path, "link", len(target), put(target)) for path, target, _ in tree.links]
    listed += [(path, "directory", 0, None) for path in tree.empty]
    digest = put(encode_rows(listed))
    return Kept("directory", digest, size, files, kept=store is not None, problems=_told(problems))


def _known(root: bytes, tree: Tree, store: Store | None, cache: StatCache | None) -> dict[bytes, str]:
    """Path -> digest of the files that need not be read."""
    if cache is None:
        return {}
    recorded = cache.lookup_below(root)
    known: dict[bytes, str] = {}
    for seen in tree.files:
        row = recorded.get(root + b"/" + seen.path)
        if row is not None and row[0] == STAT.pack(*seen.key):
            known[seen.path] = from_raw(row[1])
    if store is not None:
        lacking = store.missing(set(known.values()))
        known = {path: digest for path, digest in known.items() if digest not in lacking}
    return known


def _read(reader: Reader, files: list[Seen], progress: Progress | None) -> Iterator[Done]:
    """Digest files: the small ones in batches, by a few threads; then the large ones."""
    batches = list(_batches(seen for seen in files if seen.key.size <= SINGLE))
    if len(batches) == 1:
        yield from _told_of(reader.batch(batches[0]), progress)
    elif batches:
        from concurrent.futures import ThreadPoolExecutor

        waiting: deque[Future[list[Done]]] = deque()
        with ThreadPoolExecutor(WORKERS) as workers:
            for batch in batches:
                waiting.append(workers.submit(reader.batch, batch))
                if len(waiting) > 2 * WORKERS:
                    yield from _told_of(waiting.popleft().result(), progress)
            for future in waiting:
                yield from _told_of(future.result(), progress)
    for seen in files:
        if seen.key.size > SINGLE:
            yield reader.large(seen, progress)


def _batches(files: Iterable[Seen]) -> Iterator[list[Seen]]:
    batch: list[Seen] = []
    size = 0
    for seen in files:
        batch.append(seen)
        size += seen.key.size
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _told_of(done: list[Done], progress: Progress | None) -> list[Done]:
    if progress is not None:
        progress(sum(one.seen.key.size for one in done))
    return done


def _told(problems: Iterable[tuple[bytes, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((os.fsdecode(path), reason) for path, reason in problems))
