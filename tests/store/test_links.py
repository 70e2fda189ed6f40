"""Clones on real XFS and btrfs, hard and symbolic links: they give what a copy gives, and never touch the store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.errors import Damaged, UsageError
from mltrack.store.checkout import Manner, restore_path
from mltrack.store.chunks import MIB
from mltrack.store.expanded import Expanded
from mltrack.store.keep import keep_path
from mltrack.store.manifest import ManifestEntry, encode_manifest
from mltrack.store.objects import Store
from mltrack.store.reflink import can_clone
from mltrack.store.statcache import StatCache
from tests.helpers import tree_of, write
from tests.store.samples import noise

LARGE = 24 * MIB
FILES = {"large": noise(LARGE), "small": b"small", "sub/run.sh": b"#!/bin/sh", "sub/large": noise(LARGE)[: 3 * MIB]}


@pytest.fixture(params=["xfs", "btrfs"])
def cloning(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A filesystem that can clone files."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(400 * MIB)
    subprocess.run([f"mkfs.{request.param}", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


each_cloning = [
    pytest.param(name, marks=[pytest.mark.needs("mount"), pytest.mark.needs(f"mkfs.{name}")])
    for name in ("xfs", "btrfs")
]


def kept(store: Store, place: Path) -> str:
    write(place, FILES)
    (place / "sub" / "run.sh").chmod(0o755)
    (place / "link").symlink_to("small")
    digest = str(keep_path(place, store).digest)
    store.flush()
    return digest


def used(place: Path) -> int:
    os.sync()
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


@pytest.mark.parametrize("cloning", each_cloning, indirect=True)
@pytest.mark.parametrize("link", ["auto", "reflink"])
def test_a_clone_takes_no_room_and_can_be_written_to(cloning: Path, tmp_path: Path, link: str):
    with Store.open(cloning / "p" / "store") as store:
        digest = kept(store, tmp_path / "data")
        manner = Manner(link=link, expanded=Expanded(cloning / "p" / "expanded"))
        restore_path(store, "directory", digest, cloning / "first", manner=manner)
        before = used(cloning)
        restore_path(store, "directory", digest, cloning / "second", manner=manner)
        assert used(cloning) - before < 2 * MIB < LARGE
        for name in ("first", "second"):
            assert tree_of(cloning / name) == tree_of(tmp_path / "data")
            assert os.stat(cloning / name / "large").st_mode & 0o200
        with (cloning / "second" / "large").open("r+b") as file:
            file.write(b"changed")
        assert tree_of(cloning / "first") == tree_of(tmp_path / "data")
        restore_path(store, "directory", digest, cloning / "third", manner=manner)
        assert tree_of(cloning / "third") == tree_of(tmp_path / "data")


@pytest.mark.parametrize("cloning", each_cloning, indirect=True)
def test_into_another_filesystem_it_is_copied(cloning: Path, tmp_path: Path):
    with Store.open(cloning / "p" / "store") as store:
        digest = kept(store, tmp_path / "data")
        expanded = Expanded(cloning / "p" / "expanded")
        restore_path(store, "directory", digest, tmp_path / "out", manner=Manner(link="auto", expanded=expanded))
        assert tree_of(tmp_path / "out") == tree_of(tmp_path / "data") and expanded.totals() == (0, 0)
        for link in ("reflink", "hard"):
            with pytest.raises(UsageError):
                restore_path(
                    store, "directory", digest, tmp_path / "other", manner=Manner(link=link, expanded=expanded)
                )
        assert not (tmp_path / "other").exists()


def test_where_nothing_can_be_cloned_auto_copies_and_keeps_no_whole_files(store: Store, tmp_path: Path):
    expanded = Expanded(tmp_path / "expanded")
    digest = kept(store, tmp_path / "data")
    restore_path(store, "directory", digest, tmp_path / "out", manner=Manner(link="auto", expanded=expanded))
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "data")
    expanded.make()
    if not can_clone(str(expanded.path), str(tmp_path)):
        assert expanded.totals() == (0, 0)


@pytest.mark.parametrize("link", ["hard", "symlink"])
def test_links_are_read_only_and_read_as_the_file_does(store: Store, tmp_path: Path, link: str):
    digest = kept(store, tmp_path / "data")
    expanded = Expanded(tmp_path / "expanded")
    done = restore_path(store, "directory", digest, tmp_path / "out", manner=Manner(link=link, expanded=expanded))
    assert done.written == 5
    for name, content in FILES.items():
        place = tmp_path / "out" / name
        assert place.read_bytes() == content and not place.stat().st_mode & 0o222
        assert os.access(place, os.X_OK) == (name == "sub/run.sh")
        assert place.is_symlink() == (link == "symlink")
    assert os.readlink(tmp_path / "out" / "link") == "small"
    assert expanded.totals()[0] == len(FILES)
    expanded.remove()
    if link == "hard":
        assert (tmp_path / "out" / "large").read_bytes() == FILES["large"]
    assert expanded.totals() == (0, 0) and not store.missing([digest])


@pytest.mark.parametrize("cached", [False, True])
def test_a_program_that_writes_through_a_link_spoils_no_later_checkout(store: Store, tmp_path: Path, cached: bool):
    digest = kept(store, tmp_path / "data")
    cache = StatCache.open(tmp_path / "stat.db")
    expanded = Expanded(tmp_path / "expanded", (lambda: cache) if cached else None)
    manner = Manner(link="hard", expanded=expanded)
    restore_path(store, "directory", digest, tmp_path / "one", manner=manner)
    spoilt = tmp_path / "one" / "large"
    found = spoilt.stat()
    spoilt.chmod(0o644)
    with spoilt.open("r+b") as file:
        file.write(b"spoilt")
    os.utime(spoilt, ns=(found.st_atime_ns, found.st_mtime_ns))
    spoilt.chmod(0o444)
    restore_path(store, "directory", digest, tmp_path / "two", manner=manner)
    assert (tmp_path / "two" / "large").read_bytes() == FILES["large"]
    assert (tmp_path / "one" / "large").read_bytes().startswith(b"spoilt")
    cache.close()


def test_links_into_a_directory_that_is_there_are_refused_and_kept_aside_like_copies(store: Store, tmp_path: Path):
    digest = kept(store, tmp_path / "data")
    manner = Manner(link="hard", expanded=Expanded(tmp_path / "expanded"))
    write(tmp_path / "out", {"small": "mine", "sub/run.sh": "#!/bin/sh"})
    with pytest.raises(UsageError):
        restore_path(store, "directory", digest, tmp_path / "out", manner=manner)
    forced = Manner(True, "hard", manner.expanded)
    done = restore_path(store, "directory", digest, tmp_path / "out", manner=forced)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
    assert done.kept_aside is not None and (done.kept_aside / "small").read_text() == "mine"
    assert sorted(os.listdir(tmp_path / "out")) == ["large", "link", "small", "sub"]


def test_a_size_that_lies_is_noticed_with_links_too(store: Store, tmp_path: Path):
    digest = store.put_bytes(encode_manifest([ManifestEntry(b"a", "file", 2, store.put_bytes(b"a"))]))
    with pytest.raises(Damaged):
        restore_path(
            store,
            "directory",
            digest,
            tmp_path / "out",
            manner=Manner(link="hard", expanded=Expanded(tmp_path / "expanded")),
        )
    assert not (tmp_path / "out").exists()
