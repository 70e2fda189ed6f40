"""A damaged pack is rewritten: what is sound in it stays, what is not is gone from every index to come."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import to_raw
from mltrack.errors import DataMissing
from mltrack.store import packs
from mltrack.store.entries import CHUNK
from mltrack.store.mend import find_copies, rewrite
from mltrack.store.objects import Store
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
BLOBS = [noise(size, b"%d" % size) for size in (0, 1, 40, 300, 2000, 700)] + [b"text " * 200]


def made(place: Path, sealed: bool) -> tuple[Path, list[str]]:
    with pytest.MonkeyPatch.context() as patched:
        if sealed:
            patched.setattr(packs, "PACK_ENTRIES", len(BLOBS))
        with Store.open(place) as store:
            digests = [store.put_bytes(blob) for blob in BLOBS]
    (pack,) = (place / ("packs" if sealed else "open")).iterdir()
    return pack, digests


@settings(max_examples=40 * SOAK, deadline=None)
@given(data=st.data(), sealed=st.booleans(), keep=st.booleans(), indexed=st.booleans())
def test_what_is_sound_in_a_damaged_pack_is_kept_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, sealed: bool, keep: bool, indexed: bool
):
    place = tmp_path_factory.mktemp("mend") / "project" / "store"
    pack, digests = made(place, sealed)
    whole = bytearray(pack.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    pack.write_bytes(whole)
    if not indexed:
        (place.parent / "index.db").unlink()
    with Store.open(place) as store:
        damages = list(store.check())
        store.forget(damages)
        before = [read(store, digest) for digest in digests]
        done = rewrite(store, [pack.name], keep)
        assert (done.rewritten, done.left) == ((pack.name,), ())
        assert [path.exists() for path in done.aside] == [True] * keep
        assert [read(store, digest) for digest in digests] == before
        assert list(store.check()) == []
        store.rebuild_index()
        assert [read(store, digest) for digest in digests] == before
        for digest, blob in zip(digests, BLOBS, strict=True):
            store.put_bytes(blob)
            assert read(store, digest) == blob
    assert not pack.exists()


def read(store: Store, digest: str) -> bytes | None:
    try:
        return store.get_bytes(digest)
    except DataMissing:
        return None


def test_a_sound_copy_is_found_in_any_pack(place: Path):
    pack, digests = made(place, sealed=True)
    twin = pack.with_name("f" * 32 + ".pack")
    twin.write_bytes(pack.read_bytes())
    damaged = bytearray(pack.read_bytes())
    at = damaged.index(BLOBS[4]) + 1000
    damaged[at] ^= 1
    key = (CHUNK, to_raw(digests[4]))
    for bad, good in ((pack, twin), (twin, pack)):
        good.write_bytes(bytes(damaged[:at] + bytes([damaged[at] ^ 1]) + damaged[at + 1 :]))
        bad.write_bytes(damaged)
        with Store.open(place) as store:
            assert find_copies(store._packs, {key})[key].pack == good.name
            assert store.get_bytes(digests[4]) == BLOBS[4]
            store.rebuild_index()
            assert store._index.places([key])[key].pack == good.name
    twin.unlink()
    pack.write_bytes(damaged)
    with Store.open(place) as store:
        assert find_copies(store._packs, {key}) == {}


def test_a_pack_that_somebody_uses_is_left(place: Path):
    pack, _ = made(place, sealed=True)
    with Store.open(place) as user, Store.open(place) as store:
        user.put_bytes(BLOBS[2])
        assert rewrite(store, [pack.name], keep=False).left == (pack.name,)
        assert pack.exists()
    with Store.open(place) as user, Store.open(place) as store:
        user.put_bytes(b"new")  # holds an open pack, and its lock
        name = next(name for name, sealed in user._packs.names() if not sealed)
        assert rewrite(store, [name], keep=False).left == (name,)


def test_a_pack_that_is_gone_needs_no_mending(place: Path):
    pack, digests = made(place, sealed=True)
    pack.unlink()
    with Store.open(place) as store:
        assert rewrite(store, [pack.name], keep=True).aside == ()
        assert store.missing(digests) == set(digests)
