"""A remote of each sort: a directory, a `file://` URL, fsspec's memory, and a directory through fsspec.

Nothing here loses power, so nothing waits for the disk; what processes lose when killed is tested with real ones.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.ledger import schema
from mltrack.sync import remote as remote_room
from mltrack.sync.places import Filesystem, Place, place_at


@pytest.fixture(params=["directory", "file", "memory", "fsspec"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty remote."""
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    if request.param == "directory":
        return str(tmp_path / "remote")
    if request.param == "fsspec":  # what a filesystem goes through that has no whole puts, as SFTP

        def through_fsspec(url: str) -> Place:
            return Filesystem(url) if url.startswith("file://") else place_at(url)

        monkeypatch.setattr(remote_room, "place_at", through_fsspec)
    return f"file://{tmp_path / 'remote'}"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SYNCHRONOUS", "OFF")
    monkeypatch.setattr(os, "fsync", lambda handle: None)
