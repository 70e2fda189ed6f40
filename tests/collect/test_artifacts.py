from __future__ import annotations

import os
from pathlib import Path

from mltrack.collect.artifacts import (
    MANY,
    Written,
    gather,
    keep_artifacts,
    logged,
    parents,
    without_overlap,
    written_files,
)
from mltrack.store.keep import stat_files
from mltrack.store.objects import Store
from mltrack.store.statcache import StatCache
from tests.helpers import write


def test_new_and_moved_files_are_written_and_untouched_ones_are_not(tmp_path: Path) -> None:
    write(tmp_path, {"same": "1", "changed": "1"})
    before = stat_files(tmp_path)
    write(tmp_path, {"changed": "22", "new/file": "3"})
    os.utime(tmp_path / "changed", (1, 1))
    assert written_files(before, stat_files(tmp_path)) == [b"changed", b"new/file"]


def test_a_file_rewritten_with_the_same_bytes_is_written(tmp_path: Path) -> None:
    write(tmp_path, {"out": "1"})
    os.utime(tmp_path / "out", (1, 1))
    before = stat_files(tmp_path)
    write(tmp_path, {"out": "1"})
    assert written_files(before, stat_files(tmp_path)) == [b"out"]


def test_a_new_directory_of_many_files_is_one_artifact(tmp_path: Path) -> None:
    written = [b"pictures/%05d.png" % number for number in range(MANY + 1)] + [b"old/new.txt"]
    found = gather(tmp_path, written, {b"old/file": None})
    assert [item.path for item in found] == ["pictures", "old/new.txt"]


def test_a_directory_that_held_files_before_is_not_taken_whole(tmp_path: Path) -> None:
    written = [b"data/%05d" % number for number in range(MANY + 1)]
    assert len(gather(tmp_path, written, {b"data/old": None})) == MANY + 1


def test_parents_are_outermost_first() -> None:
    assert parents(b"a/b/c") == [b"a", b"a/b"]
    assert parents(b"a") == []


def test_what_lies_in_a_declared_directory_is_not_named_twice(tmp_path: Path) -> None:
    write(tmp_path, {"out/a": "1", "b": "2"})
    items = [
        Written("out", tmp_path / "out", "declared"),
        Written("out/a", tmp_path / "out" / "a", "observed"),
        Written("b", tmp_path / "b", "observed"),
        Written("b", tmp_path / "elsewhere", "logged"),
    ]
    assert [(item.path, item.found) for item in without_overlap(items)] == [("out", "declared"), ("b", "observed")]


def test_artifacts_come_back_from_the_store(tmp_path: Path) -> None:
    write(tmp_path, {"kept/model": "weights", "kept/tree/x": "1"})
    (tmp_path / "kept" / "model").chmod(0o755)
    with Store.open(tmp_path / "state" / "store") as store:
        cache = StatCache.open(tmp_path / "state" / "stat.db")
        artifacts, warnings = keep_artifacts(logged(tmp_path / "kept"), store, cache)
        cache.close()
        assert warnings == []
        assert [(item.path, item.kind, item.found, item.executable) for item in artifacts] == [
            ("model", "file", "logged", True),
            ("tree", "directory", "logged", False),
        ]
        assert store.get_bytes(artifacts[0].digest) == b"weights"


def test_a_pipe_among_the_outputs_is_a_warning_and_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with Store.open(tmp_path / "state" / "store") as store:
        cache = StatCache.open(tmp_path / "state" / "stat.db")
        artifacts, warnings = keep_artifacts([Written("pipe", tmp_path / "pipe", "observed")], store, cache)
        cache.close()
    assert artifacts == []
    assert [warning.kind for warning in warnings] == ["artifact-not-kept"]


def test_a_directory_with_an_old_file_that_git_does_not_list_is_not_taken_whole(tmp_path: Path) -> None:
    names = [f"out/{number:05}.txt" for number in range(MANY + 1)]
    write(tmp_path, {**dict.fromkeys(names, "x"), "out/old.txt": "old"})
    found = gather(tmp_path, [os.fsencode(name) for name in names], {})
    assert [item.path for item in found] == names
