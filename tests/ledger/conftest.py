"""Nothing here loses power, so nothing waits for the disk; what processes lose when killed is tested with real ones."""

from __future__ import annotations

import os

import pytest

from mltrack.ledger import schema


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SYNCHRONOUS", "OFF")
    monkeypatch.setattr(os, "fsync", lambda handle: None)
