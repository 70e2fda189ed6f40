"""Puts a directory on the path of an environment as an editable install does, without its build backend.

For a machine that no package index can be reached from: the build of an editable install needs a program of its own
(setuptools, hatchling), while its result is a path and a few small files. Right for packages that are plain Python.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mltrack.environments.python.lock import load_toml

PROGRAM = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({function}())
"""


RESERVED = ("python", "activate")
"""How the names of an environment's own programs begin."""


def put_on_path(place: Path, name: str, directory: Path) -> None:
    """Make the environment at `place` import what the directory has, and give it the directory's programs."""
    site = next((place / "lib").glob("*/site-packages"))
    project = read_project(directory)
    path = f"__editable__.{name}.pth"
    info = f"{name.replace('-', '_')}-{project['version']}.dist-info"
    (site / info).mkdir(exist_ok=True)
    url = f"file://{quote(os.fsencode(directory))}"
    files = {
        path: os.fsencode(import_root(directory)) + b"\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n".encode(),
        f"{info}/INSTALLER": b"mltrack\n",
        f"{info}/direct_url.json": json.dumps({"url": url, "dir_info": {"editable": True}}).encode(),
        f"{info}/entry_points.txt": entry_points(project["scripts"]).encode(),
    }
    for program, target in project["scripts"].items():
        files[f"../../../bin/{program}"] = program_text(target).encode()
    rows = [f"{file},{hash_of(data)},{len(data)}" for file, data in files.items()]
    files[f"{info}/RECORD"] = "".join(f"{row}\n" for row in [*rows, f"{info}/RECORD,,"]).encode()
    for file, data in files.items():
        put(site / file, data, 0o755 if file.startswith("../") else 0o644)


def put(path: Path, data: bytes, mode: int) -> None:
    """Put a file in a place. What lies there may be a link, to the interpreter or into an environment that others
    share: it is replaced, never written to."""
    aside = path.with_name(f".{path.name}.mltrack")
    aside.write_bytes(data)
    aside.chmod(mode)
    os.replace(aside, path)


def import_root(directory: Path) -> Path:
    """The directory that packages are imported from: `src` where there is one, as build backends look for it."""
    return directory / "src" if (directory / "src").is_dir() else directory


def read_project(directory: Path) -> dict[str, Any]:
    """Version and programs, as pyproject.toml names them (in poetry's own table too)."""
    try:
        document = load_toml((directory / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = {}
    project, poetry = document.get("project", {}), document.get("tool", {}).get("poetry", {})
    version = str(project.get("version") or poetry.get("version") or "0")
    scripts = project.get("scripts") or poetry.get("scripts") or {}
    plain = {key: target for key, target in scripts.items() if is_plain(key, target)}
    return {"version": version if is_word(version, ".+!-_") else "0", "scripts": plain}


def is_plain(name: Any, target: Any) -> bool:
    """Is this `name = "module:function"`, with nothing that would leave the directory or the line, nor stand in for
    what an environment is started by?"""
    if not (isinstance(name, str) and isinstance(target, str) and is_word(name, "-_.") and name[0] != "."):
        return False
    if name.lower().startswith(RESERVED):
        return False
    module, colon, function = target.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *function.split(".")))


def is_word(text: str, more: str) -> bool:
    return bool(text) and all(char.isalnum() or char in more for char in text)


def entry_points(scripts: Mapping[str, str]) -> str:
    return "[console_scripts]\n" + "".join(f"{name} = {target}\n" for name, target in scripts.items())


def program_text(target: str) -> str:
    module, _, function = target.partition(":")
    return PROGRAM.format(module=module, first=function.partition(".")[0], function=function)


def hash_of(data: bytes) -> str:
    """A hash as RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
