"""The disk runs full, or rots: a person looks what takes the space, lets some of it go, and repairs the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import git_repository
from tests.stories.typing import Person

TRAIN = """import random, sys
random.seed(sys.argv[1])
open("model.bin", "wb").write(random.randbytes(50_000))
"""


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    files = {"train.py": TRAIN, ".gitignore": "model.bin\n", "mltrack.yaml": "outputs: [model.bin]\n"}
    person = Person(git_repository(tmp_path / "work", files), command_path)
    for name in ("one", "two", "three"):
        person.type("run", "--name", name, "--", "python", "train.py", name)
    return person


def packs(person: Person) -> list[Path]:
    return sorted((person.cwd / ".mltrack" / "store").rglob("*.pack"))


def test_space_is_looked_at_and_given_back(person: Person, tmp_path: Path) -> None:
    usage = person.json("du")
    assert usage["by"] == "run" and len(usage["shares"]) == 3
    assert {share["label"] for share in usage["shares"]} == {"one", "two", "three"}
    assert all(50_000 < share["only_bytes"] < 52_000 for share in usage["shares"])
    assert usage["totals"]["stored_bytes"] == sum(pack.stat().st_size for pack in packs(person))
    assert "model.bin" in person.type("du", "--by", "path")
    assert len(person.json("du", "one")["shares"]) == 1
    person.fails("du", "--by", "nothing", code=2)
    person.fails("du", "nobody", code=4)

    before = [pack.read_bytes() for pack in packs(person)]
    assert "NO REMOTE IS KNOWN TO HOLD IT" in person.type("gc", "--drop", "two")
    assert "Nothing to free" in person.type("gc")
    assert [pack.read_bytes() for pack in packs(person)] == before, "a dry run changes nothing"
    report = person.json("gc", "--drop", "two", "--apply")
    assert report["applied"] and 50_000 < report["freed_bytes"] < 52_000
    assert report["runs"] == [{"run": report["runs"][0]["run"], "name": "two", "on": []}]
    person.fails("get", "two", "model.bin", "--output", "again.bin", code=6)
    person.type("get", "one", "model.bin", "--output", "again.bin")
    assert person.json("show", "two")["artifacts"][0]["path"] == "model.bin"
    assert person.json("verify") == []

    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push", "one", "three")
    assert "a copy is on origin" in person.type("gc", "--pushed", "--apply")
    assert person.json("verify") == []
    person.type("get", "three", "model.bin", "--output", "third.bin")  # it comes back by itself
    assert (person.cwd / "third.bin").read_bytes() == (person.cwd / "model.bin").read_bytes()
    person.fails("gc", "--remote", "--pushed", code=2)
    person.type("gc", "--remote")


def test_damage_is_told_with_where_a_good_copy_is_and_repaired(person: Person, tmp_path: Path) -> None:
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push", "one")
    for name in ("one", "three"):
        person.type("get", name, "model.bin", "--output", str(tmp_path / name))
        data = (tmp_path / name).read_bytes()
        for pack in packs(person):
            whole = bytearray(pack.read_bytes())
            at = whole.find(data)
            if at >= 0:
                whole[at + 100] ^= 1
                pack.write_bytes(whole)
    runs = {name: person.json("show", name)["id"] for name in ("one", "three")}
    assert person.try_("verify", "--sample", "100%").returncode == 6
    said = person.type("verify", code=6)
    assert "good copy: remote origin" in said and "good copy: file model.bin" in said
    problems = person.json("verify", "--repair")
    assert {problem["run"] for problem in problems if problem["run"]} == set(runs.values())
    assert all(problem["repaired"] for problem in problems)
    assert person.type("verify") == "Everything holds.\n"
    for name in ("one", "three"):
        person.type("get", name, "model.bin", "--output", str(tmp_path / f"{name}-again"))
        assert (tmp_path / f"{name}-again").read_bytes() == (tmp_path / name).read_bytes()
    for part in ("0%", "101%", "some", ""):
        person.fails("verify", "--sample", part, code=2)


def test_what_cannot_be_repaired_is_said(person: Person) -> None:
    data = (person.cwd / "model.bin").read_bytes()
    (person.cwd / "model.bin").write_bytes(b"something else")
    (pack,) = packs(person)
    whole = bytearray(pack.read_bytes())
    whole[whole.index(data) + 100] ^= 1
    pack.write_bytes(whole)
    said = person.type("verify", "--repair", code=6)
    assert "damaged: artifact model.bin" in said and "set aside: " in said
    error, hint = person.fails("gc", code=6)
    assert person.json("show", "three")["id"] in error and "verify --repair" in hint
    person.type("gc", "--drop", "three", "--apply")
    assert person.json("verify") == []
