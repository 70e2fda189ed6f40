from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import digest_bytes
from mltrack.errors import Damaged, DataMissing, StorageError, UsageError
from mltrack.store import spans
from mltrack.store.checkout import Manner, matches, restore_path
from mltrack.store.chunks import MIB
from mltrack.store.keep import keep_path
from mltrack.store.manifest import HEAD, ManifestEntry, encode_manifest, is_own
from mltrack.store.objects import Store
from tests.helpers import tree_of, write
from tests.store.samples import noise
from tests.store.test_keep import TREE

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


def directories_of(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir() and not path.is_symlink()}


def test_what_was_kept_is_restored(store: Store, tmp_path: Path):
    root = tmp_path / "data"
    write(root, TREE)
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("train/x.npy")
    (root / "train" / "dangling").symlink_to("../nowhere")
    (root / "empty" / "inner").mkdir(parents=True)
    kept = keep_path(root, store)
    told: list[int] = []
    restore_path(store, "directory", str(kept.digest), tmp_path / "deep" / "back", manner=Manner(progress=told.append))
    assert tree_of(tmp_path / "deep" / "back") == tree_of(root)
    assert directories_of(tmp_path / "deep" / "back") == directories_of(root)
    assert matches(tmp_path / "deep" / "back", "directory", str(kept.digest))
    assert sum(told) == kept.size_bytes


NAMES = st.binary(min_size=1, max_size=5).filter(
    lambda name: not set(name) & {0, ord("/")} and name not in (b".", b"..") and not is_own(name)
)


@settings(max_examples=25 * SOAK, deadline=None)
@given(
    st.dictionaries(
        st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.tuples(st.binary(max_size=50), st.booleans()), max_size=8
    )
)
def test_restoring_gives_back_any_tree(
    tmp_path_factory: pytest.TempPathFactory, files: dict[tuple[bytes, ...], tuple[bytes, bool]]
):
    base = tmp_path_factory.mktemp("t")
    root = os.fsencode(base / "data")
    os.mkdir(root)
    for parts, (content, executable) in files.items():
        path = os.path.join(root, *parts)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        os.chmod(path, 0o755 if executable else 0o644)
    with Store.open(base / "p" / "store") as store:
        kept = keep_path(base / "data", store)
        assert kept.problems == ()
        restore_path(store, "directory", str(kept.digest), base / "back")
    assert tree_of(base / "back") == tree_of(base / "data")
    assert directories_of(base / "back") == directories_of(base / "data")


def test_a_file_and_a_link_are_restored_by_themselves(store: Store, tmp_path: Path):
    digest = store.put_bytes(noise(2 * MIB))
    restore_path(store, "file", digest, tmp_path / "new" / "file", executable=True)
    assert (tmp_path / "new" / "file").read_bytes() == noise(2 * MIB)
    assert os.access(tmp_path / "new" / "file", os.X_OK)
    restore_path(store, "link", store.put_bytes(b"file"), tmp_path / "new" / "link")
    assert os.readlink(tmp_path / "new" / "link") == "file"


def test_what_lies_there_and_differs_is_refused_by_name_and_nothing_is_written(store: Store, tmp_path: Path):
    write(tmp_path / "data", {"a": "new", "b/c": "new", "d": "new"})
    (tmp_path / "data" / "l").symlink_to("a")
    digest = str(keep_path(tmp_path / "data", store).digest)
    write(tmp_path / "out", {"a": "old", "b/c": "old", "other": "mine", "l": "was a file"})
    before = tree_of(tmp_path / "out")
    with pytest.raises(UsageError, match=r"3 paths have other content .*out/a, .*out/b/c, .*out/l"):
        restore_path(store, "directory", digest, tmp_path / "out")
    assert tree_of(tmp_path / "out") == before


def test_what_is_in_the_way_is_kept_aside_when_told_and_what_is_not_listed_stays(store: Store, tmp_path: Path):
    write(tmp_path / "data", {"a": "new", "b/c": "new", "d": "new", "same": "same", "dir": "was a directory"})
    (tmp_path / "data" / "l").symlink_to("a")
    digest = str(keep_path(tmp_path / "data", store).digest)
    write(tmp_path / "out", {"a": "old", "b": "a file", "other": "mine", "l": "link", "same": "same", "dir/x": "old"})
    same = (tmp_path / "out" / "same").stat()
    done = restore_path(store, "directory", digest, tmp_path / "out", manner=Manner(force=True))
    wanted = {**tree_of(tmp_path / "data"), b"other": ("file", b"mine")}
    assert tree_of(tmp_path / "out") == wanted and (tmp_path / "out" / "same").stat() == same
    assert (done.written, done.left) == (5, 1)
    assert done.kept_aside is not None and done.kept_aside.name.startswith("out.mltrack-kept-")
    kept = {path: text for path, (_, text) in tree_of(done.kept_aside).items()}
    assert kept == {b"a": b"old", b"b": b"a file", b"l": b"link", b"dir/x": b"old"}
    again = restore_path(store, "directory", digest, tmp_path / "out", manner=Manner(force=True))
    assert (again.written, again.left, again.kept_aside) == (0, 6, None)


def test_a_single_file_that_differs_is_refused_or_kept_beside(store: Store, tmp_path: Path):
    digest = store.put_bytes(b"new")
    (tmp_path / "file").write_text("old")
    with pytest.raises(UsageError):
        restore_path(store, "file", digest, tmp_path / "file")
    done = restore_path(store, "file", digest, tmp_path / "file", manner=Manner(force=True))
    assert (tmp_path / "file").read_text() == "new"
    assert done.kept_aside is not None and done.kept_aside.read_text() == "old"
    assert done.kept_aside.name.startswith("file.mltrack-kept-")
    assert sorted(os.listdir(tmp_path)) == sorted(["file", done.kept_aside.name, "project"])


def test_a_mode_that_differs_is_made_right_and_is_no_conflict(store: Store, tmp_path: Path):
    digest = store.put_bytes(b"#!/bin/sh")
    (tmp_path / "run").write_bytes(b"#!/bin/sh")
    (tmp_path / "run").chmod(0o640)
    restore_path(store, "file", digest, tmp_path / "run", executable=True)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750
    restore_path(store, "file", digest, tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o640


def manifest(store: Store, *listed: tuple[bytes, str, bytes]) -> str:
    """A manifest object, written as a hostile remote would: unchecked."""
    lines = [HEAD]
    for path, letter, content in listed:
        digest = store.put_bytes(content)
        lines.append(b"%s %d %s %s\0" % (letter.encode(), len(content), digest[3:].encode(), path))
    return store.put_bytes(b"".join(lines))


HOSTILE = {
    "up": [(b"../evil", "f", b"x")],
    "absolute": [(b"/tmp/evil", "f", b"x")],
    "up in the middle": [(b"a/../../evil", "f", b"x")],
    "hooks": [(b".git/hooks/post-checkout", "x", b"x")],
    "hooks on a filesystem that ignores case": [(b"sub/.Git/hooks/post-checkout", "x", b"x")],
    "the ledger": [(b".mltrack/ledger.db", "f", b"x")],
    "a link out": [(b"a", "f", b"fine"), (b"evil", "l", b"../../etc")],
    "an absolute link": [(b"evil", "l", b"/etc")],
    "through a listed link": [(b"d", "l", b"."), (b"d/evil", "f", b"x")],
    "a link through another": [(b"up", "l", b"."), (b"x", "l", b"up/up/../../etc")],
    "a link with a zero": [(b"x", "l", b"a\0b")],
    "an empty link": [(b"x", "l", b"")],
}


@pytest.mark.parametrize("listed", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_manifest_writes_nothing(store: Store, tmp_path: Path, listed: list[tuple[bytes, str, bytes]]):
    inner = tmp_path / "work" / "target"
    inner.mkdir(parents=True)
    with pytest.raises(Damaged):
        restore_path(store, "directory", manifest(store, *listed), inner)
    assert list(inner.iterdir()) == [] and list((tmp_path / "work").iterdir()) == [inner]


def test_a_link_that_lies_there_is_not_written_through(store: Store, tmp_path: Path):
    write(tmp_path / "outside", {"a": "precious"})
    write(tmp_path / "data", {"d/a": "new", "x": "new"})
    digest = str(keep_path(tmp_path / "data", store).digest)
    target = tmp_path / "target"
    target.mkdir()
    (target / "d").symlink_to(tmp_path / "outside")
    (target / "x").symlink_to(tmp_path / "outside" / "a")
    (tmp_path / "alias").symlink_to(tmp_path / "outside")
    for place in (target, tmp_path / "alias"):
        with pytest.raises(UsageError):
            restore_path(store, "directory", digest, place)
        done = restore_path(store, "directory", digest, place, manner=Manner(force=True))
        assert tree_of(place) == tree_of(tmp_path / "data") and not place.is_symlink()
        assert done.kept_aside is not None and os.path.lexists(done.kept_aside)
    assert tree_of(tmp_path / "outside") == {b"a": ("file", b"precious")}


@pytest.mark.parametrize("text", [b"../up", b"/etc", b"a/../.."])
def test_a_single_link_that_leaves_is_not_made(store: Store, tmp_path: Path, text: bytes):
    with pytest.raises(Damaged):
        restore_path(store, "link", store.put_bytes(text), tmp_path / "link")
    assert not (tmp_path / "link").is_symlink()


def test_nothing_is_written_while_a_part_is_missing(store: Store, tmp_path: Path):
    entries = [
        ManifestEntry(b"a", "file", 1, store.put_bytes(b"a")),
        ManifestEntry(b"b", "file", 6, digest_bytes(b"absent")),
    ]
    digest = store.put_bytes(encode_manifest(entries))
    with pytest.raises(DataMissing, match="the first is b"):
        restore_path(store, "directory", digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_size_that_lies_is_noticed(store: Store, tmp_path: Path):
    digest = store.put_bytes(encode_manifest([ManifestEntry(b"a", "file", 2, store.put_bytes(b"a"))]))
    with pytest.raises(Damaged):
        restore_path(store, "directory", digest, tmp_path / "out")


def test_a_manifest_that_is_none_is_damaged(store: Store, tmp_path: Path):
    with pytest.raises(Damaged):
        restore_path(store, "directory", store.put_bytes(b"not a manifest"), tmp_path / "out")


def test_a_name_that_is_too_long_for_the_disk_is_one_plain_error(store: Store, tmp_path: Path):
    digest = store.put_bytes(encode_manifest([ManifestEntry(b"x" * 300, "file", 1, store.put_bytes(b"a"))]))
    with pytest.raises(StorageError, match="File name too long"):
        restore_path(store, "directory", digest, tmp_path / "out")
    assert os.listdir(tmp_path) == [store.path.parent.name]


class Stopped(BaseException):
    """What Ctrl-C raises."""


def stopping_after(count: int) -> Manner:
    done = []

    def progress(size: int) -> None:
        done.append(size)
        if len(done) > count:
            raise Stopped

    return Manner(progress=progress)


def test_an_interruption_leaves_nothing_under_a_final_name_and_is_taken_up_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(spans, "SPAN", 64 << 10)
    write(tmp_path / "data", {f"d{n % 7}/f{n}": noise(4096, b"%d" % n) for n in range(300)} | {"large": noise(5 * MIB)})
    digest = str(keep_path(tmp_path / "data", store).digest)
    with pytest.raises(Stopped):
        restore_path(store, "directory", digest, tmp_path / "out", manner=stopping_after(8))
    assert not (tmp_path / "out").exists()
    (half,) = tmp_path.glob(".mltrack-*.partial")
    kept = {place: place.stat() for place in half.rglob("f*") if place.is_file()}
    assert kept
    torn = next(iter(kept))
    torn.write_bytes(b"torn")
    (half / "not of this tree").write_text("x")
    told: list[int] = []
    restore_path(store, "directory", digest, tmp_path / "out", manner=Manner(progress=told.append))
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "data")
    assert sum(told) == sum(place.stat().st_size for place in (tmp_path / "data").rglob("*") if place.is_file())
    for place, found in kept.items():
        again = tmp_path / "out" / place.relative_to(half)
        assert (again.stat().st_mtime_ns == found.st_mtime_ns) == (place != torn), "what was right is not written again"
    assert not list(tmp_path.glob(".mltrack-*"))


def test_two_at_once_do_not_meet_in_one_half_made_directory(store: Store, tmp_path: Path):
    write(tmp_path / "data", {"a": "1", "b/c": "2"})
    digest = str(keep_path(tmp_path / "data", store).digest)
    seen = []

    def also(size: int) -> None:
        if not seen:
            seen.append(size)
            restore_path(store, "directory", digest, tmp_path / "out")

    with pytest.raises(UsageError, match="was not there a moment ago"):
        restore_path(store, "directory", digest, tmp_path / "out", manner=Manner(progress=also))
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "data")
    assert not list(tmp_path.glob(".mltrack-*"))


@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_appears_between_look_and_write_is_not_lost(store: Store, tmp_path: Path, force: bool):
    write(tmp_path / "data", {"a": noise(5000), "b": noise(2 * MIB)})
    digest = str(keep_path(tmp_path / "data", store).digest)
    (tmp_path / "out").mkdir()

    def appear(size: int) -> None:
        if not (tmp_path / "out" / "b").exists():
            (tmp_path / "out" / "b").write_text("mine")

    manner = Manner(force=force, progress=appear)
    if not force:
        with pytest.raises(UsageError, match="was not there a moment ago"):
            restore_path(store, "directory", digest, tmp_path / "out", manner=manner)
        assert (tmp_path / "out" / "b").read_text() == "mine"
        assert sorted(os.listdir(tmp_path / "out")) == ["a", "b"]
        return
    done = restore_path(store, "directory", digest, tmp_path / "out", manner=manner)
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "data")
    assert done.kept_aside is not None and (done.kept_aside / "b").read_text() == "mine"


def test_a_pack_that_gc_moved_meanwhile_is_looked_for_again(store: Store, tmp_path: Path):
    write(tmp_path / "data", {"a": "1", "b": noise(3 * MIB)})
    digest = str(keep_path(tmp_path / "data", store).digest)
    store.flush()
    known = store.locate
    store.locate = lambda keys: {  # type: ignore[method-assign]
        key: place._replace(pack=f"gone-{place.pack}") for key, place in known(keys).items()
    }
    restore_path(store, "directory", digest, tmp_path / "out")
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "data")


def test_a_flipped_bit_is_not_restored(store: Store, tmp_path: Path):
    write(tmp_path / "data", {"small": noise(3000), "large": noise(3 * MIB)})
    kept = {name: str(keep_path(tmp_path / "data" / name, store).digest) for name in ("small", "large")}
    store.flush()
    (pack,) = (store.path / "open").glob("*.pack")
    data = bytearray(pack.read_bytes())
    for name in kept:
        place = data.index(noise(3000)[:50] if name == "small" else noise(3 * MIB)[MIB : MIB + 50])
        data[place] ^= 1
    pack.write_bytes(data)
    for name, digest in kept.items():
        with pytest.raises(Damaged):
            restore_path(store, "file", digest, tmp_path / "out" / name)
    assert os.listdir(tmp_path / "out") == []
