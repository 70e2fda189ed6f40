"""Getting a run's files again: into a new directory, into one with work in it, and one file by itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.helpers import git, git_repository, tree_of, write
from tests.stories.typing import Person

FILES = {
    "train.py": "import shutil\nshutil.copytree('data', 'out')\n",
    "conf/a.yaml": "lr: 1\n",
    "run.sh": "#!/bin/sh\n",
}
DATA = {"data/train/1.csv": "1\n", "data/train/2.csv": "2\n", "data/labels.csv": "x\n"}


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    root = git_repository(tmp_path / "work", {**FILES, ".gitignore": "data/\nout/\n"})
    (root / "run.sh").chmod(0o755)
    write(root, DATA)
    (root / "data" / "latest").symlink_to("train/2.csv")
    (root / "data" / "empty").mkdir()
    person = Person(root, command_path)
    person.type("run", "--name", "good", "--input", "data", "--output", "out", "--", "python", "train.py")
    return person


def test_a_checkout_is_the_run_again_with_modes_links_and_empty_directories(person: Person) -> None:
    told = person.json("checkout", "good", "--into", "again")
    again = person.cwd / "again"
    assert told["directory"] == str(again) and told["kept_aside"] is None
    found = tree_of(again)
    assert {path for path in found if path.startswith(b"data/")} == {
        b"data/train/1.csv", b"data/train/2.csv", b"data/labels.csv", b"data/latest",
    }  # fmt: skip
    assert found[b"run.sh"][0] == "executable" and os.readlink(again / "data" / "latest") == "train/2.csv"
    assert (again / "data" / "empty").is_dir() and not (again / "out").exists()
    assert git(again, "status", "--short") == b" M run.sh\n", "the mode was changed after the commit"


def test_a_second_checkout_leaves_what_is_right_and_refuses_to_undo_a_persons_work(person: Person) -> None:
    person.type("checkout", "good", "--into", "again")
    again = person.cwd / "again"
    before = {path: (again / os.fsdecode(path)).lstat().st_mtime_ns for path in tree_of(again)}
    assert person.json("checkout", "good", "--into", "again")["written"] == 0
    assert {path: (again / os.fsdecode(path)).lstat().st_mtime_ns for path in before} == before
    write(again, {"train.py": "my work\n", "data/labels.csv": "mine\n", "new.txt": "mine\n"})
    (again / "data" / "train" / "1.csv").unlink()
    error, hint = person.fails("checkout", "good", "--into", "again", code=2)
    assert "again/train.py" in error and "again/data/labels.csv" in error and "1.csv" not in error
    assert "--force" in hint and not (again / "data" / "train" / "1.csv").exists()
    told = person.json("checkout", "good", "--into", "again", "--force")
    assert (again / "train.py").read_text() == FILES["train.py"] and (again / "new.txt").read_text() == "mine\n"
    assert (again / "data" / "train" / "1.csv").read_text() == "1\n"
    kept = Path(told["kept_aside"])
    assert tree_of(kept) == {b"train.py": ("file", b"my work\n"), b"data/labels.csv": ("file", b"mine\n")}


def test_some_paths_of_the_code_come_into_the_worktree_and_git_is_left_alone(person: Person) -> None:
    write(person.cwd, {"train.py": "edited\n", "conf/a.yaml": "lr: 2\n"})
    head = git(person.cwd, "rev-parse", "HEAD")
    person.fails("checkout", "good", "conf", "--into", ".", code=2)
    person.type("checkout", "good", "conf/", "./data/labels.csv", "--into", ".", "--force")
    assert (person.cwd / "conf" / "a.yaml").read_text() == "lr: 1\n"
    assert (person.cwd / "train.py").read_text() == "edited\n"
    assert git(person.cwd, "rev-parse", "HEAD") == head
    assert "nothing.py" in person.fails("checkout", "good", "nothing.py", "--into", ".", code=4)[0]


def test_get_without_a_path_lists_what_there_is(person: Person) -> None:
    told = person.type("get", "good")
    for path in ("out/train/1.csv", "data/labels.csv", "data/latest", "data/empty"):
        assert re.search(rf"^{path}\b", told, re.MULTILINE), told
    contents = person.json("get", "good")["contents"]
    assert [one["path"] for one in contents] == ["out", "data"]
    assert "data/train/1.csv" in [one["path"] for one in contents[1]["inside"]]
    hint = person.fails("get", "good", "labels.csv", code=4)[1]
    assert "data/labels.csv" in hint


def test_get_leaves_refuses_and_keeps_aside(person: Person) -> None:
    assert "right already" in person.type("get", "good", "data")
    write(person.cwd, {"data/labels.csv": "mine\n"})
    (person.cwd / "data" / "train" / "2.csv").unlink()
    assert "data/labels.csv" in person.fails("get", "good", "data", code=2)[0]
    told = person.json("get", "good", "data", "--force")
    assert (told["written"], told["left"]) == (2, 2)
    assert (Path(person.cwd) / told["kept_aside"] / "labels.csv").read_text() == "mine\n"
    person.type("get", "good", "data/train", "--output", "part")
    assert tree_of(person.cwd / "part") == {b"1.csv": ("file", b"1\n"), b"2.csv": ("file", b"2\n")}
    assert person.type("get", "good", "data/train/1.csv", "--output", "-") == "1\n"
    person.fails("get", "good", "data", "--output", "-", code=2)


@pytest.mark.parametrize("link", ["hard", "symlink"])
def test_links_are_read_only(person: Person, link: str) -> None:
    person.type("get", "good", "data", "--output", "linked", "--link", link)
    place = person.cwd / "linked" / "labels.csv"
    assert place.read_text() == "x\n" and not place.stat().st_mode & 0o222
    assert person.type("verify") == "Everything holds.\n"
    whole = person.cwd / ".mltrack" / "expanded"
    assert whole.is_dir()
    person.type("gc", "--apply")
    assert whole.is_dir() and place.read_text() == "x\n"
    person.type("gc", "--expanded")
    assert whole.is_dir()
    person.type("gc", "--expanded", "--apply")
    assert not whole.exists() and place.exists() == (link == "hard")
    person.type("get", "good", "data", "--output", "again", "--link", link)
    assert place.read_text() == "x\n"
    person.fails("get", "good", "data", "--output", "other", "--link", "soft", code=2)
