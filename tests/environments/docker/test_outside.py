"""Data outside the project of a run in a container: seen at its own path, and named by its place on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from mltrack.environments import host_path
from tests.engines import IMAGE
from tests.helpers import git, write
from tests.stories.typing import Person


def test_a_declared_file_comes_back_at_its_own_path(person: Person, tmp_path: Path) -> None:
    write(tmp_path / "data", {"train.csv": "1,2,3\n", "set/a": "a\n"})
    script = f"cat {tmp_path}/data/train.csv {tmp_path}/data/set/a > out.txt\n"
    write(person.cwd, {"t.sh": script})
    git(person.cwd, "add", "-A")
    git(person.cwd, "commit", "-qm", "script")
    inputs = ("--input", f"{tmp_path}/data/train.csv", "--input", f"{tmp_path}/data/set")
    person.type("run", "--image", IMAGE, *inputs, "--", "sh", "t.sh")
    shutil.rmtree(tmp_path / "data")
    done = person.json("reproduce", "@")
    assert done["verdict"]["grade"] == "identical", done["verdict"]
    assert not (tmp_path / "data").exists()


def test_what_a_process_in_the_container_read_is_named_by_where_it_is_here(person: Person, tmp_path: Path) -> None:
    write(tmp_path / "data", {"train.csv": "1,2,3\n"})
    read = "open('out.txt', 'w').write(open('/data/train.csv').read() + open('words.txt').read())\n"
    write(person.cwd, {"t.py": read, ".gitignore": "words.txt\n", "words.txt": "words\n"})
    (person.cwd / "mltrack.yaml").write_text(
        f"environment: {{image: {IMAGE}, mounts: ['{tmp_path}/data:/data:ro'], at: /code}}\n"
    )
    git(person.cwd, "add", "-A")
    git(person.cwd, "commit", "-qm", "script")
    person.type("run", "--", "python3", "t.py")
    record = person.json("show", "@")
    assert {item["path"] for item in record["inputs"]} == {f"{tmp_path}/data/train.csv", "words.txt"}
    assert [item["path"] for item in record["artifacts"]] == ["out.txt"]


def test_the_nearest_mount_says_where_a_path_lies() -> None:
    facts = {"mounts": [["/code", "/home/a/work"], ["/code/data", "/srv/data"], ["/x", "/y"]]}
    assert host_path(facts, "/code/train.py") == "/home/a/work/train.py"
    assert host_path(facts, "/code/data/a") == "/srv/data/a"
    assert host_path(facts, "/x") == "/y"
    assert host_path(facts, "/codex") is None
    assert host_path({}, "/codex") == "/codex"
