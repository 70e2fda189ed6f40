"""Who made and who used a content, asked in bulk and read whole: the same answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrack.digest import digest_bytes
from mltrack.ledger.asking.content import Content, beginning, directories, last_at, of_size
from mltrack.ledger.ledger import Ledger, sealed_bytes
from mltrack.records import Artifact, Input, Run
from tests.operations.content_made import facts, id_of, record

X, Y = b"content x", b"content y"
DX, DY = digest_bytes(X), digest_bytes(Y)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def put(ledger: Ledger, *runs: Run) -> None:
    ledger.merge_records(map(sealed_bytes, runs))


def test_makers_and_users_are_told_apart(ledger: Ledger) -> None:
    put(ledger, record("a", 0, {}, {"out": X}), record("b", 9, {"in": X}, {"out": Y}))
    content = Content(ledger)
    assert {d: [(one.run, one.path) for one in found] for d, found in content.makers([DX, DY]).items()} == {
        DX: [(id_of("a"), "out")], DY: [(id_of("b"), "out")],
    }  # fmt: skip
    assert [(one.run, one.path) for one in content.users([DX])[DX]] == [(id_of("b"), "in")]
    assert content.users([DY]) == {DY: []}
    brief = content.brief(id_of("a"))
    assert brief.command == ("python", "a.py") and brief.began < brief.ended


def test_a_path_that_is_not_utf8_comes_back_as_it_is(ledger: Ledger) -> None:
    path = os.fsdecode(b"caf\xe9.bin")
    put(ledger, record("a", 0, {}, {path: X}))
    assert Content(ledger).makers([DX])[DX][0].path == path
    found = last_at(ledger, path)
    assert found is not None and found.path == path


def test_a_link_says_nothing_of_content_and_an_unknown_input_is_still_an_input(ledger: Ledger) -> None:
    run = record("a", 0, {"gone": None}, {})
    link = Artifact("latest", "link", DX, 9)
    url = Input("https://example.org/data", "url", None)
    put(ledger, Run(**{**run.__dict__, "artifacts": (link,), "inputs": (*run.inputs, url)}))
    content = Content(ledger)
    assert content.makers([DX]) == {DX: []}
    assert [(one.path, one.digest) for one in content.inputs_of([run.id])[run.id]] == [
        ("gone", None), ("https://example.org/data", None),
    ]  # fmt: skip


def test_hidden_runs_are_told_as_such(ledger: Ledger) -> None:
    put(ledger, record("a", 0, {}, {"out": X}))
    ledger.add_event("delete", id_of("a"), None)
    content = Content(ledger)
    assert content.makers([DX])[DX] and content.brief(id_of("a")).hidden
    assert last_at(ledger, "out") is None


def test_directories_are_those_that_came_since(ledger: Ledger) -> None:
    one, two = {"f": X}, {"f": Y}
    assert directories(ledger, None) == (set(), "")
    put(ledger, record("a", 0, {"in": one}, {"file": X}))
    found, place = directories(ledger, None)
    assert found == {facts(one)[1]}
    assert directories(ledger, place) == (set(), place)
    put(ledger, record("b", 9, {}, {"out": two}))
    found, later = directories(ledger, place)
    assert found == {facts(two)[1]} and later != place
    assert directories(ledger, "1 b3:of another ledger")[0] == {facts(one)[1], facts(two)[1]}
    assert directories(ledger, "nonsense")[0] == {facts(one)[1], facts(two)[1]}


def test_the_newest_run_at_a_path_and_files_of_a_size(ledger: Ledger) -> None:
    put(ledger, record("a", 0, {}, {"m": X}), record("b", 9, {}, {"m": Y, "n": X}), record("c", 4, {}, {"m": X + Y}))
    found = last_at(ledger, "m")
    assert found is not None and (found.run, found.digest) == (id_of("b"), DY)
    assert last_at(ledger, "nothing") is None
    assert [one.digest for one in of_size(ledger, 9, 9, 5)] in ([DX, DY], [DY, DX])
    assert len(of_size(ledger, 9, 9, 1)) == 1 and of_size(ledger, 10, 17, 5) == []


def test_digests_are_found_by_their_beginning(ledger: Ledger) -> None:
    put(ledger, record("a", 0, {"in": X}, {"out": Y}))
    assert beginning(ledger, DX[:12]) == {DX} and beginning(ledger, DY[:12]) == {DY}
    assert beginning(ledger, "b3:") == {DX, DY} and beginning(ledger, "b3:" + "f" * 9) == set()


def test_a_run_without_a_record_can_be_taken_in(ledger: Ledger) -> None:
    content = Content(ledger)
    content.add(record("a", 0, {"in": X}, {}, status="running", finished_at=None))
    assert content.inputs_of([id_of("a")])[id_of("a")][0].digest == DX
    assert content.brief(id_of("a")).ended > "2999" and content.artifacts_of([id_of("a")]) == {id_of("a"): []}


THINGS = st.dictionaries(st.sampled_from("pqr"), st.sampled_from([X, Y, {"f": X}]), max_size=3)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(THINGS, THINGS), max_size=5))
def test_read_whole_it_says_the_same_as_asked_bit_by_bit(tmp_path_factory: pytest.TempPathFactory, shape: list) -> None:
    with Ledger.open(tmp_path_factory.mktemp("ledger") / "ledger.db") as ledger:
        put(ledger, *(record("abcde"[at], at, *things) for at, things in enumerate(shape)))
        asked, whole = Content(ledger), Content(ledger)
        assert whole.extent() == sum(len(things) for pair in shape for things in pair)
        whole.read_all()
        digests = [DX, DY, facts({"f": X})[1], digest_bytes(b"nobody's")]
        runs = [id_of(name) for name in "abcdef"]
        for name in ("makers", "users"):
            assert getattr(asked, name)(digests) == getattr(whole, name)(digests)
        for name in ("inputs_of", "artifacts_of", "briefs"):
            assert getattr(asked, name)(runs) == getattr(whole, name)(runs)
