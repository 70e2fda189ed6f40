"""Where git's blob is not the file: line ends, `$Id$`, encodings, filters, Git LFS. The bytes come back."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mltrack.git.conversion import REFUSALS
from mltrack.git.repository import find_repository
from mltrack.git.worktree import Worktree
from tests.git.support import Trip, changed_paths, files_of, round_trip, untouched
from tests.helpers import git, git_repository, write

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


def raw_paths(trip: Trip) -> set[bytes]:
    return {file.path for files in trip.captured.raw.values() for file in files}


def blob(root: Path, snapshot: str | None, path: str) -> bytes:
    return git(root, "cat-file", "blob", f"{snapshot}:{path}")


def test_with_autocrlf_a_clean_tree_is_clean_and_keeps_its_line_ends(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"win": "1\n2\n", "unix": "1\n2\n"})
    git(root, "config", "core.autocrlf", "true")
    write(root, {"win": "1\r\n2\r\n"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert (trip.code.dirty, raw_paths(trip)) == (False, {b"win"})
    assert changed_paths(trip.target) == set()


def test_an_edit_of_a_file_committed_with_crlf_is_an_edit_of_one_line(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"win": "1\r\n2\r\n3\r\n"})
    git(root, "config", "core.autocrlf", "input")
    write(root, {"win": "1\r\nTWO\r\n3\r\n"})
    trip = round_trip(root, tmp_path)
    assert blob(root, trip.code.snapshot, "win") == b"1\r\nTWO\r\n3\r\n"
    assert raw_paths(trip) == set()


def test_text_attributes_convert_and_the_bytes_come_back(tmp_path: Path) -> None:
    root = git_repository(
        tmp_path / "project", {".gitattributes": "*.txt text eol=crlf\n*.auto text=auto\n", "a.txt": "1\n"}
    )
    write(root, {"a.txt": "1\r\n2\r\n", "b.txt": "mixed\r\nends\n", "c.auto": "1\r\n"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert blob(root, trip.code.snapshot, "a.txt") == b"1\n2\n"
    assert raw_paths(trip) == {b"a.txt", b"b.txt", b"c.auto"}


def test_ident_is_expanded_in_the_worktree_only(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "a ident\n", "a": "$Id$\n"})
    (root / "a").unlink()
    git(root, "checkout", "-q", "a")
    assert b"$Id: " in (root / "a").read_bytes()
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert (trip.code.dirty, raw_paths(trip)) == (False, {b"a"})
    assert changed_paths(trip.target) == set()


def test_an_encoding_of_the_worktree_comes_back(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "*.u16 text working-tree-encoding=UTF-16LE\n"})
    (root / "a.u16").write_bytes("héllo\n".encode("utf-16-le"))
    trip = round_trip(root, tmp_path)
    assert blob(root, trip.code.snapshot, "a.u16") == "héllo\n".encode()
    assert files_of(trip.target) == files_of(root)


def test_what_does_not_fit_its_encoding_is_captured_as_it_is(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "*.u16 text working-tree-encoding=UTF-16\n"})
    write(root, {"bad.u16": b"\xff", "other": "1", "zz": "1"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert trip.code.left_out == ()


def test_a_clean_filter_that_strips_makes_no_change_and_loses_nothing(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "*.nb filter=strip\n", "a.nb": "code\n"})
    git(root, "config", "filter.strip.clean", "grep -v output")
    git(root, "config", "filter.strip.smudge", f"touch '{tmp_path}/smudged'; cat")
    write(root, {"a.nb": "code\noutput 1\n"})
    trip = round_trip(root, tmp_path)
    assert (trip.code.dirty, raw_paths(trip)) == (False, {b"a.nb"})
    assert files_of(trip.target) == files_of(root)
    assert changed_paths(trip.target) == set()
    assert not (tmp_path / "smudged").exists()


@pytest.mark.parametrize("count", [3, REFUSALS + 5])
def test_a_required_filter_that_fails_does_not_stop_the_capture(tmp_path: Path, count: int) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    git(root, "config", "filter.crypt.clean", "false")
    git(root, "config", "filter.crypt.required", "true")
    write(
        root, {".gitattributes": "*.key1 filter=crypt\n", **{f"{number}.key1": str(number) for number in range(count)}}
    )
    write(root, {"a": "2"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert blob(root, trip.code.snapshot, "0.key1") == b"0"


def lfs_repository(root: Path, tmp: Path) -> Path:
    """A repository whose git-lfs is a script that leaves a trace when it is run."""
    git_repository(root, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    for name in ("clean", "smudge"):
        git(root, "config", f"filter.lfs.{name}", f"touch '{tmp}/lfs-ran'; exit 1")
    git(root, "config", "filter.lfs.required", "true")
    return root


def commit_pointer(root: Path, path: str, content: bytes) -> None:
    """What `git add` with git-lfs does: the pointer in the tree, the content in the worktree."""
    pointer = root / ".git" / "pointer"
    pointer.write_text(POINTER.format(hashlib.sha256(content).hexdigest(), len(content)))
    (root / path).write_bytes(content)
    os.utime(root / path, (1, 1))
    lfs = ("required=false", f"clean=cat >/dev/null; cat '{pointer}'")
    options = [word for setting in lfs for word in ("-c", f"filter.lfs.{setting}")]
    git(root, *options, "add", path)
    git(root, *options, "commit", "-qm", "weights")
    pointer.unlink()


def test_content_in_git_lfs_is_kept_and_the_tree_has_its_pointer(tmp_path: Path) -> None:
    root = lfs_repository(tmp_path / "project", tmp_path)
    commit_pointer(root, "clean.bin", b"clean weights" * 1000)
    commit_pointer(root, "edited.bin", b"old weights")
    write(root, {"edited.bin": b"new weights", "new.bin": b"untracked weights", "empty.bin": b""})
    trip = round_trip_of_lfs(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    want = POINTER.format(hashlib.sha256(b"new weights").hexdigest(), 11).encode()
    assert blob(root, trip.code.snapshot, "edited.bin") == want
    assert blob(root, trip.code.snapshot, "empty.bin") == b""
    assert set(trip.code.changed) == {"edited.bin", "new.bin", "empty.bin"}
    assert raw_paths(trip) == {b"clean.bin", b"edited.bin", b"new.bin"}


def test_pointers_without_content_stay_pointers(tmp_path: Path) -> None:
    root = lfs_repository(tmp_path / "project", tmp_path)
    commit_pointer(root, "a.bin", b"weights")
    pointer = git(root, "cat-file", "blob", "HEAD:a.bin")
    write(root, {"a.bin": pointer, "b.bin": POINTER.format("0" * 64, 5)})
    trip = round_trip_of_lfs(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert trip.code.changed == ("b.bin",)
    assert raw_paths(trip) == set()


def test_large_content_in_git_lfs_is_not_hashed_twice_for_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltrack.git.survey.HASH_ALL_FILES", 0)
    monkeypatch.setattr("mltrack.git.capture.CALM_NS", -(10**12))
    root = lfs_repository(tmp_path / "project", tmp_path)
    content = b"clean weights" * 1000
    commit_pointer(root, "a.bin", content)
    read: list[bytes] = []
    raw_id = Worktree.raw_id
    monkeypatch.setattr(Worktree, "raw_id", lambda self, path, found: (read.append(path), raw_id(self, path, found))[1])
    trip = round_trip_of_lfs(root, tmp_path)
    assert (trip.code.dirty, read) == (False, [])
    assert raw_paths(trip) == {b"a.bin"}
    assert files_of(trip.target) == files_of(root)


def round_trip_of_lfs(root: Path, tmp: Path) -> Trip:
    """`git status` itself would run the filter here, so only what a capture does is watched."""
    (tmp / "lfs-ran").unlink(missing_ok=True)
    git_dir = sorted(item.name for item in (root / ".git").iterdir())
    index = (root / ".git" / "index").read_bytes()
    trip = round_trip(root, tmp, repo=find_repository(root))
    assert not (tmp / "lfs-ran").exists()
    assert sorted(item.name for item in (root / ".git").iterdir()) == git_dir
    assert (root / ".git" / "index").read_bytes() == index
    return trip


@pytest.mark.needs("git-lfs")
def test_with_the_real_git_lfs_nothing_is_written_to_its_store(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    git(root, "lfs", "install", "--local")
    git(root, "lfs", "track", "*.bin")
    write(root, {"a.bin": b"weights"})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "weights")
    write(root, {"a.bin": b"other", "b.bin": b"new"})
    before = sorted((root / ".git" / "lfs").rglob("*"))
    with untouched(root):
        before_status = sorted((root / ".git" / "lfs").rglob("*"))
        assert len(before_status) >= len(before)
        trip = round_trip(root, tmp_path)
        assert sorted((root / ".git" / "lfs").rglob("*")) == before_status
    assert files_of(trip.target) == files_of(root)
    git(root, "add", "-A")
    assert git(root, "write-tree").decode().strip() == trip.code.tree
