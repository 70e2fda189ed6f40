"""Between git and the store: `snapshot/code.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.errors import DataMissing
from mltrack.git.capture import Captured
from mltrack.git.pack import missing_objects
from mltrack.git.patch import changed_names, patch_text
from mltrack.git.repository import find_repository
from mltrack.records import CodeState
from mltrack.snapshot.code import (
    CHAIN,
    capture_code,
    drop_refs,
    keep_code,
    nested_git_dirs,
    open_trees,
    restore_code,
)
from mltrack.store.objects import Store
from tests.git.support import LIMITS, files_of, nothing_is_output
from tests.helpers import git, git_repository, write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "state").mkdir()
    with Store.open(tmp_path / "state" / "store") as opened:
        yield opened


def captured(root: Path, store: Store) -> Captured:
    repo = find_repository(root)
    assert repo is not None
    return capture_code(repo, lambda: store, LIMITS, nothing_is_output)


def kept(root: Path, store: Store, known: list[CodeState]) -> CodeState:
    found = captured(root, store)
    return keep_code(found.code, dict(found.objects), store, known)


def test_a_store_is_asked_for_only_if_something_is_kept_raw(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"a": "1\n"})
    repo = find_repository(root)
    assert repo is not None
    opened: list[Store] = []

    def store_open() -> Store:
        opened.append(store)
        return store

    capture_code(repo, store_open, LIMITS, nothing_is_output)
    assert opened == []
    git(root, "config", "core.autocrlf", "true")
    write(root, {"a": "1\r\n"})
    assert capture_code(repo, store_open, LIMITS, nothing_is_output).code.raw is not None
    assert opened != []


def test_raw_files_are_durable_when_the_capture_returns(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "* text\n"})
    write(root, {"a": "1\r\n"})
    code = captured(root, store).code
    with Store.open(store.path) as other:
        assert other.has(code.raw or "")


def test_the_same_code_again_adds_no_pack(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    first = kept(root, store, [])
    assert len(first.packs) == 1
    assert kept(root, store, [first]) == first


def test_changed_code_adds_a_pack_on_top_of_the_known_ones(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {f"f{number}": os.urandom(200) for number in range(40)})
    first = kept(root, store, [])
    write(root, {"f1": "edited"})
    second = kept(root, store, [first])
    assert second.packs[:-1] == first.packs
    assert store.size(second.packs[-1]) < store.size(first.packs[0]) / 2
    restore_code(second, store, tmp_path / "restored")
    assert files_of(tmp_path / "restored") == files_of(root)


def test_chains_of_packs_have_an_end_and_are_whole_at_every_length(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"a": "0", "b": "1"})
    known: list[CodeState] = []
    lengths = []
    for number in range(CHAIN + 3):
        write(root, {"a": str(number), "b": str(number % 3)})
        if number % 5 == 4:
            git(root, "commit", "-qam", f"{number}")
        code = kept(root, store, known)
        known.insert(0, code)
        lengths.append(len(code.packs))
        git_dir = open_trees([code], store, scratch(tmp_path, number))
        assert missing_objects(git_dir, code) == []
    assert lengths == [*range(1, CHAIN + 1), 1, 2, 3]


def scratch(tmp: Path, number: int) -> Path:
    (tmp / f"scratch{number}").mkdir()
    return tmp / f"scratch{number}"


def test_packs_that_are_not_in_the_store_are_not_relied_on(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    first = kept(root, store, [])
    lost = replace(first, packs=("b3:" + "0" * 64,))
    assert kept(root, store, [lost]).packs == first.packs


def test_known_trees_of_another_repository_do_no_harm(tmp_path: Path, store: Store) -> None:
    other = kept(git_repository(tmp_path / "other", {"x": "1"}), store, [])
    root = git_repository(tmp_path / "project", {"a": "1"})
    code = kept(root, store, [other])
    restore_code(code, store, tmp_path / "restored")
    assert files_of(tmp_path / "restored") == files_of(root)


def test_nested_repositories_have_packs_of_their_own(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    git_repository(root / "inner", {"b": "1"})
    first = kept(root, store, [])
    write(root, {"inner/b": "2"})
    second = kept(root, store, [first])
    assert second.packs == first.packs
    assert second.nested[0].code.packs[:-1] == first.nested[0].code.packs
    assert nested_git_dirs(repository(root), second) == {"": root / ".git", "inner": root / "inner" / ".git"}


def repository(root: Path):  # type: ignore[no-untyped-def]
    return find_repository(root)


def test_after_keeping_the_refs_go_and_the_repository_may_collect_its_garbage(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    git_repository(root / "inner", {"b": "1"})
    write(root, {"a": "2", "inner/b": "2"})
    found = captured(root, store)
    code = keep_code(found.code, dict(found.objects), store, [])
    drop_refs(code, dict(found.objects))
    drop_refs(code, {"": tmp_path / "has gone"})
    for place in (root, root / "inner"):
        assert git(place, "for-each-ref", "refs/mltrack/") == b""
        git(place, "commit", "-qa", "--amend", "-m", "another")
        git(place, "reflog", "expire", "--expire=now", "--all")
        git(place, "gc", "-q", "--prune=now")
    restore_code(code, store, tmp_path / "restored")
    assert files_of(tmp_path / "restored")[b"inner/b"] == ("file", b"2")


def test_a_repository_that_has_gone_is_said(tmp_path: Path, store: Store) -> None:
    found = captured(git_repository(tmp_path / "project", {"a": "1"}), store)
    with pytest.raises(DataMissing, match="has gone"):
        keep_code(found.code, {}, store, [])


def test_code_that_is_not_in_the_store_is_said_before_anything_is_written(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    code = kept(root, store, [])
    with Store.open(tmp_path / "empty" / "store") as empty, pytest.raises(DataMissing, match="not all here"):
        restore_code(code, empty, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_trees_from_the_store_alone_give_the_patch(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"train.py": "lr = 1\n"})
    first = kept(root, store, [])
    write(root, {"train.py": "lr = 2\n"})
    second = kept(root, store, [first])
    git_dir = open_trees([first, second], store, scratch(tmp_path, 0))
    assert changed_names(git_dir, str(first.tree), str(second.tree)) == [("M", "train.py")]
    assert "+lr = 2" in patch_text(git_dir, str(first.tree), str(second.tree))


def test_nothing_of_ours_stays_beside_the_store(tmp_path: Path, store: Store) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    code = kept(root, store, [])
    restore_code(code, store, tmp_path / "restored")
    assert {item.name for item in (tmp_path / "state").iterdir() if item.is_dir()} == {"store"}
