"""Which filesystem a path lies on, and the journal that SQLite uses there."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from pathlib import Path

import pytest

from mltrack.ledger.ledger import Ledger
from mltrack.store import filesystems
from mltrack.store.filesystems import NOWHERE, Mount, journal_of, mount_of, mount_of_device, open_database
from mltrack.store.index import Index
from mltrack.store.objects import Store
from mltrack.store.packs import Pending
from mltrack.store.statcache import StatCache
from tests.store.samples import noise

NFS = Mount("nfs4", "/mnt")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
def test_a_mount_is_found_by_path_also_below_what_is_not_there_yet_and_by_device():
    found = mount_of(Path("/dev/shm/not/there/yet"))
    assert (found.kind, found.place) == ("tmpfs", "/dev/shm")
    assert mount_of_device(os.stat("/dev/shm").st_dev).kind == "tmpfs"
    assert mount_of_device(2**40 - 1) == NOWHERE
    assert not found.is_network and not found.is_trusted


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "lustre", "fuse.sshfs", "fuse", "9p", "virtiofs"])
def test_networks_are_known(kind: str):
    mount = Mount(kind, "/x")
    assert mount.is_network and not mount.is_trusted


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "fuseblk", "zfs", ""])
def test_local_disks_are_known(kind: str):
    mount = Mount(kind, "/x")
    assert not mount.is_network and mount.is_trusted


def test_options_say_where_locks_do_not_reach():
    assert Mount("nfs", "/x", frozenset({"rw", "nolock"})).locks_stay_here
    assert Mount("nfs4", "/x", frozenset({"local_lock=all"})).locks_stay_here
    assert Mount("cifs", "/x", frozenset({"nobrl"})).locks_stay_here
    assert Mount("fuse.sshfs", "/x").locks_stay_here
    assert not Mount("nfs4", "/x", frozenset({"local_lock=none", "rw"})).locks_stay_here


def mode(path: Path) -> str:
    """What a connection of ours uses."""
    database = open_database(path, lambda: sqlite3.connect(path, isolation_level=None))
    try:
        return str(database.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        database.close()


def make(path: Path, journal: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {journal}")
    database.execute("CREATE TABLE t (x)")
    database.execute("INSERT INTO t VALUES (1)")
    database.close()


@pytest.fixture
def on_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "mount_of", lambda path: NFS)


def test_on_a_local_disk_a_new_database_gets_wal_and_an_old_one_keeps_what_it_has(tmp_path: Path):
    assert mode(tmp_path / "new") == "wal"
    make(tmp_path / "old", "DELETE")
    assert mode(tmp_path / "old") == "persist" and journal_of(tmp_path / "old") == "rollback"


@pytest.mark.usefixtures("on_nfs")
def test_on_a_network_nothing_uses_wal_or_shared_memory(tmp_path: Path):
    state = tmp_path / ".mltrack"
    state.mkdir()
    with Ledger.open(state / "ledger.db") as ledger, Store.open(state / "store") as store:
        cache = StatCache.open(state / "stat.db")
        store.put_bytes(noise(100))
        store.flush()
        cache.flush()
        assert ledger.count() == 0
        names = {path.name for path in state.iterdir()}
        assert not [name for name in names if name.endswith(("-wal", "-shm"))]
        assert {journal_of(state / name) for name in ("ledger.db", "index.db", "stat.db")} == {"rollback"}
        cache.close()


def test_a_ledger_in_wal_that_is_moved_to_a_network_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        ledger.add_event("tag", "0123456789abcdef", {"tag": "kept"})
    # A copy of a project that is at work: what was committed last lies in the WAL only.
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("PRAGMA wal_autocheckpoint = 0")
    busy.execute("INSERT INTO meta VALUES ('late', 'in the wal')")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("ledger.db", "ledger.db-wal"):
        (moved / name).write_bytes((tmp_path / name).read_bytes())
    busy.close()
    monkeypatch.setattr(filesystems, "mount_of", lambda path: NFS)
    with Ledger.open(moved / "ledger.db") as ledger:
        assert ledger.db.execute("SELECT value FROM meta WHERE key = 'late'").fetchone() == ("in the wal",)
        assert journal_of(moved / "ledger.db") == "rollback"
        assert ledger.db.execute("PRAGMA locking_mode").fetchone() == ("normal",)
        with Ledger.open(moved / "ledger.db") as other:  # the lock of the switch was given up
            other.add_event("tag", "0123456789abcdef", {"tag": "second"})
    assert not {path.name for path in moved.iterdir()} & {"ledger.db-wal", "ledger.db-shm"}


def add_many(path: Path, number: int, count: int) -> None:
    filesystems.mount_of = lambda path: NFS  # type: ignore[assignment]
    with Ledger.open(path) as ledger:
        for n in range(count):
            ledger.add_event("note", f"{number:08}{n:08}", "text")


@pytest.mark.usefixtures("on_nfs")
def test_many_processes_write_to_one_rollback_ledger_and_lose_nothing(tmp_path: Path):
    path = tmp_path / "ledger.db"
    make_wal = sqlite3.connect(path)
    make_wal.execute("PRAGMA journal_mode = WAL")  # and all of them want to switch it
    make_wal.execute("CREATE TABLE x (y)")
    make_wal.execute("DROP TABLE x")
    make_wal.close()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=add_many, args=(path, number, 20)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    with Ledger.open(path) as ledger:
        assert ledger.db.execute("SELECT count(*) FROM event").fetchone() == (120,)
        assert ledger.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.usefixtures("on_nfs")
def test_an_index_that_cannot_be_read_is_replaced_with_its_journal(tmp_path: Path):
    path = tmp_path / "index.db"
    index = Index(path, Pending)
    assert index.sums() == (0, 0)
    path.with_name("index.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))
    index.close()
    path.write_bytes(b"no database" * 1000)
    assert index.sums() == (0, 0)
    index.close()
    assert {found.name for found in tmp_path.iterdir()} <= {"index.db", "index.db-journal"}
