"""The plug-in of docs/examples, built as a wheel and installed beside mltrack into an environment of its own.

The `apptainer` of these tests is a stand-in that starts the command as it is: what is proved is the way of a plug-in
through mltrack, not Apptainer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.environments.making import uv
from tests.helpers import git_repository

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "plug-in"

APPTAINER = """#!/bin/sh
echo "$*" >>"$APPTAINER_LOG"
while [ "$1" != --pwd ]; do shift; done
cd "$2"; IMAGE="$3"; shift 3
APPTAINER_NAME="$(cat "$IMAGE")" exec "$@"
"""


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that sees mltrack and has the plug-in installed from its wheel."""
    place = tmp_path_factory.mktemp("plug-in")
    copy = shutil.copytree(EXAMPLE, place / "source")
    uv("build", "--wheel", "--offline", "--python", sys.executable, "--out-dir", str(place), str(copy))
    uv("venv", "--no-project", "--python", sys.executable, str(place / "venv"))
    python = place / "venv" / "bin" / "python"
    wheel = next(place.glob("*.whl"))
    uv("pip", "install", "--python", str(python), "--no-index", "--no-deps", str(wheel))
    own = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    line = f"import site, sys; site.addsitedir({sysconfig.get_path('purelib')!r}); sys.path.append({str(ROOT)!r})\n"
    (own / "mltrack-beside.pth").write_text(line)
    return python


@pytest.fixture
def given(tmp_path: Path, outside: Path) -> dict[str, str]:
    """The variables of a user who has Apptainer."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "apptainer").write_text(APPTAINER)
    (place / "apptainer").chmod(0o755)
    path = os.pathsep.join([str(place), str(outside.parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "APPTAINER_LOG": str(tmp_path / "log"), "PYTHONPATH": ""}


def mltrack(python: Path, cwd: Path, given: dict[str, str], *words: str) -> str:
    done = subprocess.run([python, "-m", "mltrack", *words], cwd=cwd, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_in_an_image_is_recorded_and_reproduced_elsewhere(
    outside: Path, given: dict[str, str], tmp_path: Path
) -> None:
    code = "import os; open('out.txt', 'w').write(os.environ['APPTAINER_NAME'])\n"
    project = git_repository(tmp_path / "project", {"train.py": code, ".gitignore": "*.sif\n"})
    (project / "model.sif").write_text("image one")
    run = ("run", "--env", "apptainer", "--image", "model.sif", "--output", "out.txt", "--", "python", "train.py")
    mltrack(outside, project, given, *run)
    assert (project / "out.txt").read_text() == "image one"
    shown = json.loads(mltrack(outside, project, given, "show", "@", "--json"))
    assert shown["environment"]["kind"] == "apptainer"
    assert shown["command"] == ["python", "train.py"]
    remote = f"file://{tmp_path}/remote"
    mltrack(outside, project, given, "remote", "add", "origin", remote)
    mltrack(outside, project, given, "push")
    (project / "model.sif").unlink()
    (tmp_path / "elsewhere").mkdir()
    words = ("reproduce", shown["id"], "--from", remote)
    told = mltrack(outside, tmp_path / "elsewhere", given, *words)
    assert "identical" in told
    assert (tmp_path / "log").read_text().count("exec") == 2


def test_without_the_image_the_run_does_not_start_and_says_why(
    outside: Path, given: dict[str, str], tmp_path: Path
) -> None:
    project = git_repository(tmp_path / "project", {"train.py": "print()\n"})
    words = [outside, "-m", "mltrack", "run", "--env", "apptainer", "--image", "gone.sif", "--", "python", "train.py"]
    done = subprocess.run(words, cwd=project, env=given, capture_output=True, text=True)
    assert done.returncode == 125
    assert "There is no image file" in done.stderr


def test_the_plug_in_keeps_to_what_every_kind_keeps_to(outside: Path, given: dict[str, str]) -> None:
    """The conformance suite, from the plug-in's environment."""
    words = [
        outside,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:randomly",
        "tests/contracts/test_environments.py",
        "-k",
        "apptainer",
    ]
    done = subprocess.run(words, cwd=ROOT, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_the_guide_shows_the_very_module() -> None:
    guide = (ROOT / "docs" / "guides" / "plug-ins.md").read_text()
    module = (EXAMPLE / "mltrack_apptainer" / "__init__.py").read_text()
    for part in module.split("\n\n\n")[1:]:
        assert part.strip() in guide
