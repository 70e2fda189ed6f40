"""Environments of now and of runs: what is kept is laid out, what a kind does not tell is not made up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mltrack import environments
from mltrack.environments import Package, Recorded
from mltrack.errors import StorageError, UsageError
from mltrack.operations.env.export import ExportRequest, export
from mltrack.operations.env.look import check, diff, remedies_for, show
from mltrack.operations.env.seen import Which, has_wheel
from mltrack.records import Environment, Image
from tests.environments.making import pip_install, uv, venv, wheel
from tests.operations.keeping import Keeping

SETUP = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
LIBRARY = f'{SETUP}[project]\nname = "delta"\nversion = "4"\n[tool.setuptools]\npy-modules = ["delta"]\n'


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory that is no project, with an environment: a local wheel, and a directory outside as it is."""
    place = tmp_path / "here"
    place.mkdir()
    (tmp_path / "delta").mkdir()
    (tmp_path / "delta" / "pyproject.toml").write_text(LIBRARY)
    (tmp_path / "delta" / "delta.py").write_text("X = 1\n")
    python = venv(place / ".venv")
    pip_install(python, "--no-deps", str(wheel(tmp_path / "house", "private", "7.0")))
    info = next((place / ".venv").rglob("private-7.0.dist-info"))
    made = info.with_name("delta-4.dist-info")
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: delta\nVersion: 4\n")
    (made / "direct_url.json").write_text('{"url": "file://%s", "dir_info": {"editable": true}}' % (tmp_path / "delta"))
    (info.parent / "delta.pth").write_text(f"{tmp_path / 'delta'}\n")
    return place


def now(place: Path) -> Which:
    return Which(place, python=str(place / ".venv" / "bin" / "python"))


def test_what_is_kept_of_now_is_written_beside_an_export(here: Path, tmp_path: Path) -> None:
    shown = show(now(here))
    assert [(one.name, one.source, one.is_stored) for one in shown.packages] == [
        ("delta", "outside", True),
        ("private", "file", True),
    ]
    assert shown.kept["wheels"]["files"] == 1 and shown.not_recorded == ()
    target = tmp_path / "out" / "pylock.toml"
    done = export(ExportRequest(now(here), "pylock", target))
    assert sorted(done.companions) == [
        "sources/delta/delta.py", "sources/delta/pyproject.toml", "wheels/private-7.0-py3-none-any.whl",
    ]  # fmt: skip
    assert done.written[0] == str(target) and all(Path(path).is_file() for path in done.written)
    other = venv(tmp_path / "other")
    uv("pip", "install", "-q", "-p", str(other), str(tmp_path / "out" / "wheels" / "private-7.0-py3-none-any.whl"))
    assert not list(here.glob(".mltrack"))


def test_an_export_that_cannot_be_written_leaves_nothing_half_done(here: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "wheels").write_text("a file where a directory belongs")
    with pytest.raises(UsageError, match="in the way"):
        export(ExportRequest(now(here), "pylock", out / "pylock.toml"))
    assert sorted(path.name for path in out.iterdir()) == ["wheels"]
    (out / "directory").mkdir()
    with pytest.raises(UsageError, match="in the way"):
        export(ExportRequest(now(here), "conda", out / "directory", force=True))
    assert sorted(path.name for path in out.iterdir()) == ["directory", "wheels"]
    with pytest.raises(UsageError, match="brings"):
        export(ExportRequest(now(here), "dockerfile", tmp_path / "requirements.txt"))


@pytest.mark.needs("mount")
def test_a_full_disk_is_said_and_the_target_is_not_there(here: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(out)], check=True)
    try:
        with pytest.raises(StorageError, match="No space left"):
            export(ExportRequest(now(here), "pylock", out / "pylock.toml"))
        assert not (out / "pylock.toml").exists() and not list(out.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", "-l", str(out)], check=True)


def test_an_environment_of_another_kind_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path / "project")
    image = Image("sha256:1", None, "base:1")
    run = keeping.run({}, environment=Environment("b3:1", "system", packages={"b": "2", "a": "1"}, image=image)).id
    shown = show(Which(keeping.root, run))
    assert [(one.name, one.version, one.problem) for one in shown.packages] == [("a", "1", None), ("b", "2", None)]
    assert (shown.locked.is_there, shown.locked.uncertain) == (False, 0)
    assert any("no lock" in text for text in shown.not_recorded)
    assert any("no digest" in text for text in shown.not_recorded)
    found = check(Which(keeping.root, run))
    assert not found.is_checked and found.holds
    with pytest.raises(UsageError, match="no format"):
        export(ExportRequest(Which(keeping.root, run), "pylock"))
    python = keeping.run({}, environment=Environment("b3:2", "python", python="3.11.7")).id
    lockless = check(Which(keeping.root, python))
    assert [one.name for one in lockless.findings] == ["lock"] and not lockless.holds


def test_a_diff_with_now_does_not_tell_what_only_entering_settles(here: Path, tmp_path: Path) -> None:
    keeping = Keeping(tmp_path / "project")
    shown = show(now(here))
    settled = {"at": "/code"}
    run = keeping.run({}, environment=Environment(kind="python", python=shown.environment.python, options=settled)).id
    found = diff(Which(keeping.root, run), now(here))
    assert not any(change.what.startswith("options.") for change in found.software)
    assert found.remarks == ("The lock of a is not here: only names and versions of its packages could be compared.",)
    assert [change.name for change in found.packages] == ["delta", "private"]


def test_wheels_that_a_remote_carries_count_as_kept() -> None:
    names = frozenset(["My_Package-1.0-py3-none-any.whl", "other-1.0.1-py3-none-any.whl"])
    assert has_wheel(names, Package("my-package", "1.0"))
    assert not has_wheel(names, Package("other", "1.0")) and not has_wheel(names, Package("my", "1.0"))


def test_remedies_fit_the_problems() -> None:
    gone = environments.Finding("a 1", "Gone.")
    python = environments.Finding("Python 3.10.1 (pypy)", "Not here.")
    fine = environments.Finding("b 1", None, "stored")
    assert list(remedies_for("run", ("wheels",), [fine])) == []
    assert list(remedies_for("run", ("wheels",), [python])) == ["Get the interpreter: uv python install pypy@3.10.1"]
    (told,) = remedies_for("run", ("wheels",), [gone, fine])
    assert told.endswith("mltrack push --wheels run")
    assert len(list(remedies_for(None, ("wheels",), [gone]))) == 2


def test_a_kind_without_a_list_has_names_and_versions() -> None:
    kind = environments.get("docker")
    recorded = Recorded(Environment(packages={"b": "2", "a": "1"}), b"{}", dict(os.environ), Path("/nonexistent"))
    assert environments.packages(kind, recorded) == (Package("a", "1"), Package("b", "2"))
