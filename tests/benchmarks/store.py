"""Bytes into the store: one large file, and many small ones; then the same again with next to nothing changed.

`MLTRACK_BENCH_MIB` and `MLTRACK_BENCH_FILES` choose smaller works than 4 GiB and 50,000 files.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from mltrack.store.keep import RACY_NS, keep_path
from mltrack.store.objects import Store
from mltrack.store.statcache import QUIET_NS, StatCache
from tests.benchmarks.peers import peers
from tests.benchmarks.timing import Case, case_table, side_by_side

MIB = int(os.environ.get("MLTRACK_BENCH_MIB", "4096"))
FILES = int(os.environ.get("MLTRACK_BENCH_FILES", "50000"))


def measure(scratch: Path) -> None:
    tree = scratch / "tree"
    make_tree(tree, FILES)
    made = time.time_ns()
    large_file(scratch)
    small_files(scratch, tree)
    time.sleep(max(0.0, (made + QUIET_NS - time.time_ns()) / 1e9 + 1))
    no_change(scratch, tree)


def make_tree(tree: Path, count: int) -> None:
    for number in range(count):
        place = tree / f"d{number % 250}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(os.urandom(4096))


def make_file(path: Path, mib: int) -> None:
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))


def into_a_new_store(scratch: Path, path: Path) -> Callable[[], None]:
    """Keep a path in a store that is empty, to the last fsync."""

    def store() -> None:
        with Store.open(scratch / "new" / "store") as opened:
            keep_path(path, opened)

    return store


def large_file(scratch: Path) -> None:
    from blake3 import blake3

    path = scratch / "large"
    make_file(path, MIB)
    time.sleep(RACY_NS / 1e9 + 0.1)  # what was written a moment ago is read twice

    def hash_only() -> None:
        blake3(max_threads=blake3.AUTO).update_mmap(path)

    def remove_store() -> None:
        shutil.rmtree(scratch / "new", ignore_errors=True)

    def remove_copy() -> None:
        (scratch / "copy").unlink(missing_ok=True)

    limit = Case("limit: blake3, all threads, mmap", hash_only)
    copy = Case("limit: cp", ["cp", str(path), str(scratch / "copy")], None, remove_copy)
    keep = Case("hash", lambda: keep_path(path, None))
    store = Case("hash and store", into_a_new_store(scratch, path), None, remove_store)
    side_by_side([limit, keep], rounds=5)
    side_by_side([copy, store], rounds=3)
    remove_store()
    remove_copy()
    others = [peer.case("add", peer.add, peer.fresh(path)) for peer in peers(scratch / "peers")]
    side_by_side(others, rounds=1, warm_up=False)
    case_table(f"One random file of {MIB} MiB", [limit, copy, keep, store, *others], limit)
    print(f"\nhashing runs at {limit.median / keep.median:.2f} of the limit (goal: 0.7 or more)")
    print(f"storing takes {store.median / (copy.median + limit.median):.2f} of cp + hash (goal: 2 or less)")
    path.unlink()
    shutil.rmtree(scratch / "peers", ignore_errors=True)


def small_files(scratch: Path, tree: Path) -> None:
    from blake3 import blake3

    def remove_store() -> None:
        shutil.rmtree(scratch / "new", ignore_errors=True)

    def hash_each() -> None:
        for directory in os.scandir(tree):
            for file in os.scandir(directory):
                with open(file.path, "rb") as opened:
                    blake3(opened.read()).digest()

    tar = scratch / "tree.tar"
    limit = Case("limit: tar cf", ["tar", "cf", str(tar), "-C", str(scratch), "tree"], None, lambda: forget(tar))
    cases = [
        limit,
        Case("a Python loop with blake3", hash_each),
        Case("hash", lambda: keep_path(tree, None)),
        Case("hash and store", into_a_new_store(scratch, tree), None, remove_store),
    ]
    side_by_side(cases, rounds=3)
    others = [peer.case("add", peer.add, peer.fresh(tree)) for peer in peers(scratch / "peers")]
    side_by_side(others, rounds=1, warm_up=False)
    case_table(f"{FILES:,} files of 4 KiB", [*cases, *others], limit)
    print(f"\nstoring takes {cases[3].median / limit.median:.2f} of tar cf (goal: 2.5 or less)")


def forget(path: Path) -> None:
    path.unlink(missing_ok=True)


def bare_walk(tree: Path) -> None:
    waiting = [os.fsencode(tree)]
    while waiting:
        with os.scandir(waiting.pop()) as listed:
            for entry in listed:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)


def no_change(scratch: Path, tree: Path) -> None:
    """Two directories of one content: one is left alone, in the other a file changes before each timing."""
    shutil.rmtree(scratch / "new", ignore_errors=True)
    cache = StatCache.open(scratch / "stat.db")
    target = tree / "d0" / "f0"
    old = target.stat()

    def touch_back() -> None:
        """Other bytes, the same size, and the modification time that it had."""
        target.write_bytes(os.urandom(4096))
        os.utime(target, ns=(old.st_atime_ns, old.st_mtime_ns))

    with Store.open(scratch / "new" / "store") as store:
        keep_path(tree, store, cache)
        cache.flush()
        limit = Case("limit: os.scandir and stat", lambda: bare_walk(tree))
        unchanged = Case("nothing changed", lambda: keep_path(tree, None, cache))
        cases = [
            limit,
            unchanged,
            Case("nothing changed, all of it in the store", lambda: keep_path(tree, store, cache)),
        ]
        side_by_side(cases, rounds=7)
        changed = [
            Case("one file changed", lambda: keep_path(tree, store, cache), None, lambda: target.write_bytes(b"1")),
            Case("one file of the same size and mtime", lambda: keep_path(tree, store, cache), None, touch_back),
        ]
        side_by_side(changed, rounds=3)
        seen = keep_path(tree, None, cache).digest == keep_path(tree, None).digest
    others = []
    for peer in peers(scratch / "peers"):
        peer.fresh(tree)()
        peer.sh(peer.add)
        others.append(peer.case("status, nothing changed", peer.status))
    side_by_side(others, rounds=1)
    case_table(f"{FILES:,} files again", [*cases, *changed, *others], limit)
    print(f"\nthe check takes {unchanged.median / limit.median:.2f} of a bare walk (goal: 2 or less)")
    print(f"a change of the same size and time is {'seen' if seen else 'NOT SEEN'}")
    cache.close()
    shutil.rmtree(scratch / "peers", ignore_errors=True)
