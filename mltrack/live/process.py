"""Facts of processes: where we are, when a process began, whether a recorded one still lives.

A pid alone says little: it is used again, and means nothing on another host or in another pid namespace. Must not
signal anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from mltrack.nouns import noun


@noun
class Place:
    """Where a pid has its meaning."""

    host: str
    boot_id: str | None
    pid_namespace: str | None


def own_place() -> Place:
    """The host, its boot, and the pid namespace of this process."""
    return Place(os.uname().nodename, boot_id(), pid_namespace())


def boot_id() -> str | None:
    """A name for this boot of this machine's kernel."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        pass
    try:
        import psutil

        return f"booted at {psutil.boot_time():.0f}"
    except (ImportError, OSError):
        return None


def pid_namespace() -> str | None:
    """The pid namespace, as `pid:[4026531836]`; None where the system has none."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def start_time(pid: int) -> str | None:
    """When the process began, as a word that a later process with the same pid does not share; None if it is gone.

    On Linux, clock ticks since boot. A zombie counts as gone.
    """
    if sys.platform != "linux":
        return start_time_by_psutil(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            after_name = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] in (b"Z", b"X") else after_name[19].decode()


def start_time_by_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.NoSuchProcess:
        return None


def is_alive(facts: Mapping[str, Any]) -> bool | None:
    """Does the recorded process (`pid start_time host boot_id pid_namespace`) live? None: it cannot be told from here.

    Another boot of this host: dead. Another host or pid namespace: None.
    """
    here = own_place()
    if facts.get("boot_id") != here.boot_id:
        return False if facts.get("host") == here.host else None
    if facts.get("pid_namespace") != here.pid_namespace:
        return None
    try:
        began = start_time(int(facts["pid"]))
    except PermissionError:
        return None
    return began is not None and began == facts.get("start_time")
