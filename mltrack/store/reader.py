"""Reads the files of a directory: digests, and bytes into the store. What changes meanwhile has no digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from mltrack.digest import digest_bytes
from mltrack.nouns import noun
from mltrack.progress import Progress
from mltrack.store.chunks import SINGLE
from mltrack.store.keep import Changed, digest_file, read_small
from mltrack.store.statcache import size_of
from mltrack.store.walk import Seen

if TYPE_CHECKING:
    from mltrack.store.objects import Store

BATCH_FILES = 256
BATCH_BYTES = 4 << 20


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
                blobs.append((seen, read_small(self.place(seen), seen.stat)))
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


def read_files(reader: Reader, files: list[Seen], progress: Progress | None) -> Iterator[Done]:
    """Read all of the files: the small ones in batches, and where they are many by two processes; then the large."""
    from mltrack.store.halves import ENOUGH, read_in_two

    small = [seen for seen in files if size_of(seen.stat) <= SINGLE]
    if len(small) >= ENOUGH:
        yield from read_in_two(reader, small, progress)
    else:
        for batch in batches(small):
            yield from told_of(reader.batch(batch), progress)
    for seen in files:
        if size_of(seen.stat) > SINGLE:
            yield reader.large(seen, progress)


def batches(files: Iterable[Seen]) -> Iterator[list[Seen]]:
    batch: list[Seen] = []
    size = 0
    for seen in files:
        batch.append(seen)
        size += size_of(seen.stat)
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def told_of(done: list[Done], progress: Progress | None) -> list[Done]:
    if progress is not None:
        progress(sum(size_of(one.seen.stat) for one in done))
    return done
