from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mltrack.git.changes import list_files, list_ignored_changed, list_ignored_come
from mltrack.git.patch import EMPTY_TREES, changed_names, patch_text
from mltrack.git.repository import Repository, find_repository
from tests.git.support import capture_at
from tests.helpers import git, git_repository, write


def repository_at(root: Path) -> Repository:
    found = find_repository(root)
    assert found is not None
    return found


def two_trees(root: Path, tmp: Path, edits: dict[str, str | bytes], gone: tuple[str, ...] = ()) -> tuple[str, str]:
    first = capture_at(root, tmp / "store").code.tree
    write(root, edits)
    for name in gone:
        (root / name).unlink()
    second = capture_at(root, tmp / "store").code.tree
    assert first is not None
    assert second is not None
    return first, second


def test_names_say_what_became_of_each_file(tmp_path: Path) -> None:
    text = "a line\n" * 30
    root = git_repository(tmp_path / "project", {"changed": "1", "gone": "2", "old name": text})
    trees = two_trees(root, tmp_path, {"changed": "3", "new": "4", "new\nname": text}, ("gone", "old name"))
    assert sorted(changed_names(root / ".git", *trees)) == [
        ("A", "new"),
        ("D", "gone"),
        ("M", "changed"),
        ("R", "old name -> new\nname"),
    ]
    assert changed_names(root / ".git", trees[0], trees[0]) == []


def test_a_file_that_became_a_link_is_changed(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    first = capture_at(root, tmp_path / "store").code.tree
    (root / "a").unlink()
    (root / "a").symlink_to("elsewhere")
    second = capture_at(root, tmp_path / "store").code.tree
    assert changed_names(root / ".git", str(first), str(second)) == [("M", "a")]


def test_a_patch_is_plain_whatever_the_user_has_set(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "*.py diff=loud\n", "train.py": "lr = 1\n"})
    for name, value in {
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "color.ui": "always",
        "diff.external": "false",
        "diff.loud.textconv": "tr a-z A-Z",
        "diff.loud.command": "false",
    }.items():
        git(root, "config", name, value)
    trees = two_trees(root, tmp_path, {"train.py": "lr = 2\n", "w.bin": b"\0\1", "latin": b"caf\xe9\n"})
    patch = patch_text(root / ".git", *trees)
    assert "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-lr = 1\n+lr = 2\n" in patch
    assert "Binary files /dev/null and b/w.bin differ" in patch
    assert "+caf\ufffd" in patch


@pytest.mark.parametrize("length", [40, 64])
def test_the_empty_tree_has_no_difference_from_itself(tmp_path: Path, length: int) -> None:
    git(tmp_path, "init", "-q", f"--object-format={'sha1' if length == 40 else 'sha256'}", "repo")
    tree = EMPTY_TREES[length]
    assert patch_text(tmp_path / "repo" / ".git", tree, tree) == ""


def test_files_are_listed_as_a_capture_lists_them(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "gone": "1", ".gitignore": "*.log\n"})
    git_repository(root / "inner", {"b": "1"})
    write(root, {"new": "1", "x.log": "1", "inner/c": "1", ".mltrack/ledger.db": "1", "large": "x" * 99})
    (root / "gone").unlink()
    (root / "link").symlink_to("a")
    files = list_files(repository_at(root))
    assert set(files) == {b"a", b".gitignore", b"new", b"link", b"large", b"inner/b", b"inner/c"}
    assert dict(capture_at(root, tmp_path / "store").files) == files


def test_what_a_run_wrote_is_the_difference(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "b": "1"})
    before = capture_at(root, tmp_path / "store").files
    write(root, {"a": "2", "model.pt": "weights"})
    after = list_files(repository_at(root))
    assert {path for path, key in after.items() if before.get(path) != key} == {b"a", b"model.pt"}


def test_ignored_files_that_are_new_are_found_and_those_of_tools_are_not(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitignore": "out/\n*.log\n__pycache__/\nvenv/\n*.pyc\n.mltrack\n"})
    write(root, {"out/old": "1", "old.log": "1"})
    since = time.time_ns() - 10**9
    for name in ("out/old", "old.log"):
        os.utime(root / name, (1, 1))
    write(
        root,
        {
            **{"out/deep/new.pt": "1", "new.log": "1", "sub/new\n.log": "1"},  # noqa: PIE800
            **{"__pycache__/x": "1", "venv/lib/y": "1", "out/__pycache__/z": "1", "m.pyc": "1", ".mltrack/w": "1"},  # noqa: PIE800
        },
    )
    (root / "out" / "link").symlink_to("/etc")
    found = list_ignored_changed(repository_at(root), since)
    assert found == [b"new.log", b"out/deep/new.pt", b"out/link", b"sub/new\n.log"]


def test_what_has_come_among_ignored_files_is_found_by_its_time_of_change_in_nested_repositories_too(
    tmp_path: Path,
) -> None:
    root = git_repository(tmp_path / "project", {".gitignore": "data/\nvenv/\nenv/\n.cache/\n*.pyc\nmoved/\n"})
    git_repository(root / "inner", {"b": "1", ".gitignore": "*.log\n"})
    write(root, {"data/old": "1", "env/pyvenv.cfg": "", "env/x": "1"})
    write(tmp_path, {"moved/in": "1"})
    time.sleep(0.03)
    since = time.time_ns() - 15 * 10**6
    assert list_ignored_come(repository_at(root), [b"inner"], since) == []
    os.rename(tmp_path / "moved", root / "moved")
    write(root, {"venv/x": "1", ".cache/x": "1", "m.pyc": "1", "inner/a.log": "1", "data/new": "1", "env/y": "1"})
    os.utime(root / "data/new", (1, 1))
    assert list_ignored_come(repository_at(root), [b"inner"], since) == [
        *(b".cache/x", b"data/new", b"inner/a.log", b"m.pyc", b"moved/", b"venv/x")
    ]
