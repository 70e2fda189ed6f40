"""The options of `mltrack diff`; what it finds is tested in its rooms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mltrack.cli.app import main
from mltrack.records import CodeState
from tests.operations.content_made import a_run, id_of, project_with


@pytest.fixture(autouse=True)
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLTRACK_PAGER", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.setenv(name, "")  # so that what the command line sets is gone after the test
    with project_with(
        tmp_path / "p", a_run("a", 0, params={"lr": 1}, command=("x",)), a_run("b", 9, params={"lr": 2}, command=("x",))
    ):
        pass
    monkeypatch.chdir(tmp_path / "p")


def diff(*words: str) -> int:
    return main(["diff", id_of("a"), id_of("b"), *words])


def test_sections_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert diff("--section", "params, outcome") == 0
    shown = capsys.readouterr().out
    assert "\nParams\n" in shown and "Circumstances" not in shown
    assert diff("--section", "parms") == 2
    assert capsys.readouterr().err == "error: There is no section called parms.\nhint: Did you mean params?\n"


def test_the_exit_code_says_whether_they_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert diff("--exit-code", "--no-pager") == 1
    assert main(["diff", id_of("a"), id_of("a"), "--exit-code"]) == 0
    assert diff("--exit-code", "--section", "outcome") == 1, "what is shown makes no two runs equal"


def test_names_alone_are_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert diff("--name-only") == 0
    assert capsys.readouterr().out == ""


def test_colours_can_be_forced_and_json_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--color=always", "diff", id_of("a"), id_of("b")]) == 0
    assert "\x1b[1mParams\x1b[0m" in capsys.readouterr().out
    assert diff("--json", "--color", "always") == 0
    assert json.loads(capsys.readouterr().out)["params"][0]["percent"] == 100.0


def test_equal_code_needs_no_tool(capsys: pytest.CaptureFixture[str]) -> None:
    assert diff("--tool") == 0
    assert "the code is the same" in capsys.readouterr().err


def test_where_the_code_is_not_to_be_had_a_person_gets_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    codes = [CodeState(None, None, True, None, letter * 40, packs=(f"b3:{letter * 64}",)) for letter in "12"]
    project_with(Path(), a_run("c", 20, params={"lr": 1}, code=codes[0]), a_run("d", 30, code=codes[1])).close()
    assert main(["diff", id_of("c"), id_of("d")]) == 6
    seen = capsys.readouterr()
    assert "\nParams\n" in seen.out and "The code of c000" in seen.err
    assert main(["diff", id_of("c"), id_of("d"), "--json"]) == 6
    assert capsys.readouterr().out == ""
    assert main(["diff", id_of("c"), id_of("d"), "--section", "params"]) == 0
