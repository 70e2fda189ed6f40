"""A disk that is full at any write: a clear error, the store opens, and nothing that was finished is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mltrack.digest import to_raw
from mltrack.errors import StorageError
from mltrack.store import packs
from mltrack.store.chunks import MIB
from mltrack.store.entries import CHUNK
from mltrack.store.mend import rewrite
from mltrack.store.objects import Store
from mltrack.store.sweep import Needed, sweep
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
KEPT = [noise(size, b"kept %d" % size) for size in (0, 10, 3000, 40_000, 90_000)]
GARBAGE = [noise(60_000, b"garbage %d" % n) for n in range(9)]

pytestmark = pytest.mark.needs("mount")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def leave(disk: Path, free: int) -> None:
    """Take all room but this."""
    room = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - free)))


def putting(store: Store) -> None:
    store.put_batch(GARBAGE[:5])
    store.put_bytes(noise(2 * MIB))
    store.flush()


def sealing(store: Store) -> None:
    for blob in GARBAGE:
        store.put_bytes(blob)
    store.flush()


def sweeping(store: Store) -> None:
    keys = {(CHUNK, to_raw(store.put_bytes(blob))) for blob in KEPT}
    sweep(store, Needed(keys, frozenset, lambda: False))


def mending(store: Store) -> None:
    rewrite(store, [name for name, _ in store._packs.names()], keep=True)


def rebuilding(store: Store) -> None:
    store.rebuild_index()


@pytest.mark.parametrize(
    ("work", "pack_size"),
    [(putting, 64 * MIB), (sealing, 100_000), (sweeping, 300_000), (sweeping, 64 * MIB), (mending, 200_000),
     (rebuilding, 100_000)],
)  # fmt: skip
def test_a_full_disk_at_any_write(
    disk: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Store], None], pack_size: int
):
    monkeypatch.setattr(packs, "PACK_SIZE", pack_size)
    place = disk / "project" / "store"
    with Store.open(place) as store:
        digests = []
        for kept, garbage in zip(KEPT, GARBAGE, strict=False):
            digests.append(store.put_bytes(kept))
            if work is not putting and work is not sealing:
                store.put_bytes(garbage)
    whole = disk.parent / "whole"
    shutil.copytree(disk / "project", whole)
    done = refused = 0
    steps = [*range(0, 60_000, 4096), *range(60_000, 600_000, 45_000), 1 * MIB, 2 * MIB, 3 * MIB]
    for free in steps if SOAK == 1 else range(0, 3 * MIB, 8192):
        shutil.rmtree(disk / "project")
        shutil.copytree(whole, disk / "project")
        leave(disk, free)
        try:
            with Store.open(place) as store:
                work(store)
            done += 1
        except StorageError as error:
            assert error.hint
            refused += 1
        (disk / "filler").unlink()
        with Store.open(place) as store:
            assert not store.missing(digests), free
            assert [store.get_bytes(digest) for digest in digests] == KEPT
            assert list(store.check()) == []
            store.put_bytes(b"and it goes on")
            store.flush()
            store.rebuild_index()
            assert [store.get_bytes(digest) for digest in digests] == KEPT
    assert done and refused
