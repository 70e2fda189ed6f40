"""What the processes of a run tell, in its record; and what is said of another machine before a reproduction."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from mltrack.operations.repeating.repetition import tell_of_here
from mltrack.records import Environment
from mltrack.snapshot.hardware import capture_hardware
from tests.compare.samples import sample_run
from tests.environments.making import venv
from tests.helpers import git_repository


def mltrack(project: Path, path: str, *words: str) -> str:
    done = subprocess.run(
        ["mltrack", *words], cwd=project, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(project: Path, path: str) -> dict[str, Any]:
    return dict(json.loads(mltrack(project, path, "show", "@", "--json")))


def with_alpha(tmp_path: Path, path: str) -> str:
    """A PATH whose `python` has `alpha` and `beta`, of which alpha is imported by the project's train.py."""
    from tests.environments.making import wheel

    wheel(tmp_path / "wheels", "alpha")
    wheel(tmp_path / "wheels", "beta")
    made = venv(tmp_path / "venv", "alpha", "beta", wheels=tmp_path / "wheels")
    return os.pathsep.join([path.split(os.pathsep)[0], str(made.parent), path])


def test_a_run_records_what_it_imported(tmp_path: Path, command_path: str) -> None:
    project = git_repository(tmp_path / "project", {"train.py": "import alpha\n"})
    path = with_alpha(tmp_path, command_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    mltrack(project, path, "run", "--", python, "train.py")
    environment = shown(project, path)["environment"]
    assert environment["imported"] == ["alpha"]
    if hasattr(os, "confstr") and sys.platform == "linux":
        assert set(environment["libraries"]) <= {"glibc"}
    mltrack(project, path, "run", "--", python, "-I", "train.py")
    assert shown(project, path)["environment"]["imported"] is None


def test_a_python_that_was_not_expected_is_warned_of_and_nothing_else_is(tmp_path: Path, command_path: str) -> None:
    files = {"train.py": "import alpha\n", "start.sh": ". ./inner\n", "inner": "python train.py\n"}
    project = git_repository(tmp_path / "project", files)
    with_alpha(tmp_path, command_path)
    path = f"{tmp_path}/venv/bin{os.pathsep}{command_path}"
    mltrack(project, path, "run", "--", "sh", "start.sh")
    run = shown(project, path)
    assert run["environment"]["kind"] == "system"
    (warning,) = run["warnings"]
    assert "--env python" in warning["message"]
    mltrack(project, path, "run", "--", "true")
    assert shown(project, path)["warnings"] == []


def test_two_locks_of_one_version_with_other_files_are_told_in_words(tmp_path: Path, command_path: str) -> None:
    project = git_repository(tmp_path / "project", {"train.py": "import alpha\n"})
    path = with_alpha(tmp_path, command_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    mltrack(project, path, "run", "--", python, "train.py")
    record = next((tmp_path / "venv").glob("lib/*/site-packages/alpha-1.0.dist-info/RECORD"))
    record.write_text(record.read_text().replace("alpha.py,", "alpha.py,sha256=other", 1))
    mltrack(project, path, "run", "--", python, "train.py")
    found = json.loads(mltrack(project, path, "diff", "@~1", "@", "--json"))
    assert [(change["what"], change["kind"]) for change in found["environment"]] == [("packages.alpha", "rebuilt")]
    assert "alpha  1.0" in mltrack(project, path, "diff", "@~1", "@")


def test_before_a_reproduction_it_is_said_what_of_this_machine_differs() -> None:
    told: list[str] = []
    run = replace(sample_run(), hardware=capture_hardware(), environment=Environment(libraries={"glibc": "0.1"}))
    tell_of_here(replace(run, environment=Environment()), told.append)
    assert told == []
    other = replace(run.hardware, cpu="Another", cpu_flags=(*run.hardware.cpu_flags, "amx_tile9"))
    tell_of_here(replace(run, hardware=other), told.append)
    (sentence,) = told
    assert "cpu Another →" in sentence
    if run.hardware.cpu_flags:
        assert "without amx_tile9" in sentence
    if sys.platform == "linux" and os.confstr("CS_GNU_LIBC_VERSION"):
        assert "glibc 0.1 →" in sentence
