"""`reproduce --plan`: a person asks whether a run can be got again, before anything starts."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.environments import Finding, Package
from mltrack.operations.repeating.obtaining import PlannedSource, Room, judged, rooms
from mltrack.operations.repeating.plan import Foretold, PlannedInput, obstacles_of
from mltrack.records import Gpu, GpuUse, Resources, Run
from mltrack.views.foretold import foretold_page
from tests.environments.making import uv, wheel
from tests.helpers import git_repository, tree_of, write
from tests.stories.typing import Person

FOUND = Foretold(
    run="0123456789abcdef",
    command=("python", "train.py", "--epochs", "a word"),
    answer="no",
    fetch_objects=12,
    fetch_bytes=3_000_000,
    environment="python",
    packages=41,
    is_built=False,
    inputs=(PlannedInput("data/" + "deep/" * 30 + "train.csv", "lacking", 12, "nobody has it"),),
    guarded=("/home/a/models/m.bin",),
    missing=("data/train.csv: nobody has it.",),
    conditions=("This machine may give other numbers in the last digits: cores 2 → 1.",),
    duration_s=3.5,
    obstacles=("The disk is full.",),
    sources=(PlannedSource("code", "remote origin", 3, 2_000), PlannedSource("packages", "nowhere", 1)),
    rooms=(Room("/work", 4_000_000, 1_000),),
    earlier_s=(3.0, 4.25),
    variables={"OMP_NUM_THREADS": "1"},
    secrets=("It read ~/.netrc, which may hold secrets and is not kept.",),
    network=("https://example.org/data.csv",),
)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_page_says_all_in_any_width(width: int) -> None:
    text = foretold_page(FOUND).render(width, colour=False)
    assert all(len(line) <= width for line in text.splitlines()[1:]), text
    for words in ("No: it cannot be got again", "The disk is full.", "nowhere", "3.0 s to", "OMP_NUM_THREADS=1"):
        assert words in text, text
    plain = foretold_page(FOUND).render(None, colour=False)
    assert FOUND.inputs[0].path in plain and FOUND.secrets[0] in plain


def test_a_finding_is_missing_a_remark_or_not_asked() -> None:
    found = judged(
        [
            Finding("Python 3.11.7", "Not here; 3.11.9 would be used.", "/usr/bin/python3"),
            Finding("a 1", None, "stored"),
            Finding("b 1", None, "https://index.example.org"),
            Finding("c 1", "Gone: no index that is configured here has this version."),
            Finding("d 1", "Its directory was outside of the project and was not kept."),
            Finding("e 1", "Not known: no index could be asked."),
            Finding("https://index.example.org", "It cannot be asked: no route."),
            Finding("f 1", "The index has another file than the run's.", "https://index.example.org"),
        ]
    )
    counted = {one.where: one.count for one in found.sources}
    assert counted == {"stored": 1, "an index": 2, "nowhere": 1, "this machine": 1, "not asked": 1}
    assert found.missing == ("c 1: Gone: no index that is configured here has this version.",)
    assert [text.split(":")[0] for text in found.remarks[:2]] == ["Python 3.11.7", "d 1"]
    assert found.remarks[-1] == "No index could be asked for 1 package."


def test_a_python_that_is_nowhere_is_missing() -> None:
    assert judged([Finding("Python 3.4.0", "There is no Python 3.4 here.")]).missing


def test_what_a_build_leaves_out_is_a_remark_where_no_index_has_it() -> None:
    gone = "Gone: no index that is configured here has this version."
    names = ("apt", "conda-thing", "own")
    packages = [Package(name, "1", source) for name, source in zip(names, ("system", "conda", "index"), strict=True)]
    found = judged([Finding(f"{name} 1", gone) for name in names], packages, "python")
    assert found.missing == (f"own 1: {gone}",)
    assert [text.split(" ")[0] for text in found.remarks] == ["apt", "conda-thing"]
    assert {one.where: one.count for one in found.sources} == {"nowhere": 1, "this machine": 2}
    assert len(judged([Finding("a 1", gone)], [Package("a", "1", "conda")], "conda").missing) == 1, (
        "conda builds its own"
    )


def test_packages_of_unknown_size_are_said() -> None:
    sizes = [Package("a", "1", "index", size_bytes=10), Package("b", "1", "index"), Package("own", "1", "project")]
    found = judged([], sizes, "python")
    assert (found.size_bytes, found.unsized) == (40, 1)
    said = "and 1 package of unknown size"
    assert said in foretold_page(replace(FOUND, unsized=1)).render(80, colour=False)
    assert said not in foretold_page(FOUND).render(80, colour=False)


def test_rooms_are_summed_up_by_disk(tmp_path: Path) -> None:
    (one,) = rooms([(tmp_path / "not" / "there", 5), (tmp_path, 7)])
    assert (one.place, one.needed_bytes) == (str(tmp_path / "not" / "there"), 12)
    assert one.free_bytes > 0


def test_no_room_and_no_gpu_stand_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(schema=1, id="0123456789abcdef", name=None, experiment=None, status="finished", command=("a",), cwd=".")
    used = replace(run, resources=Resources(gpus=(GpuUse(0, "H100", peak_percent=80.0),)))
    idle = replace(run, resources=Resources(gpus=(GpuUse(0, "H100", peak_percent=0.0),)))
    monkeypatch.setattr("mltrack.snapshot.hardware.gpus_of", lambda root: ())
    assert len(list(obstacles_of(used, [Room("/x", 2, 1)]))) == 2
    assert list(obstacles_of(idle, [Room("/x", 1, 1)])) == []
    monkeypatch.setattr("mltrack.snapshot.hardware.gpus_of", lambda root: (Gpu("A100"),))
    assert list(obstacles_of(used, [])) == []


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    """With a run in an environment that holds one package, of a directory of wheels."""
    wheel(tmp_path / "wheels", "tinypackage")
    files = {"t.py": "import tinypackage\nopen('out.txt', 'w').write(open('in.txt').read())\n", ".gitignore": ".venv\n"}
    settings = {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(tmp_path / "wheels")}
    person = Person(git_repository(tmp_path / "work", files), command_path, settings)
    write(person.cwd, {"in.txt": "data\n" * 1000})
    base = str(Path(command_path.split(os.pathsep)[0]) / "python")
    uv("venv", "-q", "--no-project", "--python", base, ".venv", cwd=person.cwd)
    options = ("--no-index", "--find-links", str(tmp_path / "wheels"))
    uv("pip", "install", "-q", "--python", ".venv/bin/python", *options, "tinypackage", cwd=person.cwd)
    person.type("run", "--input", "in.txt", "--", ".venv/bin/python", "t.py")
    return person


def test_a_plan_answers_starts_nothing_and_leaves_nothing(person: Person, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    person.variables["TMPDIR"] = str(temporary)
    before = tree_of(tmp_path)
    plan = person.json("reproduce", "@", "--plan")
    assert plan["answer"] == "yes", plan
    assert (plan["missing"], plan["obstacles"], plan["conditions"], plan["earlier_s"]) == ([], [], [], [])
    places = {(one["what"], one["where"]): one["count"] for one in plan["sources"]}
    assert places[("code", "here")] == 1 and places[("inputs", "here")] == 1
    assert places[("packages", "an index")] == 1
    assert plan["rooms"][0]["needed_bytes"] > 5000 and plan["rooms"][0]["free_bytes"] > 0
    assert tree_of(tmp_path) == before and not (person.cwd / ".mltrack" / "work").exists()
    assert os.listdir(temporary) == []
    shutil.rmtree(tmp_path / "wheels")
    plan = person.json("reproduce", "@", "--plan", code=6)
    assert plan["answer"] == "no" and plan["missing"][0].startswith("tinypackage 1.0: "), plan
    (tmp_path / "wheels").mkdir()
    person.fails("reproduce", "no-such-run", "--plan", code=4)


def test_what_was_reproduced_before_is_built_already_and_has_taken_so_long(person: Person) -> None:
    run = person.json("show", "@")["id"]
    person.type("reproduce", run, "--clean")
    plan = person.json("reproduce", run, "--plan")
    assert (plan["answer"], plan["is_built"], len(plan["earlier_s"])) == ("yes", True, 1)
    assert {"what": "packages", "where": "built already", "count": 1, "size_bytes": None} in plan["sources"]
    work = person.cwd / ".mltrack" / "work"
    assert os.listdir(work) == [], "--clean removed the workspace, and --plan made none"
    with closing(sqlite3.connect(person.cwd / ".mltrack" / "ledger.db")) as db, db:
        db.execute("UPDATE run_row SET deleted = 1 WHERE parent_run = ?", (run,))
    assert person.json("reproduce", run, "--plan")["earlier_s"] == []


def test_a_remote_that_does_not_answer_is_said_to_be_not_asked(tmp_path: Path, command_path: str) -> None:
    person = Person(git_repository(tmp_path / "work", {"a.sh": "echo > out.txt\n"}), command_path)
    person.type("run", "--env", "system", "--", "sh", "a.sh")
    person.type("remote", "add", "gone", "http://127.0.0.1:9/")
    assert person.json("reproduce", "@", "--plan")["answer"] == "yes", "all is here: nobody is asked"
    run = person.json("show", "@")
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push", "--remote", "origin")
    person.type("gc", "--drop", run["id"], "--apply")
    plan = person.json("reproduce", "@", "--plan")
    assert plan["answer"] == "yes, but" and "gone could not be asked" in plan["conditions"][0], plan
    assert {(one["what"], one["where"]) for one in plan["sources"]} >= {("code", "remote origin")}
    shutil.rmtree(tmp_path / "remote")
    assert person.json("reproduce", "@", "--plan", code=6)["answer"] == "no"


@pytest.mark.needs("mount")
@pytest.mark.skipif(os.environ.get("MLTRACK_SOAK", "1") == "1", reason="the soak has it")
def test_a_plan_where_nothing_may_be_written_and_the_disk_is_small(person: Person, tmp_path: Path) -> None:
    real = shlex.quote(f"{person.path.split(os.pathsep)[0]}/mltrack")
    small = tmp_path / "small"
    small.mkdir()
    script = f"mount -t tmpfs -o size=4k none {small}; exec {real} reproduce @ --plan --into {small}/again --json"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-ec", script], cwd=person.cwd, env=person.environment(), capture_output=True
    )
    plan = json.loads(done.stdout)
    assert (done.returncode, plan["answer"], plan["missing"]) == (1, "no", []), done.stderr
    assert str(small) in plan["obstacles"][0]
