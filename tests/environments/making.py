"""Real wheels and real virtual environments, made by hand and by uv, without a package index."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from uv import find_uv_bin

from mltrack.environments import Found, RebuildRequest, Recorded, Request, python

UV = os.fspath(find_uv_bin())


def uv(*words: str, cwd: Path | None = None, **variables: str) -> str:
    """What a uv command prints."""
    environment = {**os.environ, **variables}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run([UV, *words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wheel(
    directory: Path,
    name: str,
    version: str = "1.0",
    scripts: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
    code: str = "",
) -> Path:
    """A wheel with one module `<name>.py` that knows its VERSION, and console scripts: name -> function of it.

    The lines of `requires` stand in its metadata, `code` at the top of the module.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    needed = "".join(f"Requires-Dist: {line}\n" for line in requires)
    module = f"{code}\nVERSION = {version!r}\n\ndef main():\n    print({name!r}, VERSION)\n"
    points = "[console_scripts]\n" + "".join(f"{key} = {name}:{target}\n" for key, target in (scripts or {}).items())
    files = {
        f"{name}.py": module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    rows = [f"{file},{record_hash(text)},{len(text)}\n" for file, text in files.items()]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            entry = zipfile.ZipInfo(file)  # without the time: two of them are the same bytes
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return path


def record_hash(text: str) -> str:
    """The hash of a file as RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


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


def request(tmp_path: Path, *argv: object, may_ask: bool = False, **more: str) -> Request:
    """A request for a command that is started in `tmp_path/project`. Nobody is asked for hashes unless told."""
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    return Request(tuple(map(str, argv)), project, variables(**more), tmp_path / "cache", project, may_ask=may_ask)


def capture(tmp_path: Path, *argv: object, may_ask: bool = False, **more: str) -> Found:
    return python.capture(request(tmp_path, *argv, may_ask=may_ask, **more))


def rebuild_request(found: Found, tmp_path: Path, *command: object, **more: str) -> RebuildRequest:
    """A request to build it in `tmp_path/built/env`, for a command in `tmp_path/workspace`."""
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    place = tmp_path / "built" / "env"
    recorded = Recorded(found.environment, found.lock, variables(**more), tmp_path / "cache")
    return RebuildRequest(recorded, tuple(map(str, command)), workspace, place)
