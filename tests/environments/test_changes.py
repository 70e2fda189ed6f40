"""Built environments that a command changed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mltrack.environments import Found, RebuildRequest, python
from mltrack.environments.cache import Wanted, obtain, release
from mltrack.environments.changes import state_of
from mltrack.environments.python.installing import WATCHED
from tests.environments.index import serve_index
from tests.environments.making import pip_install, wheel
from tests.environments.python.rebuilding import asked_for, captured, output
from tests.environments.test_cache import fill


def built(asked: RebuildRequest) -> Path:
    """The environment, which nobody uses any more."""
    place = Path(python.rebuild(asked).argv[0]).parent.parent
    release(place)
    return place


@pytest.fixture
def asked(tmp_path: Path, env: Path, wheels: Path) -> RebuildRequest:
    found: Found = captured(tmp_path, env)
    command = (env, "-c", "import alpha; print(alpha.VERSION)")
    return asked_for(found, tmp_path, *command, UV_FIND_LINKS=str(wheels), UV_CACHE_DIR=str(tmp_path / "uv"))


def test_using_it_changes_nothing(asked: RebuildRequest, tmp_path: Path) -> None:
    """Not even where its modules are compiled."""
    place = built(asked)
    (site,) = place.glob("lib/*/site-packages")
    (site / "__pycache__" / "alpha.cpython-399.pyc").write_bytes(b"x")
    inode = place.stat().st_ino
    assert output(python.rebuild(asked), tmp_path) == "1.0\n"
    assert place.stat().st_ino == inode


@pytest.mark.parametrize("how", ["installed", "edited", "removed", "pth", "program"])
def test_one_that_a_command_changed_is_built_anew(asked: RebuildRequest, tmp_path: Path, how: str) -> None:
    """An edit in place goes through to the cache of the installer, which links its files."""
    place = built(asked)
    (site,) = place.glob("lib/*/site-packages")
    if how == "installed":
        pip_install(place / "bin/python", str(wheel(tmp_path / "more", "gamma")))
    elif how == "edited":
        assert (site / "alpha.py").stat().st_nlink > 1
        text = (site / "alpha.py").read_text()
        time.sleep(0.02)
        (site / "alpha.py").write_text(text.replace("1.0", "6.6"))
    elif how == "removed":
        (site / "beta.py").unlink()
    elif how == "pth":
        (site / "evil.pth").write_text("import sys; sys.stdout.write('evil')\n")
    else:
        (place / "bin" / "alpha").write_text("#!/bin/sh\n")
    assert output(python.rebuild(asked), tmp_path) == "1.0\n"
    names = {path.name for path in site.iterdir()}
    assert "beta.py" in names and not names & {"gamma.py", "evil.pth"}
    assert (place / "bin" / "alpha").read_text() != "#!/bin/sh\n"


def test_while_another_process_uses_the_changed_one_it_is_built_beside(asked: RebuildRequest, tmp_path: Path) -> None:
    place = built(asked)
    (site,) = place.glob("lib/*/site-packages")
    hold = "import sys, time; from mltrack.environments.cache import hold; from pathlib import Path\n"
    hold += "print(hold(Path(sys.argv[1])), flush=True); time.sleep(60)"
    user = subprocess.Popen([sys.executable, "-c", hold, str(place)], stdout=subprocess.PIPE)
    try:
        assert user.stdout is not None and user.stdout.readline() == b"True\n"
        (site / "more.py").write_text("")
        rebuilt = python.rebuild(asked)
        assert Path(rebuilt.argv[0]).parent.parent == place.with_name(f"{place.name}-2")
        assert rebuilt.variables["VIRTUAL_ENV"] == str(place.with_name(f"{place.name}-2"))
        assert output(rebuilt, tmp_path) == "1.0\n"
        assert (site / "more.py").exists(), "who uses it keeps it"
        assert python.rebuild(asked).argv == rebuilt.argv
    finally:
        user.kill()
        user.communicate()
    assert Path(python.rebuild(asked).argv[0]).parent.parent == place
    assert not (site / "more.py").exists()


def test_a_time_alone_is_a_change_and_another_place_is_none(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    before = state_of(tmp_path / "a", WATCHED)
    (tmp_path / "a").rename(tmp_path / "b")
    assert state_of(tmp_path / "b", WATCHED) == before
    os.utime(tmp_path / "b/bin/python", (1, 1))
    assert state_of(tmp_path / "b", WATCHED) != before


def test_what_is_not_watched_may_change(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path / "home" / "a", "one", fill)
    first = obtain(wanted)
    (tmp_path / "home" / "a" / "bin" / "more").write_text("")
    assert obtain(wanted) == first
    release(wanted.place)


def test_a_copy_for_a_project_is_made_of_what_was_not_changed(tmp_path: Path, wheels: Path) -> None:
    """Its files are those of the shared one, by hard links."""
    from tests.environments.making import venv
    from tests.environments.python.test_kind import make_project

    project = make_project(tmp_path / "project")
    made = venv(tmp_path / "venv", "alpha==1.0", "--editable", str(project), wheels=wheels)
    with serve_index(wheels) as index:
        found = captured(tmp_path, made, index)
        command = (made, "-c", "import alpha; print(alpha.VERSION)")
        asked = asked_for(found, tmp_path, *command, index=index, UV_CACHE_DIR=str(tmp_path / "uv"))
        make_project(asked.workspace)
        place = built(asked)
        (site,) = place.glob("lib/*/site-packages")
        time.sleep(0.02)
        (site / "alpha.py").write_text("VERSION = '6.6'\n")
        assert output(python.rebuild(asked), asked.workspace) == "1.0\n"
