"""Every way in which git's index or its settings could hide what the worktree holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.git import survey
from mltrack.git.repository import private_repository
from tests.git.support import LIMITS, capture_at, changed_paths, files_of, ids, round_trip, untouched
from tests.helpers import git, git_repository, write


def test_a_clean_tree_is_heads_tree_under_a_snapshot_of_its_own(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "sub/b": "2"})
    code = round_trip(root, tmp_path).captured.code
    assert code.tree == git(root, "rev-parse", "HEAD^{tree}").decode().strip()
    assert code.snapshot is not None
    assert git(root, "rev-parse", f"{code.snapshot}^").decode().strip() == code.commit
    assert git(root, "rev-parse", f"refs/mltrack/{code.snapshot}").decode().strip() == code.snapshot
    assert (code.branch, code.dirty, code.changed, code.left_out) == ("main", False, (), ())


def test_the_same_tree_on_the_same_commit_is_the_same_snapshot(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    write(root, {"a": "2"})
    first = capture_at(root, tmp_path / "store").code
    os.utime(root / "a", (1, 1))
    git(root, "config", "user.name", "Somebody Else")
    git(root, "config", "commit.gpgSign", "true")
    git(root, "config", "i18n.commitEncoding", "ISO-8859-1")
    assert capture_at(root, tmp_path / "store").code == first


def test_staged_unstaged_deleted_renamed_and_untracked_files_are_all_there(tmp_path: Path) -> None:
    files = {
        "staged": "1",
        "unstaged": "1",
        "both": "1",
        "deleted": "1",
        "gone": "1",
        "old name": "long enough\n" * 9,
        "same": "1",
    }
    root = git_repository(tmp_path / "project", files)
    write(root, {"staged": "2", "both": "2"})
    git(root, "add", "-A")
    git(root, "mv", "old name", "new name")
    git(root, "rm", "-q", "gone")
    write(root, {"unstaged": "2", "both": "3", "un tracked/new": "1", "binary": bytes(range(256))})
    (root / "deleted").unlink()
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    named = {"staged", "unstaged", "both", "deleted", "gone", "old name", "new name", "un tracked/new", "binary"}
    assert set(trip.code.changed) == named
    assert changed_paths(trip.target) == {name.encode() for name in named}


def test_a_staged_file_that_was_edited_back_is_captured_as_it_is(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "one"})
    write(root, {"a": "two"})
    git(root, "add", "a")
    write(root, {"a": "one"})
    trip = round_trip(root, tmp_path)
    assert trip.code.tree == git(root, "rev-parse", "HEAD^{tree}").decode().strip()
    assert trip.code.changed == ("a",)


def test_an_edit_in_the_same_tick_with_the_same_size_is_seen(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "one"})
    for number in range(20):
        text = f"{number:03}"
        write(root, {"a": text})
        git(root, "add", "a")
        write(root, {"a": text[::-1]})
        assert git(root, "show", f"{capture_at(root, tmp_path / 'store').code.snapshot}:a").decode() == text[::-1]


def test_an_edit_with_its_time_put_back_is_seen(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "one"})
    before = (root / "a").stat()
    write(root, {"a": "two"})
    os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    git(root, "config", "core.trustctime", "false")
    git(root, "config", "core.checkStat", "minimal")
    assert files_of(round_trip(root, tmp_path).target)[b"a"] == ("file", b"two")


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_an_edit_of_a_file_that_git_was_told_to_ignore_is_seen(tmp_path: Path, flag: str) -> None:
    root = git_repository(tmp_path / "project", {"a": "one", "b": "1"})
    git(root, "update-index", flag, "a", "b")
    write(root, {"a": "two"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert trip.code.changed == ("a",)


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_deleted_file_that_git_was_told_to_ignore_is_not_in_the_tree(tmp_path: Path, flag: str) -> None:
    root = git_repository(tmp_path / "project", {"a": "one", "b": "1"})
    git(root, "update-index", flag, "a")
    (root / "a").unlink()
    assert files_of(round_trip(root, tmp_path).target) == files_of(root)


def test_files_that_are_only_intended_to_be_added_are_there_even_if_empty(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    write(root, {"empty": "", "full": "text"})
    git(root, "add", "--intent-to-add", "empty", "full")
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert trip.code.changed == ("empty", "full")


HIDING = {
    "core.fileMode": "false",
    "core.ignoreStat": "true",
    "core.symlinks": "false",
    "core.fsmonitor": "true",
    "core.untrackedCache": "true",
    "core.safecrlf": "true",
    "status.showUntrackedFiles": "no",
    "status.renames": "copies",
    "diff.noprefix": "true",
    "diff.ignoreSubmodules": "all",
    "color.ui": "always",
}


def test_the_settings_that_hide_edits_hide_nothing(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"run.sh": "1", "a": "one", "link": "x"})
    for name, value in HIDING.items():
        git(root, "config", name, value)
    (root / "run.sh").chmod(0o755)
    (root / "link").unlink()
    (root / "link").symlink_to("a")
    write(root, {"a": "two", "new": "1"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert set(trip.code.changed) == {"run.sh", "link", "a", "new"}


def test_no_hook_monitor_or_external_diff_of_the_user_runs(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    script.chmod(0o755)
    hooks = root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-index-change", "pre-commit", "post-checkout", "fsmonitor-watchman"):
        (hooks / name).symlink_to(script)
    git(root, "config", "core.fsmonitor", str(script))
    git(root, "config", "diff.external", str(script))
    (tmp_path / "ran").unlink(missing_ok=True)
    write(root, {"a": "2"})
    capture_at(root, tmp_path / "store")
    assert not (tmp_path / "ran").exists()


def test_a_capture_inside_of_a_hook_is_not_misled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    other = git_repository(tmp_path / "other", {"b": "1"})
    write(root, {"a": "2"})
    want = capture_at(root, tmp_path / "store").code
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_PREFIX", "sub/")
    assert capture_at(root, tmp_path / "store").code == want


def test_a_split_index_is_read_and_left_split(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {f"f{number}": "1" for number in range(9)})
    git(root, "update-index", "--split-index")
    write(root, {"f1": "2"})
    git(root, "add", "f1")
    write(root, {"f2": "2"})
    assert files_of(round_trip(root, tmp_path).target) == files_of(root)
    assert list((root / ".git").glob("sharedindex.*"))


@pytest.mark.parametrize("kind", ["--no-cone", "--cone", "--sparse-index"])
def test_in_a_sparse_checkout_absent_files_stay_and_present_ones_are_seen(tmp_path: Path, kind: str) -> None:
    root = git_repository(
        tmp_path / "project", {"top": "1", "in/a": "1", "out/b": "1", "out/c": "1", "out/deep/d": "1"}
    )
    options = ["--cone", "--sparse-index"] if kind == "--sparse-index" else [kind]
    git(root, "sparse-checkout", "set", *options, "in")
    assert not (root / "out").exists()
    write(root, {"out/b": "edited outside of the cone", "out/new": "1", "in/a": "2"})
    trip = round_trip(root, tmp_path)
    here = files_of(trip.target)
    assert {path: here[path] for path in files_of(root)} == files_of(root)
    assert here[b"out/deep/d"] == ("file", b"1")
    assert set(trip.code.changed) == {"in/a", "out/b", "out/new"}


def test_unmerged_files_are_captured_with_their_markers(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "base\n", "b": "base\n", "same": "1"})
    git(root, "checkout", "-qb", "other")
    write(root, {"a": "theirs\n"})
    git(root, "rm", "-q", "b")
    git(root, "commit", "-qam", "theirs")
    git(root, "checkout", "-q", "main")
    write(root, {"a": "ours\n", "b": "ours\n"})
    git(root, "commit", "-qam", "ours")
    git(root, "merge", "-q", "other", check=False)
    assert b"<<<<<<<" in (root / "a").read_bytes()
    (root / "b").unlink(missing_ok=True)
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert {"a", "b"} <= set(trip.code.changed)


def test_files_become_directories_and_links_and_the_reverse(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"file": "1", "dir/a": "1", "dir2/b": "1", "target/x": "1", "f2": "1"})
    (root / "file").unlink()
    write(root, {"file/inside": "1"})
    git(root, "rm", "-rq", "--cached", "dir")
    for path in ("dir/a", "dir2/b"):
        (root / path).unlink()
        (root / path).parent.rmdir()
    write(root, {"dir": "now a file"})
    (root / "dir2").symlink_to("target")
    write(root, {"target/b": "seen through the link"})
    (root / "f2").unlink()
    (root / "f2").symlink_to("/nonexistent")
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert os.readlink(trip.target / "dir2") == "target"


@pytest.mark.parametrize(
    "name",
    [
        b"new\nline",
        b'"quoted"',
        b'a"b\nc',
        b"-x",
        b"--help",
        b"\xff\xfe",
        b"cr\r",
        b" ",
        b"back\\slash",
        b":(top)a",
        b"*",
        b"a\\nb\n",
    ],
)
def test_odd_names_survive_tracked_untracked_and_converted(tmp_path: Path, name: bytes) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    (root / os.fsdecode(b"t" + name)).write_bytes(b"1\r\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "odd")
    git(root, "config", "core.autocrlf", "true")
    (root / os.fsdecode(b"t" + name)).write_bytes(b"2\r\n")
    (root / os.fsdecode(name)).write_bytes(b"new\r\n")
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert os.fsdecode(name) in trip.code.changed


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "trunk")
    write(root, {"a": "1", "sub/b": "2"})
    git(root, "add", "a")
    trip = round_trip(root, tmp_path)
    assert (trip.code.commit, trip.code.branch, trip.code.dirty) == (None, "trunk", True)
    assert files_of(trip.target) == files_of(root)
    assert git(trip.target, "symbolic-ref", "HEAD") == b"refs/heads/trunk\n"


def test_an_empty_repository_without_a_commit(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q")
    trip = round_trip(root, tmp_path)
    assert (trip.code.dirty, trip.code.changed, files_of(trip.target)) == (False, (), {})


def test_a_detached_head(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    git(root, "checkout", "-q", "--detach")
    write(root, {"a": "2"})
    trip = round_trip(root, tmp_path)
    assert trip.code.branch is None
    assert trip.code.commit == git(root, "rev-parse", "HEAD").decode().strip()


def test_from_a_subdirectory_the_whole_repository_is_captured(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "sub/b": "1"})
    write(root, {"a": "2", "sub/b": "2", "sub/new": "1"})
    captured = capture_at(root / "sub", tmp_path / "store")
    assert captured.code.changed == ("a", "sub/b", "sub/new")
    assert set(captured.files) == {b"a", b"sub/b", b"sub/new"}


def test_a_linked_worktree_is_captured_by_its_own_index_and_head(tmp_path: Path) -> None:
    main = git_repository(tmp_path / "main", {"a": "1"})
    git(main, "worktree", "add", "-q", "-b", "side", "../linked")
    write(tmp_path / "linked", {"a": "2", "b": "1"})
    git(tmp_path / "linked", "add", "b")
    trip = round_trip(tmp_path / "linked", tmp_path)
    assert trip.code.branch == "side"
    assert files_of(trip.target) == {b"a": ("file", b"2"), b"b": ("file", b"1")}


def test_a_shallow_clone(tmp_path: Path) -> None:
    origin = git_repository(tmp_path / "origin", {"a": "1"})
    write(origin, {"a": "2"})
    git(origin, "commit", "-qam", "second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", "clone")
    write(tmp_path / "clone", {"b": "1"})
    trip = round_trip(tmp_path / "clone", tmp_path)
    assert trip.code.origin == f"file://{origin}"
    assert git(trip.target, "log", "--format=%s") == b"second\n"
    assert files_of(trip.target) == files_of(tmp_path / "clone")


def test_a_sha256_repository(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q", "--object-format=sha256")
    write(root, {"a": "1", "b": "1\r\n"})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    git(root, "config", "core.autocrlf", "true")
    write(root, {"a": "2", "c": "1\r\n"})
    trip = round_trip(root, tmp_path)
    assert len(trip.code.snapshot or "") == 64
    assert files_of(trip.target) == files_of(root)
    assert changed_paths(trip.target) == {b"a", b"c"}


def test_outside_of_git_a_private_repository_holds_the_tree(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    write(root, {"a": "1", "sub/b": "2", ".mltrack/ledger.db": "no", ".gitignore": "*.log\n", "x.log": "no"})
    repo = private_repository(root, root / ".mltrack" / "code.git")
    trip = round_trip(root, tmp_path, repo=repo)
    assert (trip.code.commit, trip.code.branch, trip.code.dirty, trip.code.changed) == (None, None, False, ())
    assert set(files_of(trip.target)) == {b"a", b"sub/b", b".gitignore"}
    assert not (root / ".git").exists()
    again = capture_at(trip.target, tmp_path / "again").code
    assert (again.branch, again.dirty, again.changed, again.tree) == (None, False, (), trip.code.tree)
    git(trip.target, "commit", "-q", "--allow-empty", "-m", "of a user's own")
    assert capture_at(trip.target, tmp_path / "again").code.branch == "main"


def test_outputs_are_not_code(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "kept.json": "1"})
    write(root, {"metrics.json": "{}", "kept.json": "2", "new.py": "1"})
    captured = capture_at(root, tmp_path / "store", is_output=lambda path: path.endswith(b".json"))
    assert captured.code.changed == ("kept.json", "new.py")
    assert captured.code.left_out == ()
    assert b"metrics.json" not in ids(root, captured.code.snapshot or "")
    assert b"metrics.json" in captured.files


def test_a_committed_mltrack_directory_stays_as_the_index_has_it(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", ".mltrack/config.yaml": "old"})
    write(root, {".mltrack/config.yaml": "new", ".mltrack/store/x": "1"})
    trip = round_trip(root, tmp_path)
    assert trip.code.changed == ()
    assert not (trip.target / ".mltrack").exists()


def test_beyond_the_small_size_the_stat_is_believed_only_where_it_proves_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "HASH_ALL_FILES", 0)
    monkeypatch.setattr("mltrack.git.capture.CALM_NS", -(10**12))  # as if every file were old
    root = git_repository(
        tmp_path / "project", {"clean": "1", "edited": "1", "assumed": "1", "link": "1", "crlf": "1\r\n"}
    )
    git(root, "update-index", "--assume-unchanged", "assumed")
    read: list[bytes] = []
    raw_id = survey.Worktree.raw_id
    monkeypatch.setattr(
        survey.Worktree, "raw_id", lambda self, path, found: (read.append(path), raw_id(self, path, found))[1]
    )
    write(root, {"edited": "2", "assumed": "2", "new": "1"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert set(read) == {b"edited", b"assumed", b"new"}
    read.clear()
    git(root, "config", "core.autocrlf", "true")
    capture_at(root, tmp_path / "kept" / "store")
    assert set(read) >= {b"clean", b"crlf"}


def test_a_recently_changed_file_is_always_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "HASH_ALL_FILES", 0)
    root = git_repository(tmp_path / "project", {"a": "1"})
    read: list[bytes] = []
    raw_id = survey.Worktree.raw_id
    monkeypatch.setattr(
        survey.Worktree, "raw_id", lambda self, path, found: (read.append(path), raw_id(self, path, found))[1]
    )
    capture_at(root, tmp_path / "store")
    assert read == [b"a"]


def test_files_have_the_stat_they_had(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    write(root, {"b": "1"})
    captured = capture_at(root, tmp_path / "store")
    found = (root / "b").stat()
    assert captured.files[b"b"] == (found.st_dev, found.st_ino, 1, found.st_mtime_ns, found.st_ctime_ns)


def test_capturing_twice_and_at_once_leaves_no_trace_in_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    root = git_repository(tmp_path / "project", {"a": "1"})
    with untouched(root):
        capture_at(root, tmp_path / "store", LIMITS)
    assert list((tmp_path / "tmp").iterdir()) == []
