from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import digest_bytes
from mltrack.errors import Damaged, DataMissing, StorageError
from mltrack.store.checkout import matches, restore_path
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
    restore_path(store, "directory", str(kept.digest), tmp_path / "deep" / "back", progress=told.append)
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


def test_what_lies_there_is_replaced_and_what_is_not_listed_stays(store: Store, tmp_path: Path):
    write(tmp_path / "data", {"a": "new", "b/c": "new"})
    (tmp_path / "data" / "l").symlink_to("a")
    digest = str(keep_path(tmp_path / "data", store).digest)
    write(tmp_path / "out", {"a": "old", "b/c": "old", "other": "mine", "l": "was a file"})
    restore_path(store, "directory", digest, tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == (tmp_path / "out" / "b/c").read_text() == "new"
    assert (tmp_path / "out" / "other").read_text() == "mine" and os.readlink(tmp_path / "out" / "l") == "a"


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
    with pytest.raises(Damaged):
        restore_path(store, "directory", digest, target)
    (target / "d").unlink()
    (target / "x").symlink_to(tmp_path / "outside" / "a")
    restore_path(store, "directory", digest, target)
    assert (tmp_path / "outside" / "a").read_text() == "precious" and not (target / "x").is_symlink()
    (tmp_path / "alias").symlink_to(tmp_path / "outside")
    with pytest.raises(Damaged):
        restore_path(store, "directory", digest, tmp_path / "alias")
    assert sorted(os.listdir(tmp_path / "outside")) == ["a"]


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


def test_a_file_where_a_directory_must_be_is_one_plain_error(store: Store, tmp_path: Path):
    write(tmp_path / "data", {"d/a": "new"})
    digest = str(keep_path(tmp_path / "data", store).digest)
    write(tmp_path / "out", {"d": "a file"})
    with pytest.raises(StorageError, match="Cannot write to"):
        restore_path(store, "directory", digest, tmp_path / "out")
    with pytest.raises(StorageError, match="Is a directory"):
        restore_path(store, "file", store.put_bytes(b"x"), tmp_path / "data")
