from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from mltrack.digest import digest_bytes
from mltrack.store.statcache import QUIET_NS, StatCache, StatKey, stat_key

A, B = digest_bytes(b"a"), digest_bytes(b"b")
LATER = 2**62


def trusting(path: Path) -> StatCache:
    cache = StatCache.open(path)
    cache._trusted = {1: True, 2: False}
    return cache


KEY = StatKey(1, 2, 3, 10**18, 10**18 + 5)
QUIET = 10**18 + 5 + QUIET_NS


def test_a_final_entry_is_found_again(tmp_path: Path):
    cache = trusting(tmp_path / "stat.db")
    cache.record(b"/x", KEY, A, QUIET)
    assert cache.lookup(b"/x", KEY) == A
    cache.flush()
    cache.close()
    cache = trusting(tmp_path / "stat.db")
    assert cache.lookup(b"/x", KEY) == A and cache.lookup(b"/y", KEY) is None
    cache.close()


@pytest.mark.parametrize("field", StatKey._fields)
def test_any_other_field_makes_it_unknown(tmp_path: Path, field: str):
    cache = trusting(tmp_path / "stat.db")
    cache.record(b"/x", KEY, A, QUIET)
    assert cache.lookup(b"/x", KEY._replace(**{field: getattr(KEY, field) + 1})) is None
    cache.close()


def test_a_file_touched_shortly_before_is_not_remembered(tmp_path: Path):
    """Racy: it may be written again within the same tick, or through a page that is mapped, and look the same."""
    cache = trusting(tmp_path / "stat.db")
    cache.record(b"/x", KEY, A, QUIET)
    cache.flush()
    newer = KEY._replace(ctime_ns=KEY.ctime_ns + 100)
    cache.record(b"/x", newer, B, QUIET)
    assert cache.lookup(b"/x", newer) is None
    cache.flush()
    assert cache.lookup(b"/x", newer) is None and cache.lookup(b"/x", KEY) is None
    cache.close()


def test_a_time_set_back_by_hand_does_not_make_a_file_old(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("fresh")
    os.utime(path, (1, 1))
    cache = StatCache.open(tmp_path / "stat.db")
    cache._trusted[path.stat().st_dev] = True
    cache.record(b"/x", stat_key(path.stat()), A, cache.now_ns())
    assert cache.lookup(b"/x", stat_key(path.stat())) is None
    cache.close()


def test_a_filesystem_in_memory_or_on_the_network_is_never_trusted(tmp_path: Path):
    cache = trusting(tmp_path / "stat.db")
    cache.record(b"/x", KEY._replace(device=2), A, LATER)
    assert cache.lookup(b"/x", KEY._replace(device=2)) is None
    cache.close()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
def test_tmpfs_is_known_as_such(tmp_path: Path):
    device = os.stat("/dev/shm").st_dev
    cache = StatCache.open(tmp_path / "stat.db")
    cache.record(b"/dev/shm/x", KEY._replace(device=device), A, LATER)
    assert cache.lookup(b"/dev/shm/x", KEY._replace(device=device)) is None
    cache.close()


def test_the_clock_is_the_filesystems(tmp_path: Path):
    cache = StatCache.open(tmp_path / "stat.db")
    before = cache.now_ns()
    (tmp_path / "probe").write_text("")
    assert before <= (tmp_path / "probe").stat().st_mtime_ns <= cache.now_ns()
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]
    cache.close()


def test_a_tree_is_looked_up_at_once(tmp_path: Path):
    cache = trusting(tmp_path / "stat.db")
    for path in (b"/d/a", b"/d/b/c", b"/d-e", b"/d", b"/d0"):
        cache.record(path, KEY, A, QUIET)
    cache.flush()
    cache.record(b"/d/new", KEY, B, QUIET)
    cache.record(b"/d/a", KEY, A, 0)
    assert set(cache.lookup_below(b"/d")) == {b"/d/b/c", b"/d/new"}
    cache.close()


def test_a_row_whose_checksum_does_not_hold_is_not_believed(tmp_path: Path):
    cache = trusting(tmp_path / "stat.db")
    cache.record(b"/d/x", KEY, A, QUIET)
    cache.flush()
    cache.close()
    database = sqlite3.connect(tmp_path / "stat.db")
    with database:
        database.execute("UPDATE files SET digest = zeroblob(32)")
    database.close()
    cache = trusting(tmp_path / "stat.db")
    assert cache.lookup(b"/d/x", KEY) is None and cache.lookup_below(b"/d") == {}
    cache.close()


@pytest.mark.parametrize("junk", [b"junk" * 5000, b"SQLite format 3\0" + b"\xff" * 9000])
def test_an_unreadable_cache_is_thrown_away(tmp_path: Path, junk: bytes):
    (tmp_path / "stat.db").write_bytes(junk)
    cache = trusting(tmp_path / "stat.db")
    cache.record(b"/x", KEY, A, QUIET)
    cache.flush()
    assert cache.lookup(b"/x", KEY) == A
    cache.close()


def test_fields_as_large_as_they_come_are_kept(tmp_path: Path):
    cache = trusting(tmp_path / "stat.db")
    key = StatKey(2**64 - 1, 2**64 - 1, 2**62, -1, -1)
    cache._trusted[key.device] = True
    cache.record(b"/x", key, A, QUIET)
    cache.flush()
    assert cache.lookup(b"/x", key) == A
    cache.close()
