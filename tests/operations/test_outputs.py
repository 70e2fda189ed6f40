from __future__ import annotations

from pathlib import Path

from mltrack.operations.request import Declared
from mltrack.operations.running.outputs import (
    artifact_paths,
    below_root,
    forget,
    matches,
    note_written,
    output_rule,
    remember,
)
from mltrack.project import Project


def test_declared_outputs_and_what_is_below_them_are_outputs(tmp_path: Path) -> None:
    rule = output_rule(Project.open(tmp_path), Declared(outputs=("models/", "*.pt"), metrics=("m.json",)), "")
    assert [rule(path) for path in (b"models/a", b"x.pt", b"m.json", b"modelsx", b"train.py")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_what_an_earlier_run_created_is_an_output_unless_a_person_writes_such_files(tmp_path: Path) -> None:
    project = Project.open(tmp_path)
    remember(project, ["weights.npy", "helper.py"])
    rule = output_rule(project, Declared(), "sub/")
    assert rule(b"sub/weights.npy")
    assert not rule(b"sub/helper.py"), "an edit made during a run must not disappear from the next snapshot"
    assert not rule(b"weights.npy"), "outside of the project"


def test_the_cache_of_paths_can_be_dropped(tmp_path: Path) -> None:
    project = Project.open(tmp_path)
    remember(project, ["a\nb", "caf\udce9"])
    assert artifact_paths(project) == {"a\nb", "caf\udce9"}
    forget(project)
    assert artifact_paths(project) == set()


def test_paths_are_told_from_the_projects_root() -> None:
    assert below_root({b"sub/a": 1, b"other": 2}, "sub/") == {b"a": 1}
    assert below_root({b"a": 1}, "") == {b"a": 1}


def test_patterns_match_names_and_directories() -> None:
    assert matches("out/x/y", ["out"]) and matches("a.pt", ["*.pt"]) and not matches("outer", ["out"])


def test_declared_inputs_that_git_does_not_know_are_data_and_scripts_among_them_are_code(tmp_path: Path) -> None:
    rule = output_rule(Project.open(tmp_path), Declared(inputs=("data", "raw/*.csv")), "")
    assert rule(b"data/train/1.bin") and rule(b"raw/a.csv")
    assert not rule(b"data/prepare.py") and not rule(b"raw/notes.txt") and not rule(b"database.txt")


def test_what_mltrack_itself_wrote_is_no_code_until_somebody_edits_it(tmp_path: Path) -> None:
    project = Project.open(tmp_path)
    for name in ("plots/loss.svg", "runs.json"):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.write_text("written")
        note_written(place)
    rule = output_rule(project, Declared(), "sub/")
    assert rule(b"sub/plots/loss.svg") and rule(b"sub/runs.json")
    assert not rule(b"plots/loss.svg") and not rule(b"sub/plots/other.svg")
    (tmp_path / "runs.json").write_text("by hand")
    assert not output_rule(project, Declared(), "sub/")(b"sub/runs.json")


def test_what_lies_in_no_project_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    note_written(tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
