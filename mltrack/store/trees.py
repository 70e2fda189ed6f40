"""A directory into the store: many small files at a time, large ones one after another, then the manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.digest import digest_bytes, from_raw, to_raw
from mltrack.progress import Progress, expect
from mltrack.store.keep import Kept
from mltrack.store.manifest import ManifestEntry, Row, encode_rows
from mltrack.store.reader import Done, Reader, read_files
from mltrack.store.statcache import RememberedTree, size_of
from mltrack.store.walk import NOTHING, Stats, Tree, walk

if TYPE_CHECKING:
    from mltrack.store.objects import Store
    from mltrack.store.statcache import StatCache


def keep_tree(
    path: Path,
    store: Store | None,
    cache: StatCache | None,
    expected: Stats | None,
    progress: Progress | None,
) -> Kept:
    """`keep_path` for a directory."""
    root = os.fsencode(path.absolute())
    when = cache.now_ns() if cache is not None else 0
    try:
        tree = walk(root)
    except OSError as error:
        return Kept("directory", None, 0, 0, problems=(("", f"cannot be read: {error.strerror}"),))
    stats = tree.stats() if cache is not None or expected is not None else NOTHING
    if tree.vanished or (expected is not None and expected != stats):
        return Kept("directory", None, tree.size_bytes, len(tree.files), changed=True, problems=_told(tree.problems))
    expect(progress, tree.size_bytes)
    remembered = cache.tree(root, stats.listing) if cache is not None else None
    if remembered is not None and not tree.problems and is_kept(remembered, store):
        if progress is not None:
            progress(tree.size_bytes)
        return Kept("directory", remembered.digest, tree.size_bytes, len(tree.files), kept=store is not None)
    generation = store.generation() if store is not None else ""
    kept, fresh = _keep_files(root, tree, store, cache, progress)
    if cache is not None:
        cache.record_all(fresh, when)
        if kept.digest is not None and not kept.problems and _is_final(tree, cache, when):
            tell = _remembered(kept.digest, store, generation)
            if tell is not None:
                cache.record_tree(root, stats.listing, tell)
    return kept


def list_tree(
    path: Path, cache: StatCache, progress: Progress | None
) -> tuple[list[ManifestEntry], tuple[tuple[str, str], ...]]:
    """What a directory's manifest would list, and the paths that it would not, with the reasons; nothing is kept.

    Raises OSError if the directory cannot be listed.
    """
    root = os.fsencode(path.absolute())
    when = cache.now_ns()
    tree = walk(root)
    expect(progress, tree.size_bytes)
    known = _known(root, tree, None, cache)
    if progress is not None:
        progress(sum(size_of(seen.stat) for seen in tree.files if seen.path in known))
    read = list(read_files(Reader(root, None), [seen for seen in tree.files if seen.path not in known], progress))
    fresh = [(root + b"/" + one.seen.path, one.seen.stat, to_raw(one.digest)) for one in read if one.digest is not None]
    cache.record_all(fresh, when)
    problems = [*tree.problems, *((one.seen.path, one.problem or "changes") for one in read if one.digest is None)]
    digests = known | {one.seen.path: one.digest for one in read if one.digest is not None}
    files = [
        ManifestEntry(seen.path, "executable" if seen.executable else "file", size_of(seen.stat), digests[seen.path])
        for seen in tree.files
        if seen.path in digests
    ]
    links = [ManifestEntry(path, "link", len(target), digest_bytes(target)) for path, target, _ in tree.links]
    return [*files, *links, *(ManifestEntry(path, "directory", 0, None) for path in tree.empty)], _told(problems)


def is_kept(tree: RememberedTree, store: Store | None) -> bool:
    """Is all of a remembered directory in the store, and held there? Without a store its digest is all that counts."""
    return store is None or (store.rely(tree.generation, tree.packs) and store.has(tree.digest, hold=True))


def _keep_files(
    root: bytes, tree: Tree, store: Store | None, cache: StatCache | None, progress: Progress | None
) -> tuple[Kept, list[tuple[bytes, bytes, bytes]]]:
    """Read what is not known. Returns what became of the directory, and what the cache may learn of its files."""
    known = _known(root, tree, store, cache)
    done = [Done(seen, known[seen.path]) for seen in tree.files if seen.path in known]
    if progress is not None:
        progress(sum(size_of(one.seen.stat) for one in done))
    read = list(read_files(Reader(root, store), [seen for seen in tree.files if seen.path not in known], progress))
    fresh = [(root + b"/" + seen.path, seen.stat, to_raw(digest)) for seen, digest, _ in read if digest is not None]
    return _finish(tree, done + read, store), fresh if cache is not None else []


def _is_final(tree: Tree, cache: StatCache, when: int) -> bool:
    return all(cache.is_final(seen.stat, when) for seen in tree.files) and all(
        cache.is_final(fields, when) for _, _, fields in tree.links
    )


def _remembered(digest: str, store: Store | None, generation: str) -> RememberedTree | None:
    """What to remember of a directory: that it is in the store only once it is safe there.

    Nothing, if anything was taken away from the store since that generation, before its objects were looked for.
    """
    if store is None:
        return RememberedTree(digest)
    store.flush()
    return RememberedTree(digest, generation, store.held_packs()) if store.generation() == generation else None


def _finish(tree: Tree, done: list[Done], store: Store | None) -> Kept:
    """The manifest of what was read, put into the store."""
    problems = [*tree.problems, *((one.seen.path, one.problem) for one in done if one.problem is not None)]
    if any(one.digest is None and one.problem is None for one in done):
        return Kept("directory", None, tree.size_bytes, len(done), changed=True, problems=_told(problems))
    put: Callable[[bytes], str] = digest_bytes if store is None else store.put_bytes
    listed: list[Row] = [
        (seen.path, "executable" if seen.executable else "file", size_of(seen.stat), digest)
        for seen, digest, _ in done
        if digest is not None
    ]
    listed += [(path, "link", len(target), put(target)) for path, target, _ in tree.links]
    listed += [(path, "directory", 0, None) for path in tree.empty]
    digest = put(encode_rows(listed))
    return Kept("directory", digest, tree.size_bytes, len(done), kept=store is not None, problems=_told(problems))


def _known(root: bytes, tree: Tree, store: Store | None, cache: StatCache | None) -> dict[bytes, str]:
    """Path -> digest of the files that need not be read."""
    if cache is None:
        return {}
    recorded = cache.lookup_below(root)
    known: dict[bytes, str] = {}
    for seen in tree.files if recorded else ():
        row = recorded.get(root + b"/" + seen.path)
        if row is not None and row[0] == seen.stat:
            known[seen.path] = from_raw(row[1])
    if store is not None:
        lacking = store.missing(set(known.values()), hold=True)
        known = {path: digest for path, digest in known.items() if digest not in lacking}
    return known


def _told(problems: Iterable[tuple[bytes, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((os.fsdecode(path), reason) for path, reason in problems))
