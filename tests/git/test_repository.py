from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.errors import MltrackError, StorageError, UsageError
from mltrack.git.repository import (
    credential_free,
    failure,
    find_repository,
    git_environment,
    is_private,
    private_repository,
)
from mltrack.git.repository import git as run_git
from tests.helpers import git, git_repository


def test_a_repository_is_found_from_a_directory_below_it(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"deep/er/a": "1"})
    found = find_repository(root / "deep" / "er")
    assert found is not None
    assert (found.root, found.git_dir, found.common_dir) == (root, root / ".git", root / ".git")


def test_outside_of_a_repository_none_is_found(tmp_path: Path) -> None:
    assert find_repository(tmp_path) is None


def test_a_bare_repository_has_no_worktree(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    (tmp_path / "bare.git" / ".git").symlink_to(".")
    assert find_repository(tmp_path / "bare.git") is None


def test_an_empty_git_directory_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert find_repository(tmp_path) is None


def test_a_name_with_a_newline_does_not_confuse_the_search(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "two\nlines")
    found = find_repository(root)
    assert found is not None
    assert found.root == root
    assert found.common_dir == root / ".git"


def test_a_linked_worktree_knows_its_main_repository(tmp_path: Path) -> None:
    main = git_repository(tmp_path / "main", {"a": "1"})
    git(main, "worktree", "add", "-q", "../linked")
    found = find_repository(tmp_path / "linked")
    assert found is not None
    assert found.root == tmp_path / "linked"
    assert found.git_dir == main / ".git" / "worktrees" / "linked"
    assert found.common_dir == main / ".git"


def test_a_worktree_that_is_set_elsewhere_is_respected(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "control", {})
    (tmp_path / "elsewhere").mkdir()
    git(root, "config", "core.worktree", str(tmp_path / "elsewhere"))
    found = find_repository(root)
    assert found is not None
    assert found.root == tmp_path / "elsewhere"
    assert run_git(found, "rev-parse", "--is-inside-work-tree") == b"true\n"


def test_without_git_on_the_path_the_hint_is_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = git_repository(tmp_path / "project")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git is not on PATH") as caught:
        find_repository(root)
    assert "Install" in str(caught.value.hint)
    assert find_repository(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_repository_of_someone_else_is_not_opened(tmp_path: Path, walls: Path) -> None:
    (walls / ".gitconfig").write_text("")
    root = git_repository_of(tmp_path / "theirs", 65534)
    with pytest.raises(UsageError, match="dubious ownership") as caught:
        find_repository(root)
    assert "safe.directory" in str(caught.value.hint)


def git_repository_of(root: Path, owner: int) -> Path:
    root.mkdir()
    git(root, "init", "-q")
    for place in (root, root / ".git"):
        os.chown(place, owner, owner)
    return root


def test_the_environment_for_git_loses_what_a_hook_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_WORK_TREE",
        "GIT_PREFIX",
        "GIT_OBJECT_DIRECTORY",
        "GIT_EXTERNAL_DIFF",
    ):
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    environment = git_environment()
    assert not {name for name, value in environment.items() if value == "/elsewhere"}
    assert environment["GIT_CONFIG_KEY_0"] == "safe.directory"
    assert environment["GIT_OPTIONAL_LOCKS"] == "0"


def test_git_errors_carry_its_own_first_line(tmp_path: Path) -> None:
    repo = find_repository(git_repository(tmp_path / "project"))
    assert repo is not None
    with pytest.raises(MltrackError, match="ambiguous argument 'nothing'"):
        run_git(repo, "rev-parse", "nothing")


def test_a_full_disk_is_a_storage_error() -> None:
    assert isinstance(failure("unable to write file x: No space left on device"), StorageError)


def test_a_private_repository_is_made_once_and_knows_that_it_is(tmp_path: Path) -> None:
    git_dir = tmp_path / ".mltrack" / "code.git"
    first = private_repository(tmp_path, git_dir)
    made = (git_dir / "HEAD").stat().st_mtime_ns
    assert private_repository(tmp_path, git_dir) == first
    assert (git_dir / "HEAD").stat().st_mtime_ns == made
    assert is_private(first)
    assert not (git_dir / "hooks").exists()
    assert run_git(first, "rev-parse", "--show-toplevel") == os.fsencode(tmp_path) + b"\n"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://user:secret@example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://ghp_token@example.org/a.git?private_token=x#y", "https://example.org/a.git"),
        ("https://u:p@ss@example.org/a", "https://example.org/a"),
        ("https://example.org/a@b", "https://example.org/a@b"),
        ("ssh://git:secret@example.org:22/a.git", "ssh://git@example.org:22/a.git"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("file:///srv/a#b.git", "file:///srv/a#b.git"),
        ("../other", "../other"),
    ],
)
def test_credentials_go_from_a_url(url: str, kept: str) -> None:
    assert credential_free(url) == kept
