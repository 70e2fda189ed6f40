"""Bytes into the store: one large file, and many small ones."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mltrack.store.keep import keep_path
from mltrack.store.objects import Store
from mltrack.store.statcache import StatCache
from tests.benchmarks.timing import Case, case_table, side_by_side

LARGE = 512 << 20
SMALL = 20_000


def measure(scratch: Path) -> None:
    large_file(scratch)
    small_files(scratch)


def large_file(scratch: Path) -> None:
    from blake3 import blake3

    path = scratch / "large"
    with open(path, "wb") as file:
        for _ in range(LARGE >> 20):
            file.write(os.urandom(1 << 20))

    def hash_only() -> None:
        blake3(max_threads=blake3.AUTO).update_mmap(path)

    def store() -> None:
        shutil.rmtree(scratch / "s", ignore_errors=True)
        (scratch / "index.db").unlink(missing_ok=True)
        with Store.open(scratch / "s" / "store") as opened:
            keep_path(path, opened)

    limit = Case("limit: blake3, all threads, mmap", hash_only)
    copy = Case("limit: cp", ["cp", str(path), str(scratch / "copy")])
    cases = [limit, copy, Case("hash", lambda: keep_path(path, None)), Case("hash and store", store)]
    side_by_side(cases, rounds=3)
    case_table(f"One random file of {LARGE >> 20} MiB", cases, limit)


def small_files(scratch: Path) -> None:
    tree = scratch / "tree"
    for number in range(SMALL):
        place = tree / f"d{number % 100}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(os.urandom(4096))

    def store() -> None:
        shutil.rmtree(scratch / "t", ignore_errors=True)
        with Store.open(scratch / "t" / "store") as opened:
            keep_path(tree, opened)

    cache = StatCache.open(scratch / "stat.db")
    keep_path(tree, None, cache)
    cache.flush()
    limit = Case("limit: tar cf", ["tar", "cf", str(scratch / "tree.tar"), "-C", str(scratch), "tree"])
    cases = [
        limit,
        Case("hash", lambda: keep_path(tree, None)),
        Case("hash and store", store),
        Case("nothing changed (stat cache)", lambda: keep_path(tree, None, cache)),
    ]
    side_by_side(cases, rounds=3)
    case_table(f"{SMALL:,} files of 4 KiB", cases, limit)
    cache.close()
