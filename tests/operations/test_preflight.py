"""Each concern is provoked by a small real project, and is gone when its remedy was followed."""

from __future__ import annotations

import gc
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrack.errors import UsageError
from mltrack.observe.library import find
from mltrack.operations.preflight import Forecast, captured_now, look_ahead, preflight
from mltrack.operations.request import RunRequest
from mltrack.operations.running.foresight import (
    Memory,
    foreseen,
    recall,
    remember,
    waiting_bytes,
    with_preflight,
    words_of,
)
from mltrack.project import Project
from mltrack.records import Artifact, Concern, Environment, Input, Run
from tests.environments.making import pip_install, venv, wheel
from tests.helpers import git, git_repository, tree_of, write
from tests.stories.typing import Person

PLAIN = "print(1)\n"
RANDOM = "import random\nprint(random.random())\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project without a concern: committed, pushed to a git remote, with a remote of mltrack's."""
    root = git_repository(tmp_path / "work", {"train.py": PLAIN, "mltrack.yaml": "remotes: {origin: ../remote}\n"})
    pushed(root)
    return root


def pushed(root: Path) -> None:
    there = root.parent / f"{root.name}.git"
    if not there.exists():
        git(root.parent, "init", "-q", "--bare", str(there))
        git(root, "remote", "add", "origin", str(there))
    git(root, "push", "-q", "origin", "HEAD")


def look(root: Path, *command: str, **options: Any) -> Forecast:
    words = command or (sys.executable, "train.py")
    offline = options.pop("offline", True)
    return preflight(root, RunRequest(words, options.pop("cwd", root), **options), offline)


def found(root: Path, *command: str, **options: Any) -> dict[str, str]:
    """Kind -> grade of all that lowers the grade. The tests ask no index, which is a remark."""
    return {one.kind: one.grade for one in look(root, *command, **options).preflight.concerns if one.grade != "A"}


def test_a_project_in_order_has_an_a_and_nothing_of_it_is_touched(root: Path) -> None:
    before, refs = tree_of(root), git(root, "for-each-ref")
    forecast = look(root)
    assert (forecast.preflight.grade, forecast.past) == ("A", None)
    assert found(root) == {}
    assert tree_of(root) == before and git(root, "for-each-ref") == refs
    assert not (root / ".mltrack").exists()


def test_files_that_are_left_out_are_told_with_their_sizes(root: Path) -> None:
    write(root, {"big.bin": b"0" * (11 << 20), ".env": "KEY=1"})
    messages = {one.kind: one.message for one in look(root).preflight.concerns}
    assert "big.bin (11.0 MiB)" in messages["left-out"]
    assert ".env" in messages["secret-file"]
    assert found(root) == {"left-out": "C", "secret-file": "C"}
    write(root, {".gitignore": "big.bin\n.env\n"})
    assert found(root) == {}


def test_without_watching_what_is_read_must_be_declared(root: Path) -> None:
    write(root, {"mltrack.yaml": "remotes: {origin: ../remote}\nobserve: {sources: off}\n", "x.csv": "1"})
    assert found(root) == {"not-watched": "C"}
    assert found(root, inputs=("x.csv",)) == {"not-watched": "B"}


def test_a_project_without_any_remote_is_on_one_machine_only(root: Path) -> None:
    (root / "mltrack.yaml").unlink()
    assert found(root) == {"no-remote": "C"}


def test_a_commit_that_nobody_else_has_is_a_remark(root: Path) -> None:
    write(root, {"train.py": "print(2)\n"})
    git(root, "commit", "-q", "-a", "-m", "more")
    assert "commit-unpushed" in {one.kind for one in look(root).preflight.concerns}
    assert found(root) == {}
    pushed(root)
    assert "commit-unpushed" not in {one.kind for one in look(root).preflight.concerns}


def test_a_directory_that_is_no_repository_is_looked_at_without_a_trace(tmp_path: Path) -> None:
    write(tmp_path / "plain", {"train.py": RANDOM})
    assert found(tmp_path / "plain") == {"no-remote": "C", "seed": "B"}
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["train.py"]


def test_random_numbers_want_a_seed(root: Path) -> None:
    write(root, {"train.py": RANDOM})
    assert found(root) == {"seed": "B"}
    assert found(root, seed=3) == {}
    assert found(root, sys.executable, "train.py", "--seed", "3") == {}
    write(root, {"params.yaml": "train: {random_seed: 4}\n"})
    assert found(root, params=("params.yaml",)) == {}
    write(root, {"train.py": RANDOM.replace("\n", "\nrandom.seed(0)\n", 1)})
    assert found(root) == {}


def test_an_absolute_path_into_the_project_has_a_relative_one_as_remedy(root: Path) -> None:
    concerns = look(root, sys.executable, str(root / "train.py")).preflight.concerns
    assert [(one.kind, one.remedy) for one in concerns if one.grade != "A"] == [
        ("absolute-path", "Write it relative: train.py")
    ]


def test_paths_outside_and_in_caches_are_told_apart(root: Path, walls: Path) -> None:
    write(root, {"params.yaml": f"data: {walls}/.cache/thing/x\n"})
    assert found(root, sys.executable, "train.py", "--data", f"{root.parent}/x") == {"path-outside": "B"}
    assert found(root, sys.executable, "train.py", "--pattern", "/a[0-9]+/b/") == {}
    assert found(root, params=("params.yaml",)) == {"path-in-cache": "D"}


def test_inputs_over_the_limit_are_not_kept(root: Path) -> None:
    write(root, {"a.csv": "x" * 600, "b.csv": "x" * 600, ".mltrack/config.yaml": "data: {keep_limit: 1000}\n"})
    concerns = look(root, inputs=("a.csv", "b.csv")).preflight.concerns
    assert [one.message for one in concerns if one.kind == "input-not-kept"] == [
        "1 input is not kept, only the digest: b.csv (600 B)."
    ]
    assert found(root, inputs=("a.csv",)) == {}


def test_a_secret_among_the_arguments_cannot_come_back(root: Path) -> None:
    assert found(root, sys.executable, "train.py", "--api-key", "sk-abcdefgh12345678") == {"secret-argument": "F"}


def test_submodules_are_looked_into(root: Path, tmp_path: Path) -> None:
    inner = git_repository(tmp_path / "inner", {"lib.py": PLAIN})
    git(root, "submodule", "add", "-q", str(inner), "lib")
    git(root, "commit", "-q", "-m", "lib")
    pushed(root)
    assert found(root) == {}
    write(root, {"lib/lib.py": "print(2)\n"})
    assert found(root) == {"submodule": "B"}
    git(root / "lib", "commit", "-q", "-a", "-m", "more")
    assert "submodule-unpushed" in found(root)
    git(root / "lib", "push", "-q", "origin", "HEAD:refs/heads/more")
    git(root, "commit", "-q", "-a", "-m", "newer lib")
    assert found(root) == {}


def test_pointers_of_git_lfs_are_not_the_data(root: Path) -> None:
    write(root, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "model.bin": POINTER})
    assert found(root) == {"lfs-pointer": "D"}
    write(root, {"model.bin": b"\0" * 500})
    assert found(root) == {}


def test_an_image_by_a_tag_may_move(root: Path) -> None:
    for image, kinds in (("python:3.11", {"image-tag"}), ("python@sha256:" + "0" * 64, set())):
        project, _, opening = opening_of(root, environment_options={"image": image})
        with project:
            assert {one.kind for one in opening.preflight.concerns if one.grade != "A"} == kinds


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_container_without_an_engine_would_not_start(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{root}/no.sock")
    assert found(root, environment_options={"image": "x@sha256:" + "0" * 64}) == {"would-not-start": "F"}
    gc.collect()  # the docker library leaves its socket open where nobody answers


def test_programs_of_the_machine_are_recorded_by_digest_only(root: Path) -> None:
    assert found(root, "uname", "-a") == {"system": "C"}
    assert found(root, environment_kind="system") == {"python-unseen": "D"}


def test_a_program_that_cannot_be_watched_is_told_before_it_runs(root: Path) -> None:
    head = bytearray(Path(sys.executable).resolve().read_bytes()[:64])
    head[56:58] = bytes(2)  # no segments, and so no dynamic loader
    write(root, {"static": bytes(head)})
    (root / "static").chmod(0o755)
    said = [one.message for one in look(root, "./static").preflight.concerns if one.kind == "unwatched"]
    assert said == (["What the program ./static reads cannot be seen: it is statically linked."] if find() else [])


def test_what_would_not_even_start_is_told_as_that(root: Path) -> None:
    assert found(root, "no-such-program-here").get("would-not-start") == "F"
    assert found(root, "python3", "nothere.py", "x").get("would-not-start") == "F"
    forecast = look(root, inputs=("absent.csv",))
    assert [(one.kind, one.message) for one in forecast.preflight.concerns] == [
        ("would-not-start", "The input absent.csv is not there.")
    ]
    assert "would-not-start" in found(root, params=("absent.yaml",))
    with pytest.raises(UsageError):
        preflight(root, RunRequest((), root), True)


@pytest.mark.parametrize(
    ("words", "lacking"),
    [
        ("python3 nothere.py x", "The script nothere.py"),
        ("python3 -u sub/nothere.py", "The script sub/nothere.py"),
        ("bash nothere.sh", "The script nothere.sh"),
        ("python3 -m nothere_at_all.x", "The module nothere_at_all.x"),
        ("python3 -um pkg.nothere", "The module pkg.nothere"),
        ("python3 train.py", None),
        ("python3 pkg", None),
        ("python3 -c print() x.py", None),
        ("python3 -m pkg.there", None),
        ("python3 -m json.tool", None),
        ("python3 -m email.nothere", None),
        ("python3 - x", None),
        ("bash -c nothere.sh", None),
        ("bash -ec nothere.sh", None),
        ("bash -s x", None),
        ("bash ls", None),
        ("nothere.py", None),
    ],
)
def test_a_script_that_is_not_there_is_told_and_none_that_may_be(tmp_path: Path, words: str, lacking: str) -> None:
    from shutil import which

    from mltrack.operations.running.absent import absent

    write(tmp_path, {"train.py": "", "pkg/__init__.py": "1/0", "pkg/there.py": "", "pkg/__main__.py": ""})
    found = which(words.split()[0]) or "none"
    assert absent(words.split(), found, tmp_path, tmp_path) == lacking


def test_a_package_that_is_only_on_the_path_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "loose", {"loose.py": "X = 1\n", "loose-1.0.dist-info/METADATA": "Name: loose\nVersion: 1.0\n"})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "loose"))
    assert found(root) == {"package-on-path": "D"}


def test_a_package_that_no_index_has_any_more_is_told_unless_offline(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = venv(root / ".venv")
    write(root, {".gitignore": ".venv\n", "empty/x": "", "house/x": ""})
    wheel(root / "house", "private", "7.0")
    pip_install(python, "--no-index", "--find-links", str(root / "house"), "private")
    for name in ("house", "empty"):
        monkeypatch.setenv("UV_NO_INDEX", "1")
        monkeypatch.setenv("UV_FIND_LINKS", str(root / name))
        expected = {} if name == "house" else {"package-gone": "D"}
        assert found(root, str(python), "train.py", offline=False) == expected
    assert found(root, str(python), "train.py") == {}


# -- what the last run of the same command told


def past_run(root: Path, *inputs: Input, **changes: Any) -> Run:
    with Project.open(root) as project:
        run = Run(1, "0" * 16, None, None, "finished", (sys.executable, "train.py", "--lr", "1"), ".")
        run = replace(
            run, created_at="2026-11-21T01:02:03.123456Z", inputs=inputs, environment=Environment("b3:0", "python")
        )
        return project.ledger.seal(replace(run, **changes))


def test_the_last_run_of_the_same_script_tells_of_the_network(root: Path) -> None:
    past_run(root, Input("https://example.org/data.csv", "url", None, found="observed"))
    forecast = look(root)
    assert forecast.past == "0" * 16
    told = [one.message for one in forecast.preflight.concerns if one.kind == "network"]
    assert told == ["In its last run: it reads from the network: https://example.org/data.csv."]
    assert look(root, sys.executable, "-m", "train").past is None, "another program"


def test_what_the_last_run_read_counts_with_the_sizes_of_now(root: Path) -> None:
    write(
        root, {".gitignore": "data.bin", "data.bin": "x" * 2000, ".mltrack/config.yaml": "data: {keep_limit: 1000}\n"}
    )
    past_run(root, Input("data.bin", "file", "b3:" + "1" * 64, 10, found="observed", kept=True))
    assert found(root) == {"input-not-kept": "F"}
    write(root, {"data.bin": "x"})
    assert found(root) == {}


def test_a_disk_that_is_too_full_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past_run(root, artifacts=(Artifact("model.bin", "file", "b3:" + "1" * 64, 1 << 62),))
    assert found(root) == {"disk-full": "D"}


# -- the line, and the record


def opening_of(root: Path, *command: str, **options: Any) -> tuple[Project, Any, Any]:
    from tempfile import mkdtemp

    project = Project.open(root)
    request = RunRequest(command or (sys.executable, "train.py"), root, **options)
    ahead = look_ahead(project, request, Path(mkdtemp(dir=root.parent)))
    return project, ahead.plan, foreseen(project, ahead.plan, ahead.captured, ahead.inputs, ahead.opening)


def test_a_run_is_told_of_what_the_one_before_it_showed(root: Path) -> None:
    project, _, opening = opening_of(root)
    with project:
        assert [one.grade for one in opening.preflight.concerns if one.grade != "A"] == []
        url = Input("https://example.org/a", "url", None)
        done = with_preflight(project, replace(opening, inputs=(url,)))
        assert [one.kind for one in done.preflight.concerns if one.grade != "A"] == ["network"]
        remember(project, done)
    project, _, opening = opening_of(root, sys.executable, "train.py", "--lr", "2")
    with project:
        assert opening.preflight.grade == "D"
        remember(project, with_preflight(project, replace(opening, status="finished")))
        assert recall(project, opening) == Memory(), "it did not read from there again"
    project, _, opening = opening_of(root)
    with project:
        assert opening.preflight.grade == "A"


def test_what_was_remembered_is_void_when_the_settings_change_or_the_file_is_torn(root: Path) -> None:
    project, _, opening = opening_of(root)
    concern = Concern("network", "D", "It reads from the network: x.", "")
    with project:
        from mltrack.compare.preflight.grade import grade

        remember(project, replace(opening, preflight=grade([concern])))
        assert recall(project, opening) == Memory((concern,))
    write(root, {"mltrack.yaml": "data: {keep_limit: 5}\n"})
    with Project.open(root) as project:
        assert recall(project, opening) == Memory()
        memory = next((root / ".mltrack" / "preflight").iterdir())
        for torn in ("{", "[]", "3", '{"words": 1}', memory.read_text().replace("settled", "other")):
            memory.write_text(torn)
            assert recall(project, opening) == Memory()


def test_two_commands_are_one_program_by_script_and_directory() -> None:
    assert words_of(("python", "train.py", "--lr", "1"), ".") == words_of(("/usr/bin/python", "train.py"), ".")
    assert words_of(("python", "train.py"), ".") != words_of(("python", "train.py"), "sub")
    assert words_of(("python", "train.py"), ".") != words_of(("python", "test.py"), ".")


def test_a_pipe_with_bytes_in_it_is_seen_and_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    here, there = socket.socketpair()
    saved = os.dup(0)
    try:
        os.dup2(reading, 0)
        assert waiting_bytes() == 0
        os.write(writing, b"abc")
        assert (waiting_bytes(), os.read(0, 9)) == (3, b"abc")
        os.dup2(here.fileno(), 0)
        there.send(b"ab")
        assert waiting_bytes() == 2
    finally:
        os.dup2(saved, 0)
        for number in (reading, writing, saved):
            os.close(number)
        here.close()
        there.close()


def test_the_ref_of_the_snapshot_goes_at_once(root: Path) -> None:
    write(root, {"train.py": "print(3)\n"})
    project, plan, _ = opening_of(root)
    with project:
        captured = captured_now(project, plan, plan.place.repository)
    assert captured.code.dirty
    assert b"refs/mltrack" not in git(root, "for-each-ref")


# -- runs that are watched


@pytest.fixture
def person(root: Path, command_path: str) -> Person:
    write(root, {"read.py": "import sys\nopen(sys.argv[1]).read()\nsys.exit(len(sys.argv) - 2)\n"})
    write(root, {"big.txt": "x" * (11 << 20), ".env": "KEY=1"})
    return Person(root, command_path)


def line_of(person: Person, *words: str) -> str:
    """What is said of the preflight when a run starts and when it has ended."""
    done = person.try_("run", "--", "python", "read.py", *words)
    return "".join(line for line in done.stderr.splitlines(True) if "preflight" in line)


def grades_of(person: Person) -> dict[str, str]:
    return {
        one["kind"]: one["grade"] for one in person.json("show", "@")["preflight"]["concerns"] if one["grade"] != "A"
    }


def test_what_was_left_out_and_seen_to_be_read_is_settled_by_the_run(person: Person) -> None:
    assert "1 file is left out of the snapshot; 1 secret file is not recorded" in line_of(person, "big.txt")
    assert grades_of(person) == {}, "one was kept as an input, the other was not read"
    assert line_of(person, "big.txt") == ""
    assert found(person.cwd, "python", "read.py", "big.txt") == {}


def test_a_secret_file_that_is_read_stays_a_concern(person: Person) -> None:
    line_of(person, ".env")
    assert grades_of(person) == {"reads-secret": "D"}
    assert "preflight D: it read .env" in line_of(person, "big.txt")
    assert line_of(person, "big.txt") == "", "it did not read it again"


LOGS = """import json, os, random
print(random.random())
with open(os.environ["MLTRACK_PARAMS"], "a") as file:
    file.write(json.dumps({"-deeS".lower()[::-1].strip("-"): 3}))
"""
"""Logs a param called `seed`, though that word does not stand in it."""


def test_a_seed_that_the_program_logs_is_one(root: Path, command_path: str) -> None:
    person = Person(root, command_path)
    write(root, {"read.py": LOGS})
    assert "no seed is set" in line_of(person)
    assert person.json("show", "@")["params"] == {"seed": 3}
    assert grades_of(person) == {}
    assert line_of(person) == ""
    assert found(root, "python", "read.py") == {}


def test_a_run_that_fails_early_does_not_make_what_the_last_one_showed_forgotten(person: Person) -> None:
    line_of(person, ".env")
    assert "preflight D" in line_of(person, "read.py", "fail")
    assert "preflight D" in line_of(person, "big.txt")
