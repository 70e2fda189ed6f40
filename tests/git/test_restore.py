"""What comes out of a pack or record is taken for hostile; what comes out whole is a sane repository."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.errors import Damaged, DataMissing, StorageError, UsageError
from mltrack.git.indexfile import IndexEntry, write_index
from mltrack.git.pack import write_pack
from mltrack.git.restore import Sources, restore
from mltrack.records import CodeState, LeftOut, NestedCode
from tests.git.support import capture_at, changed_paths, files_of, round_trip
from tests.helpers import git, git_repository, write


def no_raw(code: CodeState, root: Path) -> list[bytes]:
    return []


def hostile(tmp: Path, *entries: tuple[str, bytes, bytes]) -> CodeState:
    """A snapshot whose tree holds (mode, name, content) as given: git would never write it so."""
    repo = tmp / "hostile"
    repo.mkdir()
    git(repo, "init", "-q")
    lines = []
    for mode, name, content in entries:
        blob = git(repo, "hash-object", "-w", "--stdin", input=content).strip()
        lines.append(mode.encode() + b" " + name + b"\0" + bytes.fromhex(blob.decode()))
    tree = (
        git(repo, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", input=b"".join(lines)).decode().strip()
    )
    commit = git(repo, "commit-tree", "-m", "x", tree).decode().strip()
    return CodeState(snapshot=commit, tree=tree)


def sources(tmp: Path, repo: Path) -> Sources:
    def packs(code: CodeState) -> Iterable[Path]:
        names = git(repo, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
        (tmp / "pack").write_bytes(git(repo, "pack-objects", "--stdout", "-q", input=names))
        return [tmp / "pack"]

    return Sources(packs, no_raw)


@pytest.mark.parametrize(
    "entries",
    [
        [("100644", b"../escape", b"x")],
        [("100644", b"/tmp/escape", b"x")],
        [("100644", b"a/../../escape", b"x")],
        [("100644", b".git/hooks/post-checkout", b"x")],
        [("100755", b"sub/.GIT/config", b"x")],
        [("120000", b".git", b"/tmp")],
        [("120000", b"sub/.Git", b"/tmp")],
        [("100644", b"git~1", b"x")],
        [("100644", b".", b"x")],
        [("100644", b"twice", b"x"), ("100644", b"twice", b"y")],
        [("120000", b"link", b".."), ("100644", b"link", b"x")],
        [("100644", b"a", b"x"), ("100644", b"a/b", b"y")],
        [("120000", b"link", b"../outside"), ("120000", b"link/escape", b"/etc")],
    ],
)
def test_a_hostile_tree_writes_nothing_outside_and_no_git_directory(
    tmp_path: Path, entries: list[tuple[str, bytes, bytes]]
) -> None:
    code = hostile(tmp_path, *entries)
    (tmp_path / "outside").mkdir()
    place = tmp_path / "deep" / "target"
    with pytest.raises(Damaged):
        restore(code, place, sources(tmp_path, tmp_path / "hostile"))
    assert list((tmp_path / "outside").iterdir()) == []
    assert {item.name for item in (tmp_path / "deep").iterdir()} == {"target"}
    assert not (place / ".git" / "hooks").exists()
    assert not Path("/tmp/escape").exists()


def test_a_file_is_not_written_through_a_link_of_the_same_tree(tmp_path: Path) -> None:
    code = hostile(tmp_path, ("120000", b"link", b"../outside"), ("100644", b"link/file", b"x"))
    (tmp_path / "outside").mkdir()
    with pytest.raises(Damaged):
        restore(code, tmp_path / "target", sources(tmp_path, tmp_path / "hostile"))
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("path", ["../outside", "/tmp/x", ".git/modules", "a/../..", ""])
def test_a_nested_repository_stays_inside(tmp_path: Path, path: str) -> None:
    code = hostile(tmp_path, ("100644", b"a", b"x"))
    with pytest.raises(Damaged):
        restore(
            replace(code, nested=(NestedCode(path, code),)),
            tmp_path / "target",
            sources(tmp_path, tmp_path / "hostile"),
        )
    assert not (tmp_path / "outside").exists()


def test_a_nested_repository_is_not_put_behind_a_link(tmp_path: Path) -> None:
    code = hostile(tmp_path, ("120000", b"link", b"../outside"))
    (tmp_path / "outside").mkdir()
    with pytest.raises(Damaged, match="symbolic link"):
        restore(
            replace(code, nested=(NestedCode("link", code),)),
            tmp_path / "target",
            sources(tmp_path, tmp_path / "hostile"),
        )
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_missing_object_is_said_and_one_that_was_left_out_is_passed_over(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "b": "2"})
    code = capture_at(root, tmp_path / "store").code
    blob = git(root, "rev-parse", "HEAD:b").strip()

    def packs(_: CodeState) -> Iterable[Path]:
        names = git(root, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
        kept = b"\n".join(name for name in names if name != blob) + b"\n"
        (tmp_path / "pack").write_bytes(git(root, "pack-objects", "--stdout", "-q", input=kept))
        return [tmp_path / "pack"]

    with pytest.raises(DataMissing, match="'b'"):
        restore(code, tmp_path / "one", Sources(packs, no_raw))
    restore(replace(code, left_out=(LeftOut("b", None, "gone"),)), tmp_path / "two", Sources(packs, no_raw))
    assert set(files_of(tmp_path / "two")) == {b"a"}


def test_commits_that_are_in_no_pack_are_said(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    code = capture_at(root, tmp_path / "store").code
    with pytest.raises(DataMissing, match="not in the packs"):
        restore(code, tmp_path / "target", Sources(lambda _: [], no_raw))
    with pytest.raises(DataMissing, match="no snapshot"):
        restore(CodeState(), tmp_path / "other", Sources(lambda _: [], no_raw))


def test_nothing_of_the_users_is_written_over(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    code = capture_at(root, tmp_path / "store").code
    write(tmp_path / "full", {"mine": "1"})
    with pytest.raises(UsageError, match="not empty"):
        restore(code, tmp_path / "full", sources(tmp_path, root))
    write(tmp_path / "ours", {".mltrack/x": "1"})
    restore(code, tmp_path / "ours", sources(tmp_path, root))
    assert (tmp_path / "ours" / "a").read_text() == "1"


def test_the_recorded_commit_is_head_without_its_history_and_fsck_is_silent(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    for number in range(3):
        write(root, {"a": f"{number}"})
        git(root, "commit", "-qam", f"commit {number}")
    write(root, {"a": "dirty", "new": "1"})
    trip = round_trip(root, tmp_path)
    assert git(trip.target, "rev-parse", "HEAD") == git(root, "rev-parse", "HEAD")
    assert git(trip.target, "log", "--format=%s") == b"commit 2\n"
    assert git(trip.target, "fsck", "--strict") == b""
    assert git(trip.target, "status", "--porcelain") == b" M a\n?? new\n"
    assert git(trip.target, "rev-parse", f"refs/mltrack/{trip.code.snapshot}").decode().strip() == trip.code.snapshot
    assert not (trip.target / ".git" / "hooks").exists()
    git(trip.target, "commit", "-qam", "work goes on")
    assert git(trip.target, "stash", "list") == b""


def test_filters_and_templates_of_the_restoring_user_do_nothing(tmp_path: Path, walls: Path) -> None:
    root = git_repository(
        tmp_path / "project", {".gitattributes": "*.x filter=evil\n*.t text eol=crlf\n", "a.x": "1", "b.t": "1\n"}
    )
    template = tmp_path / "template"
    write(template, {"hooks/post-checkout": "#!/bin/sh\ntouch ran\n"})
    git(root, "config", "--global", "filter.evil.smudge", f"touch '{tmp_path}/ran'; cat")
    git(root, "config", "--global", "filter.evil.clean", "cat")
    git(root, "config", "--global", "core.autocrlf", "true")
    git(root, "config", "--global", "init.templateDir", str(template))
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert not (tmp_path / "ran").exists()
    assert not (trip.target / ".git" / "hooks").exists()


def test_modes_follow_the_umask_and_keep_the_executable_bit(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"run": "1", "plain": "1"})
    (root / "run").chmod(0o700)
    before = os.umask(0o027)
    try:
        trip = round_trip(root, tmp_path)
    finally:
        os.umask(before)
    assert [(trip.target / name).stat().st_mode & 0o777 for name in ("run", "plain")] == [0o750, 0o640]


def test_a_large_blob_is_written_in_blocks(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "large": os.urandom(3 << 20), "z": "1"})
    assert files_of(round_trip(root, tmp_path).target) == files_of(root)


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    code = hostile(tmp_path, ("100644", b"x" * 300, b"name too long"))
    with pytest.raises(StorageError, match="cannot be written"):
        restore(code, tmp_path / "target", sources(tmp_path, tmp_path / "hostile"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        restore(code, tmp_path / "file" / "target", sources(tmp_path, tmp_path / "hostile"))


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 4095, 4096, 5000])
def test_the_index_we_write_is_the_one_that_git_reads(tmp_path: Path, length: int) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    blob = git(root, "rev-parse", "HEAD:a").decode().strip()
    long = b"/".join([b"d" * 99] * (length // 100) + [b"n" * (length % 100 or 1)])
    entries = [IndexEntry(path, b"100644", blob, None) for path in (b"z", long, b"a")]
    write_index(root / ".git" / "index", entries, "sha1")
    listed = git(root, "ls-files", "-s", "-z").split(b"\0")[:-1]
    assert listed == [f"100644 {blob} 0\t".encode() + path for path in sorted((b"z", long, b"a"))]


def test_a_restored_tree_can_be_captured_to_the_same_tree(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "* text=auto\n", "win": "1\r\n", "a": "1"})
    write(root, {"win": "2\r\n", "new": "1"})
    trip = round_trip(root, tmp_path)
    again = capture_at(trip.target, tmp_path / "store").code
    assert (again.tree, again.snapshot, again.changed) == (trip.code.tree, trip.code.snapshot, trip.code.changed)
    assert changed_paths(trip.target) == {b"win", b"new"}


def test_writing_packs_from_the_restored_copy_works(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    write(root, {"a": "2"})
    git(root, "commit", "-qam", "second")
    trip = round_trip(root, tmp_path)
    assert write_pack(trip.target / ".git", trip.code, [], tmp_path / "again")
