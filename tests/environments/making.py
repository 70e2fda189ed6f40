"""Real wheels and real virtual environments, made by hand and by uv, without a package index."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from uv import find_uv_bin

from mltrack.environments import Found, RebuildRequest, Request, python

UV = os.fspath(find_uv_bin())


def uv(*words: str, cwd: Path | None = None, **variables: str) -> str:
    """What a uv command prints."""
    environment = {**os.environ, **variables}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run([UV, *words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wheel(directory: Path, name: str, version: str = "1.0", scripts: Mapping[str, str] | None = None) -> Path:
    """A wheel with one module `<name>.py` that knows its VERSION, and console scripts: name -> function of it."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    module = f"VERSION = {version!r}\n\ndef main():\n    print({name!r}, VERSION)\n"
    points = "[console_scripts]\n" + "".join(f"{key} = {name}:{target}\n" for key, target in (scripts or {}).items())
    files = {
        f"{name}.py": module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


def venv(place: Path, *requirements: str, wheels: Path | None = None, base: str = sys.executable) -> Path:
    """A virtual environment that uv made; its interpreter."""
    uv("venv", "--no-project", "--python", base, str(place))
    if requirements:
        source = ["--no-index", "--find-links", str(wheels)] if wheels else []
        uv("pip", "install", "--python", str(place / "bin" / "python"), *source, *requirements)
    return place / "bin" / "python"


def pip_install(interpreter: Path, *words: str) -> None:
    """Install with pip, which records the hashes of what it is given by path or URL; uv does not."""
    words = (sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-index", *words)
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def variables(**more: str) -> dict[str, str]:
    """This process's environment variables as a command would be given them, without settings of pip."""
    others = ("VIRTUAL_ENV", "PYTHONPATH")
    kept = {name: text for name, text in os.environ.items() if name not in others and not name.startswith("PIP_")}
    return {**kept, **more}


def request(tmp_path: Path, *argv: object, **more: str) -> Request:
    """A request for a command that is started in `tmp_path/project`."""
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    return Request(tuple(map(str, argv)), project, variables(**more), tmp_path / "cache", project)


def capture(tmp_path: Path, *argv: object, **more: str) -> Found:
    return python.capture(request(tmp_path, *argv, **more))


def rebuild_request(found: Found, tmp_path: Path, *command: object, **more: str) -> RebuildRequest:
    """A request to build it in `tmp_path/built/env`, for a command in `tmp_path/workspace`."""
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    place = tmp_path / "built" / "env"
    words = tuple(map(str, command))
    return RebuildRequest(found.environment, found.lock, words, workspace, place, variables(**more))
