from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mltrack.environments import Request, choose, python
from mltrack.environments.python.lock import read_lock
from mltrack.errors import EnvironmentFailed
from tests.environments.making import capture, request, uv, venv
from tests.helpers import write

PROJECT = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    # A build backend of a few lines, so that an editable install needs no package index.
    "backend.py": """
import zipfile

def build(directory, files):
    info = "proj-0.1.dist-info"
    files = {**files, f"{info}/METADATA": "Metadata-Version: 2.1\\nName: proj\\nVersion: 0.1\\n",
             f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: hand\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
    files[f"{info}/RECORD"] = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{directory}/proj-0.1-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return "proj-0.1-py3-none-any.whl"

def build_wheel(directory, config_settings=None, metadata_directory=None):
    return build(directory, {"proj.py": open("src/proj.py").read()})

def build_editable(directory, config_settings=None, metadata_directory=None):
    import os
    return build(directory, {"proj.pth": os.path.abspath("src") + "\\n"})
""",
    "src/proj.py": "WHERE = __file__\n",
}


def make_project(place: Path) -> Path:
    write(place, PROJECT)
    return place


def test_an_environment_is_described(tmp_path: Path, env: Path) -> None:
    found = capture(tmp_path, env, "train.py")
    environment = found.environment
    version = subprocess.run([env, "--version"], capture_output=True, text=True).stdout.split()[1]
    assert (environment.kind, environment.python, environment.interpreter) == ("python", version, str(env))
    assert environment.packages == {"alpha": "1.0", "beta": "0.5"}
    assert environment.lockfile is None
    assert found.lock is not None
    lock = read_lock(found.lock)
    assert (lock.python, lock.implementation) == (version, "cpython")
    assert [(one.name, one.version, one.source) for one in lock.distributions] == [
        ("alpha", "1.0", "index"),
        ("beta", "0.5", "index"),
    ]
    assert lock.distributions[0].tags == ("py3-none-any",)
    assert found.warnings == ()
    assert found.settled


def test_the_same_environment_elsewhere_has_the_same_digest_and_lock(tmp_path: Path, env: Path, wheels: Path) -> None:
    other = venv(tmp_path / "some where" / "else", "beta", "alpha==1.0", wheels=wheels)
    here, there = capture(tmp_path, env), capture(tmp_path, other)
    assert here.environment.digest == there.environment.digest
    assert here.lock == there.lock
    assert here.environment.interpreter != there.environment.interpreter


def test_another_version_has_another_digest(tmp_path: Path, env: Path, wheels: Path) -> None:
    other = venv(tmp_path / "venv", "beta", "alpha==2.0", wheels=wheels)
    assert capture(tmp_path, env).environment.digest != capture(tmp_path, other).environment.digest


def test_an_editable_install_of_the_project_is_named_relative_to_it(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        project = make_project(tmp_path / name / "project" / "sub dir")
        made = venv(tmp_path / name / "venv", "--editable", str(project))
        found = capture(tmp_path / name, made)
        assert found.lock is not None
        (proj,) = read_lock(found.lock).distributions
        assert (proj.source, proj.place, proj.is_editable) == ("project", "sub dir", True)
        assert found.warnings == ()
        digests.add(found.environment.digest)
    assert len(digests) == 1


def test_the_version_that_the_project_gives_itself_does_not_count(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    made = venv(tmp_path / "venv", "--editable", str(project))
    before = capture(tmp_path, made)
    backend = project / "backend.py"
    backend.write_text(backend.read_text().replace("0.1", "0.2"))
    uv("pip", "install", "--python", str(made), "--reinstall", "--editable", str(project))
    after = capture(tmp_path, made)
    assert (before.environment.packages, after.environment.packages) == ({"proj": "0.1"}, {"proj": "0.2"})
    assert (before.environment.digest, before.lock) == (after.environment.digest, after.lock)


def test_a_directory_outside_of_the_project_is_kept_with_the_environment(tmp_path: Path) -> None:
    source = make_project(tmp_path / "elsewhere")
    write(source, {"__pycache__/x.pyc": "", "build/old.py": "", "data.txt": "1"})
    made = venv(tmp_path / "venv", "--editable", str(source))
    found = capture(tmp_path, made)
    assert found.warnings == ()
    assert found.lock is not None
    assert str(tmp_path) not in found.lock.decode()
    assert found.environment.packages == {"proj": "0.1"}
    (proj,) = read_lock(found.lock).distributions
    assert (proj.source, proj.tree, proj.is_editable, proj.is_locked) == ("outside", "proj", True, True)
    names = {name for name in found.trees["sources"] if not name.startswith("proj/proj.egg-info")}
    assert names == {f"proj/{name}" for name in ("pyproject.toml", "backend.py", "src/proj.py", "data.txt")}
    write(source, {"src/proj.py": "WHERE = None\n"})
    assert capture(tmp_path, made).environment.digest != found.environment.digest


def test_a_local_wheel_is_kept_as_it_was_installed(tmp_path: Path, wheels: Path) -> None:
    made = venv(tmp_path / "venv", str(wheels / "alpha-1.0-py3-none-any.whl"))
    found = capture(tmp_path, made)
    assert found.warnings == ()
    assert found.lock is not None
    (alpha,) = read_lock(found.lock).distributions
    assert (alpha.source, alpha.url) == ("file", "alpha-1.0-py3-none-any.whl")
    assert alpha.stored == "alpha-1.0-py3-none-any.whl"
    assert list(found.trees["wheels"]) == [alpha.stored]
    assert str(wheels) not in found.lock.decode()
    again = venv(tmp_path / "again", str(found.trees["wheels"][alpha.stored]))
    (other,) = read_lock(capture(tmp_path, again).lock or b"").distributions
    assert other.installed == alpha.installed


def test_metadata_that_is_missing_is_warned_of(tmp_path: Path, wheels: Path) -> None:
    made = venv(tmp_path / "venv", "alpha==1.0", wheels=wheels)
    next((tmp_path / "venv").rglob("alpha-1.0.dist-info/METADATA")).unlink()
    found = capture(tmp_path, made)
    assert ["alpha" in warning.message for warning in found.warnings] == [True]
    assert found.environment.packages == {"alpha": "1.0"}


def test_a_conda_environment_is_warned_of(tmp_path: Path, wheels: Path) -> None:
    made = venv(tmp_path / "venv", "alpha==1.0", wheels=wheels)
    (tmp_path / "venv" / "conda-meta").mkdir()
    assert ["conda" in warning.message for warning in capture(tmp_path, made).warnings] == [True]


def test_the_python_of_the_command_is_meant_and_not_ours(tmp_path: Path, env: Path) -> None:
    asked = request(tmp_path, "python", "x.py", PATH=f"{env.parent}:/usr/bin:/bin")
    assert choose(asked).capture(asked).environment.interpreter == str(env)


def test_python_asked_for_by_name_is_what_a_script_would_start(tmp_path: Path, env: Path) -> None:
    asked = request(tmp_path, "bash", "train.sh", PATH=f"{env.parent}:/usr/bin:/bin")
    assert choose(asked).NAME == "system"
    assert choose(asked, "python").capture(asked).environment.packages == {"alpha": "1.0", "beta": "0.5"}


def test_no_python_at_all_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="starts no Python"):
        python.capture(Request(("true",), tmp_path, {"PATH": str(tmp_path)}, tmp_path / "cache"))


def test_capturing_changes_nothing_in_the_project_or_the_environment(tmp_path: Path, wheels: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", wheels=wheels)
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "venv").rglob("*")}
    capture(tmp_path, made)
    assert {path: path.lstat().st_mtime_ns for path in (tmp_path / "venv").rglob("*")} == before
    assert list((tmp_path / "project").iterdir()) == []


def test_a_link_to_nowhere_and_a_pipe_among_the_locks_are_passed_over(tmp_path: Path, env: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements-dev.txt").symlink_to("nowhere")
    os.mkfifo(project / "requirements.txt")
    assert capture(tmp_path, env).environment.packages == {"alpha": "1.0", "beta": "0.5"}
