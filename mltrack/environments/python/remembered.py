"""What was captured before, taken again where nothing that it was made from has changed.

A short command should not wait for the environment that it shares with the run before: everything but this file's own
few imports is loaded only where something is new. Directories outside of the project that something is installed from
are part of the environment: their files are read each time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mltrack.digest import digest_bytes, digest_json
from mltrack.environments import Found, Request
from mltrack.environments.answers import recall, remember
from mltrack.environments.python.indexes import pip_files
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import Environment, Warning

PROJECT_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "pylock.*.toml", "requirements*.txt")
"""The locks that a project may have already, the most telling first."""

SETTINGS = ("pyproject.toml", "uv.toml")
"""Files of the project that say which indexes are asked."""

AGAIN_S = 600.0
"""For how long a lock that lacks something is remembered, in seconds."""


def capture(answer: Mapping[str, Any], request: Request) -> Found:
    """What a probe saw, described: as it was remembered, or anew. Raises nothing of its own."""
    path = request.cache / "captures" / f"{key_of(answer, request)}.json"
    kept = recall(path)
    if kept is None and not request.may_ask:  # what was found by asking is as good, however long ago
        kept = recall(request.cache / "captures" / f"{key_of(answer, replace(request, may_ask=True))}.json")
        kept = None if kept is None else {**kept, "until": None}
    if kept is not None and (kept["until"] is None or time.time() < kept["until"]):
        found = read_found(kept)
        if all(place.is_file() for tree in found.trees.values() for place in tree.values()):
            return found
    found, is_whole = describe(answer, request)
    remember(path, {"until": None if is_whole else time.time() + AGAIN_S, **found_json(found)})
    return found


def describe(answer: Mapping[str, Any], request: Request) -> tuple[Found, bool]:
    from mltrack.environments.python.capturing import capture_installed

    return capture_installed(answer, request)


def directories_of(answer: Mapping[str, Any]) -> list[str]:
    """The directories of this machine that distributions are installed from; mltrack's own is none of them."""
    from mltrack.environments.python.distributions import OURS, local_source, normalise, sound_origin

    linked = frozenset(answer["linked"])
    odd = [one for one in answer["distributions"] if one["direct_url"] or one["place"] in linked]
    sound = [{**one, "direct_url": sound_origin(one["direct_url"])} for one in odd if normalise(one["name"]) != OURS]
    return sorted({place for one in sound if (place := local_source(one, linked))})


def content_of(place: str) -> str:
    """A digest of the files of a directory that is kept with the environment, or why it cannot be."""
    from mltrack.environments.python.sources import digest_of, list_files
    from mltrack.errors import MltrackError

    try:
        return digest_of(list_files(Path(place)))
    except (OSError, ValueError, MltrackError) as error:
        return str(error)


def is_below(place: str, project: Path) -> bool:
    top = os.path.realpath(project)
    return os.path.realpath(place) == top or os.path.realpath(place).startswith(top.rstrip("/") + "/")


def key_of(answer: Mapping[str, Any], request: Request) -> str:
    """The name of what is remembered: of all that it is made from."""
    directories = directories_of(answer)
    project = request.project or request.cwd
    home = Path(request.variables.get("HOME", "/"))
    config = Path(request.variables.get("XDG_CONFIG_HOME") or home / ".config")
    files = [path for name in (*PROJECT_LOCKS, *SETTINGS) for path in sorted(project.glob(name))]
    files += [Path(place) / "pyproject.toml" for place in directories]
    files += [*pip_files(request.variables), config / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]
    seen = {key: value for key, value in answer.items() if key != "checks"}
    identity = {
        "answer": digest_bytes(json.dumps(seen, sort_keys=True).encode()),  # the canonical form would take 5 ms
        "files": [[str(path), *look(path)] for path in files],
        "settings": {name: text for name, text in request.variables.items() if name.startswith(("UV_", "PIP_"))},
        "project": str(project),
        "outside": [[place, content_of(place)] for place in directories if not is_below(place, project)],
        "host": os.uname().nodename,
        "may_ask": request.may_ask,
        "known": digest_bytes(request.known) if request.known is not None else None,
    }
    return digest_json(identity).partition(":")[2][:32]


def look(path: Path) -> list[int]:
    """What tells that a file has changed; nothing of one that cannot be looked at, a link to nowhere say."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def found_json(found: Found) -> dict[str, Any]:
    """What was captured, as JSON."""
    return {
        "environment": to_dict(found.environment),
        "lock": None if found.lock is None else found.lock.decode(),
        "warnings": to_dict(found.warnings),
        "trees": {name: {key: str(place) for key, place in tree.items()} for name, tree in found.trees.items()},
        "tops": {name: list(tops) for name, tops in found.tops.items()},
    }


def read_found(kept: Mapping[str, Any]) -> Found:
    """What `found_json` wrote."""
    return Found(
        from_dict(Environment, kept["environment"]),
        None if kept["lock"] is None else kept["lock"].encode(),
        tuple(Warning(**one) for one in kept["warnings"]),
        {name: {key: Path(place) for key, place in tree.items()} for name, tree in kept["trees"].items()},
        tops=kept["tops"],
    )
