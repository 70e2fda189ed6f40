from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.errors import Damaged
from mltrack.ledger.events import (
    clock_key,
    event_digest,
    event_from,
    event_json,
    fold,
    in_order,
    is_deleted,
    next_clock,
)
from tests.ledger.made import RUN_ID, event, events, run


@settings(max_examples=100, deadline=None)
@given(st.lists(events(), max_size=8), st.randoms(use_true_random=False))
def test_the_same_events_in_any_order_fold_into_the_same_run(found: list, order: random.Random) -> None:
    record = run(id=RUN_ID, tags=("first",), notes=("as recorded",))
    shuffled = found + found[:2]
    order.shuffle(shuffled)
    assert fold(record, shuffled) == fold(record, found)
    assert is_deleted(shuffled) == is_deleted(found)


@settings(max_examples=50, deadline=None)
@given(events())
def test_an_event_survives_its_json(made: object) -> None:
    assert event_from(event_json(made)) == made  # type: ignore[arg-type]


def test_the_later_of_two_names_is_shown_and_both_are_history() -> None:
    found = [event("name", RUN_ID, "new", ms=2), event("name", RUN_ID, "old", ms=1)]
    assert fold(run(id=RUN_ID), found).name == "new"
    assert [e.value for e in in_order(found)] == ["old", "new"]


def test_tags_of_the_record_stay_until_one_is_removed() -> None:
    record = run(id=RUN_ID, tags=("a", "b"))
    found = [event("untag", RUN_ID, "a", 1), event("tag", RUN_ID, "c", 2), event("tag", RUN_ID, "b", 3)]
    assert fold(record, found).tags == ("b", "c")
    assert fold(record, [*found, event("tag", RUN_ID, "a", 4)]).tags == ("b", "c", "a")


def test_a_run_that_was_restored_after_its_deletion_is_there() -> None:
    deleted = event("delete", RUN_ID, None, 1)
    assert is_deleted([deleted])
    assert not is_deleted([event("restore", RUN_ID, None, 2), deleted])


def test_a_kind_that_nobody_knows_changes_nothing() -> None:
    record = run(id=RUN_ID)
    assert fold(record, [event("star", RUN_ID, {"any": ["thing"]}), event("name", RUN_ID, 7)]) == record


def test_a_verdict_of_the_wrong_shape_is_not_taken_for_one() -> None:
    record = run(id=RUN_ID)
    good = {"grade": "identical", "of": RUN_ID, "metrics": [], "artifacts": [], "conditions": []}
    assert fold(record, [event("verdict", RUN_ID, {**good, "metrics": "none"})]).verdict is None
    folded = fold(record, [event("verdict", RUN_ID, good)]).verdict
    assert folded is not None and folded.grade == "identical"


def test_fields_of_a_newer_mltrack_are_kept_and_part_of_the_digest() -> None:
    document = {**event_json(event("tag", RUN_ID, "x")), "colour": "red"}
    read = event_from(document)
    assert event_json(read) == document
    assert event_digest(read) != event_digest(replace(read, extra={}))


@pytest.mark.parametrize("clock", ["", "1", "1.2", "x.1.r", "-1.0.r", "1.-1.r", "9" * 16 + ".0.r", "１.0.r", "1.0x.r"])
def test_a_clock_that_is_none_is_refused(clock: str) -> None:
    with pytest.raises(Damaged):
        clock_key(clock)


@pytest.mark.parametrize(
    "change", [{"run": "../../etc"}, {"run": None}, {"kind": 3}, {"user": 5}, {"clock": "now"}, {"id": None}]
)
def test_a_hostile_event_is_refused(change: dict) -> None:
    with pytest.raises(Damaged):
        event_from({**event_json(event("tag", RUN_ID, "x")), **change})


def test_an_event_without_a_value_is_refused() -> None:
    document = event_json(event("tag", RUN_ID, "x"))
    del document["value"]
    with pytest.raises(Damaged):
        event_from(document)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1 << 50), min_size=2, max_size=10))
def test_clocks_only_go_forward_whatever_the_wall_clock_does(walls: list[int]) -> None:
    newest, keys = None, []
    for wall in walls:
        newest = next_clock(newest, wall, "r")
        keys.append(clock_key(newest))
    assert keys == sorted(set(keys))


def test_the_digest_of_an_event_is_pinned() -> None:
    made = replace(event("note", RUN_ID, "schön", 5, 1), id="e" * 16)
    assert event_digest(made) == "b3:6263be53a87cde966c2061c3ea581810682a43cb76c11d0e8e783f734f399a7a"
