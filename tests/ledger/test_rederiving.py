"""Rows that no digest proves are held against what is proved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.ledger.ledger import Ledger
from tests.ledger.made import run

BROKEN = {
    "a run is missing": "DELETE FROM run_row WHERE number = 2",
    "a metric is another": "UPDATE metric_row SET last = 999 WHERE run = 2",
    "a name is another": "UPDATE word SET text = 'löss' WHERE text = 'loss'",
    "a fact is gone": "DELETE FROM code_fact",
    "a tag came from nowhere": "INSERT INTO tag_row VALUES (1, 'best')",
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        for number in range(3):
            made = opened.seal(run(id=f"{number}" * 16, params={"lr": number}))
        opened.add_event("tag", made.id, {"add": ["paper"]})
        opened.add_event("note", made.id, "seen")
        yield opened


def test_sound_rows_are_not_stale(ledger: Ledger) -> None:
    assert ledger.stale_runs() == [] and ledger.check() == []


@pytest.mark.parametrize("statement", BROKEN.values(), ids=BROKEN)
def test_a_wrong_row_is_found_and_made_again(ledger: Ledger, statement: str) -> None:
    before = ledger.list()
    ledger.db.execute(statement)
    assert ledger.stale_runs()
    ledger.derive_all_again()
    assert ledger.stale_runs() == [] and ledger.list() == before


def test_a_damaged_edit_is_told(ledger: Ledger) -> None:
    for wrong in ("'{'", "'[]'"):
        ledger.db.execute(f"UPDATE event SET value = {wrong} WHERE kind = 'note'")
        (sentence,) = ledger.check()
        assert "2222222222222222" in sentence


def test_a_scratch_ledger_does_not_stay(ledger: Ledger) -> None:
    ledger.stale_runs()
    assert not list(ledger.path.parent.glob("rederiving-*"))
