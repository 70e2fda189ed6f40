"""`mltrack run --trace`: the run is the user's own, and what it did is seen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mltrack.errors import StartError
from mltrack.operations.observing.tracing import traced
from tests.helpers import git_repository, write


def mltrack(place: Path, path: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["mltrack", *words], cwd=place, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60
    )


def shown(place: Path, path: str) -> dict[str, Any]:
    return dict(json.loads(mltrack(place, path, "show", "@", "--json").stdout))


@pytest.mark.needs("strace")
def test_the_record_is_that_of_the_command(tmp_path: Path, command_path: str) -> None:
    files = {"train.py": "import sys\nopen('out', 'w').write(open(sys.argv[1]).read())\nsys.exit(3)\n"}
    place = git_repository(tmp_path / "project", files)
    write(tmp_path, {"data.csv": "1,2\n"})
    done = mltrack(place, command_path, "run", "--trace", "--", "python", "train.py", f"{tmp_path}/data.csv")
    assert done.returncode == 3
    run = shown(place, command_path)
    assert run["command"] == ["python", "train.py", f"{tmp_path}/data.csv"]
    assert (run["status"], run["exit_code"]) == ("failed", 3)
    assert run["environment"]["kind"] == "python"
    assert "strace" not in json.dumps(run["environment"])
    assert "trace" in run["observation"]["sources"]
    assert [(item["path"], item["kept"]) for item in run["inputs"]] == [(f"{tmp_path}/data.csv", True)]
    assert [item["path"] for item in run["artifacts"]] == ["out"]
    assert not list((place / ".mltrack" / "runs").iterdir())
    again = mltrack(place, command_path, "rerun", "--trace", "@")
    assert again.returncode == 3
    assert "trace" in shown(place, command_path)["observation"]["sources"]


@pytest.mark.needs("strace")
def test_a_static_program_is_seen_by_no_other_means(tmp_path: Path, command_path: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    code = (
        '#include <stdio.h>\nint main() { char t[9] = {0}; FILE *f = fopen("in.dat", "r"); fgets(t, 8, f); fclose(f);\n'
        ' f = fopen("out.dat", "w"); fputs(t, f); return fclose(f); }\n'
    )
    place = git_repository(tmp_path / "project", {"p.c": code, ".gitignore": "p\n*.dat\n"})
    subprocess.run(["gcc", "-static", "p.c", "-o", "p"], cwd=place, check=True)
    write(place, {"in.dat": "data"})
    (place / "mltrack.yaml").write_text("observe: {sources: trace}\n")
    assert mltrack(place, command_path, "run", "--", "./p").returncode == 0
    run = shown(place, command_path)
    assert run["observation"]["sources"] == ["trace"]
    assert run["observation"]["complete"]
    assert "in.dat" in [item["path"] for item in run["inputs"]]
    assert [item["path"] for item in run["artifacts"]] == ["out.dat"]


@pytest.mark.parametrize(
    ("command", "code"), [("no-such-program", 127), ("./not-executable", 126)], ids=["missing", "not executable"]
)
@pytest.mark.needs("strace")
def test_a_command_that_cannot_start_is_told_as_without(
    tmp_path: Path, command_path: str, command: str, code: int
) -> None:
    place = git_repository(tmp_path / "project", {"not-executable": "text"})
    traced, plain = (mltrack(place, command_path, "run", *flag, "--", command) for flag in (["--trace"], []))
    assert traced.returncode == plain.returncode == code
    assert traced.stderr.splitlines()[-2:] == plain.stderr.splitlines()[-2:]


def test_without_strace_nothing_is_recorded(tmp_path: Path, command_path: str) -> None:
    place = git_repository(tmp_path / "project")
    needed = tmp_path / "bin"
    needed.mkdir()
    for name in ("git", "sh", "true"):
        found = shutil.which(name)
        assert found is not None
        (needed / name).symlink_to(found)
    path = os.pathsep.join([command_path.split(os.pathsep)[0], str(needed)])
    done = mltrack(place, path, "run", "--trace", "--", "true")
    assert done.returncode == 125
    assert done.stderr.endswith(
        "error: --trace needs strace, which is not installed here.\nhint: Install it: apt install strace\n"
    )
    assert mltrack(place, path, "ls", "--json").stdout.strip() == "[]"


def test_a_command_in_a_container_is_refused() -> None:
    recording = SimpleNamespace(started=SimpleNamespace())
    with pytest.raises(StartError, match="container"):
        traced(recording, SimpleNamespace(argv=("true",)))  # type: ignore[arg-type]
