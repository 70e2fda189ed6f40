"""What a living process relies on stays, whatever gc thinks of it; what the dead relied on goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.errors import StorageError
from mltrack.store import holds, packs
from mltrack.store.chunks import MIB
from mltrack.store.objects import Store
from mltrack.store.sweep import Needed, plan, sweep
from tests.store.samples import noise

NOTHING = Needed(frozenset(), frozenset, lambda: False)


def swept(place: Path) -> int:
    """How many packs a sweep takes that needs nothing at all."""
    with Store.open(place) as store:
        return len(sweep(store, NOTHING).removed)


def test_what_was_put_stays_until_its_putter_has_closed_the_store(place: Path):
    store = Store.open(place)
    digest = store.put_bytes(b"just put")
    assert swept(place) == 0
    store.flush()
    assert swept(place) == 0
    assert store.get_bytes(digest) == b"just put"
    store.close()
    assert list((place / "holds").iterdir()) == []
    assert swept(place) == 1
    with Store.open(place) as store:
        assert not store.has(digest)


@pytest.mark.parametrize("size", [100, 3 * MIB])
def test_what_was_found_there_is_held_by_who_puts_it_again_and_not_by_who_looks(place: Path, size: int):
    with Store.open(place) as store:
        digest = store.put_bytes(noise(size))
    with Store.open(place) as store:
        assert store.put_bytes(noise(size)) == digest
        assert swept(place) == 0
    with Store.open(place) as store:
        assert store.has(digest, hold=True)
        assert swept(place) == 0
    with Store.open(place) as store:
        assert store.has(digest) and not store.missing_entries(store.entries(digest))
        assert store.get_bytes(digest) == noise(size)
        assert not (place / "holds").exists() or list((place / "holds").iterdir()) == []
        assert swept(place) == 1


def test_an_entry_taken_over_from_another_store_is_held(place: Path, tmp_path: Path):
    with Store.open(tmp_path / "other" / "store") as other:
        entry = other.read_entry((1, bytes.fromhex(other.put_bytes(b"x")[3:])))
    with Store.open(place) as store:
        store.add_entry(entry)
    with Store.open(place) as store:
        store.add_entry(entry)
        assert swept(place) == 0


def test_a_hold_is_one_line_for_each_pack(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packs, "PACK_ENTRIES", 10)
    with Store.open(place) as store:
        store.put_batch([b"%d" % n for n in range(35)])
        store.flush()
        (file,) = (place / "holds").iterdir()
        assert sorted(file.read_text().split()) == sorted(name for name, _ in store._packs.names())
    with Store.open(place) as store:
        for _ in range(3):
            store.put_batch([b"%d" % n for n in range(35)])
        (file,) = (place / "holds").iterdir()
        assert len(file.read_text().split()) == 4


def test_what_went_between_the_look_and_the_hold_counts_as_absent(place: Path, monkeypatch: pytest.MonkeyPatch):
    """gc comes at the worst moment: the index was asked, the hold is not taken yet."""
    with Store.open(place) as store:
        digest = store.put_bytes(b"there")
    with Store.open(place) as store:
        assert store.has(digest)
        asked = store._index.packs_of

        def then_gc(keys: object) -> dict[object, str]:
            found = asked(keys)  # type: ignore[arg-type]
            monkeypatch.undo()
            assert swept(place) == 1
            return found  # type: ignore[return-value]

        monkeypatch.setattr(store._index, "packs_of", then_gc)
        assert store.put_bytes(b"there") == digest
        store.flush()
        assert store.get_bytes(digest) == b"there"
    with Store.open(place) as store:
        assert store.get_bytes(digest) == b"there"


def test_what_was_moved_between_the_look_and_the_hold_is_held_where_it_is_now(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    with Store.open(place) as store:
        digest, _ = store.put_bytes(b"there"), store.put_bytes(noise(5000))
        need = Needed({(1, bytes.fromhex(digest[3:]))}, frozenset, lambda: False)
    with Store.open(place) as store:
        asked = store._index.packs_of

        def then_gc(keys: object) -> dict[object, str]:
            found = asked(keys)  # type: ignore[arg-type]
            monkeypatch.undo()
            with Store.open(place) as other:
                assert len(sweep(other, need).rewritten) == 1
            return found  # type: ignore[return-value]

        monkeypatch.setattr(store._index, "packs_of", then_gc)
        assert store.has(digest, hold=True)
        assert swept(place) == 0
        assert store.get_bytes(digest) == b"there"


def test_an_index_made_anew_while_gc_works_makes_nobody_rely_on_what_is_gone(place: Path):
    """Rows that lead to a pack that is not there any more: as if a rebuild had looked just before it went."""
    with Store.open(place) as store:
        digest = store.put_bytes(b"there")
    index = (place.parent / "index.db").read_bytes()
    with Store.open(place) as store:
        store.has(digest)  # it has compared the index with the packs by now
        assert swept(place) == 1
        (place.parent / "index.db").write_bytes(index)
        for suffix in ("-wal", "-shm"):
            place.with_name("index.db" + suffix).unlink(missing_ok=True)
        store._index.close()
        assert not store.has(digest, hold=True)
        store.put_bytes(b"there")
    with Store.open(place) as store:
        assert store.get_bytes(digest) == b"there"


def test_a_forked_child_that_lives_on_holds_nothing(place: Path):
    store = Store.open(place)
    store.put_bytes(b"one")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    store.flush()
    store.close()
    assert swept(place) == 1
    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)


HOLDER = """
import os, sys
from pathlib import Path
from mltrack.store.objects import Store
store = Store.open(Path(sys.argv[1]))
store.put_bytes(b"held by another process")
store.flush()
print("ready", flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def test_a_killed_process_holds_nothing_unless_runs_did_not_end(place: Path):
    held_by = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    )
    with held_by:
        assert held_by.stdout is not None and held_by.stdout.readline() == b"ready\n"
        assert swept(place) == 0
    assert len(list((place / "holds").iterdir())) == 1
    with Store.open(place) as store:
        assert plan(store, Needed(frozenset(), frozenset, lambda: True)).left
        assert sweep(store, Needed(frozenset(), frozenset, lambda: True)).removed == ()
        assert plan(store, NOTHING).removed
    assert swept(place) == 1
    assert list((place / "holds").iterdir()) == []


def test_the_hold_of_another_machine_counts_for_two_weeks(place: Path):
    with Store.open(place) as store:
        store.put_bytes(b"x")
    ((name, _),) = Store.open(place)._packs.names()
    (place / "holds").mkdir(exist_ok=True)
    theirs = place / "holds" / "elsewhere.example.0123456789abcdef"
    theirs.write_text(f"\n{name}\n")
    assert swept(place) == 0
    old = theirs.stat().st_mtime - holds.ELSEWHERE_S - 1
    os.utime(theirs, (old, old))
    assert swept(place) == 1
    assert not theirs.exists()


def test_a_hold_that_could_not_be_written_is_not_relied_on(place: Path, monkeypatch: pytest.MonkeyPatch):
    with Store.open(place) as store:
        store.put_bytes(b"x")
        store.flush()
    (place / "holds").rmdir()
    (place / "holds").write_text("in the way")
    with Store.open(place) as store:
        with pytest.raises(StorageError, match="holds"):
            store.put_bytes(b"x")
        with pytest.raises(StorageError, match="holds"):
            store.put_bytes(b"y")
        (place / "holds").unlink()
        store.put_bytes(b"y")
        assert swept(place) == 0


def test_what_a_failed_write_left_in_a_hold_hides_no_later_line(place: Path):
    with Store.open(place) as store:
        store.put_bytes(b"x")
        store.flush()
        (file,) = (place / "holds").iterdir()
        with file.open("ab") as torn:
            torn.write(b"\n0123torn")
        with store._holds.taking():
            store._holds.add(["whole.pack"])
        assert "whole.pack" in file.read_text().split()
