"""What a run's observation comes to: with hand-made journals, real files and a real store."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.live.rundir import RunDir
from mltrack.operations.observing.artifacts import within_limit, written_by
from mltrack.operations.observing.observed import decode, inputs_of, lines_of, observation_of, urls, warnings_of
from mltrack.operations.observing.surroundings import Scene
from mltrack.operations.observing.watcher import Ended, Watcher
from mltrack.operations.request import Place
from mltrack.project import Project
from mltrack.records import SCHEMA, Input, Run, new_id
from mltrack.redact import Redactor
from tests.helpers import git_repository, write


class Watched:
    """A run that is told by its journal only."""

    def __init__(self, root: Path) -> None:
        self.project = Project.open(root)
        self.rundir = RunDir(self.project.runs / new_id())
        (self.rundir.observed / "before").mkdir(parents=True)
        from mltrack.git.repository import find_repository

        repository = find_repository(root)
        assert repository is not None
        run = Run(SCHEMA, self.rundir.id, None, None, "running", ("x",), ".")
        variables = {"HOME": str(root.parent / "home")}
        place = Place(root, repository)
        self.scene = Scene(self.project, self.rundir, place, run, variables, Redactor({"TOKEN": "s3cr3t-v4lue-9x"}))
        time.sleep(0.02)
        self.rundir.write("process", {"pid": 7})
        time.sleep(0.02)

    def tell(self, *events: tuple[str | Path, ...], pid: int = 7) -> None:
        with open(self.rundir.observed / "host.log", "ab") as file:
            for letter, *paths in events:
                text = "\t".join(str(path) for path in paths)
                file.write(b"%s %d %d\t%s\n" % (str(letter).encode(), pid, time.time_ns(), os.fsencode(text)))

    def ended(self) -> Ended:
        return Watcher(self.scene).conclude(time.time_ns())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return git_repository(tmp_path / "work", {"a.txt": "1", ".gitignore": "data/\n"})


def test_a_file_that_changed_after_it_was_read_has_no_digest_unless_a_copy_is_there(root: Path) -> None:
    write(root, {"data/copied": "old", "data/lost": "old"})
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("r", root / "data/copied"), ("r", root / "data/lost"))
    (watched.rundir.observed / "before/7-1").write_text("old")
    changed_ns = os.stat(root / "data/copied").st_ctime_ns
    watched.tell(
        ("b", root / "data/copied", f"7-1 {changed_ns}"), ("w", root / "data/copied"), ("w", root / "data/lost")
    )
    time.sleep(0.03)
    write(root, {"data/copied": "new", "data/lost": "new"})
    with watched.project:
        ended = watched.ended()
        found = {item.path: item for item in inputs_of(ended, ())}
    copied, lost = found["data/copied"], found["data/lost"]
    assert copied.digest != copied.digest_after and copied.digest is not None and copied.kept
    assert not copied.changed_during_run
    assert (lost.digest, lost.changed_during_run) == (None, True) and lost.digest_after == copied.digest_after
    assert {item.path: item.made for item in ended.placed}[str(root / "data/lost")] == "both"


def test_an_input_that_was_kept_while_it_was_there_outlives_its_removal_and_its_change(root: Path) -> None:
    write(root, {"data/gone": "gone", "data/changed": "before", "data/moved": "moved"})
    watched = Watched(root)
    watched.tell(("r", root / "data/gone"), ("r", root / "data/changed"))
    with watched.project:
        watcher = Watcher(watched.scene)
        watcher.begin()
        watcher.take()
        watcher.keep_fresh(lambda: True)
        (root / "data/gone").unlink()
        (root / "data/changed").write_text("after!")
        os.rename(root / "data/moved", root / "data/elsewhere")
        watched.tell(("d", root / "data/gone"), ("w", root / "data/changed"))
        watched.tell(("m", root / "data/moved", root / "data/elsewhere"))
        found = {item.path: item for item in inputs_of(watcher.conclude(time.time_ns()), ())}
        store = watched.project.store
        for name, text in (("gone", b"gone"), ("changed", b"before"), ("moved", b"moved")):
            digest = found[f"data/{name}"].digest
            assert digest is not None and store.get_bytes(digest) == text


def test_beyond_the_keep_limit_inputs_have_digests_only(root: Path) -> None:
    write(root, {"data/big": "x" * 1000, "data/small": "y"})
    watched = Watched(root)
    watched.tell(("r", root / "data/big"), ("r", root / "data/small"))
    with watched.project:
        watcher = Watcher(watched.scene)
        watcher.keeper.room = 100
        found = {item.path: item for item in inputs_of(watcher.conclude(time.time_ns()), ())}
        assert (found["data/big"].kept, found["data/small"].kept) == (False, True)
        assert found["data/big"].digest is not None
        assert watched.project.store.missing([str(found["data/big"].digest)])


def test_a_hostile_copy_is_not_followed(root: Path, tmp_path: Path) -> None:
    write(root, {"data/x": "old"})
    watched = Watched(root)
    write(tmp_path, {"secret": "secret"})
    (watched.rundir.observed / "before/7-1").symlink_to(tmp_path / "secret")
    watched.tell(("r", root / "data/x"), ("b", root / "data/x", "7-1 1"), ("u", root / "data/x"))
    time.sleep(0.03)
    write(root, {"data/x": "new"})
    with watched.project:
        (item,) = inputs_of(watched.ended(), ())
        assert item.digest is None


def test_the_listing_names_each_path_hides_secrets_and_comes_back(root: Path) -> None:
    write(root, {"data/s3cr3t-v4lue-9x.csv": "x", "data/plain": "y"})
    watched = Watched(root)
    strange = os.fsdecode(b"data/caf\xe9")
    (root / strange).write_text("z")
    watched.tell(*(("r", root / name) for name in ("data/s3cr3t-v4lue-9x.csv", "data/plain", strange)))
    with watched.project:
        ended = watched.ended()
        inputs_of(ended, ())
        observation = observation_of(ended, ())
        assert observation.paths is not None
        data = watched.project.store.get_bytes(observation.paths)
    assert b"s3cr3t-v4lue-9x" not in data
    lines = {line.path: line for line in decode(data)}
    assert {"data/plain", strange} <= set(lines)
    assert lines["data/plain"].digest == {line.path: line for line in lines_of(ended, {})}["data/plain"].digest


def test_only_what_nobody_else_may_have_written_is_taken_where_everything_was_watched(root: Path) -> None:
    write(root, {"mine": "1", "edited.py": "2", "other": "3", "x.pyc": "4"})
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("w", root / "mine"))
    changed = [b"mine", b"edited.py", b"other", b"x.pyc"]
    with watched.project:
        ended = watched.ended()
        assert ended.is_complete

        def paths(others: bool, is_complete: bool) -> tuple[list[str], list[str]]:
            now = replace(ended, others=others, is_complete=is_complete)
            found, warnings = written_by(now, changed, {})
            return sorted(item.path for item in found), [warning.kind for warning in warnings]

        assert paths(False, True) == (["mine"], []), "another program wrote it, as tee does"
        assert paths(True, True) == (["mine"], [])
        mine = os.stat(root / "mine")
        assert written_by(ended, changed, {}, {(mine.st_dev, mine.st_ino)})[0] == [], "where our own output goes"
        assert paths(False, False) == (["edited.py", "mine", "other"], [])
        assert paths(True, False) == (["edited.py", "mine", "other"], ["writes-mixed"])


def test_what_came_with_a_directory_that_the_run_moved_here_is_its_own(root: Path) -> None:
    write(root, {"out/a": "1"})
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("m", root.parent / "made elsewhere", root / "out"))
    with watched.project:
        found, _ = written_by(watched.ended(), [b"out/a"], {})
    assert [item.path for item in found] == ["out/a"]


def test_a_program_that_could_not_be_watched_makes_the_observation_incomplete(root: Path) -> None:
    for event, complete in (
        (("x", "/sbin/ldconfig"), True),
        (("x", "/opt/tool", "static"), False),
        (("!", "", "no"), False),
    ):
        watched = Watched(root)
        watched.tell(("p", "/bin/sh"), event)
        with watched.project:
            ended = watched.ended()
            assert ended.is_complete is complete
            kinds = [warning.kind for warning in warnings_of(ended, (), (), True)]
            assert ("unwatched" in kinds) is not complete


def test_artifacts_over_the_limit_are_named_the_largest_first(root: Path) -> None:
    from mltrack.collect.artifacts import Written

    write(root, {"a": "x" * 10, "b": "x" * 60, "c": "x" * 50})
    written = [Written(name, root / name, "observed") for name in "abc"]
    kept, (warning,) = within_limit(written, 70)
    assert [item.path for item in kept] == ["a", "c"]
    assert "b" in warning.message and warning.kind == "artifacts-over-limit"
    declared = [Written("b", root / "b", "declared")]
    assert within_limit(declared, 0) == (declared, [])


def test_a_host_is_an_input_only_where_none_of_its_urls_is_known() -> None:
    found = urls(
        ["tcp://example.org:443", "https://example.org/a?token=", "tcp://10.0.0.1:5432", "https://u:p@h.org/x"]
    )
    paths = [item.path for item in found]
    assert paths == ["https://<redacted>@h.org/x", "https://example.org/a?token=", "tcp://10.0.0.1:5432"]
    assert all(item == Input(item.path, "url", None, found="observed") for item in found)
