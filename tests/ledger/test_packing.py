"""Records are kept small, come back byte for byte, and are shared out between processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrack.digest import canonical_json
from mltrack.errors import Damaged
from mltrack.ledger.crew import Crew
from mltrack.ledger.deriving import from_plain_tuple, plain_tuple, prepared
from mltrack.ledger.ledger import Ledger, sealed_bytes
from mltrack.ledger.packing import EVERY, LONGEST, better_words, dictionary_of
from mltrack.ledger.shape import canonical, checked_record
from mltrack.records import Environment
from tests.ledger.made import run


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def test_a_record_like_those_before_takes_a_fraction_of_its_size(ledger: Ledger) -> None:
    for number in range(40):
        ledger.seal(run(why=f"try {number}"))
    (whole,) = ledger.db.execute("SELECT sum(length(packed)) / 39 FROM record WHERE position > 1").fetchone()
    assert whole < len(sealed_bytes(run())) / 6
    assert ledger.check() == []


def test_when_runs_change_their_kind_a_new_dictionary_serves_them(ledger: Ledger) -> None:
    def other(number: int) -> bytes:
        words = tuple(f"--a-flag-of-another-program-{letter * 9}" for letter in "abcdefghijklmnop")
        return sealed_bytes(run(command=(*words, str(number)), why="y" * 300))

    first = [sealed_bytes(run(why=str(number))) for number in range(3)]
    later = [other(number) for number in range(3 * EVERY)]
    for data in (*first, *later):
        ledger.add_record(data)
    assert 2 <= ledger.db.execute("SELECT count(*) FROM dictionary").fetchone()[0] <= 4
    assert [ledger.record(prepared(data, {}).digest) for data in (*first, *later)] == [*first, *later]


def test_a_dictionary_that_gains_little_is_not_made() -> None:
    texts = [os.urandom(2000) for _ in range(5)]
    assert better_words(dictionary_of(texts[:2]), texts[2:4], texts[4]) is None
    assert len(dictionary_of(texts)) == LONGEST


def test_a_missing_dictionary_is_told_as_damage(ledger: Ledger) -> None:
    made = ledger.seal(run())
    ledger.db.execute("DELETE FROM dictionary")
    for ask in (ledger.get, ledger.record_bytes):
        with pytest.raises(Damaged):
            ask(made.id)
    ledger.mend(sealed_bytes(made))
    assert ledger.get(made.id) == made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=3), st.text(max_size=20))
def test_packages_met_before_change_nothing(packages: dict, why: str) -> None:
    data = sealed_bytes(run(environment=Environment(packages=packages), why=why, cwd='{"packages":{}}'))
    known: dict = {}
    first, again = prepared(data, known), prepared(data, known)
    assert first == again == prepared(data, {})
    if first.at is not None:
        assert first.packages is not None
        assert first.text[: first.at] + first.packages + first.text[first.at + 2 :] == data
    assert from_plain_tuple(plain_tuple(first)) == first
    assert canonical(checked_record(data)) == data


def test_packages_met_before_hide_no_damage() -> None:
    known: dict = {}
    data = sealed_bytes(run(environment=Environment(packages={"a": "1"})))
    prepared(data, known)
    for old, new in ((b'"cwd":', b'"cwd": '), (b'"exit_code":0', b'"exit_code":true'), (b'{"a":"1"}', b'{"a": "1"}')):
        assert old in data
        with pytest.raises(Damaged):
            prepared(data.replace(old, new), known)


def test_canonical_is_what_canonical_json_is_for_what_was_read() -> None:
    value = {"b": [1, 1.5, None, True, "é\n"], "a": {"": -0.0}, "1": 1 << 80}
    assert canonical(value) == canonical_json(value)
    for bad in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(ValueError):
            canonical([bad])


def test_a_crew_answers_in_order_and_ends() -> None:
    batches = [[bytes([number]) * 100_000] * 3 for number in range(9)]
    with Crew(lambda batch: [len(item) + item[0] for item in batch], 3) as crew:
        assert list(crew.answers(batches)) == [[100_000 + number] * 3 for number in range(9)]
        pids = [worker.pid for worker in crew.workers]
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, 0)


def test_a_crew_that_is_left_early_ends_too() -> None:
    with Crew(lambda batch: [item * 100 for item in batch], 2) as crew:
        assert len(next(crew.answers([[b"x" * 100_000]] * 9))[0]) == 10_000_000


def test_a_worker_that_died_is_noticed() -> None:
    with Crew(lambda batch: os._exit(3), 1) as crew, pytest.raises((EOFError, BrokenPipeError)):
        list(crew.answers([[b"x"], [b"y"]]))
