"""`mltrack demo` tells the whole story and leaves its directories behind."""

from __future__ import annotations

from pathlib import Path

from tests.stories.typing import Person


def test_the_demo_ends_with_an_identical_result_and_leaves_its_directories(tmp_path: Path, command_path: str) -> None:
    place = tmp_path / "a place"
    place.mkdir()
    person = Person(place, command_path)
    told = person.type("demo")
    top = place / "mltrack-demo"
    assert "✓ identical: " in told
    assert [f"{n}." in told for n in range(1, 8)] == [True] * 7
    assert sorted(path.name for path in top.iterdir()) == ["elsewhere", "gitconfig", "project", "remote"]
    assert (top / "elsewhere" / "again" / "weights.npy").is_file()
    runs = Person(top / "project", command_path).json("ls")
    assert [run["why"] for run in runs] == ["is it too small?", "a baseline"]
    again = Person(top / "elsewhere" / "again", command_path).json("ls")
    assert again[0]["verdict"]["grade"] == "identical"
    assert again[0]["parent"] == {"kind": "reproduce", "run": runs[1]["id"]}


def test_a_second_demo_takes_another_directory_and_a_named_one_must_be_new(tmp_path: Path, command_path: str) -> None:
    from mltrack.cli.demo import free_directory

    assert free_directory(tmp_path) == tmp_path / "mltrack-demo"
    (tmp_path / "mltrack-demo").mkdir()
    (tmp_path / "mltrack-demo-2").mkdir()
    assert free_directory(tmp_path) == tmp_path / "mltrack-demo-3"
    Person(tmp_path, command_path).fails("demo", "mltrack-demo", code=3)
