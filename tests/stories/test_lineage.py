"""Where did this file come from? Asked of a file that was renamed, copied and carried to another machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.helpers import git_repository, write
from tests.stories.typing import Person

FILES = {
    "prepare.py": """
import os
os.makedirs("data", exist_ok=True)
rows = open("raw.csv").read().split()
open("data/train.csv", "w").write("\\n".join(rows[:-2]))
open("data/test.csv", "w").write("\\n".join(rows[-2:]))
""",
    "train.py": """
import json, sys
total = sum(map(float, open("data/train.csv"))) * float(sys.argv[-1])
open("model.bin", "w").write(f"weights {total}\\n" * 50)
json.dump({"loss": total}, open("metrics.json", "w"))
""",
    "evaluate.py": """
import json
score = len(open("model.bin").read()) + len(open("data/test.csv").read())
json.dump({"score": score, "of": "the model"}, open("score.json", "w"))
""",
    ".gitignore": "raw.csv\ndata/\n*.bin\n*.json\nelsewhere/\n",
}


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    root = git_repository(tmp_path / "work", FILES)
    write(root, {"raw.csv": "\n".join(str(1000 + number) for number in range(30))})
    return Person(root, command_path)


def test_the_story_of_a_file(person: Person, tmp_path: Path) -> None:
    person.type("run", "--name", "prepare", "--why", "a clean split", "--", "python", "prepare.py")
    person.type("run", "--name", "train", "--", "python", "train.py", "--lr", "0.1")
    person.type("run", "--name", "evaluate", "--", "python", "evaluate.py")
    # A colleague sends a file, and nobody knows any more what it is.
    sent = tmp_path / "inbox" / "final (2).bin"
    sent.parent.mkdir()
    shutil.copyfile(person.cwd / "model.bin", sent)
    told = person.type("blame", str(sent))
    assert "as model.bin" in told and "$ python train.py --lr 0.1" in told and "data/train.csv" in told
    answer = person.json("blame", str(sent))
    assert answer["answer"] == "made" and answer["run"]["name"] == "train" and answer["run"]["params"] == {"lr": 0.1}
    assert [one["name"] for one in answer["used_by"]] == ["evaluate"]
    # What it came from and what came of it, from the file as from the run.
    graph = person.json("lineage", str(sent))
    names = {run["id"]: run["name"] for run in graph["runs"]}
    assert sorted(names.values()) == ["evaluate", "prepare", "train"]
    whole = person.json("lineage", "evaluate", "--up")
    found = {
        (names[edge["from"]], names[edge["to"]], file["made_as"]) for edge in whole["edges"] for file in edge["files"]
    }
    assert found == {
        ("prepare", "train", "data/train.csv"), ("train", "evaluate", "model.bin"), ("prepare", "evaluate", "data/test.csv"),
    }  # fmt: skip
    assert [one["path"] for one in whole["data"]] == ["raw.csv"]
    tree = person.type("lineage", "prepare", "--down")
    assert "was used by" in tree and "came from" not in tree and tree.count("evaluate") >= 1
    assert person.type("lineage", "evaluate", "--format", "dot").startswith("digraph lineage {")
    # Edited since: no run made exactly this, and who wrote here last is told.
    (person.cwd / "model.bin").write_text("patched by hand")
    error, hint = person.fails("blame", "model.bin", code=4)
    assert "No run made or used model.bin" in error and "was written here, with other bytes" in hint
    assert person.json("blame", "model.bin", code=4)["clues"][0]["kind"] == "changed"
    # Code is not data, and git knows more of it.
    error, hint = person.fails("blame", "train.py", code=4)
    assert "it came with commit" in hint and "It is code: train.py in the tree of" in hint
    person.fails("lineage", "no-such-run", code=4)
    person.fails("lineage", "train", "--format", "gif", code=2)


def test_elsewhere_a_remote_is_enough(person: Person, tmp_path: Path) -> None:
    copy = "import shutil; shutil.copytree('.', 'kept', ignore=shutil.ignore_patterns('.*')); open('kept/more', 'w').write('one more')"
    person.type("run", "--output", "kept", "--", "python", "-c", copy)
    got = tmp_path / "got"
    write(got, {"more": "one more", "some/more": "one more", "some/other": "of nobody"})
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    there = Person(got, person.path)
    there.fails("blame", "more", code=4)
    answer = there.json("blame", "more", "--from", str(tmp_path / "remote"))
    assert answer["made_by"][0]["path"] == "kept/more" and answer["unread_directories"] == 0
    graph = there.json("lineage", "some", "--from", str(tmp_path / "remote"))
    assert graph["start"]["path"] == "some" and graph["in_parts"] and len(graph["runs"]) == 1
    assert sorted(os.listdir(got)) == ["more", "some"], "nothing is left behind"
