"""`mltrack preflight` and the line at a run's start, as a person types them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import mltrack
from mltrack.compare.preflight.foreseen import EARLY, OF_SNAPSHOT
from mltrack.compare.preflight.hindsight import CARRIED, ENVIRONMENT, WARNINGS
from tests.helpers import git_repository, write
from tests.stories.typing import Person

RANDOM = "import random\nopen('out.txt', 'w').write(str(random.random()))\n"
READS = "import random\nrandom.seed(1)\nprint(len(open('data.bin', 'rb').read()))\n"


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    files = {"train.py": RANDOM, "mltrack.yaml": "remotes: {origin: ../remote}\n"}
    return Person(git_repository(tmp_path / "work", files), command_path)


def forecast(person: Person, *words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(person.type("preflight", "--offline", "--json", *words, code=code))
    return found


def test_a_preflight_starts_nothing_and_answers_with_a_grade(person: Person) -> None:
    found = forecast(person, "--", "python", "train.py")
    assert list(found) == ["grade", "holds", "concerns", "command", "past", "is_offline"]
    assert (found["grade"], found["holds"], found["past"], found["is_offline"]) == ("B", True, None, True)
    assert set(found["concerns"][0]) == {"kind", "grade", "message", "remedy"}
    assert not (person.cwd / "out.txt").exists() and not (person.cwd / ".mltrack").exists()
    assert "  B  No seed is set" in person.type("preflight", "--offline", "--", "python", "train.py")


def test_the_exit_code_says_whether_the_grade_is_good_enough(person: Person) -> None:
    assert forecast(person, "--min-grade", "b", "--", "python", "train.py")["holds"] is True
    assert forecast(person, "--min-grade", "A", "--", "python", "train.py", code=1)["holds"] is False
    assert "grade" in person.fails("preflight", "--min-grade", "E", "--", "python", "train.py", code=2)[0]


def test_options_of_the_command_are_its_own(person: Person) -> None:
    found = forecast(person, "python", "train.py", "--seed", "3", "--offline")
    assert (found["grade"], found["command"][-3:]) == ("A", ["--seed", "3", "--offline"])


def test_a_run_begins_with_its_grade_and_ends_with_it_in_the_record(person: Person) -> None:
    done = person.try_("run", "--", "python", "train.py")
    lines = [line for line in done.stderr.splitlines() if "preflight" in line]
    assert lines == ["mltrack: preflight B: no seed is set (mltrack preflight -- ... says more)"]
    record = person.json("show", "@")
    assert [(one["kind"], one["grade"]) for one in record["preflight"]["concerns"] if one["grade"] != "A"] == [
        ("seed", "B")
    ]
    assert "B" in person.type("ls", "--columns", "id,preflight")
    assert "Preflight    B: No seed is set" in person.type("show", "@")


def test_a_run_without_a_concern_and_a_quiet_one_say_nothing(person: Person) -> None:
    assert "preflight" not in person.try_("run", "--seed", "1", "--", "python", "train.py").stderr
    assert "preflight" not in person.try_("run", "--quiet", "--", "python", "train.py").stderr


def test_what_comes_through_a_pipe_is_told_and_reaches_the_command(person: Person) -> None:
    write(person.cwd, {"cat.py": "import sys\nprint(sys.stdin.read())\n"})
    done = person.try_("run", "--", "python", "cat.py", input=b"abc")
    assert "preflight C: standard input is a pipe, and what comes through it is not recorded" in done.stderr
    assert done.stdout.strip() == "abc"


def test_a_program_that_breaks_the_look_at_it_still_runs(person: Person) -> None:
    write(person.cwd, {"odd.py": b"\xff\x00import \xfe from\nfrom\n", ".gitattributes": b"\xff filter=lfs\n"})
    done = person.try_("run", "--", "python", "-c", "print(7)", "odd.py")
    assert (done.returncode, done.stdout.strip()) == (0, "7")


def test_the_guide_has_every_kind_of_concern() -> None:
    root = Path(mltrack.__file__).parent
    source = "".join((root / name).read_text() for name in ("compare/preflight/foreseen.py", "operations/preflight.py"))
    written = re.findall(r'Concern\(\s*"([a-z-]+)"', source + (root / "compare/preflight/hindsight.py").read_text())
    written += [*WARNINGS, *(row[1] for row in ENVIRONMENT), "environment", "image", *EARLY, *OF_SNAPSHOT, *CARRIED]
    guide = (root.parent / "docs" / "guides" / "preflight.md").read_text()
    listed = {kind for row in re.findall(r"^\| (`.*?) \|", guide, re.MULTILINE) for kind in re.findall("`(.*?)`", row)}
    assert set(written) == listed
