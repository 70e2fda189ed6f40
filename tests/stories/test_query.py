"""A person asks which runs there are, and runs many of them again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.errors import NotFound, UsageError
from mltrack.ledger.asking.queries import RunQuery
from mltrack.ledger.ledger import Ledger
from mltrack.operations import find
from mltrack.operations.asking import Bounds, condition_of, runs
from mltrack.operations.find import fits
from mltrack.operations.repeating.rerun_many import Again, choose
from mltrack.operations.running.record import INSIDE
from mltrack.project import Project
from mltrack.records import CodeState, MetricSummary, Parent
from mltrack.views.reruns import repeats_line, reruns_json, reruns_page
from tests.helpers import git_repository
from tests.ledger.made import run
from tests.stories.typing import Person

TRAIN = """import os, sys
lr = float(sys.argv[sys.argv.index("--lr") + 1])
print(f"acc: {1 - lr}", flush=True)
if os.path.exists("slow"):
    import time
    try:
        time.sleep(30)
    except KeyboardInterrupt:
        sys.exit(0)
sys.exit(3 if lr > 0.4 and not os.path.exists("mended") else 0)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three runs, of which the last failed."""
    return git_repository(
        tmp_path_factory.mktemp("query") / "work", {"train.py": TRAIN, ".gitignore": "mended\nslow\n"}
    )


@pytest.fixture(scope="module")
def person(place: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Person:
    person = Person(place, request.getfixturevalue("command_path"))
    for lr, model in (("0.1", "lstm"), ("0.2", "mlp"), ("0.5", "lstm")):
        words = [
            "--tag",
            model,
            "--metrics",
            "stdout:{name}: {value}",
            "--",
            "python",
            "train.py",
            "--lr",
            lr,
            "--model",
            model,
        ]
        person.type("run", "--quiet", *words, code=3 if lr == "0.5" else 0)
    return person


def rates(person: Person, *words: str) -> list[float]:
    return [run["params"]["lr"] for run in person.json("ls", *words)]


def test_runs_are_asked_for_in_words(person: Person) -> None:
    assert rates(person, "params.lr < 0.3 and params.model = lstm") == [0.1]
    assert rates(person, "params.model", "=", "lstm", "--sort", "-params.lr") == [0.5, 0.1]
    assert rates(person, "tag:lstm", "status=failed") == [0.5]
    assert rates(person, "created > -1d", "--since", "today", "--tag", "mlp") == [0.2]
    assert rates(person, "--branch", "elsewhere") == []
    table = person.type("ls", "--sort", "params.lr", "--limit", "1", "not", "status", "=", "failed")
    assert "0.1" in table and "0.2" not in table


def test_a_wrong_query_is_shown_with_a_caret_below_the_place(person: Person) -> None:
    error, hint = person.fails("ls", "params.lr > 0.1 and stats = failed", code=2)
    assert "error: " + error == "error: Not a query: params.lr > 0.1 and stats = failed"
    assert ("hint: " + hint).index("^") == ("error: " + error).index("stats")
    assert hint.endswith("did you mean status?")
    assert "several" in person.fails("ls", "--sort", "inputs.path", code=2)[0]


def test_a_name_that_no_run_has_is_said(person: Person) -> None:
    done = person.try_("ls", "params.learning = 3 or params.modell = lstm")
    assert done.returncode == 0 and "No run fits" in done.stdout
    assert "mltrack: No run has a parameter called modell; did you mean model?" in done.stderr
    done = person.try_("ls", "--sort", "-metrics.accuracy", "--json")
    assert len(json.loads(done.stdout)) == 3 and "No run has a metric called accuracy" in done.stderr
    assert person.try_("ls", "params.lr is not null", "--sort", "params.model").stderr == ""


def test_many_are_run_again_the_oldest_first(person: Person) -> None:
    (person.cwd / "mended").unlink(missing_ok=True)
    planned = person.type("rerun", "--where", "params.lr > 0.15", "--plan")
    assert [line.split()[-3] for line in planned.splitlines()[1:]] == ["0.2", "0.5"]
    done = person.try_("rerun", "--where", "params.lr > 0.15")
    assert done.returncode == 1 and "1 of 2 started ended well." in done.stdout
    assert "mltrack: 2 of 2: " in done.stderr and "identical" in done.stdout
    first, last = (one["id"] for one in person.json("ls", "params.lr = 0.5", "--sort", "created"))
    report = json.loads(person.type("rerun", last, first, "--fail-fast", "--quiet", "--json", code=1))
    assert [one["run"] for one in report["runs"]] == [first] and report["runs"][0]["status"] == "failed"
    assert (report["not_started"], report["left"]) == (1, [last])
    (person.cwd / "mended").touch()
    done = person.try_("rerun", "--where", "params.lr = 0.5", "--quiet", "--json")
    assert done.returncode == 0 and "2 repeat others and are left out" in done.stderr
    assert [(one["run"], one["exit_code"]) for one in json.loads(done.stdout)["runs"]] == [(first, 0)]


def test_what_cannot_be_run_again_is_said(person: Person) -> None:
    assert person.fails("rerun", "--where", "params.lr = 7", code=4)[0] == "No run fits."
    assert "^ expected a value" in person.fails("rerun", "--where", "params.lr =", code=2)[1]
    person.fails("rerun", "--where", "tag:lstm", "--name", "x", code=2)
    person.fails("rerun", "@", "--where", "tag:lstm", code=2)
    person.fails("rerun", "nothing", code=125)


def test_an_interrupt_stops_the_rest_and_reports(person: Person) -> None:
    (person.cwd / "slow").touch()
    process = subprocess.Popen(
        ["mltrack", "rerun", "--where", "params.lr < 0.3", "--json"],
        executable=person.path.split(os.pathsep)[0] + "/mltrack",
        cwd=person.cwd,
        env=person.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert any(b"1 of 2: " in line for line in iter(process.stderr.readline, b""))
    deadline = time.monotonic() + 30
    while not any(one["status"] == "running" for one in person.json("ls", "--limit", "1")):
        assert time.monotonic() < deadline and process.poll() is None
    assert "No run fits that has ended." in person.fails("rerun", "--where", "status = running", code=4)[0]
    process.send_signal(signal.SIGINT)
    report = json.loads(process.communicate(timeout=30)[0])
    assert process.returncode == 130
    assert [one["status"] for one in report["runs"]] == ["finished"], "it takes a Ctrl-C for a wish to end well"
    assert report["not_started"] == len(report["left"]) >= 1
    (person.cwd / "slow").unlink()


# -- in process


@pytest.fixture
def project(tmp_path: Path) -> Project:
    with Project.open(git_repository(tmp_path / "work")) as project:
        yield project


def sealed(ledger: Ledger, **changes: object) -> str:
    return ledger.seal(run(**changes)).id


def test_python_asks_the_same(project: Project) -> None:
    low = sealed(project.ledger, metrics={"acc": MetricSummary(0.5, 0.5, 0.5, 1)})
    high = sealed(project.ledger, metrics={"acc": MetricSummary(0.9, 0.9, 0.9, 1)})
    import mltrack

    assert [one.id for one in mltrack.runs("metrics.acc > 0.6", directory=project.root)] == [high]
    found = runs("metrics.acc > 0.1", sort="metrics.acc", limit=1, directory=project.root)
    assert [one.id for one in found] == [low] and found[0].environment.packages["numpy"] == "2.1.0"
    with pytest.raises(UsageError, match="expected a number"):
        runs("metrics.acc >", directory=project.root)
    for limit in (0, -1, "5", True, 1.5):
        with pytest.raises(UsageError, match="no number of runs"):
            runs(limit=limit, directory=project.root)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="soon"):
        condition_of([], Bounds(since="soon"))


def test_in_what_was_laid_out_the_project_that_owns_it_is_asked(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = sealed(project.ledger)
    workspace = git_repository(project.work / "0123456789abcdef", {"sub/x": ""})
    monkeypatch.chdir(workspace / "sub")
    assert [one.id for one in runs()] == [one.id for one in runs(directory=workspace)] == [only]
    named = git_repository(tmp_path / "into", {"x": ""})
    monkeypatch.chdir(named)
    with pytest.raises(NotFound):
        runs()
    monkeypatch.setenv("MLTRACK_ARTIFACTS", str(project.runs / "0123456789abcdef" / "artifacts"))
    assert [one.id for one in runs()] == [only]
    with pytest.raises(NotFound):
        runs(directory=named)


@pytest.mark.parametrize("lacks", ["", "import sys; sys.modules['sqlite3'] = None; "])
def test_an_interpreter_without_mltrack_and_its_packages_asks_too_or_says_what_to_do(
    project: Project, lacks: str
) -> None:
    only = sealed(project.ledger)
    environment = {"PYTHONPATH": str(INSIDE)}
    code = f"{lacks}import mltrack; print(mltrack.runs('status = finished')[0].id)"
    command = [sys._base_executable, "-S", "-c", code]  # type: ignore[attr-defined]
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == ("" if lacks else only)
    assert ("install mltrack-ledger there, or ask the command: mltrack ls" in done.stderr) == bool(lacks)


def test_repetitions_of_a_calibration_are_left_out_unless_asked_for(project: Project) -> None:
    origin = {"replica": project.ledger.replica}
    first = sealed(project.ledger, origin=origin, created_at="2026-11-20T00:00:00.000000Z")
    again = sealed(project.ledger, origin=origin, parent=Parent("calibrate", first))

    def listed(text: str = "", **more: bool) -> set[str]:
        return {one.id for one in find.list_runs(project, RunQuery(where=condition_of([text]), **more))}

    assert listed() == listed("status = finished") == {first}
    assert listed("parent is not null") == listed("parent.kind = calibrate") == {again}
    assert listed(include_deleted=True) == {first, again}
    assert find.find_run(project, "@").id == first and find.find_run(project, again).id == again
    assert project.ledger.count() == 2 and project.ledger.count(repetitions=False) == 1
    with pytest.raises(NotFound):
        find.find_run(project, "@~1")


def test_a_run_that_repeats_another_that_fits_is_not_run_again_with_it(project: Project) -> None:
    def made(number: int, kind: str = "", of: str = "", **changes: object) -> str:
        parent = Parent(kind, of) if kind else None
        moment = f"2026-11-20T00:00:0{number}.000000Z"
        return sealed(project.ledger, name="base", created_at=moment, parent=parent, **changes)

    def chosen(text: str, limit: int | None = None) -> tuple[list[str], set[str]]:
        found = choose(project, (), RunQuery(limit, where=condition_of([text]), brief=True))
        return [one.id for one in found.runs], {one.id for one in found.repeats}

    first = made(0)
    other = made(1, "resume", first)
    again = made(2, "rerun", first, status="failed", exit_code=1)
    third = made(3, "reproduce", again)
    assert chosen("name = base") == ([first, other], {again, third})
    assert chosen("status = finished") == ([first, other], {third}), "also by way of one that does not fit"
    assert chosen("name = base", 1) == ([other], {again, third}), "the limit counts what is run"
    assert chosen("status = failed") == ([again], set())
    assert chosen("name = base and (parent is null or parent is not null)")[0] == [first, other, again, third]
    assert [one.id for one in choose(project, [again, first]).runs] == [first, again], "what is named is run"


def test_what_was_not_started_is_named_and_not_counted() -> None:
    runs = [replace(run(), id=letter * 16) for letter in "abcd"]
    done = [Again(runs[0], runs[0]), Again(runs[1], error="no python"), Again(runs[2], replace(run(), status="failed"))]
    text = reruns_page(done, runs).render(None, False)
    assert "1 of 2 started ended well." in text and "2 not started: bbbbbbbb, dddddddd." in text
    assert reruns_json(done, runs)["left"] == ["d" * 16]
    assert "All 1 ended well." in reruns_page(done[:1], runs[:1]).render(None, False)
    assert "bbbbbbbb repeats another and is left out" in repeats_line(runs[1:2])


def test_a_run_that_is_alive_is_asked_the_same(project: Project) -> None:
    living = replace(run(), status="running", parent=Parent("calibrate", "a" * 16), code=CodeState(branch="main"))
    for text, holds in (
        ("status = running", False),
        ("parent.kind = calibrate", True),
        ("parent.run = a", True),
        ("parent is null", False),
    ):
        assert fits(living, RunQuery(where=condition_of([text]))) is holds
    assert fits(living, RunQuery(include_deleted=True)) and not fits(living, RunQuery())
    assert fits(replace(living, parent=None), RunQuery(where=condition_of([], Bounds("2020", "2100", "main"))))
    assert not fits(replace(living, parent=None), RunQuery(where=condition_of([], Bounds(branch="x"))))


def test_a_metric_whose_name_ends_like_a_summary_is_named_in_full(project: Project) -> None:
    sealed(project.ledger, metrics={"val.max": MetricSummary(1, 1, 1, 1)}, params={"model.depth": 3})
    query = RunQuery(where=condition_of(["metrics.val.max > 0 or params.depth = 3"]), sort="packages.nump")
    said = project.ledger.unknown_names(query, [])
    assert said == [
        'No run has a metric called val; val.max is written metrics."val.max".',
        "No run has a parameter called depth; did you mean model.depth?",
        "No run has a package called nump; did you mean numpy?",
    ]
    assert project.ledger.unknown_names(query, [("metric", "val"), ("param", "depth"), ("package", "nump")]) == []
