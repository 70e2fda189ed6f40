from __future__ import annotations

from pathlib import Path

import pytest

from mltrack.errors import Ambiguous, NotFound
from mltrack.ledger.ledger import Ledger
from mltrack.records import Run
from tests.ledger.made import run


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def seal(ledger: Ledger, id: str, day: int = 1, **changes) -> Run:
    here = {"replica": ledger.replica}
    created = f"2026-11-{day:02}T00:00:00.000000Z"
    return ledger.seal(run(**{"id": id.ljust(16, "0"), "created_at": created, "origin": here, **changes}))


def test_an_exact_id_comes_before_a_name(ledger: Ledger) -> None:
    one = seal(ledger, "aaaa")
    seal(ledger, "bbbb", name=one.id)
    assert ledger.resolve(one.id) == one.id


def test_a_name_means_the_newest_run_of_that_name(ledger: Ledger) -> None:
    seal(ledger, "aaaa", 3, name="base")
    newest = seal(ledger, "bbbb", 5, name="base")
    seal(ledger, "cccc", 4, name="base")
    assert ledger.resolve("base") == newest.id


def test_a_name_comes_before_a_tag_and_a_tag_before_a_prefix(ledger: Ledger) -> None:
    named = seal(ledger, "aaaa", name="best")
    tagged = seal(ledger, "bbbb", tags=("best", "cccc"))
    seal(ledger, "cccc")
    assert ledger.resolve("best") == named.id
    assert ledger.resolve("cccc") == tagged.id


def test_a_tag_of_two_runs_is_ambiguous_and_both_are_told(ledger: Ledger) -> None:
    ids = [seal(ledger, letter * 4, day, tags=("best",)).id for day, letter in enumerate("ab", 1)]
    with pytest.raises(Ambiguous) as caught:
        ledger.resolve("best")
    assert all(id in caught.value.message for id in ids)
    assert "2026-11-01" in caught.value.message and "train.py" in caught.value.message


def test_a_prefix_of_four_characters_is_enough_and_three_are_not(ledger: Ledger) -> None:
    one = seal(ledger, "abcd1")
    seal(ledger, "abcx")
    assert ledger.resolve("abcd") == one.id
    assert ledger.resolve("ABCD1") == one.id
    with pytest.raises(NotFound) as caught:
        ledger.resolve("abc")
    assert caught.value.hint and "4 characters" in caught.value.hint


def test_an_ambiguous_prefix_names_at_most_ten(ledger: Ledger) -> None:
    for number in range(12):
        seal(ledger, f"abcd{number:02}")
    with pytest.raises(Ambiguous) as caught:
        ledger.resolve("abcd")
    assert "begins the ids of 12 runs" in caught.value.message and "and 2 more" in caught.value.message


def test_what_a_candidate_recorded_cannot_steer_the_terminal(ledger: Ledger) -> None:
    for letter in "xy":
        seal(ledger, f"abcd{letter}", command=("\x1b[2J\nrm",))
    with pytest.raises(Ambiguous) as caught:
        ledger.resolve("abcd")
    assert "\x1b" not in caught.value.message


def test_at_is_the_newest_run_created_in_this_checkout(ledger: Ledger) -> None:
    first, second = seal(ledger, "aaaa", 1), seal(ledger, "bbbb", 2)
    seal(ledger, "cccc", 9, origin={"replica": "0" * 16})
    assert ledger.resolve("@") == ledger.resolve("@~0") == second.id
    assert ledger.resolve("@~1") == ledger.resolve("@~") == first.id
    with pytest.raises(NotFound, match="Only 2 runs") as caught:
        ledger.resolve("@~2")
    assert "The newest of all is cccc0" in str(caught.value.hint)


def test_at_in_an_empty_ledger_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="no run yet"):
        ledger.resolve("@")


def test_a_living_run_can_be_named_in_every_way(ledger: Ledger) -> None:
    old = seal(ledger, "aaaa", 1, name="base")
    live = [("b" * 16, "base", "2026-11-02T00:00:00.000000Z"), ("c" * 16, None)]
    for ref, id in (("b" * 16, "b"), ("base", "b"), ("bbbb", "b"), ("@", "c"), ("@~1", "b")):
        assert ledger.resolve(ref, live) == id * 16
    assert ledger.resolve("@~2", live) == old.id


def test_a_run_that_is_both_sealed_and_still_listed_as_living_is_one(ledger: Ledger) -> None:
    one = seal(ledger, "abcd")
    assert ledger.resolve("abcd", [(one.id, None)]) == one.id
    with pytest.raises(NotFound):
        ledger.resolve("@~1", [(one.id, None)])


def test_a_deleted_run_is_found_by_its_exact_id_only(ledger: Ledger) -> None:
    one = seal(ledger, "abcd", name="base", tags=("best",))
    ledger.add_event("delete", one.id, None)
    assert ledger.resolve(one.id) == one.id
    for ref in ("abcd", "base", "best", "@"):
        with pytest.raises(NotFound):
            ledger.resolve(ref)


def test_an_unknown_ref_names_the_nearest(ledger: Ledger) -> None:
    seal(ledger, "aaaa", name="baseline", tags=("golden",))
    for ref, near in (("basline", "baseline"), ("goldem", "golden")):
        with pytest.raises(NotFound) as caught:
            ledger.resolve(ref)
        assert caught.value.hint == f"Did you mean {near}?"


@pytest.mark.parametrize("ref", ["", "%", "____", "' OR 1=1", "@~x", "@~" + "9" * 30, "ab\x00cd", "ü" * 4])
def test_odd_refs_are_simply_not_found(ledger: Ledger, ref: str) -> None:
    seal(ledger, "aaaa")
    with pytest.raises(NotFound):
        ledger.resolve(ref)


def test_the_newest_run_is_found_after_this_checkout_took_another_id(ledger: Ledger) -> None:
    from mltrack.ledger.replica import renew_replica

    first = seal(ledger, "aaaa", 1)
    renew_replica(ledger.path.parent)
    second = seal(ledger, "bbbb", 2)
    renew_replica(ledger.path.parent)
    seal(ledger, "cccc", 3, origin={"replica": "z" * 16})
    assert ledger.resolve("@") == second.id and ledger.resolve("@~1") == first.id
