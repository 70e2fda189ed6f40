"""gc of the store: what is needed stays and is what it was, what is not goes, and its room is given back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import to_raw
from mltrack.errors import StorageError
from mltrack.store import packs
from mltrack.store.entries import CHUNK, EntryKey
from mltrack.store.objects import Store
from mltrack.store.sweep import Needed, plan, sweep, use_of_packs
from tests.store.samples import noise
from tests.store.sweeper import parts

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


def need(keys: set[EntryKey]) -> Needed:
    return Needed(keys, frozenset, lambda: False)


def keys_of(digests: list[str]) -> set[EntryKey]:
    return {(CHUNK, to_raw(digest)) for digest in digests}


def put(place: Path, blobs: list[bytes]) -> list[str]:
    with Store.open(place) as store:
        return [store.put_bytes(blob) for blob in blobs]


def size_of(place: Path) -> int:
    return sum(path.stat().st_size for path in [*(place / "packs").iterdir(), *(place / "open").iterdir()])


def test_a_pack_in_which_nothing_is_needed_goes(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packs, "PACK_ENTRIES", 2)
    digests = put(place, [b"a", b"b", b"c", b"d", b"e"])
    with Store.open(place) as store:
        told = plan(store, need(keys_of(digests[2:])))
        assert (len(told.removed), told.rewritten) == (1, ())
        done = sweep(store, need(keys_of(digests[2:])))
        assert (done.removed, done.freed_bytes) == (told.removed, told.freed_bytes)
        assert store.missing(digests) == set(digests[:2])
        assert [store.get_bytes(digest) for digest in digests[2:]] == [b"c", b"d", b"e"]
        assert list(store.check()) == []
    assert len(list((place / "packs").iterdir())) == 1


@pytest.mark.parametrize("sealed", [False, True])
def test_a_mostly_dead_pack_is_rewritten(place: Path, sealed: bool, monkeypatch: pytest.MonkeyPatch):
    blobs = [noise(3000, b"%d" % n) for n in range(10)]
    if sealed:
        monkeypatch.setattr(packs, "PACK_ENTRIES", 10)
    digests = put(place, blobs)
    before = size_of(place)
    with Store.open(place) as store:
        told = plan(store, need(keys_of(digests[:4])))
        done = sweep(store, need(keys_of(digests[:4])))
        assert len(done.rewritten) == 1 and done.freed_bytes == told.freed_bytes > 17_000
        assert store.missing(digests) == set(digests[4:])
        assert [store.get_bytes(digest) for digest in digests[:4]] == blobs[:4]
        assert list(store.check()) == []
    assert before - size_of(place) == pytest.approx(done.freed_bytes, abs=100)
    (place.parent / "index.db").unlink()
    with Store.open(place) as store:
        assert store.missing(digests) == set(digests[4:])


def test_a_pack_that_is_half_needed_is_left_as_it_is(place: Path):
    digests = put(place, [noise(3000, b"%d" % n) for n in range(10)])
    with Store.open(place) as store:
        assert plan(store, need(keys_of(digests[:6]))) == sweep(store, need(keys_of(digests[:6])))
        assert sweep(store, need(keys_of(digests[:6]))).freed_bytes == 0
        assert not store.missing(digests)


def test_what_is_asked_to_go_goes_from_a_pack_that_is_mostly_needed(place: Path):
    digests = put(place, [noise(3000, b"%d" % n) for n in range(10)])
    with Store.open(place) as store:
        needed = Needed(keys_of(digests[:9]), frozenset, lambda: False, keys_of(digests))
        assert plan(store, needed).freed_bytes == sweep(store, needed).freed_bytes > 3000
        assert store.missing(digests) == {digests[9]}
        assert sweep(store, needed).freed_bytes == 0


def test_a_reader_goes_on_reading_what_is_moved(place: Path):
    digests = put(place, [b"kept", noise(5000)])
    with Store.open(place) as reader, Store.open(place) as store:
        places = reader._index.places(keys_of(digests))
        sweep(store, need(keys_of(digests[:1])))
        key = next(iter(keys_of(digests[:1])))
        assert reader._load(key, places[key]) == b"kept"
        assert reader.get_bytes(digests[0]) == b"kept"


def test_a_damaged_entry_that_is_needed_keeps_its_pack(place: Path):
    digests = put(place, [noise(100), noise(5000)])
    (pack,) = (place / "open").iterdir()
    data = bytearray(pack.read_bytes())
    data[8 + 56 + 20] ^= 1
    pack.write_bytes(data)
    with Store.open(place) as store:
        done = sweep(store, need(keys_of(digests[:1])))
        assert (done.rewritten, done.left) == ((), (pack.name,))
        assert pack.read_bytes() == data


def test_what_is_found_to_be_needed_at_the_last_moment_stays(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packs, "PACK_ENTRIES", 2)
    digests = put(place, [b"a", noise(3000), b"c", b"d"])
    late = Needed(keys_of(digests[:1]), lambda: keys_of(digests[1:3]), lambda: False)
    with Store.open(place) as store:
        assert len(plan(store, late).removed) == len(plan(store, late).rewritten) == 1
        done = sweep(store, late)
        assert (done.removed, done.rewritten, len(done.left)) == ((), (), 2)
        assert not store.missing(digests)
        assert store.get_bytes(digests[0]) == b"a"


def test_what_crashes_left_goes(place: Path):
    put(place, [b"a"])
    old, fresh, other = place / ".mltrack-1-ab-0.tmp", place / "open" / ".mltrack-2-ab-0.tmp", place / "notes.txt"
    gone = place / "packs" / "0123.pack.gone"
    for path in (old, fresh, other, gone):
        path.write_text("x")
    os.utime(old, (time.time() - 90_000,) * 2)
    with Store.open(place) as store:
        assert plan(store, need(set())).temporary_files == 2
        assert sweep(store, need(set())).temporary_files == 2
    assert (old.exists(), fresh.exists(), other.exists(), gone.exists()) == (False, True, True, False)


def test_one_sweep_at_a_time(place: Path):
    put(place, [b"a"])
    with Store.open(place) as store, Store.open(place) as other:

        def again() -> bool:
            with pytest.raises(StorageError, match="Another gc"):
                sweep(other, need(set()))
            return False

        assert len(sweep(store, Needed(set(), set, again)).removed) == 1


@settings(max_examples=25 * SOAK, deadline=None)
@given(st.data())
def test_whatever_is_needed_stays_and_all_else_goes_or_is_less_than_half(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    place = tmp_path_factory.mktemp("sweep") / "store"
    sizes = data.draw(st.lists(st.integers(0, 4000), min_size=1, max_size=30, unique=True))
    blobs = [noise(size, b"%d" % size) for size in sizes]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packs, "PACK_ENTRIES", data.draw(st.integers(1, 12)))
        digests = put(place, blobs)
        for _ in range(2):
            kept = data.draw(st.sets(st.sampled_from(digests)))
            with Store.open(place) as store:
                here = set(digests) - store.missing(digests)
                sweep(store, need(keys_of(list(kept))))
                assert kept & here <= set(digests) - store.missing(digests)
                for digest, blob in zip(digests, blobs, strict=True):
                    if digest in kept & here:
                        assert store.get_bytes(digest) == blob
                assert list(store.check()) == []
                for use in use_of_packs(store, keys_of(list(kept))).values():
                    assert not use.is_garbage and not use.is_to_be_rewritten
                store.rebuild_index()
                assert not (kept & here) & store.missing(digests)


def test_killed_at_any_moment_a_sweep_leaves_a_sound_store(tmp_path: Path):
    """A real process that sweeps and puts in turn, killed with SIGKILL at random moments."""
    place = tmp_path / "project" / "store"
    chance = random.Random(11)
    needed = parts("needed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packs, "PACK_SIZE", 200_000)
        digests = put(place, needed)
    for turn in range(15 * SOAK):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.sweeper", str(place), str(turn)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        with process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(chance.random() * 0.25)
            process.kill()
        with Store.open(place) as store:
            assert not store.missing(digests)
            assert [store.get_bytes(digest) for digest in digests] == needed
    with Store.open(place) as store:
        sweep(store, need(keys_of(digests)))
        assert list(store.check()) == []
        assert [store.get_bytes(digest) for digest in digests] == needed
        assert store.totals().stored_bytes < 2.2 * sum(map(len, needed))
        store.rebuild_index()
        assert [store.get_bytes(digest) for digest in digests] == needed
