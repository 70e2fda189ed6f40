"""What tests share: real git repositories and projects in temporary directories."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(cwd: Path, *args: str, check: bool = True, input: bytes | None = None) -> bytes:
    """The standard output of a git command."""
    done = subprocess.run(["git", *args], cwd=cwd, input=input, capture_output=True)
    if check and done.returncode:
        raise AssertionError(f"git {args}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below root; parents are made."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def git_repository(root: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    """A repository at root with one commit that holds the files."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q")
    write(root, files or {})
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "start")
    return root


def tree_of(root: Path) -> dict[bytes, tuple[str, bytes]]:
    """Every file, link and empty directory below root, `.git` and `.mltrack` apart: path -> (mode, bytes)."""
    found: dict[bytes, tuple[str, bytes]] = {}
    top = os.fsencode(root)
    for directory, names, files in os.walk(top):
        names[:] = [n for n in names if n not in (b".git", b".mltrack")]
        for name in list(names) + files:
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, top)
            if os.path.islink(path):
                found[relative] = ("link", os.readlink(path))
            elif os.path.isfile(path):
                mode = "executable" if os.stat(path).st_mode & 0o100 else "file"
                with open(path, "rb") as file:
                    found[relative] = (mode, file.read())
    return found
