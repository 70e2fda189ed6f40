"""Records are kept small, come back byte for byte, and are shared out between processes."""

from __future__ import annotations

import os
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrack.digest import canonical_json
from mltrack.errors import Damaged
from mltrack.ledger.asking.queries import NOT_IN_TABLES, RunQuery
from mltrack.ledger.keeping.crew import Crew
from mltrack.ledger.keeping.deriving import Prepared, from_plain_tuple, nothing_known, plain_tuple, prepared
from mltrack.ledger.keeping.members import HERE, WORD, Known
from mltrack.ledger.keeping.packing import EVERY, LONGEST, better_words, dictionary_of
from mltrack.ledger.keeping.shape import canonical, checked_record
from mltrack.ledger.ledger import Ledger, sealed_bytes
from mltrack.records import Artifact, CodeState, Environment, Hardware, NestedCode
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
    assert [ledger.record(prepared(data).digest) for data in (*first, *later)] == [*first, *later]


def test_a_dictionary_that_gains_little_is_not_made() -> None:
    texts = [os.urandom(2000) for _ in range(5)]
    assert better_words(dictionary_of(texts[:2]), texts[2:4], texts[4]) is None
    assert len(dictionary_of(texts)) == LONGEST


def test_a_damaged_dictionary_has_a_copy_and_without_it_is_told_as_damage(ledger: Ledger) -> None:
    made = ledger.seal(run())
    ledger.db.execute("UPDATE dictionary SET packed = x'0011'")
    assert ledger.get(made.id) == made and not ledger.check()  # by the copy
    ledger.db.execute("DELETE FROM dictionary_copy")
    for ask in (ledger.get, ledger.record_bytes):
        with pytest.raises(Damaged):
            ask(made.id)
    ledger.mend(sealed_bytes(made))
    assert ledger.get(made.id) == made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=3), st.text(max_size=20))
def test_packages_met_before_change_nothing(packages: dict, why: str) -> None:
    data = sealed_bytes(run(environment=Environment(packages=packages), why=why, cwd='{"packages":{}}'))
    known = nothing_known()
    first, again = prepared(data, known), prepared(data, known)
    assert first == again == prepared(data)
    if first.at is not None:
        assert first.packages is not None
        assert first.text[: first.at] + first.packages + first.text[first.at + 2 :] == data
    assert from_plain_tuple(plain_tuple(first)) == first
    assert canonical(checked_record(data)) == data


def test_packages_met_before_hide_no_damage() -> None:
    known = nothing_known()
    data = sealed_bytes(run(environment=Environment(packages={"a": "1"})))
    prepared(data, known)
    for old, new in ((b'"cwd":', b'"cwd": '), (b'"exit_code":0', b'"exit_code":true'), (b'{"a":"1"}', b'{"a": "1"}')):
        assert old in data
        with pytest.raises(Damaged):
            prepared(data.replace(old, new), known)


NESTED = CodeState(nested=(NestedCode("vendor", CodeState(commit="2" * 40)),))
MEMBER_VALUES: tuple[dict, ...] = (
    {},
    {"environment": Environment(packages={"a": "1"}, variables={"A": "1"})},
    {"environment": Environment(packages={"a": "1"}, variables={"A": "2"})},
    {"environment": Environment(options={"packages": {"a": "1"}}, packages={"a": "1"})},
    {"code": NESTED, "hardware": Hardware(cpu="x", cores=1 << 70)},
    {"code": CodeState(changed=("a", HERE)), "param_sources": {"lr": HERE}},
    {"artifacts": (Artifact("x", "file", "b3:" + "0" * 64, 1),), "inputs": ()},
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(MEMBER_VALUES), min_size=2, max_size=8), st.data())
def test_what_records_have_alike_changes_nothing(members: list[dict], data: st.DataObject) -> None:
    """Each record reads as if it were the only one, whatever was read before; and so does one that is damaged."""
    known = nothing_known()
    for number, values in enumerate(members):
        record = sealed_bytes(run(cwd=f'"{HERE}"' if number % 3 else HERE, why=str(number), **values))
        assert prepared(record, known) == prepared(record)
        at = data.draw(st.integers(0, len(record) - 1))
        bad = record[:at] + data.draw(st.sampled_from((b"", b" ", b"0", b'"', b"{}", WORD))) + record[at + 1 :]
        expected = outcome(bad, None)
        assert outcome(bad, known) == expected


def outcome(data: bytes, known: Known | None) -> Prepared | str:
    try:
        return prepared(data, known)
    except Damaged as error:
        return error.message


def test_a_part_that_stands_elsewhere_is_not_taken_for_the_known_one() -> None:
    """A record that is no canonical JSON as a whole stays none, though what is cut out of it is known."""
    known = nothing_known()
    code = CodeState(commit="1" * 40)
    record = sealed_bytes(run(code=code, params={"a": 1}))
    prepared(record, known)
    part = record[record.index(b'"code":') : record.index(b',"command":')]
    for bad in (
        record.replace(part, part + b"," + part),
        record.replace(b'"cwd":"."', b'"cwd":{' + part + b',"command":[]}'),
        record.replace(part + b",", b"").replace(b'"params":{', b'"params":{' + part + b',"command":1,'),
        record.replace(part, part.replace(b'"code":', b'"code": ')),
    ):
        assert bad != record
        assert outcome(bad, known) == outcome(bad, None)


@pytest.mark.parametrize("values", MEMBER_VALUES)
def test_a_brief_list_has_the_same_runs_without_what_it_leaves_out(ledger: Ledger, values: dict) -> None:
    for changes in (values, {**values, "params": {"a": HERE, "hardware": {}, "artifacts": []}}):
        ledger.seal(run(**changes))
    whole, brief = ledger.list(), ledger.list(RunQuery(brief=True))
    for one, other in zip(whole, brief, strict=True):
        for item in fields(one):
            expected = getattr(one, item.name)
            if item.name in NOT_IN_TABLES:
                expected = item.default if item.default is not MISSING else item.default_factory()  # type: ignore[misc]
            assert getattr(other, item.name) == expected, item.name


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
