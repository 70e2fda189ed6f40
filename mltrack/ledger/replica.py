"""Which copy of a project this is: an id that is minted once and stays with the place it was minted in.

A project copied with `cp -r`, restored from a backup or cloned with its disk carries `replica.json` along, but not the
machine and the inode it names; so it mints an id of its own, and never writes as its original. The file remembers
every place it was in, so a directory that two machines mount keeps one id for each.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mltrack.errors import StorageError
from mltrack.records import new_id

FILE = "replica.json"
MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def replica_id(state: Path) -> str:
    """The id of the checkout whose `.mltrack/` is `state`; minted on the first call. Raises StorageError."""
    return mint(state, keep_known=True)


def known_replica(state: Path) -> str | None:
    """The id that was minted in this place, if any; writes nothing."""
    return next(iter(all_replicas(state)), None)


def all_replicas(state: Path) -> list[str]:
    """Every id that this place has had, the one that is valid first: runs made here bear any of them."""
    here = place_of(state)
    for place in read_places(state):
        if place["machine"] == here["machine"] and place["inode"] == here["inode"]:
            before = place.get("before", ())
            return [str(place["replica"]), *(str(id) for id in before if isinstance(before, list))]
    return []


def renew_replica(state: Path) -> str:
    """Mint another id for this place: the old one turned out to be in use elsewhere. Raises StorageError."""
    return mint(state, keep_known=False)


def mint(state: Path, keep_known: bool) -> str:
    from mltrack.store.locks import lock_file

    try:
        known = known_replica(state)
        if known and keep_known:
            return known
        with (state / "replica.lock").open("ab") as lock:
            lock_file(lock.fileno(), wait=True)
            known = known_replica(state)
            if known and keep_known:
                return known  # another process was faster
            here = place_of(state)
            others = [p for p in read_places(state) if (p["machine"], p["inode"]) != (here["machine"], here["inode"])]
            before = all_replicas(state)
            here["replica"] = new_id()
            if before:
                here["before"] = before
            write_places(state, [*others, here])
            return str(here["replica"])
    except OSError as error:
        raise StorageError(
            f"{state} cannot be written: {error.strerror}.", "Free some space, or make the directory writable."
        ) from error


def place_of(state: Path) -> dict[str, Any]:
    return {"machine": machine(), "inode": state.stat().st_ino}


def machine() -> str | None:
    """A digest of the machine's id (which is not to be shown); None where it has none, as in many containers."""
    from mltrack.digest import digest_bytes

    for path in MACHINE_ID_FILES:
        try:
            text = Path(path).read_bytes().strip()
        except OSError:
            continue
        if text:
            return digest_bytes(b"mltrack replica\n" + text)
    return None


def read_places(state: Path) -> list[dict[str, Any]]:
    """What `replica.json` says; nothing if it is missing or damaged, since then a new id harms nobody."""
    try:
        places = json.loads((state / FILE).read_bytes())["places"]
        return [place for place in places if isinstance(place["replica"], str) and {"machine", "inode"} <= set(place)]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return []


def write_places(state: Path, places: list[dict[str, Any]]) -> None:
    partial = state / f"{FILE}.{os.getpid()}"
    with partial.open("w") as file:
        json.dump({"places": places}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(state / FILE)
