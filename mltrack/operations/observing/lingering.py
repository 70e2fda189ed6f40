"""Processes of a run that live on when its command has ended: what they write from then on is nobody's.

Only looks; ends nobody. By the command's process group, and by the processes that told what they did.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mltrack.observe import VARIABLE
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.live.rundir import RunDir

PATIENCE_S, PAUSE_S = 0.3, 0.03
"""Helpers of a process (of Python's multiprocessing, say) end a moment after it."""
AGENTS = frozenset(("gpg-agent", "ssh-agent", "dbus-daemon", "dbus-launch", "dirmngr", "strace"))
"""They stay for the user's next command, and write nothing of a run; strace stays for those that it watches."""
MOST = 5


def still_running(rundir: RunDir, told: Collection[int]) -> list[Warning]:
    """A warning with the names of the processes that live on. `told`: ids that the journal has."""
    facts = rundir.read("process") or {}
    deadline = time.monotonic() + PATIENCE_S
    while names := sorted(living(facts, told, os.fsencode(f"{VARIABLE}={rundir.observed}"))):
        if time.monotonic() > deadline:
            return [Warning("still-running", sentence(names))]
        time.sleep(PAUSE_S)
    return []


def sentence(names: list[str]) -> str:
    from mltrack.operations.observing.surroundings import shown

    return (
        f"The command has ended, and what it started still runs: {shown(names, MOST)}. "
        "What that writes from now on is not recorded. Let the command `wait` for what it started."
    )


def living(facts: Mapping[str, Any], told: Collection[int], mark: bytes) -> Iterator[str]:
    """`name (pid)` of each. `mark`: the variable that processes of the run have, and no others."""
    from mltrack.live.process import own_place
    from mltrack.observe.resources import pids, read_file, reader

    here, group = own_place(), facts.get("pgid")
    if not isinstance(group, int) or (here.boot_id, here.pid_namespace) != (
        facts.get("boot_id"),
        facts.get("pid_namespace"),
    ):
        return
    has_group = is_there(group)
    there = pids()
    read = reader()
    for pid in sorted((there if has_group else there & set(told)) - {os.getpid(), os.getppid(), facts.get("pid")}):
        process = read(pid)
        if process is None or is_older(process.began, str(facts.get("start_time"))):
            continue
        if process.group == group or (pid in told and mark in (read_file(f"/proc/{pid}/environ") or b"").split(b"\0")):
            name = (read_file(f"/proc/{pid}/comm") or b"a process").decode(errors="replace").strip()
            if name not in AGENTS:
                yield f"{name} ({pid})"


def is_there(group: int) -> bool:
    """Is any process in that group?"""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def is_older(began: str, than: str) -> bool:
    """Did a process begin before another one? By clock ticks since boot; False where it is told otherwise."""
    return began.isdecimal() and than.isdecimal() and int(began) < int(than)
