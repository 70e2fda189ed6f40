"""Store -> files: a file, a link, or a directory by its manifest.

Whatever the manifest says, nothing is written outside the target, and nothing through a link that lies there. Every
file appears only when complete and verified. Existing files are replaced: whether they may be, the caller has asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, DataMissing, NotFound
from mltrack.store.disk import remove, temporary_beside, write_whole, writing
from mltrack.store.keep import keep_path
from mltrack.store.manifest import ManifestEntry, decode_manifest, link_is_safe

if TYPE_CHECKING:
    from mltrack.store.objects import Store

BATCH_FILES = 256
BATCH_BYTES = 4 << 20
SMALL = 1 << 20

Progress = Callable[[int], None]


def restore_path(
    store: Store,
    kind: str,
    digest: str,
    target: Path,
    executable: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the object as a "file", "link" or "directory" at `target`, whose parents are made.

    Raises DataMissing before anything is written if a part is not here, Damaged if a part is not what it should be or
    wants to be written elsewhere, StorageError if the disk refuses.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "directory":
        _restore_tree(store, manifest_of(store, digest), target, progress)
    elif kind == "link":
        _write_link(b"link", store.get_bytes(digest), target)
    else:
        store.write_to(digest, target, executable)
        if progress is not None:
            progress(store.size(digest))


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


def _restore_tree(store: Store, listed: list[ManifestEntry], target: Path, progress: Progress | None) -> None:
    _all_here(store, listed)
    links = _link_targets(store, listed)
    _make_directories(target, listed)
    for batch in _batches(entry for entry in listed if entry.kind in ("file", "executable")):
        if len(batch) == 1 and batch[0].size > SMALL:
            place = target / os.fsdecode(batch[0].path)
            store.write_to(str(batch[0].digest), place, batch[0].kind == "executable")
        else:
            _write_small(store, batch, target)
        if progress is not None:
            progress(sum(entry.size for entry in batch))
    for path, text in links.items():
        _write_link(path, text, target / os.fsdecode(path))


def _all_here(store: Store, listed: list[ManifestEntry]) -> None:
    lacking = store.missing({entry.digest for entry in listed if entry.digest is not None})
    if lacking:
        first = next(entry for entry in listed if entry.digest in lacking)
        raise DataMissing(
            f"{len(lacking)} objects of the directory are not in the store, the first is {os.fsdecode(first.path)}.",
            "Run `mltrack pull --data` if a remote has them.",
        )


def _link_targets(store: Store, listed: list[ManifestEntry]) -> dict[bytes, bytes]:
    """Path -> target of every link, all of them proved to stay inside, before one is made."""
    found = {entry.path: store.get_bytes(str(entry.digest)) for entry in listed if entry.kind == "link"}
    for path, text in found.items():
        _check_link(path, text)
    return found


def _make_directories(target: Path, listed: list[ManifestEntry]) -> None:
    """The target and every directory below it that is needed; Damaged if a link lies where one must be.

    This, with the manifest's checked paths, is what keeps every file inside: no parent of one is a link.
    """
    needed = {entry.path if entry.kind == "directory" else entry.path.rpartition(b"/")[0] for entry in listed}
    for path in list(needed):
        while path := path.rpartition(b"/")[0]:
            needed.add(path)
    needed.add(b"")
    for path in sorted(needed):
        place = target / os.fsdecode(path) if path else target
        if place.is_symlink():
            raise Damaged(
                f"{place} is a symbolic link where a directory must be; nothing is written through it.",
                "Remove the link, or choose another directory.",
            )
        with writing(place):
            place.mkdir(exist_ok=True)


def _batches(files: Iterable[ManifestEntry]) -> Iterator[list[ManifestEntry]]:
    """Small files together, each large one alone."""
    batch: list[ManifestEntry] = []
    size = 0
    for entry in files:
        if entry.size > SMALL:
            yield [entry]
            continue
        batch.append(entry)
        size += entry.size
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write_small(store: Store, batch: list[ManifestEntry], target: Path) -> None:
    contents = store.get_batch({str(entry.digest) for entry in batch})
    for entry in batch:
        data = contents[str(entry.digest)]
        if len(data) != entry.size:
            raise Damaged(
                f"{os.fsdecode(entry.path)} has another size than its manifest says.", "Run `mltrack verify`."
            )
        mode = 0o777 if entry.kind == "executable" else 0o666
        write_whole(f"{target}/{os.fsdecode(entry.path)}", [data], mode)


def _check_link(path: bytes, text: bytes) -> None:
    if not link_is_safe(path, text) or b"\0" in text:
        raise Damaged(
            f"The link {os.fsdecode(path)!r} points out of its directory, to {os.fsdecode(text)!r}.",
            "The manifest is damaged or hostile; the link was not made.",
        )


def _write_link(path: bytes, text: bytes, target: Path) -> None:
    _check_link(path, text)
    temporary = temporary_beside(target)
    with writing(target):
        Path(temporary).symlink_to(os.fsdecode(text))
        try:
            Path(temporary).replace(target)
        except BaseException:
            remove(temporary)
            raise
