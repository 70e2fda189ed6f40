from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from mltrack.errors import StorageError
from mltrack.store import index as index_module
from mltrack.store.objects import Store

BLOBS = [b"%d" % number for number in range(50)]


@pytest.fixture
def digests(place: Path) -> list[str]:
    with Store.open(place) as store:
        return store.put_batch(BLOBS)


@pytest.fixture
def index(place: Path) -> Path:
    return place.parent / "index.db"


def all_there(place: Path, digests: list[str]) -> bool:
    with Store.open(place) as store:
        return not store.missing(digests) and [store.get_bytes(digest) for digest in digests] == BLOBS


def test_a_deleted_index_is_rebuilt(place: Path, digests: list[str], index: Path):
    index.unlink()
    assert all_there(place, digests)


@pytest.mark.parametrize("junk", [b"", b"junk" * 5000, b"SQLite format 3\0" + b"\xff" * 9000])
def test_an_unreadable_index_is_rebuilt(place: Path, digests: list[str], index: Path, junk: bytes):
    index.write_bytes(junk)
    assert all_there(place, digests)
    assert set(os.listdir(place.parent)) <= {"index.db", "index.db-journal", "store"}


def test_an_index_with_any_page_overwritten_gives_nothing_wrong(place: Path, digests: list[str], index: Path):
    whole = index.read_bytes()
    for start in range(0, len(whole), 4096):
        index.write_bytes(whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])
        with Store.open(place) as store:
            for digest, blob in zip(digests, BLOBS, strict=True):
                assert store.get_bytes(digest) == blob


def test_rows_that_lead_elsewhere_are_not_followed_blindly(place: Path, digests: list[str], index: Path):
    database = sqlite3.connect(index)
    with database:
        database.execute("UPDATE entries SET offset = (SELECT max(offset) FROM entries) - offset, length = length + 1")
    database.close()
    assert all_there(place, digests)


def test_an_index_from_a_backup_learns_what_came_later(place: Path, digests: list[str], index: Path, tmp_path: Path):
    shutil.copy(index, tmp_path / "backup.db")
    with Store.open(place) as store:
        later = store.put_bytes(b"later")
    shutil.copy(tmp_path / "backup.db", index)
    with Store.open(place) as store:
        assert not store.has(later)
        assert store.get_bytes(later) == b"later"  # what is missed is looked for in the packs
        assert store.has(later)


def test_an_index_of_another_version_is_rebuilt(place: Path, digests: list[str], index: Path):
    database = sqlite3.connect(index)
    with database:
        database.execute("DELETE FROM entries")
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert all_there(place, digests)


def test_rebuilding_gives_the_same_rows(place: Path, digests: list[str], index: Path):
    def rows() -> list[tuple[object, ...]]:
        database = sqlite3.connect(index)
        try:
            found = database.execute("SELECT key, name, offset, length, raw_size FROM entries, packs WHERE id = pack")
            return sorted(found) + database.execute("SELECT name, size, count, sealed FROM packs").fetchall()
        finally:
            database.close()

    before = rows()
    with Store.open(place) as store:
        store.rebuild_index()
        assert rows() == before


def test_a_reader_never_sees_a_half_rebuilt_index(place: Path, digests: list[str], monkeypatch: pytest.MonkeyPatch):
    """While one rebuilds, another goes on with the old rows; a rebuild that fails leaves them."""
    with Store.open(place) as store, Store.open(place) as other:
        real = index_module._insert

        def insert(database: sqlite3.Connection, pending: object) -> None:
            assert not other.missing(digests)
            real(database, pending)  # type: ignore[arg-type]
            raise KeyboardInterrupt

        monkeypatch.setattr(index_module, "_insert", insert)
        with pytest.raises(KeyboardInterrupt):
            store.rebuild_index()
        assert not other.missing(digests) and not store.missing(digests)


def test_an_index_replaced_under_an_open_store_loses_nothing(place: Path, digests: list[str], index: Path):
    """Another process found it unreadable and put a new one in its place."""
    with Store.open(place) as store:
        assert store.has(digests[0])
        index.unlink()
        with Store.open(place) as other:
            assert other.has(digests[0])
            new = store.put_bytes(b"new")
            store.flush()
            assert other.has(new) and other.get_bytes(new) == b"new"


def test_a_locked_index_is_one_plain_error(
    place: Path, digests: list[str], index: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(index_module, "TIMEOUT_S", 0.01)
    database = sqlite3.connect(index, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    try:
        with Store.open(place) as store:
            new = store.put_bytes(b"new")
            with pytest.raises(StorageError, match="locked"):
                store.flush()
            assert not store.has(new)
            database.execute("ROLLBACK")
            assert store.put_bytes(b"new") == new
            store.flush()
            assert store.get_bytes(new) == b"new"
    finally:
        database.close()


def test_more_keys_than_one_question_may_hold_are_asked(place: Path):
    blobs = [b"blob %d" % number for number in range(2345)]
    with Store.open(place) as store:
        digests = store.put_batch(blobs)
        store.flush()
        assert store.missing(digests) == set()
        assert len(list(store.all_objects())) == store.totals().objects == 2345
