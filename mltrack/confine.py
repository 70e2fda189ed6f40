"""Keeps every path that comes from a record, manifest, archive or remote inside its target directory."""

from __future__ import annotations

import os
from pathlib import Path

from mltrack.errors import Damaged

GIT_NAMES = {b".git", b"git~1"}
"""Names that no snapshot may write: a `.git` in a restored tree would run its author's hooks and settings."""


def checked_parts(path: bytes) -> list[bytes]:
    """The parts of a relative path; raises Damaged on an absolute path, `..`, `.`, an empty part or a NUL."""
    parts = path.split(b"/")
    if not path or b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
        raise Damaged(
            f"The path {os.fsdecode(path)!r} points outside of its directory.",
            "The record or manifest is damaged or hostile; nothing was written for it.",
        )
    return parts


def inside(root: Path, path: bytes | str) -> Path:
    """`root/path`, proved to stay below root: no part leaves it and no parent directory is a symbolic link.

    The last part itself may be a link (callers replace it, never write through it). Raises Damaged otherwise.
    """
    parts = checked_parts(os.fsencode(path))
    place = root
    for part in parts[:-1]:
        place = place / os.fsdecode(part)
        if place.is_symlink():
            raise Damaged(
                f"The path {os.fsdecode(os.fsencode(path))!r} goes through the symbolic link {place}.",
                "Remove the link, or choose another directory.",
            )
    return place / os.fsdecode(parts[-1])


def link_stays_inside(path: bytes, target: bytes) -> bool:
    """Does a symbolic link at `path` (relative to a root) that points to `target` stay below that root?"""
    if target.startswith(b"/"):
        return False
    depth = path.count(b"/")
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
            if depth < 0:
                return False
        elif part not in (b"", b"."):
            depth += 1
    return True
