"""Programs that choose by the names in a directory, reproduced where that directory is another, or is not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.executors.driving import needs_binds
from tests.helpers import git_repository, tree_of, write
from tests.stories.typing import Person

pytestmark = needs_binds

SAMPLE = """\
import os, random, sys
random.seed(1)
for directory in ("data", sys.argv[1]):
    names = sorted(name for name in os.listdir(directory) if os.path.isfile(os.path.join(directory, name)))
    for name in random.sample(names, len(names) // 4):
        print(name, open(os.path.join(directory, name)).read(), file=open("chosen.txt", "a"))
with os.scandir(sys.argv[1]) as found:
    print(sum(entry.stat().st_size for entry in found), file=open("chosen.txt", "a"))
"""
GREEDY = """\
import os
names = sorted(os.listdir("data"))
many = 40 if os.path.exists("../reproduced") or ".mltrack" in os.getcwd() else 2
open("out.txt", "w").write("".join(open(f"data/{name}").read() for name in names[:many]))
"""


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    work = git_repository(tmp_path / "first" / "work", {"a.py": SAMPLE, "greedy.py": GREEDY, ".gitignore": "data/\n"})
    write(work / "data", {f"{number}.txt": str(number) for number in range(40)})
    write(tmp_path / "first" / "set", {f"{number}": "x" * number for number in range(60)})
    (tmp_path / "first" / "set" / "sub").mkdir()
    return Person(work, command_path)


def run(person: Person, *command: str) -> str:
    person.type("run", "--env", "system", "--", *command)
    return str(person.json("show", "@")["id"])


def test_a_sample_of_two_directories_is_the_same_where_neither_of_them_is(person: Person, tmp_path: Path) -> None:
    then = run(person, sys.executable, "a.py", str(tmp_path / "first" / "set"))
    record = person.json("show", then)
    assert len(record["inputs"]) == 25 and record["observation"]["listings"].startswith("b3:")
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    (tmp_path / "first").rename(tmp_path / "hidden")
    (tmp_path / "second").mkdir()
    second = Person(tmp_path / "second", person.path)
    done = second.json("reproduce", then, "--from", str(tmp_path / "remote"), "--into", "again")
    assert done["verdict"]["grade"] == "identical", done["verdict"]
    assert done["run"]["observation"]["listings"] == record["observation"]["listings"]
    assert {item["path"] for item in done["run"]["inputs"]} == {item["path"] for item in record["inputs"]}
    assert not (tmp_path / "first").exists()


def test_a_sample_is_the_same_where_files_have_come_and_gone_meanwhile(person: Person, tmp_path: Path) -> None:
    data = tmp_path / "first" / "set"
    then = run(person, sys.executable, "a.py", str(data))
    read = {Path(item["path"]).name for item in person.json("show", then)["inputs"]}
    for name in sorted(set(os.listdir(data)) - read - {"sub"})[:5]:
        (data / name).unlink()
    write(data, {"new": "1", "newer/deep": "2"})
    before = tree_of(data)
    assert person.json("reproduce", then)["verdict"]["grade"] == "identical"
    assert tree_of(data) == before


def test_counting_the_names_of_a_directory_needs_no_file_of_it(person: Person, tmp_path: Path) -> None:
    then = run(person, "sh", "-c", f"ls {tmp_path}/first/set | wc -l > many.txt")
    (tmp_path / "first" / "set").rename(tmp_path / "away")
    assert person.json("reproduce", then)["verdict"]["grade"] == "identical"


def test_a_reproduction_that_reads_what_nobody_kept_says_so(person: Person) -> None:
    then = run(person, sys.executable, "greedy.py")
    done = person.json("reproduce", then, code=1)
    assert done["verdict"]["grade"] == "different"
    (condition,) = [one for one in done["verdict"]["conditions"] if one["what"] == "stand-in-read"]
    assert "38 files" in condition["now"] and "whole_directories" in condition["now"]
    assert [item["path"] for item in done["run"]["inputs"]] == ["data/0.txt", "data/1.txt"]
    shown = person.type("show", "@", "--observed", "--all")
    assert "stand-in" in str(shown)
