"""What tests of building again share: environments captured against an index of their own, and requests to build."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mltrack.environments import Found, LayOut, RebuildRequest, Rebuilt, Recorded
from mltrack.environments.python.lock import Lock, read_lock, write_lock
from tests.environments.index import Index
from tests.environments.making import capture, variables

QUIET = {"PIP_CONFIG_FILE": os.devnull, "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "5"}
"""Nothing of this machine's own settings of pip counts, and what fails fails at once."""


def settings(index: Index | None = None, **more: str) -> dict[str, str]:
    """Variables of a machine that knows this index, or none."""
    where = {"UV_DEFAULT_INDEX": index.url} if index is not None else {"UV_NO_INDEX": "1"}
    return {**QUIET, **where, **more}


def captured(tmp_path: Path, interpreter: Path, index: Index | None = None, **more: str) -> Found:
    tmp_path.mkdir(exist_ok=True)
    return capture(tmp_path, interpreter, "train.py", may_ask=True, **settings(index, **more))


def layer_of(found: Found, place: Path) -> LayOut:
    """Lays out the trees of what was captured, as the store would; the originals may go."""
    for name, tree in found.trees.items():
        for file, path in tree.items():
            target = place / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    return lambda name: place / name if (place / name).is_dir() else None


def asked_for(
    found: Found, tmp_path: Path, *command: object, index: Index | None = None, **more: str
) -> RebuildRequest:
    """A request to build it in `tmp_path/built/env` with what is known of an index, for a command."""
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    recorded = Recorded(
        found.environment,
        found.lock,
        variables(**settings(index, **more)),
        tmp_path / "cache",
        layer_of(found, tmp_path / "laid out"),
        is_ours=True,
    )
    return RebuildRequest(recorded, tuple(map(str, command)), workspace, tmp_path / "built" / "env")


def changed(asked: RebuildRequest, **changes: object) -> RebuildRequest:
    """The request with other facts of what was recorded."""
    return replace(asked, recorded=replace(asked.recorded, **changes))  # type: ignore[arg-type]


def with_lock(asked: RebuildRequest, change: Callable[[Lock], Lock]) -> RebuildRequest:
    """The request with another lock."""
    return changed(asked, lock=write_lock(change(read_lock(asked.recorded.lock or b""))))


def without_hashes(lock: Lock) -> Lock:
    """As a lock is where nobody could ask an index."""
    found = tuple(replace(one, index=None, wheels=(), sdist=None, stored=None) for one in lock.distributions)
    return replace(lock, distributions=found)


def output(rebuilt: Rebuilt, cwd: Path) -> str:
    """What the mapped command prints."""
    given = variables()
    for name, text in rebuilt.variables.items():
        if text is None:
            given.pop(name, None)
        else:
            given[name] = text
    done = subprocess.run(rebuilt.argv, cwd=cwd, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def records(place: Path) -> dict[str, list[str]]:
    """The RECORD of every installed distribution, but for what an installer writes for itself: programs, whose first
    line names the environment, bytecode, and notes of where a file came from."""
    found = {path.parent.name: path.read_text().splitlines() for path in place.rglob("*.dist-info/RECORD")}
    own = re.compile(r"^[^,]*(/bin/|\.pyc,|\.dist-info/(INSTALLER|REQUESTED|RECORD|direct_url.json|uv_\w+.json),)")
    return {name: sorted(line for line in lines if not own.match(line)) for name, lines in found.items()}


def marker_of(place: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((place / "mltrack.json").read_text())
    return found


SCRIPT = """
import json, os, sys
from pathlib import Path
from mltrack.environments import RebuildRequest, Recorded, python
from mltrack.records import Environment
lock, workspace, place, wheels, *command = sys.argv[1:]
lay_out = lambda name: Path(wheels) if name == "wheels" and wheels else None
recorded = Recorded(Environment(), Path(lock).read_bytes(), dict(os.environ), Path(place).parent / "cache", lay_out)
{before}
rebuilt = python.rebuild(RebuildRequest(recorded, tuple(command), Path(workspace), Path(place)))
print(json.dumps([rebuilt.argv, [warning.message for warning in rebuilt.warnings]]), flush=True)
{after}
"""
"""A process of its own that builds: lock, workspace, place, directory of wheels or nothing, command."""


def building(asked: RebuildRequest, before: str = "", after: str = "") -> list[str]:
    """The words of a process that builds what is asked for."""
    import sys

    lock = asked.place.parent.parent / "lock"
    lock.write_bytes(asked.recorded.lock or b"")
    wheels = asked.recorded.lay_out("wheels") or ""
    program = SCRIPT.replace("{before}", before).replace("{after}", after)
    words = (sys.executable, "-c", program, lock, asked.workspace, asked.place, wheels, *asked.command)
    return [str(word) for word in words]
