"""Real R packages made by hand, in a repository laid out as CRAN is, installed by R itself."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from mltrack.environments import Found, RebuildRequest, Recorded, Request
from tests.environments.making import variables


def source(
    repository: Path, name: str, version: str = "1.0", imports: str = "", is_old: bool = False, named: str = "CRAN"
) -> Path:
    """A source package in a repository: among the newest, or in the archive of old versions."""
    place = repository / "src" / "contrib" / (f"Archive/{name}" if is_old else "")
    place.mkdir(parents=True, exist_ok=True)
    description = (
        f"Package: {name}\nVersion: {version}\nTitle: A Test\nDescription: One line\n    and another.\nLicense: MIT\n"
    )
    description += "Author: A Tester\nMaintainer: A Tester <tester@example.org>\n"
    description += (f"Imports: {imports}\n" if imports else "") + (f"Repository: {named}\n" if named else "")
    needs = "".join(f"import({word.split()[0]})\n" for word in imports.split(",") if word)
    files = {
        "DESCRIPTION": description,
        "NAMESPACE": f"export(told)\n{needs}",
        "R/told.R": f"told <- function() '{name} {version}'\n",
    }
    path = place / f"{name}_{version}.tar.gz"
    with tarfile.open(path, "w:gz") as whole:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(text.encode())
            whole.addfile(member, io.BytesIO(text.encode()))
    return path


def install(library: Path, *archives: Path) -> None:
    """Install into a library with R's own installer."""
    library.mkdir(parents=True, exist_ok=True)
    words = ["R", "CMD", "INSTALL", "--no-docs", f"--library={library}", *map(str, archives)]
    done = subprocess.run(words, env={**os.environ, "R_LIBS": str(library)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def request(tmp_path: Path, *argv: object, **more: str) -> Request:
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    return Request(tuple(map(str, argv)), project, variables(**more), tmp_path / "cache", project)


def rebuild_request(found: Found, tmp_path: Path, *command: object, **more: str) -> RebuildRequest:
    workspace = tmp_path / "workspace"
    if not workspace.exists():
        shutil.copytree(tmp_path / "project", workspace)
    recorded = Recorded(found.environment, found.lock, variables(**more), tmp_path / "cache")
    return RebuildRequest(recorded, tuple(map(str, command)), workspace, tmp_path / "built" / "x")
