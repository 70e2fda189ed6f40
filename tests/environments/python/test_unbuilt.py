"""An editable install without a build: what it writes, and what it must never write to."""

from __future__ import annotations

import os
from pathlib import Path

from mltrack.environments.cache import link_copy
from mltrack.environments.python.unbuilt import put_on_path, read_project
from tests.environments.making import venv
from tests.helpers import write


def test_what_others_share_by_a_link_is_replaced_and_not_written_to(tmp_path: Path, wheels: Path) -> None:
    """`bin/alpha` is one file in both environments; a project's program takes its name."""
    venv(tmp_path / "shared", "alpha==1.0", wheels=wheels)
    before = (tmp_path / "shared/bin/alpha").read_bytes()
    link_copy(tmp_path / "shared", tmp_path / "own")
    write(tmp_path / "project", {"pyproject.toml": '[project]\nname = "p"\n[project.scripts]\nalpha = "p:main"\n'})
    for _ in range(2):
        put_on_path(tmp_path / "own", "p", tmp_path / "project")
    assert (tmp_path / "shared/bin/alpha").read_bytes() == before
    assert b"from p import main" in (tmp_path / "own/bin/alpha").read_bytes()
    assert os.access(tmp_path / "own/bin/alpha", os.X_OK)
    assert not list((tmp_path / "own").rglob(".*.mltrack"))


def test_no_program_takes_the_place_of_the_interpreter(tmp_path: Path) -> None:
    interpreter = tmp_path / "base" / "python"
    write(tmp_path, {"base/python": "the interpreter", "own/bin/activate": "x"})
    (tmp_path / "own/lib/python3.11/site-packages").mkdir(parents=True)
    (tmp_path / "own/bin/python").symlink_to(interpreter)
    scripts = 'python = "p:main"\npython3 = "p:main"\nactivate = "p:main"\nActivate_this = "p:main"\nfine = "p:main"\n'
    write(tmp_path / "project", {"pyproject.toml": f"[project.scripts]\n{scripts}"})
    assert list(read_project(tmp_path / "project")["scripts"]) == ["fine"]
    put_on_path(tmp_path / "own", "p", tmp_path / "project")
    assert interpreter.read_text() == "the interpreter"
    assert (tmp_path / "own/bin/python").is_symlink()
    assert (tmp_path / "own/bin/activate").read_text() == "x"
