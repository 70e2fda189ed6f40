"""A project that reads and writes outside of itself, with nothing declared, goes to a machine that has none of it."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import mltrack
from tests.executors.driving import needs_binds, wait_for
from tests.helpers import git_repository, tree_of, write
from tests.stories.typing import Person

pytestmark = needs_binds
NOBODY = 65534


@pytest.fixture
def first(tmp_path: Path, walls: Path, command_path: str) -> Person:
    """The first machine: data at an absolute path, at home, beside the project, and behind a link."""
    machine = tmp_path / "first"
    write(machine, {"data/deep/train.csv": "1,2,3\n", "beside/x.txt": "beside\n", "disk/set/a": "a\n"})
    write(walls, {"datasets/b.txt": "home\n"})
    script = (
        f"cat {machine}/data/deep/train.csv ~/datasets/b.txt ../beside/x.txt link/a > out.txt\n"
        "mkdir -p ~/models && cat out.txt out.txt > ~/models/new && mv ~/models/new ~/models/m.bin\n"
    )
    person = Person(git_repository(machine / "work", {"train.sh": script}), command_path)
    (person.cwd / "link").symlink_to(machine / "disk" / "set")
    return person


def pushed(person: Person, tmp_path: Path) -> str:
    """Run it with nothing declared, and push; the run's id."""
    person.type("run", "--env", "system", "--", "/bin/sh", "train.sh")
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    return str(person.json("show", "@")["id"])


def elsewhere(person: Person, tmp_path: Path, home: Path) -> Person:
    """Another machine with another home; all of the first is gone."""
    (tmp_path / "first").rename(tmp_path / "hidden")
    home.rename(tmp_path / "hidden home")
    (tmp_path / "second" / "home" / "models").mkdir(parents=True)
    (tmp_path / "second" / "home" / "models" / "m.bin").write_text("the user's own")
    return Person(tmp_path / "second", person.path, {"HOME": str(tmp_path / "second" / "home")})


def test_a_run_with_nothing_declared_is_reproduced_where_none_of_its_data_is(
    first: Person, tmp_path: Path, walls: Path
) -> None:
    run = pushed(first, tmp_path)
    record = first.json("show", run)
    assert {item["path"] for item in record["artifacts"]} == {"out.txt", f"{walls}/models/m.bin"}
    second = elsewhere(first, tmp_path, walls)
    before = tree_of(second.cwd / "home")
    done = second.json("reproduce", run, "--from", str(tmp_path / "remote"), "--into", "again")
    assert done["verdict"]["grade"] == "identical", done["verdict"]
    assert (second.cwd / "again" / "out.txt").read_text() == "1,2,3\nhome\nbeside\na\n"
    assert {item["path"] for item in done["run"]["artifacts"]} == {"out.txt", f"{walls}/models/m.bin"}
    same = {(item["path"], item["digest"]) for item in record["inputs"]}
    assert {(item["path"], item["digest"]) for item in done["run"]["inputs"]} == same
    assert not (tmp_path / "first").exists() and not walls.exists()
    assert os.listdir(second.cwd) == ["home", "again"] or sorted(os.listdir(second.cwd)) == ["again", "home"]
    assert tree_of(second.cwd / "home") == before, "what the command wrote at home is in the store, not there"
    assert not list((second.cwd / "again" / ".mltrack" / "work").iterdir()), "what only the command saw is gone"


def test_below_the_project_of_today_a_path_beside_it_is_found_too(first: Person, tmp_path: Path) -> None:
    """There the workspace lies in the project's own state."""
    run = pushed(first, tmp_path)
    (tmp_path / "first" / "beside").rename(tmp_path / "gone")
    assert first.json("reproduce", run)["verdict"]["grade"] == "identical"
    assert not (tmp_path / "first" / "beside").exists()
    assert not (first.cwd / ".mltrack" / "work" / "beside").exists()


def test_a_reproduction_of_a_reproduction_names_the_same_files(first: Person, tmp_path: Path, walls: Path) -> None:
    run = pushed(first, tmp_path)
    second = elsewhere(first, tmp_path, walls)
    second.type("reproduce", run, "--from", str(tmp_path / "remote"), "--into", "again")
    again = Person(second.cwd / "again", second.path, second.variables)
    done = again.json("reproduce", "@")
    assert done["verdict"]["grade"] == "identical", done["verdict"]
    assert {item["path"] for item in done["run"]["artifacts"]} == {"out.txt", f"{walls}/models/m.bin"}


def test_declared_data_and_standard_input_from_outside_come_back(tmp_path: Path, command_path: str) -> None:
    write(tmp_path / "data", {"set/a": "a", "set/b": "b", "in.txt": "stdin\n"})
    person = Person(
        git_repository(tmp_path / "work", {"t.sh": f"cat - {tmp_path}/data/set/a > out.txt\n"}), command_path
    )
    with open(tmp_path / "data" / "in.txt", "rb") as file:
        subprocess.run(
            ["mltrack", "run", "--env", "system", "--input", str(tmp_path / "data" / "set"), "--", "/bin/sh", "t.sh"],
            cwd=person.cwd, env=person.environment(), stdin=file, check=True, capture_output=True,
            executable=person.path.split(os.pathsep)[0] + "/mltrack",
        )  # fmt: skip
    record = person.json("show", "@")
    shutil.rmtree(tmp_path / "data")
    done = person.json("reproduce", "@")
    assert done["verdict"]["grade"] == "identical", done["verdict"]
    assert [(i["path"], i["role"]) for i in done["run"]["inputs"]] == [(i["path"], i["role"]) for i in record["inputs"]]


def test_declared_outputs_outside_are_compared_and_not_written_over(
    tmp_path: Path, walls: Path, command_path: str
) -> None:
    script = (
        f"mkdir -p {tmp_path}/out ~/m; echo a > {tmp_path}/out/a.txt; echo b > {tmp_path}/out/b.txt; echo c > ~/m/c\n"
    )
    person = Person(git_repository(tmp_path / "work", {"t.sh": script}), command_path)
    outputs = ("--output", f"{tmp_path}/out/*.txt", "--output", f"{walls}/m/c")
    person.type("run", "--env", "system", *outputs, "--", "/bin/sh", "t.sh")
    names = [item["path"] for item in person.json("show", "@")["artifacts"]]
    assert sorted(names) == sorted([f"{tmp_path}/out/a.txt", f"{tmp_path}/out/b.txt", f"{walls}/m/c"])
    (tmp_path / "out" / "a.txt").write_text("the user's own")
    other = tmp_path / "another home"
    other.mkdir()
    done = Person(person.cwd, person.path, {"HOME": str(other)}).json("reproduce", "@")
    assert done["verdict"]["grade"] == "identical", done["verdict"]
    assert [item["path"] for item in done["run"]["artifacts"]] == names
    assert (tmp_path / "out" / "a.txt").read_text() == "the user's own"
    assert not list(other.rglob("c"))


def test_put_back_writes_it_where_it_was(first: Person, tmp_path: Path, walls: Path) -> None:
    run = pushed(first, tmp_path)
    shutil.rmtree(tmp_path / "first" / "data")
    done = first.json("reproduce", run, "--put-back")
    assert done["verdict"]["grade"] == "identical"
    assert (tmp_path / "first" / "data" / "deep" / "train.csv").read_text() == "1,2,3\n"


def test_what_is_not_kept_stops_it_with_the_ways_out(first: Person, tmp_path: Path) -> None:
    (first.cwd / "mltrack.yaml").write_text("data: {keep_limit: 0}\n")
    run = pushed(first, tmp_path)
    shutil.rmtree(tmp_path / "first" / "data")
    error, hint = first.fails("reproduce", run, code=6)
    assert f"{tmp_path}/first/data/deep/train.csv" in error and "b3:" in error and "6 bytes" in error
    assert "--put-back" in hint
    assert not list((first.cwd / ".mltrack" / "work").iterdir())


def test_checkout_names_what_it_does_not_lay_out_and_get_brings_it(first: Person, tmp_path: Path) -> None:
    run = pushed(first, tmp_path)
    shutil.rmtree(tmp_path / "first" / "data")
    path = f"{tmp_path}/first/data/deep/train.csv"
    assert first.json("checkout", run, "--into", "there")["not_laid_out"] == [path]
    first.fails("checkout", run, path, "--into", "more", code=2)
    first.type("get", run, path, "--output", "got.csv")
    assert (first.cwd / "got.csv").read_text() == "1,2,3\n"


def test_a_reproduction_whose_supervisor_is_killed_keeps_what_it_wrote_outside(
    tmp_path: Path, walls: Path, command_path: str
) -> None:
    kill = "kill -9 $(sed -n 's/.*\"supervisor\": *\\([0-9]*\\).*/\\1/p' $MLTRACK_RUN_DIR/process.json); sleep 0.2"
    script = f"mkdir -p ~/models; echo result > ~/models/m.bin; if [ -e {tmp_path}/flag ]; then {kill}; fi\n"
    person = Person(git_repository(tmp_path / "work", {"t.sh": script}), command_path)
    person.type("run", "--env", "system", "--", "/bin/sh", "t.sh")
    first = person.json("show", "@")
    (walls / "models" / "m.bin").write_text("the user's own")
    (tmp_path / "flag").touch()
    assert person.try_("reproduce", first["id"]).returncode == -9
    wait_for(lambda: person.json("show", "@")["status"] != "running")
    record = person.json("show", "@")
    assert record["id"] != first["id"]
    assert record["artifacts"] == first["artifacts"]
    assert (walls / "models" / "m.bin").read_text() == "the user's own"


# -- an ordinary user


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory below which everybody may go."""
    place = Path(tempfile.mkdtemp(prefix="mltrack-story-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def as_nobody(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python as an ordinary user, with the packages of these tests."""
    become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "/usr/bin/python3"]
    packages = [str(Path(mltrack.__file__).parents[1]), *site.getsitepackages()]
    variables = {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(packages),
        "MLTRACK_CONFIG_ENVIRONMENT_LOCK": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run([*become, *words], cwd=home, env=variables, capture_output=True, text=True, check=False)


def test_an_ordinary_user_reproduces_it_too(open_place: Path, command_path: str, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root, with setpriv, can become an ordinary user")
    write(open_place / "data", {"train.csv": "1,2,3\n"})
    script = f"cat {open_place}/data/train.csv > out.txt; id -u\n"
    person = Person(git_repository(tmp_path / "work", {"t.sh": script}), command_path)
    person.type("run", "--env", "system", "--", "/bin/sh", "t.sh")
    person.type("remote", "add", "origin", str(open_place / "remote"))
    person.type("push")
    run = person.json("show", "@")["id"]
    shutil.rmtree(open_place / "data")
    home = open_place / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    done = as_nobody(home, "-c", "import mltrack.cli.app, blake3, zstandard")
    if done.returncode != 0:
        pytest.skip("an ordinary user cannot use the interpreter and the packages of these tests")
    done = as_nobody(home, "-m", "mltrack", "reproduce", run, "--from", str(open_place / "remote"), "--into", "again")
    assert done.returncode == 0, done.stderr + done.stdout
    assert (home / "again" / "out.txt").stat().st_uid == NOBODY
    assert f"{NOBODY}\n" in done.stdout, "he is himself inside"
    assert not (open_place / "data").exists()


def test_a_file_that_is_staged_at_home_and_renamed_is_so_again_and_the_home_is_left(
    tmp_path: Path, walls: Path, command_path: str
) -> None:
    write(walls, {"stage/mine": "the user's", "final/other": "another"})
    script = (
        "import os; home = os.path.expanduser('~')\n"
        "open(home + '/stage/x', 'w').write('model'); os.replace(home + '/stage/x', home + '/final/x')\n"
        "open(home + '/final/cfg.tmp', 'w').write('2'); os.replace(home + '/final/cfg.tmp', home + '/final/cfg')\n"
    )
    person = Person(git_repository(tmp_path / "work", {"s.py": script}), command_path)
    person.type("run", "--env", "system", "--", "python3", "s.py")
    (walls / "final" / "x").write_text("the user's, by now")
    before = tree_of(walls)
    done = person.json("reproduce", "@")
    assert done["verdict"]["grade"] == "identical", done["verdict"]
    assert tree_of(walls) == before


def test_a_command_that_fails_by_what_stands_outside_is_told_so(tmp_path: Path, walls: Path, command_path: str) -> None:
    write(walls, {"final/other": "another"})
    scratch = Path(tempfile.mkdtemp(dir="/tmp"))
    if os.stat(scratch).st_dev != os.stat(walls).st_dev:
        pytest.skip("two disks, between which nothing can be renamed anyway")
    try:
        script = (
            "import os, sys; home = os.path.expanduser('~')\n"
            f"open('{scratch}/x', 'w').write('model')\n"
            f"try: os.replace('{scratch}/x', home + '/final/x')\n"
            "except OSError as error: sys.exit(str(error))\n"
        )
        person = Person(git_repository(tmp_path / "work", {"s.py": script}), command_path)
        person.type("run", "--env", "system", "--", "python3", "s.py")
        done = person.json("reproduce", "@", code=1)
        (condition,) = (item for item in done["verdict"]["conditions"] if item["what"] == "outside")
        assert "Invalid cross-device link" in condition["now"] and f"{walls}/final" in condition["now"]
    finally:
        shutil.rmtree(scratch)


# -- before it starts


def test_a_plan_tells_what_it_would_take_and_starts_nothing(first: Person, tmp_path: Path, walls: Path) -> None:
    run = pushed(first, tmp_path)
    second = elsewhere(first, tmp_path, walls)
    before = tree_of(second.cwd)
    plan = second.json("reproduce", run, "--from", str(tmp_path / "remote"), "--plan")
    assert tree_of(second.cwd) == before
    assert {item["way"] for item in plan["inputs"]} <= {"shown", "laid out"}
    assert f"{tmp_path}/first/data/deep/train.csv" in [
        item["path"] for item in plan["inputs"] if item["way"] == "shown"
    ]
    assert plan["fetch_objects"] > 4 and plan["fetch_bytes"] > 0
    assert plan["missing"] == [] and plan["duration_s"] > 0
    assert set(plan["guarded"]) == {f"{walls}/models/m.bin", f"{walls}/models/new"}
    page = second.type("reproduce", run, "--from", str(tmp_path / "remote"), "--plan", "--put-back")
    assert "written at its own place" in page and "to fetch" in page


def test_a_plan_of_what_nobody_has_names_it_with_its_exit_code(first: Person, tmp_path: Path) -> None:
    (first.cwd / "mltrack.yaml").write_text("data: {keep_limit: 0}\n")
    run = pushed(first, tmp_path)
    assert {item["way"] for item in first.json("reproduce", run, "--plan")["inputs"]} == {"there"}
    shutil.rmtree(tmp_path / "first" / "data")
    plan = first.json("reproduce", run, "--plan", code=6)
    (text,) = plan["missing"]
    assert f"{tmp_path}/first/data/deep/train.csv" in text and "6 bytes" in text
    assert first.json("ls")[0]["id"] == run, "no run was made"
    shutil.rmtree(first.cwd / ".mltrack" / "store")
    plan = first.json("reproduce", run, "--plan", code=6 if plan["missing"] else 0)
    assert plan["fetch_objects"] > 0, "what is on the remote is fetched"
