"""Objects that an event adds to a run: sent before the event, found by a check, kept by a gc, brought by a pull."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.errors import DataMissing
from mltrack.sync.check import check_remote
from mltrack.sync.collection import GcRoad, collect
from mltrack.sync.planning import plan_push
from tests.sync.towns import Town, objects_of


def problems(town: Town, url: str) -> list[str]:
    return [problem.message for problem in check_remote(town.remote(url), objects_of)]


def test_they_come_along_with_the_run(place: str, a: Town, b: Town) -> None:
    run = a.record(b"one")
    wheels = a.add_wheels(run.id, {"x.whl": b"a wheel", "y.whl": os.urandom(2 << 20)})
    a.push(place)
    b.pull(place, data=True)
    assert b.ledger.get(run.id).environment_kept == {"wheels": wheels}
    assert b.whole(run.id)
    assert problems(a, place) == []


def test_they_are_sent_to_a_remote_that_has_the_run_already(place: str, a: Town, b: Town) -> None:
    run = a.record(b"one")
    a.push(place)
    a.add_wheels(run.id, {"x.whl": b"a wheel"})
    plan = plan_push(a.remote(place), a.ledger, a.store, objects_of)
    sent = a.push(place)
    assert (sent.records, sent.events, sent.objects) == (0, 1, 2)
    assert (plan.runs, plan.events, plan.objects) == (0, 1, 2)
    b.pull(place, data=True)
    assert b.whole(run.id)
    again = a.push(place)
    assert (again.events, again.objects) == (0, 0)


def test_an_event_is_not_sent_without_them(place: str, a: Town, b: Town) -> None:
    run = a.record(b"one")
    a.push(place)
    a.ledger.add_event("environment", run.id, {"wheels": "b3:" + "0" * 64})
    with pytest.raises(DataMissing, match="environment wheels"):
        a.push(place)
    b.pull(place)
    assert b.ledger.get(run.id).environment_kept == {}


def test_a_gc_of_the_remote_keeps_them_and_lets_go_of_what_was_replaced(place: str, a: Town, b: Town) -> None:
    run = a.record(b"one")
    a.add_wheels(run.id, {"old.whl": os.urandom(1 << 20)})
    a.push(place)
    a.add_wheels(run.id, {"new.whl": os.urandom(1 << 20)})
    a.push(place)
    for _ in range(2):
        done = collect(GcRoad(a.remote(place), a.ledger, a.store, objects_of, 0.0, True, frozenset()))
    assert problems(a, place) == []
    b.pull(place, data=True)
    assert b.whole(run.id)
    assert done is not None


def test_an_event_that_is_not_there_yet_is_no_need_of_the_remote(place: str, a: Town) -> None:
    run = a.record(b"one")
    a.push(place)
    a.add_wheels(run.id, {"x.whl": b"never sent"})
    for _ in range(2):
        collect(GcRoad(a.remote(place), a.ledger, a.store, objects_of, 0.0, True, frozenset()))
    assert problems(a, place) == []


def test_a_check_names_what_is_lost_of_them(place: str, a: Town) -> None:
    run = a.record(b"one")
    a.push(place)
    before = set(a.remote(place).list("packs"))
    a.add_wheels(run.id, {"x.whl": b"a wheel"})
    a.push(place)
    (pack,) = set(a.remote(place).list("packs")) - before
    (Path(place) / "packs" / pack).unlink()
    assert any("environment wheels" in message for message in problems(a, place))


def test_two_machines_that_keep_different_things_have_both(place: str, a: Town, b: Town) -> None:
    run = a.record(b"one")
    a.push(place)
    b.pull(place, data=True)
    wheels = a.add_wheels(run.id, {"x.whl": b"a wheel"})
    image = b.store.put_bytes(b"mltrack manifest")
    b.store.flush()
    b.ledger.add_event("environment", run.id, {"lock": image, "nonsense": "x", "wheels": 3})
    a.push(place)
    b.push(place)
    a.pull(place, data=True)
    b.pull(place, data=True)
    assert a.ledger.get(run.id).environment_kept == b.ledger.get(run.id).environment_kept
    assert a.ledger.get(run.id).environment_kept == {"lock": image, "wheels": wheels}
