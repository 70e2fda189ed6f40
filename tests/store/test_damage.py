"""Flip any bit, tear off any tail: it is found, nothing wrong is given out, and nothing else is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.errors import Damaged, DataMissing, FormatTooNew
from mltrack.store import packs
from mltrack.store.chunks import MIB
from mltrack.store.entries import CHUNK, encode, raw_digest
from mltrack.store.objects import Store
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
BLOBS = [b"first", b"again and again " * 8, b"", noise(20), b"last"]


def only_pack(place: Path) -> Path:
    (pack,) = [*(place / "packs").iterdir(), *(place / "open").iterdir()]
    return pack


def put(place: Path, blobs: list[bytes]) -> list[str]:
    with Store.open(place) as store:
        return [store.put_bytes(blob) for blob in blobs]


def got(store: Store, digest: str) -> bytes | None:
    try:
        return store.get_bytes(digest)
    except (DataMissing, FormatTooNew):
        return None


@pytest.fixture(params=["open", "sealed"])
def pack(place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small pack that holds BLOBS."""
    if request.param == "sealed":
        monkeypatch.setattr(packs, "PACK_ENTRIES", len(BLOBS))
    put(place, BLOBS)
    found = only_pack(place)
    assert found.parent.name == ("packs" if request.param == "sealed" else "open")
    return found


def test_every_flipped_bit_is_found_and_nothing_wrong_is_given(place: Path, pack: Path):
    whole = pack.read_bytes()
    digests = put(place, BLOBS)
    assert pack.read_bytes() == whole
    with Store.open(place) as store:
        assert list(store.check()) == []
        for bit in range(8 * len(whole)) if SOAK > 1 else [8 * at + at % 8 for at in range(len(whole))]:
            with open(pack, "r+b") as file:
                file.seek(bit // 8)
                file.write(bytes([whole[bit // 8] ^ 1 << bit % 8]))
            found = list(store.check())
            assert found, f"bit {bit} of {len(whole)} bytes"
            results = [got(store, digest) for digest in digests]
            assert all(result in (None, blob) for result, blob in zip(results, BLOBS, strict=True))
            assert sum(result is None for result in results) <= 1  # a bit touches one object at most
            if None in results:
                assert digests[results.index(None)] in {damage.digest for damage in found}
            with open(pack, "r+b") as file:
                file.seek(bit // 8)
                file.write(whole[bit // 8 : bit // 8 + 1])


def test_flipped_bits_are_found_without_the_index_too(place: Path, pack: Path):
    whole, last = pack.read_bytes(), encode(CHUNK, BLOBS[-1], raw_digest(BLOBS[-1]))
    digests = put(place, BLOBS)
    for byte in range(0, len(whole), 7):
        pack.write_bytes(whole[:byte] + bytes([whole[byte] ^ 4]) + whole[byte + 1 :])
        (place.parent / "index.db").unlink()
        with Store.open(place) as store:
            results = [got(store, digest) for digest in digests]
            assert all(result in (None, blob) for result, blob in zip(results, BLOBS, strict=True))
            assert sum(result is None for result in results) <= 1
            # Without an index the last entry of an open pack may be one that was being written.
            assert list(store.check()) or (pack.parent.name == "open" and byte >= len(whole) - len(last))


def test_damage_in_the_middle_of_an_open_pack_costs_no_other_object(place: Path):
    """Also when the index is lost, and the next writer takes the pack over."""
    digests = put(place, BLOBS)
    pack = only_pack(place)
    data = bytearray(pack.read_bytes())
    data[8 + 60] ^= 1  # in the payload of the first entry
    pack.write_bytes(data)
    (place.parent / "index.db").unlink()
    more = put(place, [b"more"])
    with Store.open(place) as store:
        assert [got(store, digest) for digest in digests] == [None, *BLOBS[1:]]
        assert store.get_bytes(more[0]) == b"more"
        assert only_pack(place) == pack


@pytest.mark.parametrize("indexed", [False, True])
def test_a_tail_torn_at_any_byte_costs_only_what_was_torn(place: Path, indexed: bool):
    """A power cut may leave any part of what was not flushed. The index may know of it (a disk that lied) or not."""
    digests = put(place, BLOBS[:2])
    pack = only_pack(place)
    flushed = len(pack.read_bytes())
    index = (place.parent / "index.db").read_bytes()
    digests += put(place, BLOBS[2:])
    whole = pack.read_bytes()
    for length in range(flushed, len(whole), 3 if indexed and SOAK == 1 else 1):
        pack.write_bytes(whole[:length])
        if not indexed:
            (place.parent / "index.db").write_bytes(index)
        with Store.open(place) as store:
            assert [got(store, digest) for digest in digests[:2]] == BLOBS[:2]
            results = [got(store, digest) for digest in digests[2:]]
            assert all(result in (None, blob) for result, blob in zip(results, BLOBS[2:], strict=True))
            new = store.put_bytes(b"new")
            store.flush()
            assert store.get_bytes(new) == b"new"
            if not indexed:
                assert [store.put_bytes(blob) for blob in BLOBS] == digests
                assert [store.get_bytes(digest) for digest in digests] == BLOBS
                assert list(store.check()) == []
        assert only_pack(place) == pack
        if indexed:
            (place.parent / "index.db").unlink()


def test_a_tail_torn_in_a_pack_that_was_being_sealed_is_sealed_again(place: Path, monkeypatch: pytest.MonkeyPatch):
    put(place, BLOBS)
    opened = only_pack(place)
    before = len(opened.read_bytes())
    monkeypatch.setattr(packs, "PACK_ENTRIES", len(BLOBS))
    digests = put(place, [*BLOBS, b"new"])  # seals the pack, the new one goes to another
    sealed = place / "packs" / opened.name
    whole = sealed.read_bytes()
    (other,) = (place / "open").iterdir()
    for length in [*range(before, len(whole), 9), *range(len(whole) - 18, len(whole) + 1)]:
        if sealed.exists():
            sealed.rename(opened)
        opened.write_bytes(whole[:length])
        for path in (place.parent / "index.db", other):
            path.unlink(missing_ok=True)
        with Store.open(place) as store:
            store.put_bytes(b"new")
            store.flush()
            assert sealed.read_bytes() == whole and not opened.exists()
            assert [store.get_bytes(digest) for digest in digests] == [*BLOBS, b"new"]
            assert list(store.check()) == []
        (other,) = (place / "open").iterdir()


def test_a_pack_that_is_gone_is_named(place: Path):
    digests = put(place, [b"a"])
    pack = only_pack(place)
    pack.unlink()
    with Store.open(place) as store:
        with pytest.raises(DataMissing):
            store.get_bytes(digests[0])
        (damage,) = store.check()
        assert damage.digest == digests[0]


def test_a_recipe_without_its_chunks_is_named(place: Path, tmp_path: Path):
    with Store.open(place) as store, Store.open(tmp_path / "other" / "store") as other:
        digest = store.put_bytes(noise(3 * MIB))
        other.add_entry(store.read_entry(store.entries(digest)[-1]))
        (damage,) = other.check()
        assert (damage.kind, damage.digest) == ("recipe", digest)


def test_a_damaged_chunk_is_never_written_to_a_file(place: Path, tmp_path: Path):
    with Store.open(place) as store:
        digest = store.put_bytes(noise(6 * MIB))
    pack = only_pack(place)
    with open(pack, "r+b") as file:
        file.seek(5 * MIB)
        file.write(b"xxxx")
    with Store.open(place) as store:
        with pytest.raises(Damaged):
            store.write_to(digest, tmp_path / "out")
        assert os.listdir(tmp_path) == ["project"]
        assert [damage.kind for damage in store.check()] == ["entry", "index", "recipe"]


def test_checking_tells_how_far_it_is(place: Path):
    put(place, BLOBS)
    told: list[int] = []
    with Store.open(place) as store:
        list(store.check(told.append))
        assert sum(told) == store.totals().stored_bytes
