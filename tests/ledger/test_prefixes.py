"""What begins with some letters is found along indexes, and looking for it changes no file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mltrack.ledger.asking import prefixes
from mltrack.ledger.ledger import Ledger, sealed_bytes
from mltrack.records import MetricSummary, Run
from tests.ledger.made import run


def metric(last: Any) -> MetricSummary:
    return MetricSummary(last, last, last, 1, 0)


RUNS: tuple[Run, ...] = (
    run(id="aaaa000000000000", name="base", params={"lr": 0.1, "model": "lstm"}, metrics={"loss": metric(0.5)}),
    run(id="aaab000000000000", name="best", params={"lr": 0.2, "model": "lamb"}, metrics={"loss": metric(0.25)},
        created_at="2026-11-22T01:02:03.000004Z"),
    run(id="b000000000000000", name="base", params={"lr": 0.1, "model": "gru"}, metrics={"acc": metric("NaN")},
        created_at="2026-11-23T01:02:03.000004Z", experiment="iris"),
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.merge_records([sealed_bytes(one) for one in RUNS])
        ledger.add_event("tag", RUNS[0].id, {"add": ["first"]})
        yield ledger


def test_runs_by_the_beginning_of_their_ids_and_the_newest_for_nothing(ledger: Ledger) -> None:
    assert [one.id for one in prefixes.runs_by_id(ledger.db, "aaa", 9)] == [RUNS[0].id, RUNS[1].id]
    assert [one.id for one in prefixes.runs_by_id(ledger.db, "", 2)] == [RUNS[2].id, RUNS[1].id]
    assert prefixes.runs_by_id(ledger.db, "c", 9) == []


def test_a_hidden_run_is_found_only_where_hidden_ones_are_asked_for(ledger: Ledger) -> None:
    ledger.add_event("delete", RUNS[0].id, True)
    shown, hidden = (prefixes.runs_by_id(ledger.db, "aaaa", 9, deleted=one) for one in (False, True))
    assert {one.id for one in shown} | {one.id for one in hidden} == {RUNS[0].id}
    assert len(hidden) == 1


def test_names_come_once_each_in_order_and_no_more_than_asked_for(ledger: Ledger) -> None:
    assert prefixes.names(ledger.db, "run", "b", 9) == ["base", "best"]
    assert prefixes.names(ledger.db, "run", "", 1) == ["base"]
    assert prefixes.names(ledger.db, "param", "", 9) == ["lr", "model"]
    assert prefixes.names(ledger.db, "metric", "lo", 9) == ["loss"]
    assert prefixes.names(ledger.db, "metric", "x' OR 1=1 --", 9) == []


def test_a_name_stands_for_its_newest_run(ledger: Ledger) -> None:
    found = prefixes.run_of_name(ledger.db, "base")
    assert found is not None and found.id == RUNS[2].id


def test_values_are_of_one_param_and_texts_by_their_beginning(ledger: Ledger) -> None:
    assert prefixes.values(ledger.db, "lr", "", 9) == [0.1, 0.2]
    assert prefixes.values(ledger.db, "model", "l", 9) == ["lamb", "lstm"]
    assert prefixes.values(ledger.db, "model", "", 2) == ["gru", "lamb"]


def test_the_span_of_a_metric_is_of_its_numbers(ledger: Ledger) -> None:
    assert prefixes.span(ledger.db, "loss") == (0.25, 0.5)
    assert prefixes.span(ledger.db, "acc") is None
    assert prefixes.last_value(ledger.db, RUNS[1].id, "loss") == 0.25
    assert prefixes.last_value(ledger.db, RUNS[2].id, "loss") is None


def test_recent_values_come_by_how_common_they_are(ledger: Ledger) -> None:
    assert prefixes.recent(ledger.db, "experiment", 9) == ["iris"]
    assert prefixes.recent(ledger.db, "code.branch", 9) == ["main"]


def test_reading_makes_and_changes_no_file(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()

    def files() -> dict[str, tuple[int, bytes]]:
        return {
            name: (os.stat(tmp_path / name).st_mtime_ns, (tmp_path / name).read_bytes())
            for name in os.listdir(tmp_path)
        }

    before = files()
    with prefixes.reading(tmp_path / "ledger.db") as db:
        assert prefixes.names(db, "run", "", 9) == ["base", "best"]
        with pytest.raises(sqlite3.OperationalError):
            db.execute("CREATE TABLE x (y)")
        assert files() == before
    assert files() == before


def test_what_another_process_has_not_put_back_into_the_file_is_read_too(ledger: Ledger, tmp_path: Path) -> None:
    ledger.merge_records([sealed_bytes(run(id="c000000000000000", name="fresh"))])
    with prefixes.reading(tmp_path / "ledger.db") as db:
        assert prefixes.names(db, "run", "f", 9) == ["fresh"]


def test_each_question_goes_along_an_index(ledger: Ledger) -> None:
    asked = [
        ("SELECT name FROM {0} WHERE name > ? AND name < ? ORDER BY name LIMIT 1", ("param", "metric", "run")),
        (f"SELECT value FROM param_row WHERE {prefixes.BY_NAME} AND value > ? ORDER BY value LIMIT 1", ("",)),
        (f"SELECT last FROM metric_row WHERE {prefixes.BY_NAME} AND last < '' ORDER BY last LIMIT 1", ("",)),
        ("SELECT id FROM run WHERE id >= ? AND id < ? AND deleted = 0 ORDER BY id LIMIT 9", ("",)),
        ("SELECT id FROM run WHERE deleted = 0 ORDER BY created_at DESC LIMIT 9", ("",)),
    ]
    for sql, views in asked:
        for view in views:
            plan = ledger.db.execute(f"EXPLAIN QUERY PLAN {sql.format(view)}", ("a",) * sql.count("?")).fetchall()
            told = [str(one[3]) for one in plan]
            assert not any("TEMP B-TREE" in one for one in told), told
            assert not any(one.startswith("SCAN") and "INDEX" not in one for one in told), told
