"""An environment that goes away: its index loses a package, its machine is bare, there is no network at all."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.environments.index import Index, serve_index
from tests.environments.making import uv, venv, wheel
from tests.environments.offline import run_offline
from tests.helpers import git_repository
from tests.stories.typing import Person

TRAIN = "import alpha, mine\nopen('out.txt', 'w').write(f'{alpha.VERSION} {mine.VALUE}')\n"
PROJECT = {
    "pyproject.toml": '[build-system]\nrequires = ["builder"]\nbuild-backend = "builder"\n',
    "train.py": TRAIN,
    "src/mine.py": "VALUE = 7\n",
    ".gitignore": ".venv/\n",
}
BUILDER = """
import os, zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    info = "mine-0.1.dist-info"
    files = {"mine.pth": os.path.abspath("src") + chr(10),
             f"{info}/METADATA": "Metadata-Version: 2.1" + chr(10) + "Name: mine" + chr(10) + "Version: 0.1" + chr(10),
             f"{info}/WHEEL": "Wheel-Version: 1.0" + chr(10) + "Root-Is-Purelib: true" + chr(10) + "Tag: py3-none-any" + chr(10)}
    files[f"{info}/RECORD"] = "".join(f"{name},," + chr(10) for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{directory}/mine-0.1-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return "mine-0.1-py3-none-any.whl"

build_wheel = build_editable
"""


@pytest.fixture
def index(tmp_path: Path):  # type: ignore[no-untyped-def]
    house = tmp_path / "house"
    for name in ("alpha", "beta"):
        wheel(house, name)
    builder = house / "builder-1.0-py3-none-any.whl"
    make_builder(builder)
    with serve_index(house) as served:
        yield served


def make_builder(path: Path) -> None:
    """A wheel that is a build backend."""
    files = {
        "builder.py": BUILDER,
        "builder-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: builder\nVersion: 1.0\n",
        "builder-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(
            "builder-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in [*files, "builder-1.0.dist-info/RECORD"])
        )


@pytest.fixture
def person(tmp_path: Path, index: Index, command_path: str, monkeypatch: pytest.MonkeyPatch) -> Person:
    """A project installed as editable, with two packages of the index, and one run whose data is on a remote."""
    monkeypatch.setenv("MLTRACK_CONFIG_ENVIRONMENT_LOCK", "true")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    someone = Person(git_repository(tmp_path / "work", PROJECT), command_path)
    made = venv(someone.cwd / ".venv")
    uv("pip", "install", "-q", "--python", str(made), "alpha", "beta", "--editable", str(someone.cwd))
    someone.type("run", "--name", "first", "--", ".venv/bin/python", "train.py")
    someone.type("remote", "add", "origin", str(tmp_path / "remote"))
    return someone


def test_a_package_that_vanished_is_named_before_it_is_needed(person: Person, index: Index) -> None:
    person.type("env", "check", "first")
    index.removed.add("alpha")
    said = person.type("env", "check", "first", code=1)
    assert "alpha" in said
    assert "push --wheels" in said


@pytest.mark.needs("ip")
def test_wheels_on_the_remote_are_all_that_a_machine_without_a_network_needs(
    person: Person, index: Index, tmp_path: Path
) -> None:
    person.type("push", "--wheels")
    assert set(person.json("show", "first")["environment_kept"]) == {"lock", "wheels"}
    index.removed.update(("alpha", "beta", "builder"))
    shutil.rmtree(tmp_path / "uv")
    shutil.rmtree(tmp_path / "work")
    bare = tmp_path / "bare"
    bare.mkdir()
    command = person.path.split(os.pathsep)[0] + "/mltrack"
    words = (command, "reproduce", "first", "--from", tmp_path / "remote", "--into", "again", "--json")
    done = run_offline(words, bare, person.environment())
    verdict = json.loads(done.stdout)["verdict"]
    assert (done.returncode, verdict["grade"]) == (0, "identical"), done.stdout + done.stderr
    assert (bare / "again" / "out.txt").read_text() == "1.0 7"


def test_wheels_are_put_together_once_for_an_environment_and_sent_once(person: Person) -> None:
    person.type("run", "--name", "second", "--", ".venv/bin/python", "train.py")
    said = person.try_("push", "--wheels")
    assert (said.returncode, said.stderr.count("putting together")) == (0, 1)
    kept = [person.json("show", name)["environment_kept"] for name in ("first", "second")]
    assert kept[0] == kept[1] and set(kept[0]) == {"lock", "wheels"}
    assert person.json("push", "--wheels")["objects"] == 0
    person.type("verify", "--remote")


def test_wheels_that_are_pushed_after_the_run_was_are_there_for_others(person: Person, tmp_path: Path) -> None:
    person.type("push")
    person.type("push", "--wheels")
    other = Person(tmp_path / "other", person.path)
    other.cwd.mkdir()
    other.type("clone", str(tmp_path / "remote"), "copy")
    copy = Person(other.cwd / "copy", person.path)
    copy.type("pull", "--data")
    copy.type("verify")
    assert set(copy.json("show", "first")["environment_kept"]) == {"lock", "wheels"}
    for _ in range(2):
        person.type("gc", "--remote", "--apply", "--grace", "0")
    person.type("verify", "--remote")


def test_an_index_that_is_down_delays_no_command_and_the_lock_is_completed_later(
    person: Person, monkeypatch: pytest.MonkeyPatch, index: Index
) -> None:
    wheel(index.files, "gamma")
    uv("pip", "install", "-q", "--python", str(person.cwd / ".venv/bin/python"), "gamma")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    said = person.try_("run", "--name", "first", "--", ".venv/bin/python", "train.py")
    assert "no hashes of" in said.stderr
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    person.type("env", "lock", "first")
    assert set(person.json("show", "first")["environment_kept"]) == {"lock"}


@pytest.mark.parametrize(
    "text",
    ["[]", '"x"', '{"url": "https://[bad", "archive_info": {}}', '{"url": "file:///f%FFoo.whl", "archive_info": null}',
     '{"dir_info": {}}', '{"url": "https://h/r", "vcs_info": {"vcs": "git"}}', "{", '{"url": 3, "dir_info": 4}'],
)  # fmt: skip
def test_metadata_that_makes_no_sense_harms_no_run(person: Person, text: str) -> None:
    info = next((person.cwd / ".venv").rglob("alpha-1.0.dist-info"))
    (info / "direct_url.json").write_text(text)
    person.type("run", "--name", "odd", "--", ".venv/bin/python", "train.py")
    run = person.json("show", "odd")
    assert run["status"] == "finished"
    assert run["hardware"]["cores"]
    assert run["environment"]["packages"]["beta"] == "1.0"
    assert [item["path"] for item in run["artifacts"]] == ["out.txt"]
    person.type("env", "show", "odd")


def test_todays_pythonpath_is_no_part_of_a_reproduction(person: Person, tmp_path: Path) -> None:
    (person.cwd / "train.py").write_text("import os, helper\nopen('out.txt', 'w').write(helper.TEXT)\n")
    (person.cwd / "lib").mkdir()
    (person.cwd / "lib" / "helper.py").write_text("TEXT = 'the run'\n")
    person.variables["PYTHONPATH"] = "lib"
    person.type("run", "--name", "helped", "--", ".venv/bin/python", "train.py")
    other = tmp_path / "other"
    other.mkdir()
    (other / "helper.py").write_text("TEXT = 'today'\n")
    person.variables["PYTHONPATH"] = str(other)
    assert person.json("reproduce", "helped")["verdict"]["grade"] == "identical"
