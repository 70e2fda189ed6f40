"""The code of a run, between git and the store: captured, kept, restored.

`git/` makes trees and packs, the store keeps bytes; here they meet. Paths of nested repositories are relative to the
outermost one, whose own path is "".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing
from mltrack.git.capture import Captured, Limits, capture
from mltrack.git.repository import Repository
from mltrack.records import CodeState, NestedCode

if TYPE_CHECKING:
    from mltrack.git.blobs import RawFile
    from mltrack.store.objects import Store

BLOCK = 1 << 20
CHAIN = 16
"""A code state names at most so many packs; then one is written that holds everything."""


def capture_code(
    repo: Repository, store_open: Callable[[], Store], limits: Limits, is_output: Callable[[bytes], bool]
) -> Captured:
    """The exact tree of the repository; see `git.capture.capture`. Files that a filter converts are kept raw.

    The store is asked for only if there are such files, stays the caller's, and is flushed: what the code state names
    is durable when this returns.
    """

    def keep_raw(path: bytes, file: Path) -> str:
        with file.open("rb") as source:
            return store_open().put_stream(iter(lambda: source.read(BLOCK), b""))[0]

    captured = capture(repo, limits, is_output, keep_raw)
    if not captured.raw:
        return captured
    store = store_open()
    code = _name_raw(captured.code, "", {path: _keep_manifest(store, files) for path, files in captured.raw.items()})
    store.flush()
    return replace(captured, code=code)


def keep_code(code: CodeState, git_dirs: Mapping[str, Path], store: Store, known: Sequence[CodeState]) -> CodeState:
    """Put the snapshot's objects into the store, as a pack on top of those of a `known` code state where there is one.

    `git_dirs` are the repositories (see `Captured.objects`). Gives the code state with `packs` filled, nested ones
    too; all is durable when this returns, and `drop_refs` may follow. Raises DataMissing if objects have gone.
    """
    kept = _keep(code, "", _Keeper(git_dirs, store), known)
    store.flush()
    return kept


def drop_refs(code: CodeState, git_dirs: Mapping[str, Path]) -> None:
    """Take the snapshot's refs out of the user's repositories. A repository that has gone is passed over."""
    from mltrack.git.pack import drop_ref

    for path, one in _walk(code, ""):
        if one.snapshot is not None and path in git_dirs and git_dirs[path].is_dir():
            drop_ref(git_dirs[path], one.snapshot)


def nested_git_dirs(repo: Repository, code: CodeState) -> dict[str, Path]:
    """The git directories of a code state's repositories, found in the worktree again."""
    from mltrack.git.changes import find_nested

    found = {"": repo.git_dir}
    for path, _ in _walk(code, ""):
        inner = find_nested(repo, os.fsencode(path)) if path else None
        if inner is not None:
            found[path] = inner.git_dir
    return found


def scratch_place(store: Store) -> Path | None:
    """Where to put large temporary files: beside the store; None, the system's place, where that is read-only."""
    return store.path.parent if os.access(store.path.parent, os.W_OK) else None


def restore_code(code: CodeState, store: Store, target: Path) -> None:
    """Make `target`, absent or empty so far, a repository with this code; see `git.restore.restore`."""
    from tempfile import TemporaryDirectory

    from mltrack.git.restore import Sources, restore

    _require_packs([code], store)
    with TemporaryDirectory(dir=scratch_place(store), prefix="restore-") as scratch:
        sources = Sources(
            lambda one: _pack_files(one.packs, store, Path(scratch)), lambda one, root: _write_raw(one, store, root)
        )
        restore(code, target, sources)


def open_trees(codes: Sequence[CodeState], store: Store, scratch: Path) -> Path:
    """A git directory below `scratch` with the objects of these code states and their nested ones, from the store."""
    from mltrack.git.pack import index_pack
    from mltrack.git.repository import make_repository

    _require_packs(codes, store)
    git_dir = scratch / "trees.git"
    sha256 = any(len(code.snapshot or "") == 64 for code in codes)
    make_repository(git_dir, "--bare", f"--object-format={'sha256' if sha256 else 'sha1'}")
    packs = dict.fromkeys(digest for code in codes for _, one in _walk(code, "") for digest in one.packs)
    for pack in _pack_files(packs, store, scratch):
        index_pack(git_dir, pack)
    return git_dir


class _Keeper:
    """Where `keep_code` reads and writes."""

    def __init__(self, git_dirs: Mapping[str, Path], store: Store) -> None:
        self.git_dirs = git_dirs
        self.store = store

    def put_pack(self, path: str, code: CodeState, trees: Sequence[str]) -> tuple[str, ...]:
        """The digests of what is written on top of known trees."""
        from mltrack.git.pack import write_pack

        if path not in self.git_dirs:
            raise DataMissing(f"The repository {path!r} has gone.", "It was moved or removed while the run lived.")
        pack = self.store.path.parent / f"pack-{os.getpid()}"
        try:
            if not write_pack(self.git_dirs[path], code, trees, pack):
                return ()
            return (self._put(pack),)
        finally:
            pack.unlink(missing_ok=True)

    def _put(self, pack: Path) -> str:
        with pack.open("rb") as source:
            first = source.read(BLOCK)
            if len(first) < BLOCK:
                return self.store.put_bytes(first)
            return self.store.put_stream(chain([first], iter(lambda: source.read(BLOCK), b"")))[0]


def _keep(code: CodeState, path: str, keeper: _Keeper, known: Sequence[CodeState]) -> CodeState:
    nested = []
    for inner in code.nested:
        known_inner = [other.code for one in known for other in one.nested if other.path == inner.path]
        nested.append(NestedCode(inner.path, _keep(inner.code, _below(path, inner.path), keeper, known_inner)))
    kept = [one for one in known if one.packs and not keeper.store.missing(one.packs, hold=True)]
    same = next((one for one in kept if (one.snapshot, one.commit) == (code.snapshot, code.commit)), None)
    if same is not None:
        packs = same.packs
    else:
        # The same commit shares most; among equals the first is the newest.
        base = min(kept, key=lambda one: one.commit != code.commit, default=CodeState())
        if len(base.packs) >= CHAIN:
            base = CodeState()
        trees = [tree for tree in (base.tree, base.commit and f"{base.commit}^{{tree}}") if tree]
        packs = (*base.packs, *keeper.put_pack(path, code, trees))
    return replace(code, packs=packs, nested=tuple(nested))


def _keep_manifest(store: Store, files: Sequence[RawFile]) -> str:
    from mltrack.store.manifest import ManifestEntry, encode_manifest

    entries = [
        ManifestEntry(file.path, "executable" if file.executable else "file", file.size_bytes, file.digest)
        for file in files
    ]
    return store.put_bytes(encode_manifest(entries))


def _name_raw(code: CodeState, path: str, manifests: Mapping[str, str]) -> CodeState:
    nested = tuple(
        NestedCode(inner.path, _name_raw(inner.code, _below(path, inner.path), manifests)) for inner in code.nested
    )
    return replace(code, raw=manifests.get(path), nested=nested)


def _write_raw(code: CodeState, store: Store, root: Path) -> list[bytes]:
    """Put the raw files over what git's blobs made of them."""
    from mltrack.git.restore import safe_place
    from mltrack.store.manifest import decode_manifest

    assert code.raw is not None
    written = []
    for entry in decode_manifest(store.get_bytes(code.raw)):
        if entry.digest is not None and entry.kind in ("file", "executable"):
            store.write_to(entry.digest, safe_place(root, entry.path), entry.kind == "executable")
            written.append(entry.path)
    return written


def _pack_files(packs: Sequence[str] | Mapping[str, None], store: Store, scratch: Path) -> Iterator[Path]:
    """Each pack as a file, which goes when the next is asked for."""
    file = scratch / "pack"
    for digest in packs:
        store.write_to(digest, file)
        yield file
        file.unlink()


def _require_packs(codes: Sequence[CodeState], store: Store) -> None:
    """Raises DataMissing unless all that is needed is in the store, before anything is written."""
    needed = {digest for code in codes for _, one in _walk(code, "") for digest in (*one.packs, one.raw) if digest}
    missing = sorted(store.missing(needed))
    if missing:
        raise DataMissing(
            f"The code is not all here: {len(missing)} of {len(needed)} objects are missing.",
            "Run `mltrack pull` to fetch them.",
        )


def _walk(code: CodeState, path: str) -> Iterator[tuple[str, CodeState]]:
    yield path, code
    for inner in code.nested:
        yield from _walk(inner.code, _below(path, inner.path))


def _below(path: str, inner: str) -> str:
    return f"{path}/{inner}" if path else inner
