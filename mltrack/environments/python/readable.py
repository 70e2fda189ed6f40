"""Locks are written so that they can be read again.

Metadata and the locks of other tools may hold anything; what a lock of ours may hold is narrow, for it comes back from
remotes. What does not fit is left out, and said.
"""

from __future__ import annotations

from dataclasses import replace

from mltrack.environments.python.distributions import UNKNOWN, Distribution, listed
from mltrack.environments.python.lock import Lock, read_lock, write_lock
from mltrack.errors import Damaged
from mltrack.records import Warning


def write_readable(lock: Lock) -> tuple[bytes, tuple[Warning, ...]]:
    """The text of a lock, and a warning where something strange was left out."""
    text = write_lock(lock)
    if is_readable(text):
        return text, ()
    build = tuple(
        need for need in lock.build if is_readable(write_lock(replace(lock, distributions=(), build=(need,))))
    )
    left_out = [need for need in lock.build if need not in build]
    found = []
    for one in lock.distributions:
        forms = (one, replace(one, tags=(), requires=()), plainly(one), replace(plainly(one), version=UNKNOWN))
        fitting = [form for form in forms if is_readable(write_lock(replace(lock, distributions=(form,), build=())))]
        found += fitting[:1]
        left_out += [] if fitting[:1] == [one] else [one.name]
    message = f"Strange metadata was left out of the environment's lock: {listed(left_out)}."
    text = write_lock(replace(lock, distributions=tuple(found), build=build))
    return text, (Warning("environment", message.encode("utf-8", "backslashreplace").decode()),)


def is_readable(text: bytes) -> bool:
    """Would it be read, here and elsewhere?"""
    try:
        read_lock(text)
    except Damaged:
        return False
    return True


def plainly(found: Distribution) -> Distribution:
    """Name and version alone; where it came from is not said any more."""
    return Distribution(found.name, found.version, "index" if found.source == "index" else "path")
