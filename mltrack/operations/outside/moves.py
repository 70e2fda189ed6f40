"""Other paths by which a command may name a file outside its project, here: `~` is another home, `..` another place.

A record has one path for a file, that of the machine of its run. Pure but for today's home directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mltrack.operations.request import longest

if TYPE_CHECKING:
    from mltrack.records import Run

HOMES = ("home", "Users")
"""Directories below the root that hold the users' own."""

NEAR = 3
"""Steps up from the project's root to a directory that a relative path may go through."""


class Moves:
    """From the machine of a run to this one, where its project lies in `root`."""

    def __init__(self, run: Run, root: str) -> None:
        self.homes = homes(run)
        """Recorded home -> today's, if they differ."""
        self.then = recorded_place(run, "root")
        self.now = root

    def of(self, path: str) -> tuple[str, ...]:
        """The other paths of a file."""
        found = longest(path, self.homes)
        at_home = () if found is None else (os.path.join(*found).rstrip("/"),)
        return tuple(other for other in dict.fromkeys((*at_home, *self.guessed(path))) if other != path)

    def guessed(self, path: str) -> tuple[str, ...]:
        """The path that a relative one would lead to, if the command used one: it may not have."""
        if self.then is None:
            return ()
        above = os.path.commonpath((self.then, path))
        steps = len(PurePosixPath(self.then).parts) - len(PurePosixPath(above).parts)
        if above == "/" or not 0 < steps <= NEAR:
            return ()
        other = os.path.normpath(os.path.join(self.now, os.path.relpath(path, self.then)))
        is_known = other == path or other in (os.path.join(*found) for found in [longest(path, self.homes)] if found)
        return () if is_known else (other,)


def homes(run: Run) -> Mapping[str, str]:
    """The home of whoever ran it -> that of whoever runs it now, where they differ."""
    today = os.path.expanduser("~")
    if not os.path.isabs(today) or today == "/":
        return {}
    paths = [item.path for item in run.inputs if item.root == "home"]
    paths += [item.path for item in run.artifacts if os.path.isabs(item.path)]
    found = {home_of(run, path) for path in paths}
    return {then: today for then in found if then is not None and then != today}


def home_of(run: Run, path: str) -> str | None:
    """The home directory that a path of a record lies in."""
    recorded = recorded_place(run, "home")
    if recorded is not None:
        return recorded if path.startswith(f"{recorded}/") else None
    parts = PurePosixPath(path).parts
    if len(parts) > 2 and parts[1] == "root":
        return "/root"
    return str(PurePosixPath(*parts[:3])) if len(parts) > 3 and parts[1] in HOMES else None


def recorded_place(run: Run, name: str) -> str | None:
    """A directory that a record names, if it is one that may be true."""
    found = run.origin.get(name)
    if not isinstance(found, str) or os.path.normpath(found) != found or len(PurePosixPath(found).parts) < 2:
        return None
    return found if found.startswith("/") and not found.startswith("//") else None
