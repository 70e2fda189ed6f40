"""Directories that a run listed: what is recorded of them, and how their names come back. By hand-made journals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.errors import Damaged
from mltrack.operations.observing import listings as room
from mltrack.operations.observing.listings import STAND_IN_NS, Entry, Listing, decode, encode, see
from mltrack.operations.observing.observed import inputs_of, observation_of, warnings_of
from mltrack.operations.observing.surroundings import Code
from mltrack.operations.outside.listed import Listed, is_made, pattern_of
from mltrack.operations.outside.places import Outside, Way
from mltrack.operations.request import Place, silent
from mltrack.project import Project
from mltrack.records import Artifact, Run
from mltrack.redact import Redactor
from tests.executors.driving import needs_binds
from tests.helpers import git_repository, tree_of, write
from tests.operations.keeping import Keeping
from tests.operations.test_observing import Watched

PLAIN = Redactor({})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return git_repository(
        tmp_path / "work", {"train.py": "1", "data/README.md": "2", ".gitignore": "data/*.csv\n.env\n"}
    )


def listed_by(watched: Watched, *code: Path) -> dict[str, dict[str, Entry]]:
    with watched.project:
        ended = replace(watched.ended(), code=Code(frozenset(map(str, code))))
        inputs_of(ended, ())
        return {one.path: {entry.name: entry for entry in one.entries} for one in see(ended).directories}


def test_a_directory_is_recorded_as_it_was_when_the_run_began(root: Path, tmp_path: Path) -> None:
    write(root, {"data/a.csv": "abc", "data/b.csv": "", "data/gone.csv": "1234", "data/changed.csv": "old"})
    write(tmp_path, {"set/x": "12", "set/deep/y": "1", "set/.env": "KEY=1"})
    (tmp_path / "set" / "run").write_text("1")
    (tmp_path / "set" / "run").chmod(0o755)
    (tmp_path / "set" / "link").symlink_to("x")
    os.mkfifo(tmp_path / "set" / "pipe")
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("s", root / "data"), ("s", tmp_path / "set"))
    watched.tell(("r", root / "data/gone.csv"), ("r", root / "data/changed.csv"))
    (watched.rundir.observed / "before/7-1").write_text("old")
    watched.tell(("b", root / "data/changed.csv", "7-1"), ("w", root / "data/changed.csv"))
    watched.tell(("w", root / "data/made.csv"), ("d", root / "data/gone.csv"))
    write(root, {"data/made.csv": "1", "data/changed.csv": "newer than it was", "data/unseen.csv": "by another"})
    (root / "data/gone.csv").unlink()
    (tmp_path / "set" / "new").mkdir()
    found = listed_by(watched, root / "data/README.md")
    assert set(found) == {"data", str(tmp_path / "set")}
    assert set(found["data"]) == {"a.csv", "b.csv", "gone.csv", "changed.csv"}, "README.md comes back with the code"
    assert found["data"]["a.csv"] == Entry("a.csv", "file", 3) and found["data"]["b.csv"].size == 0
    outside = found[str(tmp_path / "set")]
    assert outside == {
        "x": Entry("x", "file", 2),
        "deep": Entry("deep", "directory"),
        ".env": Entry(".env", "file", None),
        "run": Entry("run", "executable", 1),
        "link": Entry("link", "link", 2, "x", "file"),
    }


def test_directories_of_code_and_those_above_the_project_are_not_listed_unless_data_was_read_there(root: Path) -> None:
    write(root, {"big.csv": "1", "other.csv": "2", ".gitignore": "*.csv\n", "__pycache__/x.pyc": "3"})
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("s", root), ("s", root.parent), ("s", "/"), ("s", "/usr"), ("s", root / ".git"))
    assert listed_by(watched, root / "train.py") == {}, "whoever imports lists the directory of the code"
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("s", root), ("r", root / "big.csv"))
    found = listed_by(watched, root / "train.py")["."]
    assert {"big.csv", "other.csv"} <= set(found) and "__pycache__" not in found and "train.py" not in found


def test_a_directory_that_the_run_made_is_not_recorded(root: Path, tmp_path: Path) -> None:
    watched = Watched(root)
    (tmp_path / "made").mkdir()
    watched.tell(("p", "/bin/sh"), ("s", tmp_path / "made"))
    assert listed_by(watched) == {}


def test_an_empty_directory_outside_is_recorded(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("s", tmp_path / "empty"))
    assert listed_by(watched) == {str(tmp_path / "empty"): {}}


def test_too_many_names_are_not_kept_and_that_is_said(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_NAMES", 3)
    write(tmp_path, {"few/a": "", "few/b": "", "many/a": "", "many/b": "", "one/c": ""})
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), *(("s", tmp_path / name) for name in ("few", "many", "one")))
    with watched.project:
        ended = watched.ended()
        warnings = warnings_of(ended, (), (), True)
        digest = observation_of(ended, ()).listings
        assert digest is not None
        kept = decode(watched.project.store.get_bytes(digest))
    assert [one.path for one in kept] == [str(tmp_path / "few"), str(tmp_path / "one")]
    assert [item.kind for item in warnings] == ["listing-not-kept"]
    assert str(tmp_path / "many") in warnings[0].message


def test_a_stand_in_that_is_read_is_no_input_and_is_told(root: Path) -> None:
    write(root, {"data/real.csv": "1"})
    place = root / "data/stand.csv"
    place.touch()
    os.truncate(place, 1 << 40)
    os.utime(place, ns=(STAND_IN_NS, STAND_IN_NS))
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("r", root / "data/real.csv"), ("r", place))
    with watched.project:
        ended = watched.ended()
        assert [item.path for item in inputs_of(ended, ())] == ["data/real.csv"]
        assert {item.path: item.rule for item in ended.placed}[str(place)] == "stand-in"
        (warning,) = warnings_of(ended, (), (), True)
    assert warning.kind == "stand-in-read" and "data/stand.csv" in warning.message
    assert "inputs.whole_directories" in warning.message


NAMES = (
    st.binary(min_size=1, max_size=12)
    .map(os.fsdecode)
    .filter(
        lambda name: (
            "/" not in name and "\0" not in name and name.lower() not in (".", "..", ".git", ".mltrack", "git~1")
        )
    )
)
SIZES = st.none() | st.integers(0, 1 << 50)
ENTRIES = st.one_of(
    st.builds(Entry, NAMES, st.sampled_from(["file", "executable"]), SIZES),
    st.builds(Entry, NAMES, st.just("directory")),
    st.builds(Entry, NAMES, st.just("link"), SIZES, NAMES, st.sampled_from(["", "file", "directory"])),
)


@given(st.lists(st.builds(Listing, NAMES, st.lists(ENTRIES, max_size=5).map(tuple)), max_size=4))
@settings(max_examples=80, deadline=None)
def test_what_is_stored_comes_back(directories: list[Listing]) -> None:
    assert decode(encode(directories, PLAIN)) == directories


def test_names_with_secrets_in_them_are_left_out() -> None:
    redactor = Redactor({"API_TOKEN": "s3cr3t-v4lue-9x"})
    entries = (Entry("s3cr3t-v4lue-9x.csv", "file", 1), Entry("l", "link", 1, "s3cr3t-v4lue-9x", "file"))
    data = encode([Listing("d", (*entries, Entry("plain", "file", 1))), Listing("s3cr3t-v4lue-9x", ())], redactor)
    assert decode(data) == [Listing("d", (Entry("plain", "file", 1),))]


@pytest.mark.parametrize(
    "rows",
    [
        '["../x","file",1]', '["..","directory"]', '[".git","directory"]', '[".GIT","file",1]', '["","file",1]',
        '["a","fifo"]', '["a","file"]', '["a","file",-1]', '["a","file",true]', '["a","file","1"]', '["a"]', '"a"',
        '["a\\u0000","file",1]', '["a","link",1,"",1]', '[{"b64":"Lg=="},"directory"]', '[{"b64":"!"},"file",1]', "7",
    ],
)  # fmt: skip
def test_a_damaged_or_hostile_listing_is_refused(rows: str) -> None:
    with pytest.raises(Damaged):
        decode(b'{"path":"d","entries":[%s]}' % rows.encode())


class Again:
    """A reproduction as far as it is about names."""

    def __init__(self, project: Project, tmp_path: Path, run: Run, *directories: Listing) -> None:
        self.top = tmp_path / "laid"
        self.root = tmp_path / "copy"
        self.root.mkdir(exist_ok=True)
        self.outside = Outside(project, run, Way(self.top, self.root), silent)
        self.listed = Listed(run, self.outside, list(directories))

    def seen(self, path: Path) -> list[str]:
        """The names that the command finds in a directory outside, by what covers what."""
        self.outside.arranged.binds()
        cover = self.outside.arranged.covers[str(path)]
        return sorted(os.listdir(cover.place))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    git_repository(tmp_path / "project")
    with Keeping(tmp_path / "project").open() as project:
        yield project


def run_of(project: Project, **changes: object) -> Run:
    return Keeping(project.root).run_in(project, {}, None, **changes)


def test_what_is_missing_in_the_workspace_is_put_there(project: Project, tmp_path: Path) -> None:
    entries = (
        Entry("big.bin", "file", 1 << 40), Entry("made", "directory"), Entry("out.pt", "file", 9),
        Entry("here", "file", 5), Entry("empty", "executable", 0), Entry("link", "link", 3, "/not there", "file"),
        Entry("broken", "link", None, "nowhere"), Entry("to", "link", 5, "here", "file"),
    )  # fmt: skip
    run = run_of(project, artifacts=(Artifact("data/out.pt", "file", "b3:" + "0" * 64, 9),))
    again = Again(project, tmp_path, run, Listing("data", entries), Listing("new/deep", ()))
    write(again.root, {"data/here": "mine!"})
    again.listed.put(again.root)
    data = again.root / "data"
    assert sorted(os.listdir(data)) == ["big.bin", "broken", "empty", "here", "link", "made", "to"]
    assert (data / "big.bin").stat().st_size == 1 << 40 and (data / "big.bin").stat().st_blocks == 0
    assert (data / "here").read_text() == "mine!" and os.access(data / "empty", os.X_OK)
    assert not (data / "link").is_symlink() and (data / "link").stat().st_size == 3
    assert os.readlink(data / "broken") == "nowhere" and (data / "to").read_text() == "mine!"
    assert (again.root / "new/deep").is_dir() and not again.top.exists()
    assert room.is_stand_in((data / "big.bin").stat()) and not room.is_stand_in((data / "empty").stat())


def test_stand_ins_do_not_count_as_code(project: Project, tmp_path: Path) -> None:
    from tests.helpers import git

    again = Again(project, tmp_path, run_of(project), Listing("d", (Entry("a [1]*?.bin", "file", 3),)))
    git_repository(again.root, {"d/code.py": "1"})
    again.listed.put(again.root)
    assert (again.root / "d/a [1]*?.bin").exists()
    assert git(again.root, "status", "--porcelain").strip() in ("", b"")
    assert pattern_of(b"a[b") == rb"a\[b"


@pytest.mark.parametrize("path", ["../x", "a/../../x", ".git/hooks", "a/.mltrack", "link/x", "/etc/x", "/a/../b"])
def test_a_hostile_record_makes_nothing_elsewhere(project: Project, tmp_path: Path, path: str) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    again = Again(project, tmp_path, run_of(project), Listing(path, (Entry("evil", "file", 1),)))
    (again.root / "link").symlink_to(target)
    try:
        again.listed.put(again.root)
    except Damaged:
        pass
    else:
        assert path == "/etc/x" and again.listed.conditions
    assert not list(target.iterdir()) and not os.path.lexists("/etc/x") and not (tmp_path / "x").exists()


def test_a_link_that_was_laid_out_leads_no_stand_in_elsewhere(project: Project, tmp_path: Path) -> None:
    target, gone = tmp_path / "elsewhere", str(tmp_path / "gone" / "set")
    target.mkdir()
    hostile = Listing(gone, (Entry("l", "link", None, str(target)),)), Listing(f"{gone}/l", (Entry("evil", "file", 1),))
    again = Again(project, tmp_path, run_of(project), *hostile)
    again.listed.put(again.root)
    assert not list(target.iterdir())


@needs_binds
def test_a_directory_outside_shows_the_names_of_then_and_stays_as_it_is(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "set", {"a": "mine", "extra": "new", ".git/config": "x"})
    (tmp_path / "set" / "extra link").symlink_to(tmp_path)
    before = tree_of(tmp_path / "set")
    then = Listing(str(tmp_path / "set"), (Entry("a", "file", 4), Entry("b", "file", 2)))
    again = Again(project, tmp_path, run_of(project), then)
    again.listed.put(again.root)
    assert set(again.seen(tmp_path / "set")) - {".git"} == {"a", "b"}
    assert tree_of(tmp_path / "set") == before and not again.listed.conditions
    assert list(again.outside.arranged.covers) == [str(tmp_path / "set")]


@needs_binds
def test_a_directory_that_is_not_there_is_made_for_the_command(project: Project, tmp_path: Path) -> None:
    then = Listing(str(tmp_path / "gone" / "set"), (Entry("a", "file", 4), Entry("d", "directory")))
    again = Again(project, tmp_path, run_of(project), then)
    again.listed.put(again.root)
    assert "gone" in again.seen(tmp_path) and not (tmp_path / "gone").exists()
    place = again.outside.arranged.find(str(tmp_path / "gone" / "set"))
    assert place is not None and sorted(os.listdir(place)) == ["a", "d"]


def test_a_directory_with_the_same_names_is_used_as_it_is(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "set", {"a": "longer than it was"})
    again = Again(project, tmp_path, run_of(project), Listing(str(tmp_path / "set"), (Entry("a", "file", 4),)))
    again.listed.put(again.root)
    assert not again.outside.arranged.covers and not again.listed.conditions and not again.top.exists()


def test_where_nothing_can_be_shown_to_a_command_that_is_a_condition(project: Project, tmp_path: Path) -> None:
    again = Again(project, tmp_path, run_of(project), Listing(str(tmp_path / "set"), (Entry("a", "file", 4),)))
    again.outside.__dict__["why_no_binds"] = "this system has no mount namespaces"
    again.listed.put(again.root)
    (condition,) = again.listed.conditions
    assert (condition.what, condition.then) == ("listing", str(tmp_path / "set"))
    assert not (tmp_path / "set").exists()


def test_a_home_in_which_nothing_was_read_is_another_here_too(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "today", {"set/a": "1"})
    monkeypatch.setenv("HOME", str(tmp_path / "today"))
    run = run_of(project, origin={"home": "/home/ada", "root": "/home/ada/far/away/work"})
    again = Again(project, tmp_path, run, Listing("/home/ada/set", (Entry("a", "file", 1),)))
    again.outside.__dict__["why_no_binds"] = "this system has no mount namespaces"
    again.listed.put(again.root)
    assert [one.then for one in again.listed.conditions] == ["/home/ada/set"], "it is as it was in the home of today"
    place = again.listed.placed(Place(again.root, None))  # type: ignore[arg-type]  # no code is asked for
    assert place.named(str(tmp_path / "today" / "set" / "a")) == "/home/ada/set/a"


@needs_binds
def test_what_a_repetition_needs_is_not_hidden_though_it_is_new(project: Project, tmp_path: Path) -> None:
    then = Listing(str(tmp_path), (Entry("a", "file", 1),))
    again = Again(project, tmp_path, run_of(project), then)
    again.outside.arranged.needed = (project.root,)
    again.listed.put(again.root)
    assert set(again.seen(tmp_path)) - {"laid", "laid.lock"} == {"a", "project"}, "and `copy` is not seen"


def test_a_container_has_the_whole_directory_mounted(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "set", {"mine": "1"})
    run = run_of(project)
    again = Again(project, tmp_path, run, Listing(str(tmp_path / "set"), (Entry("a", "file", 4),)))
    again.outside = Outside(project, run, Way(again.top, again.root, in_container=True), silent)
    again.listed.outside = again.outside
    again.listed.put(again.root)
    (bind,) = again.outside.arranged.binds()
    assert bind.target == str(tmp_path / "set") and os.listdir(bind.source) == ["a"]


def test_an_error_of_ours_costs_the_names_and_nothing_else(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(ended: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(room, "see", fail)
    watched = Watched(root)
    watched.tell(("p", "/bin/sh"), ("s", root / "data"))
    with watched.project:
        ended = watched.ended()
        assert observation_of(ended, ()).listings is None
        assert "unforeseen" in warnings_of(ended, (), (), True)[-1].message


@needs_binds
def test_what_the_run_made_in_a_directory_is_left_to_it(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "set", {"a": "1", "made.pt": "the user's own"})
    made = Artifact(str(tmp_path / "set" / "made.pt"), "file", "b3:" + "0" * 64, 9)
    then = Listing(str(tmp_path / "set"), (Entry("a", "file", 1), Entry("made.pt", "file", 9)))
    own = Listing(".", (Entry("b", "file", 1), Entry("out", "directory")))
    run = run_of(project, artifacts=(made, Artifact("out", "directory", "b3:" + "0" * 64, 9)))
    again = Again(project, tmp_path, run, then, own, Listing("out/deep", (Entry("c", "file", 1),)))
    again.listed.put(again.root)
    assert not again.outside.arranged.covers and os.listdir(again.root) == ["b"]


def test_an_artifact_and_what_is_in_one_are_for_the_run_to_make() -> None:
    assert is_made("out/a/b", {"out"}) and is_made("out", {"out"}) and not is_made("output", {"out"})
