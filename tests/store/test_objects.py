from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import digest_bytes, from_raw
from mltrack.errors import Damaged, DataMissing, FormatTooNew, StorageError
from mltrack.store import packs
from mltrack.store.chunks import MIB
from mltrack.store.entries import CHUNK, RECIPE, encode_recipe, raw_digest
from mltrack.store.objects import Store
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
LARGE = noise(9 * MIB)


def reopened(place: Path) -> Store:
    return Store.open(place)


@settings(max_examples=40 * SOAK, deadline=None)
@given(blobs=st.lists(st.binary(max_size=2000)), flushes=st.booleans())
def test_what_was_put_is_got(tmp_path_factory: pytest.TempPathFactory, blobs: list[bytes], flushes: bool):
    place = tmp_path_factory.mktemp("p") / "store"
    with Store.open(place) as store:
        digests = []
        for blob in blobs:
            digests.append(store.put_bytes(blob))
            if flushes:
                store.flush()
        assert [store.get_bytes(digest) for digest in digests] == blobs
        assert store.get_batch(digests) == dict(zip(digests, blobs, strict=True))
    with reopened(place) as store:
        assert [store.get_bytes(digest) for digest in digests] == blobs
        assert store.missing(digests) == set()
        assert list(store.check()) == []


def test_the_digest_is_that_of_the_bytes_whatever_their_size(store: Store):
    for size in (0, 1, MIB, MIB + 1, 9 * MIB):
        digest, length = store.put_stream([LARGE[:size]])
        assert (digest, length) == (digest_bytes(LARGE[:size]), size)
        assert store.put_bytes(LARGE[:size]) == digest
        assert store.get_bytes(digest) == LARGE[:size] and store.size(digest) == size


def test_a_stream_gives_the_same_entries_as_the_bytes(store: Store):
    digest = store.put_bytes(LARGE)
    before = store.totals()
    assert store.put_stream(LARGE[at : at + 1000] for at in range(0, len(LARGE), 1000))[0] == digest
    assert store.totals() == before


def test_putting_twice_adds_nothing(store: Store):
    store.put_bytes(LARGE)
    before = store.totals()
    store.put_bytes(LARGE)
    assert store.totals() == before


def test_an_object_is_missing_while_one_of_its_chunks_is(store: Store, tmp_path: Path):
    digest = store.put_bytes(LARGE)
    keys = store.entries(digest)
    assert keys[-1] == (RECIPE, raw_digest(LARGE)) and {kind for kind, _ in keys[:-1]} == {CHUNK}
    with Store.open(tmp_path / "other" / "store") as other:
        for key in reversed(keys):  # the recipe first
            assert not other.has(digest)
            with pytest.raises(DataMissing):
                other.get_bytes(digest)
            assert other.add_entry(store.read_entry(key)) == key
        assert other.has(digest) and other.get_bytes(digest) == LARGE
        assert other.missing_entries(keys) == set()


def test_what_is_not_there_is_missing(store: Store):
    absent = digest_bytes(b"absent")
    assert not store.has(absent) and store.missing([absent]) == {absent}
    assert store.missing_entries([(CHUNK, raw_digest(b"absent"))]) == {(CHUNK, raw_digest(b"absent"))}
    for ask in (store.get_bytes, store.size, store.entries):
        with pytest.raises(DataMissing) as caught:
            ask(absent)
        assert absent in caught.value.message


def test_a_forged_entry_is_not_taken_in(store: Store):
    entry = bytearray(store.read_entry((CHUNK, raw_digest(LARGE[:10]))) if store.put_bytes(LARGE[:10]) else b"")
    entry[-1] ^= 1
    with pytest.raises(Damaged):
        store.add_entry(bytes(entry))


def test_a_recipe_that_lies_gives_no_object(store: Store):
    """Its chunks are sound and it is bound to the digest, yet together they are something else."""
    wanted = raw_digest(b"wanted")
    parts = (b"some", b"thing")
    chunks = zip(store.put_chunks([memoryview(part) for part in parts]), map(len, parts))
    store.add_entry(encode_recipe(wanted, chunks))
    with pytest.raises(Damaged):
        store.get_bytes(from_raw(wanted))
    with pytest.raises(Damaged):
        store.write_to(from_raw(wanted), store.path / "out")
    assert not (store.path / "out").exists()


def test_all_objects_are_those_that_can_be_got(store: Store):
    put = {store.put_bytes(blob) for blob in (b"a", b"b", LARGE)}
    found = set(store.all_objects())
    assert put <= found and all(digest_bytes(store.get_bytes(digest)) == digest for digest in found)
    store.add_entry(encode_recipe(raw_digest(b"x"), [(raw_digest(b"absent"), 6)]))
    assert digest_bytes(b"x") not in set(store.all_objects())


def test_nothing_is_seen_by_others_before_a_flush_and_all_after(store: Store, place: Path):
    digest = store.put_bytes(b"news")
    with reopened(place) as other:
        assert not other.has(digest)
        store.flush()
        assert other.has(digest) and other.get_bytes(digest) == b"news"


def test_leaving_by_an_error_puts_nothing(place: Path):
    with pytest.raises(KeyError), Store.open(place) as store:
        digest = store.put_bytes(b"half done")
        raise KeyError
    with reopened(place) as store:
        assert not store.has(digest)


def test_full_packs_are_sealed_and_readable(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packs, "PACK_SIZE", 100_000)
    blobs = [noise(4096, b"%d" % number) for number in range(100)]
    with Store.open(place) as store:
        digests = store.put_batch(blobs)
        store.flush()
        sealed = list((place / "packs").iterdir())
        assert len(sealed) == 4 and all(path.stat().st_size < 120_000 for path in sealed)
        assert [store.get_bytes(digest) for digest in digests] == blobs
        assert list(store.check()) == []
        store.rebuild_index()
        assert [store.get_bytes(digest) for digest in digests] == blobs


def test_a_pack_of_many_tiny_entries_is_sealed_by_their_number(place: Path, monkeypatch: pytest.MonkeyPatch):
    """Its table would pass the limit of an entry otherwise; also when the entries came from many writers."""
    monkeypatch.setattr(packs, "PACK_ENTRIES", 10)
    for run in range(25):
        with Store.open(place) as store:
            store.put_bytes(b"run %d" % run)
    assert len(list((place / "packs").iterdir())) == 2 and len(list((place / "open").iterdir())) == 1


def test_a_hundred_writers_one_after_another_share_a_pack(place: Path):
    for run in range(100):
        with Store.open(place) as store:
            store.put_bytes(b"run %d" % run)
    assert len(list((place / "open").iterdir())) == 1 and not list((place / "packs").iterdir())


def test_an_open_store_that_has_flushed_holds_no_pack(store: Store, place: Path):
    store.put_bytes(b"one")
    store.flush()
    with reopened(place) as other:
        other.put_bytes(b"two")
    assert len(list((place / "open").iterdir())) == 1


def test_two_writers_at_once_have_a_pack_each(store: Store, place: Path):
    first = store.put_bytes(b"one")
    with reopened(place) as other:
        second = other.put_bytes(b"two")
        assert other.put_bytes(b"one") == first
    store.flush()
    assert store.get_bytes(first) == b"one" and store.get_bytes(second) == b"two"
    assert len(list((place / "open").iterdir())) == 2 and list(store.check()) == []


def test_many_entries_are_flushed_on_the_way(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mltrack.store.entry_store.FLUSH_ENTRIES", 100)
    with Store.open(place) as store, reopened(place) as other:
        digests = store.put_batch([b"%d" % number for number in range(250)])
        assert len(other.missing(digests)) == 50


def test_writing_a_file_replaces_a_link_and_goes_not_through_it(store: Store, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    target = tmp_path / "target"
    target.symlink_to(outside)
    store.write_to(store.put_bytes(b"new"), target, executable=True)
    assert outside.read_text() == "precious" and not target.is_symlink() and target.read_bytes() == b"new"
    assert os.access(target, os.X_OK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "project", "target"]


def test_opening_makes_a_store_once_and_refuses_a_newer_one(place: Path):
    Store.open(place).close()
    assert (place / "store.json").read_text() == '{"format": "mltrack-store", "version": 1}\n'
    (place / "store.json").write_text('{"format": "mltrack-store", "version": 2}\n')
    with pytest.raises(FormatTooNew):
        Store.open(place)
    (place / "store.json").write_text("{")
    with pytest.raises(Damaged):
        Store.open(place)


def test_opening_imports_neither_the_compressor_nor_the_database(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from mltrack.store.objects import Store\n"
        "from mltrack.store import keep\n"
        "Store.open(Path(sys.argv[1])).close()\n"
        "print(*{'zstandard', 'sqlite3', 'pyfastcdc', 'blake3', 'tempfile', 'logging', 'concurrent.futures'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "store")], capture_output=True, text=True)
    assert done.stdout.strip() == "" and done.returncode == 0, done.stderr


FULL_DISK = """
import resource, sys
from pathlib import Path
from mltrack.errors import StorageError
from mltrack.store.objects import Store
from tests.store.samples import noise

store = Store.open(Path(sys.argv[1]))
first = store.put_bytes(noise(100_000, b"first"))
store.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    for number in range(100):
        store.put_bytes(noise(100_000, b"%d" % number))
    store.flush()
except StorageError as error:
    print(error.message)
else:
    sys.exit("the limit did not bite")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
last = store.put_bytes(noise(100_000, b"last"))
store.flush()
assert store.get_bytes(first) == noise(100_000, b"first")
assert store.get_bytes(last) == noise(100_000, b"last")
assert not list(store.check()), list(store.check())
for digest in list(store.all_objects()):
    store.get_bytes(digest)
store.close()
"""


def test_a_write_that_fails_half_way_loses_nothing_flushed(place: Path):
    """A limit on the size of a file stands for the full disk: the write stops in the middle of an entry."""
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(place)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Cannot write to" in done.stdout


def test_a_directory_that_may_not_be_written_is_one_plain_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write to"):
        Store.open(tmp_path / "file" / "store")


def test_memory_stays_bounded_for_a_large_stream(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from mltrack.store.objects import Store\n"
        "from tests.store.samples import noise\n"
        "block = noise(1 << 20)\n"
        "blocks = (number.to_bytes(8, 'big') + block for number in range(300))\n"
        "with Store.open(Path(sys.argv[1])) as store:\n"
        "    digest, size = store.put_stream(blocks)\n"
        "    store.write_to(digest, Path(sys.argv[2]))\n"
        "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "store"), str(tmp_path / "out")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 250 * 1024
