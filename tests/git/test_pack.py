from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.errors import DataMissing, MltrackError
from mltrack.git.pack import drop_ref, index_pack, missing_objects, write_pack
from mltrack.git.repository import make_repository
from mltrack.records import CodeState
from tests.git.support import capture_at
from tests.helpers import git, git_repository, write


def fed(directory: Path, *packs: Path) -> Path:
    make_repository(directory, "--bare")
    for pack in packs:
        index_pack(directory, pack)
    return directory


def objects_in(pack: Path, tmp: Path) -> int:
    return len(git(fed(tmp, pack), "cat-file", "--batch-all-objects", "--batch-check").splitlines())


def captured(root: Path, tmp: Path) -> CodeState:
    return capture_at(root, tmp / "store").code


def test_a_pack_holds_all_that_the_snapshot_and_its_commit_need_and_no_history(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "old", "sub/b": "1"})
    write(root, {"a": "newer"})
    git(root, "commit", "-qam", "second")
    write(root, {"a": "dirty", "c": "1"})
    code = captured(root, tmp_path)
    assert write_pack(root / ".git", code, [], tmp_path / "pack")
    bare = fed(tmp_path / "bare", tmp_path / "pack")
    assert missing_objects(bare, code) == []
    # two commits, two trees at the top and one below, `newer`, `dirty` and `1`
    assert len(git(bare, "cat-file", "--batch-all-objects", "--batch-check").splitlines()) == 2 + 3 + 3
    assert git(root, "for-each-ref", "refs/mltrack/").count(b"\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir() if "pack" in path.name) == ["pack"]


def test_a_pack_on_known_trees_holds_only_what_is_new(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {f"f{number}": str(number) for number in range(50)})
    first = captured(root, tmp_path)
    write(root, {"f7": "edited"})
    second = captured(root, tmp_path)
    write_pack(root / ".git", first, [], tmp_path / "one")
    assert write_pack(root / ".git", second, [str(first.tree), f"{first.commit}^{{tree}}"], tmp_path / "two")
    assert objects_in(tmp_path / "two", tmp_path / "count") == 4  # both commits, a tree, a blob
    assert missing_objects(fed(tmp_path / "both", tmp_path / "one", tmp_path / "two"), second) == []


def test_going_back_to_an_older_commit_is_complete_on_a_newer_pack(tmp_path: Path) -> None:
    """Where commits are put after `--not`, exactly this loses objects."""
    root = git_repository(tmp_path / "project", {"a": "first", "b": "1"})
    write(root, {"a": "second"})
    git(root, "commit", "-qam", "second")
    newer = captured(root, tmp_path)
    git(root, "checkout", "-q", "HEAD~1")
    older = captured(root, tmp_path)
    write_pack(root / ".git", newer, [], tmp_path / "one")
    write_pack(root / ".git", older, [str(newer.tree)], tmp_path / "two")
    assert missing_objects(fed(tmp_path / "both", tmp_path / "one", tmp_path / "two"), older) == []


def test_where_the_known_trees_have_gone_the_pack_is_whole(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    code = captured(root, tmp_path)
    assert write_pack(root / ".git", code, ["0123456789" * 4], tmp_path / "pack")
    assert missing_objects(fed(tmp_path / "bare", tmp_path / "pack"), code) == []


def test_a_code_state_without_a_snapshot_has_nothing_to_pack(tmp_path: Path) -> None:
    assert not write_pack(tmp_path, CodeState(), [], tmp_path / "pack")
    assert missing_objects(tmp_path, CodeState()) == []


def test_missing_objects_are_named(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "b": "2"})
    code = captured(root, tmp_path)
    write_pack(root / ".git", code, [], tmp_path / "pack")
    whole = fed(tmp_path / "bare", tmp_path / "pack")
    blob = git(root, "rev-parse", "HEAD:b").decode().strip()
    partly = fed(tmp_path / "partly")
    wanted = [line.split()[0] for line in git(whole, "cat-file", "--batch-all-objects", "--batch-check").splitlines()]
    chosen = b"\n".join(item for item in wanted if item != blob.encode())
    (tmp_path / "partial").write_bytes(git(whole, "pack-objects", "--stdout", "-q", input=chosen + b"\n"))
    index_pack(partly, tmp_path / "partial")
    assert missing_objects(partly, code) == [blob]
    assert missing_objects(fed(tmp_path / "empty"), code) == [code.snapshot, code.commit]
    assert missing_objects(partly, replace(code, snapshot="0" * 40)) == ["0" * 40]


def test_objects_that_have_gone_from_the_repository_are_an_error_and_not_a_hole(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    write(root, {"a": "2"})
    code = captured(root, tmp_path)
    blob = git(root, "rev-parse", f"{code.snapshot}:a").decode().strip()
    (root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(DataMissing, match=blob):
        write_pack(root / ".git", code, [], tmp_path / "pack")


def test_the_ref_goes_and_going_twice_is_harmless(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    code = captured(root, tmp_path)
    for _ in range(2):
        drop_ref(root / ".git", str(code.snapshot))
    assert git(root, "for-each-ref", "refs/mltrack/") == b""


def test_a_torn_pack_is_refused(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    write_pack(root / ".git", captured(root, tmp_path), [], tmp_path / "pack")
    (tmp_path / "torn").write_bytes((tmp_path / "pack").read_bytes()[:-25])
    with pytest.raises(MltrackError, match="pack cannot be read"):
        fed(tmp_path / "bare", tmp_path / "torn")


def test_packs_of_objects_that_the_repository_borrows_are_whole(tmp_path: Path) -> None:
    main = git_repository(tmp_path / "main", {"a": "1"})
    git(tmp_path, "clone", "-q", "--shared", str(main), "clone")
    code = captured(tmp_path / "clone", tmp_path)
    write_pack(tmp_path / "clone" / ".git", code, [], tmp_path / "pack")
    assert missing_objects(fed(tmp_path / "bare", tmp_path / "pack"), code) == []


def test_replaced_objects_are_packed_as_they_are(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "b": "1"})
    old = git(root, "rev-parse", "HEAD:a").decode().strip()
    write(root, {"b": "another"})
    git(root, "commit", "-qam", "second")
    new = git(root, "rev-parse", "HEAD:b").decode().strip()
    git(root, "replace", old, new)
    git(root, "replace", "HEAD", "HEAD~1")
    code = captured(root, tmp_path)
    assert code.changed == ()
    write_pack(root / ".git", code, [], tmp_path / "pack")
    bare = fed(tmp_path / "bare", tmp_path / "pack")
    assert git(bare, "cat-file", "blob", old) == b"1"
