"""Compares what was installed with what the run had, and writes down again where stored wheels came from."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.environments.python.distributions import Distribution, normalise, read_answer
from mltrack.environments.python.lock import Lock

if TYPE_CHECKING:
    from mltrack.environments import Recorded

KINDS = ("vcs", "url", "file")


def differing(lock: Lock, place: Path, recorded: Recorded) -> list[str]:
    """`name version` of the distributions whose installed files are others than the lock says."""
    from mltrack.environments.interpreter import Interpreter
    from mltrack.environments.python.probe import probe

    python = str(place / "bin" / "python")
    variables = {name: text for name, text in recorded.variables.items() if not name.startswith("PYTHON")}
    answer = probe(Interpreter((python,), place, variables), recorded.cache)
    now = {found.name: found.installed for found in read_answer(answer, place).distributions}
    return [
        f"{found.name} {found.version}"
        for found in sorted(lock.distributions, key=lambda found: found.name)
        if found.installed and found.source not in ("project", "outside") and now.get(found.name) != found.installed
    ]


def mark_origins(place: Path, lock: Lock, stored: Sequence[str]) -> None:
    """Say of distributions that were installed from stored wheels where they came from at first (direct_url.json), so
    that the rebuilt environment describes itself as the recorded one did."""
    found = {one.name: one for one in lock.distributions if one.name in stored and one.source in KINDS}
    if not found:
        return
    for info in place.glob("lib/*/site-packages/*.dist-info"):
        one = found.get(normalise(info.name.removesuffix(".dist-info").rpartition("-")[0]))
        if one is not None:
            write_origin(info, one)


def write_origin(info: Path, found: Distribution) -> None:
    """Write direct_url.json, and its line in RECORD."""
    data = json.dumps(origin_of(found)).encode()
    (info / "direct_url.json").write_bytes(data)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    record = info / "RECORD"
    aside = info / "RECORD.tmp"
    aside.write_bytes(record.read_bytes() + f"{info.name}/direct_url.json,sha256={digest},{len(data)}\n".encode())
    os.replace(aside, record)


def origin_of(found: Distribution) -> dict[str, Any]:
    """A direct URL in the form of the standard (PEP 610)."""
    from urllib.parse import quote, unquote

    hashes = {"hashes": {"sha256": found.sha256}} if found.sha256 else {}
    if found.source == "file":
        return {"url": f"file:///{quote(found.url or '')}", "archive_info": hashes}
    url, _, below = (found.url or "").partition("#subdirectory=")
    more = {"subdirectory": unquote(below)} if below else {}
    if found.source == "url":
        return {"url": url, "archive_info": hashes, **more}
    address, _, commit = url.rpartition("@")
    kind, _, address = address.partition("+")
    return {"url": address, "vcs_info": {"vcs": kind, "commit_id": commit}, **more}
