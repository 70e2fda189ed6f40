"""`mltrack compare` from the command line: what goes where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mltrack.cli.app import main
from mltrack.project import Project
from tests.views import nasty


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Project.open(tmp_path) as project:
        nasty.put(
            project, [nasty.run(one, name=f"run-{one}", metrics={"acc": nasty.metric(one / 9)}) for one in range(3)]
        )
    monkeypatch.chdir(tmp_path)


def test_json_goes_to_stdout_and_names_the_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "run-0", "run-2", "--against", "run-2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["baseline"] == nasty.run_id(2) and [one["name"] for one in told["runs"]] == ["run-0", "run-2"]
    assert [one["field"] for one in told["rows"] if one["section"] == "metrics"] == ["metrics.acc"]


def test_only_the_rows_that_are_asked_for_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--columns", "acc,python", "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "id,name,environment.python,metrics.acc"
    assert main(["compare", "-m", "a*", "--json"]) == 0
    assert [one["field"] for one in json.loads(capsys.readouterr().out)["rows"]] == ["metrics.acc"]
    assert main(["compare", "-m", "ac"]) == 2
    assert "Did you mean acc?" in capsys.readouterr().err


def test_a_pipe_gets_a_table_and_each_format_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "run-0", "run-1"]) == 0
    assert capsys.readouterr().out.startswith("2 runs. They differ in")
    for form, start in (("csv", "id,name,"), ("jsonl", '{"id": '), ("md", "|  | "), ("json", "[\n")):
        assert main(["compare", "run-0", "run-1", "--format", form]) == 0
        assert capsys.readouterr().out.startswith(start)


def test_what_cannot_be_compared_is_an_error_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "nothing-of-that-name"]) == 4
    assert main(["compare", "--format", "xml"]) == main(["compare", "metrics.acc >"]) == 2
    assert capsys.readouterr().err.count("error: ") == 3
