"""Repositories inside of repositories: each has a code state of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.git.support import capture_at, files_of, ids, round_trip, untouched
from tests.helpers import git, git_repository, write


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return git_repository(tmp_path / "library", {"lib.py": "1\n", "deep/x.py": "1\n"})


@pytest.fixture
def project(tmp_path: Path, library: Path) -> Path:
    root = git_repository(tmp_path / "project", {"train.py": "1\n"})
    git(root, "submodule", "add", "-q", str(library), "vendor/library")
    git(root, "commit", "-qm", "library")
    return root


def test_a_submodule_is_captured_with_its_edits(tmp_path: Path, project: Path) -> None:
    inside = project / "vendor" / "library"
    write(inside, {"lib.py": "2\n", "new file": "1"})
    (inside / "deep" / "x.py").unlink()
    with untouched(inside):
        trip = round_trip(project, tmp_path)
    assert files_of(trip.target) == files_of(project)
    (nested,) = trip.code.nested
    assert nested.path == "vendor/library"
    assert set(nested.code.changed) == {"lib.py", "new file", "deep/x.py"}
    assert trip.code.changed == ("vendor/library",)
    assert b"vendor/library/new file" in trip.captured.files
    head = git(inside, "rev-parse", "HEAD").strip()
    assert git(trip.target / "vendor" / "library", "rev-parse", "HEAD").strip() == head
    assert ids(project, trip.code.snapshot or "")[b"vendor/library"] == (b"160000", head)


def test_a_clean_submodule_makes_nothing_dirty(tmp_path: Path, project: Path) -> None:
    trip = round_trip(project, tmp_path)
    assert (trip.code.dirty, trip.code.nested[0].code.dirty) == (False, False)
    assert trip.code.tree == git(project, "rev-parse", "HEAD^{tree}").decode().strip()
    assert git(trip.target, "status", "--porcelain") == b""


def test_a_submodule_at_another_commit_is_a_change(tmp_path: Path, project: Path) -> None:
    inside = project / "vendor" / "library"
    write(inside, {"lib.py": "2\n"})
    git(inside, "commit", "-qam", "local")
    code = round_trip(project, tmp_path).code
    assert code.changed == ("vendor/library",)
    assert code.nested[0].code.dirty is False


def test_a_submodule_in_a_submodule(tmp_path: Path, project: Path, library: Path) -> None:
    inner = git_repository(tmp_path / "inner", {"i.py": "1\n"})
    inside = project / "vendor" / "library"
    git(inside, "submodule", "add", "-q", str(inner), "third")
    git(inside, "commit", "-qm", "third")
    write(inside / "third", {"i.py": "2\n"})
    trip = round_trip(project, tmp_path)
    assert files_of(trip.target) == files_of(project)
    assert [path for path, _ in trip.captured.objects] == ["", "vendor/library", "vendor/library/third"]
    assert trip.code.nested[0].code.nested[0].path == "third"
    assert b"vendor/library/third/i.py" in trip.captured.files


def test_a_submodule_that_was_not_fetched_stays_an_empty_directory(tmp_path: Path, project: Path) -> None:
    git(project, "submodule", "--quiet", "deinit", "-f", "vendor/library")
    trip = round_trip(project, tmp_path)
    assert (trip.code.nested, trip.code.changed) == ((), ())
    assert list((trip.target / "vendor" / "library").iterdir()) == []
    assert git(trip.target, "status", "--porcelain") == b""


def test_files_put_where_a_submodule_was_not_fetched_are_captured(tmp_path: Path, project: Path) -> None:
    git(project, "submodule", "--quiet", "deinit", "-f", "vendor/library")
    write(project, {"vendor/library/copied.py": "1", "vendor/library/sub/.env": "SECRET"})
    trip = round_trip(project, tmp_path)
    assert files_of(trip.target)[b"vendor/library/copied.py"] == ("file", b"1")
    assert [item.path for item in trip.code.left_out] == ["vendor/library/sub/.env"]


def test_a_removed_submodule_is_not_in_the_tree(tmp_path: Path, project: Path) -> None:
    git(project, "rm", "-qf", "vendor/library")
    trip = round_trip(project, tmp_path)
    assert trip.code.nested == ()
    assert files_of(trip.target) == files_of(project)


def test_a_submodule_replaced_by_a_file(tmp_path: Path, project: Path) -> None:
    git(project, "submodule", "--quiet", "deinit", "-f", "vendor/library")
    (project / "vendor" / "library").rmdir()
    write(project, {"vendor/library": "a file now"})
    assert files_of(round_trip(project, tmp_path).target) == files_of(project)


def test_an_embedded_repository_is_captured_with_its_content(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    inside = git_repository(root / "cloned here", {"b": "1"})
    write(inside, {"b": "2", "c": "1"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert trip.code.nested[0].path == "cloned here"
    assert trip.code.nested[0].code.commit == git(inside, "rev-parse", "HEAD").decode().strip()


def test_an_embedded_repository_without_a_commit(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    (root / "fresh").mkdir()
    git(root / "fresh", "init", "-q")
    write(root / "fresh", {"b": "1"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert (trip.code.changed, trip.code.nested[0].code.commit) == (("fresh",), None)


def test_a_linked_worktree_inside_of_its_repository(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    git(root, "worktree", "add", "-q", "-b", "side", "side")
    write(root / "side", {"a": "2"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert trip.code.nested[0].code.branch == "side"


def test_a_converted_file_in_a_nested_repository_comes_back(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    inside = git_repository(root / "inner", {".gitattributes": "* text\n", "win": "1\n"})
    write(inside, {"win": "1\r\n"})
    trip = round_trip(root, tmp_path)
    assert files_of(trip.target) == files_of(root)
    assert (trip.code.raw, trip.code.nested[0].code.raw is not None) == (None, True)


def test_an_ignored_repository_is_not_code(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitignore": "tools/\n"})
    git_repository(root / "tools", {"b": "1"})
    assert capture_at(root, tmp_path / "store").code.nested == ()


def test_a_nested_repository_that_git_cannot_open_is_left_out_with_gits_reason(tmp_path: Path, project: Path) -> None:
    (project / "vendor" / "library" / ".git").write_text("gitdir: /nonexistent\n")
    captured = capture_at(project, tmp_path / "store")
    (left_out,) = captured.code.left_out
    assert left_out.path == "vendor/library"
    assert "not a git repository" in left_out.reason


def test_outputs_in_a_nested_repository_are_asked_by_their_whole_path(tmp_path: Path, project: Path) -> None:
    write(project, {"vendor/library/out.json": "{}", "vendor/library/new.py": "1"})
    asked: list[bytes] = []
    captured = capture_at(
        project, tmp_path / "store", is_output=lambda path: bool(asked.append(path)) or b"out" in path
    )
    assert asked == [b"vendor/library/new.py", b"vendor/library/out.json"]
    assert captured.code.nested[0].code.changed == ("new.py",)
