"""What one process says is kept stays so, whatever others do between its words."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import pytest

from mltrack.digest import digest_bytes, to_raw
from mltrack.errors import StorageError
from mltrack.store import packs
from mltrack.store.entries import CHUNK
from mltrack.store.keep import keep_path
from mltrack.store.objects import Store
from mltrack.store.statcache import StatCache
from mltrack.store.sweep import Needed, sweep
from tests.helpers import write


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatCache:
    """One that takes every file for one that was left alone."""
    monkeypatch.setattr("mltrack.store.statcache.QUIET_NS", -(10**18))
    monkeypatch.setattr(StatCache, "_trusts", lambda self, device: True)
    return StatCache.open(tmp_path / "stat.db")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "data", {"a": "one", "b/c": "two"})
    return tmp_path / "data"


def collect_all(place: Path) -> None:
    """A gc in another process, for which nothing is needed but what is held."""
    with Store.open(place) as store:
        sweep(store, Needed(set(), set, lambda: False))


def test_what_two_processes_put_at_once_stays_for_the_one_that_lives(place: Path):
    first, second = Store.open(place), Store.open(place)
    digests = [first.put_bytes(b"the same"), second.put_bytes(b"the same")]
    second.flush()
    first.flush()
    second.close()
    collect_all(place)
    assert first.has(digests[0]) and first.get_bytes(digests[0]) == b"the same"
    first.close()
    with Store.open(place) as later:
        assert later.get_bytes(digests[0]) == b"the same"


def test_many_packs_need_few_open_files(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packs, "PACK_SIZE", 4096)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 20, hard))
    try:
        with Store.open(place) as store:
            digests = [store.put_bytes(os.urandom(5000)) for _ in range(100)]
            store.flush()
            assert not store.missing(digests)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_flush_that_fails_while_packs_are_sealed_claims_nothing(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packs, "PACK_SIZE", 4096)
    store = Store.open(place)
    digests = [store.put_bytes(os.urandom(5000)), store.put_bytes(b"small")]

    def refuse(self: object) -> None:
        raise StorageError("The disk is full.", "Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr(packs.PackWriter, "sync", refuse)
        with pytest.raises(StorageError):
            store.flush()
    store.flush()
    assert store.missing(digests) == set(digests) or not store.missing(digests[:1])
    again = store.put_bytes(b"small")
    store.flush()
    assert store.get_bytes(again) == b"small"
    store.close()
    with Store.open(place) as later:
        for digest in digests:
            assert digest in later.missing([digest]) or digest_bytes(later.get_bytes(digest)) == digest


@pytest.mark.parametrize("kind", ["pipe", "link", "repository"])
def test_what_cannot_be_kept_is_named_also_where_all_else_is_known(
    data: Path, store: Store, cache: StatCache, kind: str
):
    assert keep_path(data, store, cache).problems == ()
    if kind == "pipe":
        os.mkfifo(data / "pipe")
    elif kind == "link":
        (data / "out").symlink_to("../elsewhere")
    else:
        (data / ".git").mkdir()
    assert len(keep_path(data, store, cache).problems) == 1
    cache.close()


def test_a_directory_is_not_remembered_when_something_was_taken_away_meanwhile(
    data: Path, place: Path, cache: StatCache, monkeypatch: pytest.MonkeyPatch
):
    gone = (CHUNK, to_raw(digest_bytes(b"one")))
    store = Store.open(place)
    keep_path(data, store, None)
    store.flush()
    flush = store.flush

    def flush_after_a_repair() -> None:
        with Store.open(place) as other:
            other._index.forget([gone])
        flush()

    monkeypatch.setattr(store, "flush", flush_after_a_repair)
    keep_path(data, store, cache)
    monkeypatch.undo()
    store.close()
    with Store.open(place) as later:
        assert keep_path(data, later, cache).kept
        assert not later.missing([digest_bytes(b"one")])
    cache.close()


def test_a_store_put_back_from_a_backup_is_not_taken_for_what_it_was(data: Path, place: Path, cache: StatCache):
    """Older packs and index, newer memory of what was kept: the generation alone does not tell."""
    with Store.open(place) as store:
        store.put_bytes(b"before")
    backup = place.parent.with_name("backup")
    shutil.copytree(place.parent, backup)
    with Store.open(place) as store:
        digest = str(keep_path(data, store, cache).digest)
    shutil.rmtree(place.parent)
    shutil.copytree(backup, place.parent)
    with Store.open(place) as store:
        assert keep_path(data, store, cache).kept
        assert not store.missing([digest, digest_bytes(b"one"), digest_bytes(b"two")])
    cache.close()


def test_a_pack_that_lost_its_end_is_put_again_once(place: Path):
    with Store.open(place) as store:
        store.put_bytes(b"first")
        digest = store.put_bytes(b"second")
    (pack,) = (place / "open").iterdir()
    os.truncate(pack, pack.stat().st_size - 3)
    sizes = []
    for _ in range(3):
        with Store.open(place) as store:
            assert store.put_bytes(b"second") == digest and store.put_bytes(b"first")
        sizes.append(sum(path.stat().st_size for path in place.rglob("*.pack")))
    assert sizes[0] == sizes[1] == sizes[2]
    with Store.open(place) as store:
        assert not store.missing([digest], hold=True) and store.get_bytes(digest) == b"second"


def test_a_damaged_stat_cache_is_begun_anew(data: Path, tmp_path: Path, cache: StatCache):
    for number in range(2000):
        cache.record_all([(b"/x/%d" % number, bytes(40), bytes(32))], 0)
    cache.flush()
    cache.close()
    path = tmp_path / "stat.db"
    raw = bytearray(path.read_bytes())
    raw[8192:] = os.urandom(len(raw) - 8192)
    path.write_bytes(raw)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    damaged = StatCache.open(path)
    assert damaged.lookup_below(b"/x") == {} and damaged.tree(b"/x", b"") is None
    kept = keep_path(data, None, damaged)
    damaged.flush()
    assert kept.digest == keep_path(data, None).digest
    damaged.close()
