"""A conda environment as a user has it: run, pushed, removed, and reproduced in an empty directory from the remote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers import git_repository

pytestmark = pytest.mark.needs("rattler")

CODE = """import alpha, beta, sys
open("out.txt", "w").write(f"{alpha.VERSION} {beta.VERSION}\\n")
print("conda-meta" in __import__("os").listdir(sys.prefix))
"""


def mltrack(cwd: Path, given: dict[str, str], *words: str) -> str:
    done = subprocess.run(["mltrack", *words], cwd=cwd, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_comes_back_from_the_remote_alone(env: Path, command_path: str, tmp_path: Path) -> None:
    own = shutil.copytree(env, tmp_path / "env", symlinks=True)
    given = {
        **os.environ,
        "PATH": f"{own}/bin{os.pathsep}{command_path}",
        "CONDA_PREFIX": str(own),
        "CONDA_DEFAULT_ENV": "ml",
    }
    given |= {"UV_NO_INDEX": "1", "UV_OFFLINE": "1"}
    project = git_repository(tmp_path / "project", {"train.py": CODE})
    mltrack(project, given, "run", "--output", "out.txt", "--", "python", "train.py")
    shown = json.loads(mltrack(project, given, "show", "@", "--json"))
    assert shown["environment"]["kind"] == "conda"
    assert shown["environment"]["packages"].items() >= {"alpha": "1.0", "beta": "2.0", "tool": "1.0"}.items()
    remote = f"file://{tmp_path}/remote"
    mltrack(project, given, "remote", "add", "origin", remote)
    mltrack(project, given, "push", "--wheels")
    for place in (own, project, Path(os.environ["XDG_CACHE_HOME"]) / "mltrack"):
        shutil.rmtree(place, ignore_errors=True)
    (tmp_path / "bare").mkdir()
    bare = {name: text for name, text in given.items() if not name.startswith("CONDA_")}
    told = mltrack(tmp_path / "bare", {**bare, "PATH": command_path}, "reproduce", shown["id"], "--from", remote)
    assert "identical" in told
    assert not [word for word in ("alpha", "CONDA_DEFAULT_ENV") if word in told]  # both are the same again
