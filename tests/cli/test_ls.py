"""`mltrack ls`: every format, whole in a pipe, in a project of made-up runs."""

from __future__ import annotations

import csv
import gc
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mltrack.cli.app import main
from mltrack.flat import FACTS
from mltrack.operations.asking import runs as ask
from mltrack.project import Project
from tests.views.nasty import nasty_runs, put, run_id, sweep

Type = Callable[..., str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ls")
    (root / ".mltrack").mkdir()
    with Project(root) as project:
        put(project, [*sweep(40), *nasty_runs()])
    return root


@pytest.fixture
def ls(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Type]:
    monkeypatch.chdir(place)

    def type_(*words: str, code: int = 0, stderr: bool = False) -> str:
        capsys.readouterr()
        assert main(["ls", *words]) == code
        shown = capsys.readouterr()
        return shown.err if stderr or code else shown.out

    yield type_
    gc.enable()


def test_csv_has_every_run_and_everything_of_it(ls: Type) -> None:
    rows = list(csv.reader(io.StringIO(ls("--format", "csv"))))
    assert len(rows) == 53 and rows[0][: len(FACTS)] == list(FACTS)
    assert {"params.lr", "metrics.acc", "params.モデル"} <= set(rows[0])
    assert {len(row) for row in rows} == {len(rows[0])}
    values = ask().columns().values
    assert list(values) == rows[0] and list(values["id"]) == [row[0] for row in rows[1:]]


def test_each_line_of_jsonl_is_a_run_as_json_has_it(ls: Type) -> None:
    lines = ls("--format", "jsonl").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == json.loads(ls("--json")) == json.loads(ls("--format", "json"))
    assert len(lines) == 53
    assert json.loads(ls("--json", "--limit", "2"))[1]["id"] == json.loads(lines[1])["id"]


def test_columns_are_the_same_in_every_format(ls: Type) -> None:
    words = ("params.depth = 3", "--columns", "id,params.lr,acc,metrics.loss.min,tags", "--sort", "id")
    rows = list(csv.reader(io.StringIO(ls(*words, "--format", "csv"))))
    objects = json.loads(ls(*words, "--format", "json"))
    assert rows[0] == list(objects[0]) == ["id", "params.lr", "acc", "metrics.loss.min", "tags"]
    assert [row[0] for row in rows[1:]] == [one["id"] for one in objects]
    assert [json.loads(line) for line in ls(*words, "--format", "jsonl").splitlines()] == objects
    markdown = ls(*words, "--format", "md").splitlines()
    assert markdown[0] == "| id | params.lr | acc | metrics.loss.min | tags |" and len(markdown) == len(rows) + 1
    assert ls(*words).splitlines()[0].split() == ["id", "lr", "acc", "loss.min", "tags"]


def test_markdown_has_the_columns_of_the_table_with_their_values_in_full(ls: Type) -> None:
    header, _, first = ls("tag is null and name is null", "--limit", "3", "--format", "md").splitlines()[:3]
    assert header.startswith("| id | status | created_at | ") and "params.lr" in header
    assert run_id(139) in first


def test_the_best_run_is_first_by_what_its_name_says_and_else_the_largest(ls: Type) -> None:
    acc = json.loads(ls("--best", "metrics.acc", "--json", "--limit", "1"))[0]["metrics"]["acc"]["last"]
    assert acc == max(json.loads(ls("metrics.acc is not null and not metrics.acc = nan", "--json", "--sort", "-acc"))[
        0]["metrics"]["acc"]["last"], acc)  # fmt: skip
    loss = json.loads(ls("--best", "loss", "--json", "--limit", "1"))[0]["metrics"]["loss"]["last"]
    assert loss == 0.0 or loss < 0.21
    assert "the largest is first" in ls("--best", "params.depth", "--limit", "1", stderr=True)
    assert "the largest is first" not in ls("--best=-params.depth", "--limit", "1", stderr=True)


def test_groups_are_in_every_format(ls: Type) -> None:
    words = ("name is null", "--group-by", "params.model", "--best", "metrics.acc")
    found = json.loads(ls(*words, "--json"))
    rows = list(csv.DictReader(io.StringIO(ls(*words, "--format", "csv"))))
    assert [row["params.model"] for row in rows] == [one["params.model"] or "" for one in found]
    assert sum(one["runs"] for one in found) == len(json.loads(ls("name is null", "--json")))
    best = max((one for one in found if one["best"] is not None), key=lambda one: one["best"])
    assert best == found[0] and found[0]["metrics.acc.best"] == best["best"]
    assert ls(*words).splitlines()[0].split()[:4] == ["model", "acc", "best", "run"]
    assert ls("--group-by", "model,status", "--format", "md").count("\n") > 4


def test_only_what_differs_is_in_each_format(ls: Type) -> None:
    words = ("params.model = gru and name is null", "--only-changed")
    names = list(json.loads(ls(*words, "--json"))[0])
    assert "id" in names and "params.lr" in names and "params.model" not in names and "status" not in names
    assert next(csv.reader(io.StringIO(ls(*words, "--format", "csv")))) == names
    assert "the same in all: " in ls(*words) and "model = gru" in ls(*words)
    assert list(json.loads(ls(*words, "--json", "--columns", "lr,model"))[0]) == ["lr"]
    markdown = ls(*words, "--format", "md")
    assert markdown.startswith("| id | created_at |") and "\nThe same in all: status = finished, " in markdown
    alone = ls(*words, "--limit", "1", "--format", "csv").splitlines()
    assert [len(alone), alone[0]] == [2, "id"]


def test_a_query_in_words_and_one_in_an_option_must_both_hold(ls: Type) -> None:
    both = json.loads(ls("params.model = gru or params.model = lstm", "--where", "params.depth = 3", "--json"))
    assert both and all(one["params"]["depth"] == 3 for one in both)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--format", "xml"], "no format 'xml'"),
        (["--json", "--format", "csv"], "two formats"),
        (["--columns", "accc"], "no column 'accc'"),
        (["--columns", "id,,acc"], "a name is missing"),
        (["--columns", "packages"], "has names of its own"),
        (["--best", "acc", "--sort", "id"], "both give the order"),
        (["--best", "tag"], "cannot be sorted by tag"),
        (["--group-by", "tag"], "a run may have several"),
        (["--group-by", "nothing"], "no column 'nothing'"),
        (["--group-by", "status", "--sort", "id"], "groups stand by their values"),
        (["--group-by", "status", "--only-changed"], "Leave one of them away"),
        (["metrics.acc >"], "^ expected a number"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(ls: Type, words: list[str], said: str) -> None:
    assert said in ls(*words, code=2)


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl", "md"])
def test_nothing_is_an_answer_in_every_format(
    ls: Type, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = {"table": "No run", "csv": "", "json": "[]", "jsonl": "", "md": "| id"}[form]
    assert ls("status = lost and metrics.acc > 5", "--format", form).startswith(empty)
    assert ls("status = lost and metrics.acc > 5", "--format", form, "--group-by", "model").count("\n") <= 2
    monkeypatch.chdir(tmp_path)
    assert ls("--format", form).startswith(empty)


def test_columns_may_be_packages_and_names_with_commas(ls: Type) -> None:
    found = json.loads(ls("--columns", 'id,packages.numpy,params."a,b"', "--json", "--limit", "3"))
    assert found[0]["packages.numpy"] == "2.1.0" and found[0]['params."a,b"'] is None


def test_a_name_that_no_run_has_is_told_wherever_it_stands(ls: Type) -> None:
    said = "No run has a parameter called depht; did you mean depth?"
    for words in (["--columns", "id,params.depht"], ["--group-by", "params.depht"], ["--sort", "params.depht"]):
        assert said in ls(*words, "--format", "jsonl", stderr=True)


def test_json_stays_json_where_only_ascii_can_be_said(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    told = []
    for encoding in ("ascii", "utf-8"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr("sys.stdout", stream)
        assert main(["ls", "--format", "jsonl", "--columns", "id,name,tags,why"]) == 0
        told.append([json.loads(line) for line in stream.buffer.getvalue().decode().splitlines()])
    gc.enable()
    assert told[0] == told[1]
