"""Projects with runs that were edited in every way, and empty ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.ledger.ledger import sealed_bytes
from mltrack.project import Project
from mltrack.records import Run
from mltrack.verdicts import Verdict
from tests.compare.samples import sample_run

IDS = [f"{letter * 15}1" for letter in "abcdefg"]


def plain_run(number: int, **changes: object) -> Run:
    moment = f"2026-11-{1 + number:02d}T01:02:03.123456Z"
    return sample_run(**{"id": IDS[number], "name": None, "created_at": moment, "record_digest": None, **changes})


@pytest.fixture
def empty(tmp_path: Path) -> Callable[[str], Project]:
    """Makes empty projects; they are closed at the end."""

    def make(name: str) -> Project:
        (tmp_path / name).mkdir()
        return Project.open(tmp_path / name)

    return make


@pytest.fixture
def source(empty: Callable[[str], Project]) -> Project:
    """One plain, one edited, one with two records, one hidden, one with a verdict, one with odd names."""
    project = empty("source")
    ledger = project.ledger
    for number in range(4):
        ledger.seal(plain_run(number))
    ledger.seal(plain_run(4, verdict=Verdict("different", IDS[0])))
    odd = {"a\nb": float("nan"), "events": 1, "ключ": "значение", "big": 1 << 80}
    ledger.seal(plain_run(5, params=odd, artifacts=(), cwd="a\udcffb"))
    ledger.add_event("tag", IDS[1], "best")
    ledger.add_event("untag", IDS[1], "paper")
    ledger.add_event("note", IDS[1], "a text, with “quotes”")
    ledger.add_event("name", IDS[1], "better")
    ledger.add_event("later-kind", IDS[1], {"x": [1, None]})
    ledger.add_record(sealed_bytes(replace(plain_run(2), why="another machine says so")))
    ledger.add_event("delete", IDS[3], None)
    return project
