from __future__ import annotations

import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from mltrack.digest import digest_bytes
from mltrack.errors import NotFound
from mltrack.store import keep, reader
from mltrack.store.checkout import manifest_of, matches
from mltrack.store.chunks import MIB
from mltrack.store.keep import keep_path, stat_path
from mltrack.store.objects import Store
from mltrack.store.statcache import StatCache
from tests.helpers import write
from tests.store.samples import noise

TREE = {
    "a.txt": "hello",
    "train/x.npy": noise(5000),
    "train/deep/er/y": "",
    "big.bin": noise(3 * MIB),
    "run.sh": "#!/bin/sh\n",
    "with\nnewline \"and' quotes": "1",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    write(root, TREE)
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("train/x.npy")
    (root / "empty" / "inner").mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(root) + b"/not-utf8-\xff")).write_bytes(b"2")
    return root


def test_a_file_is_kept_by_its_digest(store: Store, data: Path):
    kept = keep_path(data / "train/x.npy", store)
    assert kept.digest == digest_bytes(noise(5000))
    assert (kept.kind, kept.size_bytes, kept.files, kept.executable, kept.kept) == ("file", 5000, 1, False, True)
    assert store.get_bytes(kept.digest) == noise(5000)
    assert keep_path(data / "run.sh", store).executable


def test_a_large_file_is_kept_like_its_bytes(store: Store, data: Path):
    kept = keep_path(data / "big.bin", store)
    assert kept.digest == digest_bytes(noise(3 * MIB)) and store.get_bytes(kept.digest) == noise(3 * MIB)


@pytest.mark.parametrize("name", ["a.txt", "big.bin", "train/deep/er/y", "link", "."])
def test_without_a_store_the_digest_is_the_same_and_nothing_is_kept(store: Store, data: Path, name: str):
    kept, hashed = keep_path(data / name, store), keep_path(data / name, None)
    assert hashed.digest == kept.digest and kept.kept and not hashed.kept


def test_a_directory_is_kept_as_its_manifest(store: Store, data: Path):
    kept = keep_path(data, store)
    assert kept.digest is not None and kept.kind == "directory" and kept.problems == ()
    listed = {entry.path: (entry.kind, entry.size) for entry in manifest_of(store, kept.digest)}
    assert listed == {
        b"a.txt": ("file", 5),
        b"big.bin": ("file", 3 * MIB),
        b"empty/inner": ("directory", 0),
        b"link": ("link", 11),
        b"not-utf8-\xff": ("file", 1),
        b"run.sh": ("executable", 10),
        b"train/deep/er/y": ("file", 0),
        b"train/x.npy": ("file", 5000),
        b"with\nnewline \"and' quotes": ("file", 1),
    }
    assert (kept.files, kept.size_bytes) == (7, 5 + 3 * MIB + 1 + 10 + 5000 + 1)
    assert not store.missing({entry.digest for entry in manifest_of(store, kept.digest) if entry.digest})


def test_the_digest_of_a_directory_is_pinned(tmp_path: Path):
    """A change here means that every data set has a new version: it must not happen unnoticed."""
    write(tmp_path / "d", {"a": "1", "b/c": "2"})
    assert (
        keep_path(tmp_path / "d", None).digest == "b3:ea5380d7c10ce6625b81f0623a4f8b2658222735420121318620b42f3d09678d"
    )


def test_the_digest_of_a_directory_ignores_times_and_permission_bits_but_sees_the_executable_bit(data: Path):
    before = keep_path(data, None).digest
    os.utime(data / "a.txt", (1, 1))
    (data / "a.txt").chmod(0o600)
    assert keep_path(data, None).digest == before
    (data / "a.txt").chmod(0o700)
    assert keep_path(data, None).digest != before


def test_nothing_there_is_said(tmp_path: Path):
    for path in (tmp_path / "absent", tmp_path / "absent" / "deeper"):
        with pytest.raises(NotFound):
            keep_path(path, None)
        with pytest.raises(NotFound):
            stat_path(path)


def test_git_and_mltrack_are_skipped_and_listed(data: Path, store: Store):
    clean = keep_path(data, None).digest
    write(data, {"sub/.git/config": "x", ".mltrack/ledger.db": "x", "sub/.GIT/config": "y"})
    (data / "sub" / "file").write_text("f")
    kept = keep_path(data, store)
    assert [path for path, _ in kept.problems] == [".mltrack", "sub/.GIT", "sub/.git"]
    assert b"sub/file" in {entry.path for entry in manifest_of(store, str(kept.digest))}
    assert clean != kept.digest


def test_special_files_are_listed_and_never_opened(data: Path):
    """Opening the FIFO for reading would block, or take what its writer meant for another."""
    os.mkfifo(data / "fifo")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(data)  # the path of a socket is short
    try:
        server.bind("socket")
    finally:
        os.chdir(here)
        server.close()
    writer = os.open(data / "fifo", os.O_RDWR | os.O_NONBLOCK)
    os.write(writer, b"for another")
    kept = keep_path(data, None)
    assert [path for path, _ in kept.problems] == ["fifo", "socket"] and kept.digest
    assert keep_path(data / "fifo", None).digest is None
    assert keep_path(data / "fifo", None).problems[0][1] == "is not a file, directory or link and was not opened"
    assert os.read(writer, 100) == b"for another"
    os.close(writer)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a device file")
def test_a_device_is_never_opened(data: Path):
    try:
        os.mknod(data / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this container makes no device files")
    assert [path for path, _ in keep_path(data, None).problems] == ["null"]


def test_a_link_that_leaves_the_directory_is_listed_and_left_out(data: Path, store: Store):
    (data / "train" / "out").symlink_to("../../elsewhere")
    (data / "train" / "absolute").symlink_to("/etc/passwd")
    (data / "train" / "up").symlink_to("../a.txt")
    kept = keep_path(data, store)
    assert [path for path, _ in kept.problems] == ["train/absolute", "train/out"]
    assert b"train/up" in {entry.path for entry in manifest_of(store, str(kept.digest))}


def test_a_link_is_kept_as_its_target_text(data: Path, store: Store):
    kept = keep_path(data / "link", store)
    assert (kept.kind, kept.digest) == ("link", digest_bytes(b"train/x.npy"))


def test_a_file_that_cannot_be_read_is_a_problem_and_no_change(data: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: bytes, key: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reader, "read_small", refuse)
    kept = keep_path(data / "train", None)
    assert kept.problems == tuple((name, "cannot be read: Permission denied") for name in ("deep/er/y", "x.npy"))
    assert not kept.changed


def test_what_differs_from_what_was_expected_has_changed(data: Path):
    before = stat_path(data)
    assert keep_path(data, None, expected=before).digest
    (data / "a.txt").write_text("hello")
    kept = keep_path(data, None, expected=before)
    assert kept.digest is None and kept.changed
    assert keep_path(data, None, expected=stat_path(data)).digest


def test_a_new_or_vanished_file_is_a_change(data: Path):
    before = stat_path(data)
    (data / "new").write_text("")
    assert keep_path(data, None, expected=before).changed
    (data / "new").unlink()
    assert not keep_path(data, None, expected=before).changed
    (data / "empty" / "inner").rmdir()
    (data / "link").unlink()
    assert keep_path(data, None, expected=before).changed


def test_a_file_replaced_by_an_equal_one_has_changed(data: Path):
    before = stat_path(data / "a.txt")
    (data / "other").write_text("hello")
    os.replace(data / "other", data / "a.txt")
    assert keep_path(data / "a.txt", None, expected=before).changed


def grow(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    size = path.stat().st_size
    time.sleep(0.02)
    with open(path, "r+b") as file:
        file.write(b"x" * min(size, 100))


def swap(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.replace(copy, path)


def become_a_link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


@pytest.mark.parametrize("size", [4000, 9 * MIB])
@pytest.mark.parametrize("change", [grow, rewrite, swap, os.unlink, become_a_link])
@pytest.mark.parametrize(("keeps", "after"), [(False, 1), (True, 1), (True, 2)])
def test_a_file_that_changes_while_it_is_read_has_no_digest(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, size: int, change: object, keeps: bool, after: int
):
    """The change happens behind the first or second read, while the file is open."""
    path = tmp_path / "data" / "file"
    path.parent.mkdir()
    path.write_bytes(noise(size))
    seen: list[int] = []
    for name in ("read", "readv"):
        real = getattr(os, name)

        def reading(handle: int, what: object, real: object = real) -> object:
            result = real(handle, what)  # type: ignore[operator]
            if len(seen) < after and os.fstat(handle).st_size == size:
                seen.append(1)
                if len(seen) == after:
                    change(path)  # type: ignore[operator]
            return result

        monkeypatch.setattr(keep.os, name, reading)
    for target in (path, path.parent):
        seen.clear()
        if not path.exists() or path.is_symlink() or path.stat().st_size != size:
            path.unlink(missing_ok=True)
            path.with_name("real").unlink(missing_ok=True)
            path.write_bytes(noise(size))
        kept = keep_path(target, store if keeps else None)
        assert seen and kept.changed and kept.digest is None and not kept.kept


def test_a_file_written_all_the_while_never_gives_a_mixed_digest(tmp_path: Path):
    """One thread alternates between two contents; whatever is told is the digest of one of them."""
    path = tmp_path / "file"
    contents = [b"a" * 200_000, b"b" * 200_000]
    path.write_bytes(contents[0])
    stop = threading.Event()

    def write_on() -> None:
        with open(path, "r+b", buffering=0) as file:
            turn = 0
            while not stop.is_set():
                turn += 1
                file.seek(0)
                file.write(contents[turn % 2])
                time.sleep(0.012)  # the kernel's clock ticks between two writes

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        deadline = time.monotonic() + 20
        found = {keep_path(path, None).digest for _ in range(100)}
        while len(found) == 1 and time.monotonic() < deadline:
            found.add(keep_path(path, None).digest)
    finally:
        stop.set()
        writer.join()
    assert found <= {None, *map(digest_bytes, contents)} and len(found) > 1


def test_progress_tells_all_bytes(data: Path, store: Store):
    for target in (store, None):
        told: list[int] = []
        kept = keep_path(data, target, progress=told.append)
        assert sum(told) == kept.size_bytes


def test_many_small_files_are_kept_whole(tmp_path: Path, store: Store):
    root = tmp_path / "many"
    for number in range(1500):
        path = root / str(number % 7) / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content %d" % (number // 2))
    kept = keep_path(root, store)
    store.flush()
    assert kept.files == 1500 and matches(root, "directory", str(kept.digest))
    listed = manifest_of(store, str(kept.digest))
    assert len(listed) == 1500
    assert all(store.get_bytes(str(e.digest)) == b"content %d" % (int(e.path.split(b"/")[1]) // 2) for e in listed)


def test_a_known_file_is_not_read_again(data: Path, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mltrack.store.statcache.QUIET_NS", -(10**18))
    monkeypatch.setattr(StatCache, "_trusts", lambda self, device: True)
    cache = StatCache.open(tmp_path / "stat.db")
    first = keep_path(data, None, cache)
    assert keep_path(data, store, cache).kept  # known, but not in the store: read
    cache.flush()
    monkeypatch.setattr(
        os, "open", lambda *args: pytest.fail("a file was opened") if "project" not in str(args[0]) else real(*args)
    )
    monkeypatch.setattr(StatCache, "now_ns", lambda self: 0)
    again = keep_path(data, store, cache)
    assert again.digest == first.digest and again.kept
    assert keep_path(data / "a.txt", store, cache).digest == digest_bytes(b"hello")
    monkeypatch.undo()
    cache.close()


real = os.open


def test_matches_says_whether_the_disk_holds_the_record(data: Path, tmp_path: Path):
    digest = str(keep_path(data, None).digest)
    assert matches(data, "directory", digest)
    (data / "a.txt").write_text("other")
    assert not matches(data, "directory", digest)
    assert not matches(data / "a.txt", "link", digest_bytes(b"other"))
    assert matches(data / "a.txt", "file", digest_bytes(b"other"))
    assert not matches(tmp_path / "absent", "file", digest)


def final(monkeypatch: pytest.MonkeyPatch, path: Path) -> StatCache:
    """A cache that trusts every filesystem and takes every file for one that was left alone."""
    monkeypatch.setattr("mltrack.store.statcache.QUIET_NS", -(10**18))
    monkeypatch.setattr(StatCache, "_trusts", lambda self, device: True)
    return StatCache.open(path)


def test_an_unchanged_directory_is_known_at_a_look(
    data: Path, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    (data / "link").unlink()  # an absolute path was never in it
    cache = final(monkeypatch, tmp_path / "stat.db")
    first = keep_path(data, store, cache)
    cache.flush()
    cache.close()
    cache = StatCache.open(tmp_path / "stat.db")
    monkeypatch.setattr(StatCache, "lookup_below", lambda *args: pytest.fail("the files were looked up one by one"))
    again = keep_path(data, store, cache)
    assert (again.digest, again.size_bytes, again.files, again.kept) == (
        first.digest, first.size_bytes, first.files, True,
    )  # fmt: skip
    cache.close()


@pytest.mark.parametrize("change", ["content", "same size and time", "new", "gone", "mode", "link", "empty directory"])
def test_whatever_changes_in_a_directory_is_seen(
    data: Path, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, change: str
):
    cache = final(monkeypatch, tmp_path / "stat.db")
    before = keep_path(data, store, cache)
    target = data / "a.txt"
    times = target.stat()
    if change == "content":
        target.write_text("other text")
    elif change == "same size and time":
        target.write_text("HELLO")
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif change == "new":
        (data / "train" / "new").write_text("1")
    elif change == "gone":
        target.unlink()
    elif change == "mode":
        target.chmod(0o755)
    elif change == "link":
        (data / "link").unlink()
        (data / "link").symlink_to("a.txt")
    else:
        (data / "empty" / "other").mkdir()
    after = keep_path(data, store, cache)
    assert after.digest != before.digest
    assert after.digest == keep_path(data, None).digest
    cache.close()


def test_a_directory_whose_objects_were_taken_away_is_kept_again(
    data: Path, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    from mltrack.digest import to_raw
    from mltrack.store.entries import CHUNK

    cache = final(monkeypatch, tmp_path / "stat.db")
    keep_path(data, store, cache)
    store._index.forget([(CHUNK, to_raw(digest_bytes(b"hello")))])
    assert store.missing([digest_bytes(b"hello")])
    assert keep_path(data, store, cache).kept
    assert not store.missing([digest_bytes(b"hello")])
    cache.close()


def test_a_directory_known_from_hashing_is_still_put_into_the_store(
    data: Path, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    cache = final(monkeypatch, tmp_path / "stat.db")
    digest = keep_path(data, None, cache).digest
    assert keep_path(data, None, cache).digest == digest
    kept = keep_path(data, store, cache)
    assert kept.digest == digest and kept.kept and not store.missing([digest_bytes(b"hello"), str(digest)])
    cache.close()
