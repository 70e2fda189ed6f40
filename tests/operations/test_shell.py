"""What a shell in a past run is given, before it starts."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from mltrack.operations.repeating.shell import own_variables
from mltrack.operations.request import Declared, Place, Plan, RunRequest
from mltrack.records import Run
from tests.helpers import write


def path_in_shell(tmp_path: Path, **variables: str | None) -> list[str]:
    """The directories of PATH in a shell of a run that was a plain command."""
    words = ("true",)
    run = Run(schema=1, id="0123456789abcdef", name=None, experiment=None, status="finished", command=words, cwd=".")
    place = Place(tmp_path, None, True, variables=variables)  # type: ignore[arg-type]  # nothing here asks git
    plan = Plan(RunRequest(words, tmp_path), place, words, words, ".", Declared())
    return str(own_variables(plan, run, tmp_path)["PATH"]).split(os.pathsep)


def test_mltrack_is_found_behind_all_else_and_brings_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"installed/mltrack": "#!/bin/sh\n", "installed/python": "#!/bin/sh\n"})
    (tmp_path / "installed" / "mltrack").chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "installed" / "mltrack"), "shell"])
    *before, own = path_in_shell(tmp_path, PATH="/environment/bin:/bin")
    assert before == ["/environment/bin", "/bin"], "the run's environment comes first"
    assert os.listdir(own) == ["mltrack"], "not the programs beside it"
    found = shutil.which("mltrack", path=own)
    assert found is not None and os.path.realpath(found) == str(tmp_path / "installed" / "mltrack")


def test_where_nobody_knows_our_program_the_path_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["elsewhere"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert path_in_shell(tmp_path) == ["/usr/bin", "/bin"]
