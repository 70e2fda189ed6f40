from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrack.digest import canonical_json, digest_bytes
from mltrack.errors import Damaged, FormatTooNew, NotFound, StorageError, UsageError
from mltrack.ledger.events import fold, is_deleted
from mltrack.ledger.ledger import Ledger, RunQuery, sealed_bytes
from mltrack.noun_json import to_dict
from mltrack.records import UNSEALED, Artifact, CodeState, Environment, MetricSummary, Run, new_id
from mltrack.verdicts import Verdict
from tests.ledger.made import RUN_ID, damage, event, events, run


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def rows(ledger: Ledger, query: str) -> list:
    return ledger.db.execute(query).fetchall()


# -- sealing


def test_a_sealed_run_comes_back_as_it_was(ledger: Ledger) -> None:
    sealed = ledger.seal(run(tags=("a",), notes=("n",)))
    assert sealed.record_digest is not None
    assert ledger.get(sealed.id) == sealed


def test_the_record_is_the_canonical_json_without_what_events_decide(ledger: Ledger) -> None:
    made = run()
    sealed = ledger.seal(made)
    data = ledger.record_bytes(made.id)
    document = to_dict(made)
    for name in UNSEALED:
        del document[name]
    assert data == canonical_json(document)
    assert sealed.record_digest == digest_bytes(data)


def test_the_digest_of_a_record_is_pinned() -> None:
    assert (
        digest_bytes(sealed_bytes(run(id=RUN_ID)))
        == "b3:0aba4fea2d84951018ab2fc92eb7042460e0332bb9be5db8474308f9da357536"
    )


def test_sealing_twice_adds_nothing(ledger: Ledger) -> None:
    made = run(verdict=Verdict("identical", RUN_ID))
    assert ledger.seal(made) == ledger.seal(made)
    assert ledger.count() == 1 and len(ledger.events(made.id)) == 1


def test_the_verdict_of_a_sealed_run_is_an_event(ledger: Ledger) -> None:
    made = run(verdict=Verdict("identical", RUN_ID))
    ledger.seal(made)
    assert b"verdict" not in ledger.record_bytes(made.id)
    assert ledger.get(made.id).verdict == made.verdict


def test_packages_that_runs_share_are_kept_once_and_records_stay_whole(ledger: Ledger) -> None:
    packages = {f"package-{n}": "1.0" for n in range(500)}
    runs = [run(environment=Environment(packages=packages)) for _ in range(5)]
    for made in runs:
        ledger.seal(made)
    assert rows(ledger, "SELECT count(*) FROM package_row") == [(500,)]
    assert all(ledger.record_bytes(made.id) == sealed_bytes(made) for made in runs)
    assert rows(ledger, f"SELECT count(*) FROM package WHERE run = '{runs[3].id}'") == [(500,)]
    assert ledger.list()[0].environment.packages == {}
    assert ledger.list(RunQuery(without_packages=False))[0].environment.packages == packages


def test_the_words_of_the_packages_elsewhere_in_a_record_do_no_harm(ledger: Ledger) -> None:
    packages = {"numpy": "2.1.0"}
    document = json.loads(sealed_bytes(run(id=RUN_ID, environment=Environment(packages=packages))))
    data = canonical_json({"a field to come": {"packages": packages}, **document, "params": {"packages": packages}})
    ledger.add_record(data)
    assert ledger.record_bytes(RUN_ID) == data
    assert ledger.get(RUN_ID).environment.packages == packages
    assert ledger.check() == []


def test_odd_values_survive(ledger: Ledger) -> None:
    made = run(
        command=("a\nb", "\udcff", "'\"", "\x00"),
        params={"big": 1 << 70, "nan": math.nan, "inf": math.inf, "text": "\udcfe\x00", "": {"a": [None]}},
        metrics={"": MetricSummary("NaN", "NaN", "Infinity", 1 << 70, None)},
        artifacts=(Artifact("b\udcfc\n", "file", "b3:" + "0" * 64, 1 << 64),),
        name="a\udcffb",
        tags=("x\udcff", "x\udcfe"),
    )
    ledger.seal(made)
    back = ledger.get(made.id)
    assert back.command == made.command
    assert back.artifacts == made.artifacts
    assert back.params == {"big": 1 << 70, "nan": "NaN", "inf": "Infinity", "text": "\ufffd\x00", "": {"a": [None]}}
    assert ledger.artifact_paths() == {"b\udcfc\n"}


def test_tables_can_be_read_by_any_tool(ledger: Ledger) -> None:
    made = ledger.seal(run(name="baseline", tags=("best",), notes=("first", "second")))
    assert rows(ledger, "SELECT name, value, type, source FROM param ORDER BY name") == [
        ("depth", 3, "int", None),
        ("fast", 1, "bool", None),
        ("layers", "[1,2]", "json", None),
        ("lr", 0.1, "float", "argv"),
        ("name", "x", "str", None),
        ("none", None, "null", None),
    ]
    assert rows(ledger, "SELECT name, last, count FROM metric") == [("loss", 0.2, 10)]
    assert rows(ledger, "SELECT path, kind, files, kept FROM input") == [("data", "directory", 2, 1)]
    assert rows(ledger, "SELECT path, size_bytes FROM artifact") == [("model.pt", 7)]
    assert rows(ledger, "SELECT tag FROM tag") == [("best",)]
    assert rows(ledger, "SELECT number, text FROM note") == [(1, "first"), (2, "second")]
    assert rows(ledger, "SELECT name, status, code_branch, python FROM run") == [
        ("baseline", "finished", "main", "3.11.7")
    ]
    assert rows(ledger, "SELECT record_digest FROM run") == [(made.record_digest,)]


# -- records from elsewhere


def test_a_record_from_elsewhere_is_kept_byte_for_byte(ledger: Ledger) -> None:
    document = {**json.loads(sealed_bytes(run(id=RUN_ID))), "from the future": {"x": 1.5}}
    data = canonical_json(document)
    assert ledger.add_record(data) is True
    assert ledger.add_record(data) is False
    assert ledger.record_bytes(RUN_ID) == data


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../../etc/pass"},
        {"id": "UPPERCASE0000000"},
        {"id": None},
        {"command": "rm -rf"},
        {"command": [1]},
        {"params": []},
        {"tags": [{}]},
        {"metrics": {"loss": 3}},
        {"code": {"packs": "x"}},
        {"code": {"nested": [{"path": "x"}]}},
        {"inputs": [{"path": "a", "kind": "file", "digest": None, "path_b64": "?"}]},
        {"command_b64": "abcd"},
        {"duration_s": "long"},
        {"exit_code": True},
        {"environment": None},
    ],
)
def test_a_record_of_the_wrong_shape_is_refused(ledger: Ledger, change: dict) -> None:
    document = {**json.loads(sealed_bytes(run(id=RUN_ID))), **change}
    with pytest.raises(Damaged):
        ledger.add_record(canonical_json(document))
    assert ledger.ids() == set()


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_record_are_refused(ledger: Ledger, data: bytes) -> None:
    with pytest.raises(Damaged):
        ledger.add_record(data)


def test_json_that_is_not_canonical_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Damaged):
        ledger.add_record(sealed_bytes(run()) + b"\n")


def test_a_record_of_a_newer_format_is_refused_and_says_so(ledger: Ledger) -> None:
    with pytest.raises(FormatTooNew):
        ledger.add_record(sealed_bytes(run(schema=2)))


def test_of_many_records_all_are_taken_over_or_none(ledger: Ledger) -> None:
    with pytest.raises(Damaged):
        ledger.merge_records([sealed_bytes(run()), b"{}"])
    assert ledger.count() == 0
    assert ledger.merge_records([sealed_bytes(run()), sealed_bytes(run())]) == 2


def test_two_records_with_one_id_are_both_kept_and_every_replica_shows_the_same(tmp_path: Path) -> None:
    records = [
        sealed_bytes(run(id=RUN_ID, why=why, status=s))
        for why, s in (("a", "finished"), ("b", "failed"), ("c", "lost"))
    ]
    shown = set()
    for number, order in enumerate(permutations(records)):
        with Ledger.open(tmp_path / f"{number}.db") as ledger:
            for data in order:
                ledger.add_record(data)
            shown.add(repr(ledger.get(RUN_ID)))
            assert rows(ledger, "SELECT count(*), sum(shown) FROM record_conflict") == [(3, 1)]
            assert [w.kind for w in ledger.list()[0].warnings] == ["record_conflict"]
            assert all(ledger.record(digest_bytes(data)) == data for data in records)
    assert len(shown) == 1
    assert "status='lost'" not in shown.pop()


def test_a_finish_overrides_lost(ledger: Ledger) -> None:
    for number in range(8):
        lost = run(id=f"{number:016}", status="lost", why=str(number))
        finished = replace(lost, status="finished")
        ledger.seal(lost)
        ledger.seal(finished)
        assert ledger.get(lost.id).status == "finished"


# -- events


def test_an_event_edits_what_is_shown_and_not_the_record(ledger: Ledger) -> None:
    made = ledger.seal(run(name="old"))
    data = ledger.record_bytes(made.id)
    ledger.add_event("name", made.id, "new")
    ledger.add_event("tag", made.id, "best")
    ledger.add_event("note", made.id, "worth a paper")
    shown = ledger.get(made.id)
    assert (shown.name, shown.tags, shown.notes) == ("new", ("best",), ("worth a paper",))
    assert shown.record_digest == made.record_digest
    assert ledger.record_bytes(made.id) == data
    assert ledger.list() == [replace(shown, environment=replace(shown.environment, packages={}))]


def test_events_wait_for_their_record(ledger: Ledger) -> None:
    made = run()
    ledger.add_event("tag", made.id, "early")
    assert ledger.ids() == set()
    ledger.seal(made)
    assert ledger.get(made.id).tags == ("early",)


def test_merging_the_same_events_twice_adds_nothing(ledger: Ledger) -> None:
    made = ledger.seal(run(id=RUN_ID))
    found = [event("tag", made.id, "a"), event("note", made.id, "b", 2), event("star", made.id, 5, 3)]
    assert ledger.merge_events(found) == 3
    assert ledger.merge_events(found) == 0
    assert sorted(ledger.events(made.id), key=lambda e: e.clock) == found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(events(), max_size=6), order=st.randoms(use_true_random=False))
def test_what_the_ledger_shows_is_the_fold(tmp_path: Path, found: list, order) -> None:
    record = run(id=RUN_ID)
    shuffled = list(found)
    order.shuffle(shuffled)
    with Ledger.open(tmp_path / f"{new_id()}.db") as ledger:
        ledger.merge_events(shuffled[:2])
        ledger.seal(record)
        for one in shuffled[2:]:
            ledger.merge_events([one])
        assert replace(ledger.get(RUN_ID), record_digest=None) == fold(record, found)
        assert (RUN_ID in ledger.deleted_ids()) == is_deleted(found)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    a=st.lists(events(), max_size=4),
    b=st.lists(events(), max_size=4),
    c=st.lists(events(), max_size=4),
    records=st.lists(st.sampled_from("xyz"), max_size=3),
)
def test_merging_is_commutative_associative_and_idempotent(tmp_path: Path, a, b, c, records) -> None:
    def merged(*parts) -> object:
        with Ledger.open(tmp_path / f"{new_id()}.db") as ledger:
            for number, part in enumerate(parts):
                ledger.merge_events(part)
                ledger.merge_records(sealed_bytes(run(id=RUN_ID, why=why)) for why in records[number:])
            ledger.merge_records(sealed_bytes(run(id=RUN_ID, why=why)) for why in records)
            return [to_dict(r) for r in ledger.list(RunQuery(include_deleted=True))], ledger.deleted_ids()

    assert merged(a, b, c) == merged(c, b, a) == merged(a + b, c) == merged(a, b + c) == merged(a, a, b, c, b)


def test_the_hybrid_clock_survives_a_wall_clock_set_back_by_a_year(ledger: Ledger, monkeypatch) -> None:
    made = ledger.seal(run())
    ledger.add_event("name", made.id, "before")
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 365 * 86_400 * 10**9)
    late = ledger.add_event("name", made.id, "after")
    assert late.at < "2026" or late.at[:4] == str(time.gmtime().tm_year - 1)
    assert ledger.get(made.id).name == "after"


def test_an_edit_after_a_pull_comes_after_what_was_pulled(ledger: Ledger) -> None:
    made = ledger.seal(run(id=RUN_ID))
    ahead = time.time_ns() // 1_000_000 + 3_600_000
    ledger.merge_events([event("name", made.id, "theirs, an hour ahead", ahead)])
    ledger.add_event("name", made.id, "mine")
    assert ledger.get(made.id).name == "mine"


def test_a_deleted_run_is_shown_only_when_asked_for(ledger: Ledger) -> None:
    made = ledger.seal(run())
    ledger.add_event("delete", made.id, None)
    assert ledger.list() == [] and ledger.count() == 0
    assert [r.id for r in ledger.list(RunQuery(include_deleted=True))] == [made.id]
    assert ledger.get(made.id).id == made.id and ledger.deleted_ids() == {made.id}
    ledger.add_event("restore", made.id, None)
    assert ledger.count() == 1


# -- queries


def many(ledger: Ledger, **lists) -> list[Run]:
    names = list(lists)
    made = [
        run(created_at=f"2026-11-{day + 1:02}T00:00:00.000000Z", **dict(zip(names, values, strict=True)))
        for day, values in enumerate(zip(*lists.values(), strict=True))
    ]
    for one in made:
        ledger.seal(one)
    return made


def names(found: list[Run]) -> str:
    return "".join(one.name or "" for one in found)


def test_runs_are_listed_newest_first(ledger: Ledger) -> None:
    many(ledger, name="abc")
    assert names(ledger.list()) == "cba"
    assert names(ledger.list(RunQuery(limit=2))) == "cb"
    assert names(ledger.list(RunQuery(sort="created_at"))) == "abc"


def test_runs_are_sorted_by_metric_and_those_without_come_last(ledger: Ledger) -> None:
    def summary(last: float | str) -> dict:
        return {"acc": MetricSummary(last, last, last, 1)}

    lasts = [summary(0.5), summary(0.9), summary("NaN"), {}, summary("Infinity"), summary("-Infinity"), summary(-2)]
    many(ledger, name="abcdefg", metrics=lasts)
    assert names(ledger.list(RunQuery(sort="-metrics.acc"))) == "ebagfdc"
    assert names(ledger.list(RunQuery(sort="metrics.acc"))) == "fgabedc"


def test_runs_are_sorted_by_param_and_field(ledger: Ledger) -> None:
    many(ledger, name="abc", params=[{"lr": 0.1}, {"lr": 10}, {"lr": 2}], duration_s=[3.0, None, 1.0])
    assert names(ledger.list(RunQuery(sort="params.lr"))) == "acb"
    assert names(ledger.list(RunQuery(sort="-duration_s"))) == "acb"


def test_runs_are_filtered(ledger: Ledger) -> None:
    many(
        ledger,
        name="abc",
        experiment=["x", "y", "x"],
        status=["failed", "finished", "finished"],
        tags=[("t", "u"), ("t",), ()],
    )
    assert names(ledger.list(RunQuery(experiment="x"))) == "ca"
    assert names(ledger.list(RunQuery(status="finished"))) == "cb"
    assert names(ledger.list(RunQuery(tags=("t",)))) == "ba"
    assert names(ledger.list(RunQuery(tags=("t", "u")))) == "a"


@pytest.mark.parametrize("sort", ["durations", "id; DROP TABLE run", "-", "metric.acc"])
def test_an_unknown_field_is_named_with_the_nearest(ledger: Ledger, sort: str) -> None:
    with pytest.raises(UsageError) as caught:
        ledger.list(RunQuery(sort=sort))
    if sort == "durations":
        assert caught.value.hint == "Did you mean duration_s?"


def test_code_states_begin_with_those_of_the_same_snapshot(ledger: Ledger) -> None:
    codes = [CodeState(snapshot=s * 40, packs=(f"b3:{s}",)) for s in "abcab"]
    many(ledger, name="12345", code=codes)
    found = ledger.find_code("c" * 40)
    assert [code.snapshot[0] for code in found if code.snapshot] == ["c", "b", "a"]
    assert found[0] == codes[2]
    assert len(ledger.find_code("c" * 40, limit=2)) == 2
    assert ledger.find_code(None)[0].snapshot == "b" * 40


def test_an_unknown_run_is_not_found(ledger: Ledger) -> None:
    for question in (ledger.get, ledger.record_bytes):
        with pytest.raises(NotFound):
            question(RUN_ID)


# -- the file


def test_a_damaged_record_is_found_and_not_given_out(ledger: Ledger) -> None:
    made = ledger.seal(run())
    damage(ledger, made.id, b"train.py", b"drain.py")
    with pytest.raises(Damaged):
        ledger.record_bytes(made.id)
    assert made.record_digest in ledger.check()[0]


def test_what_was_sealed_is_there_after_kill_9(tmp_path: Path) -> None:
    program = """
import os, sys, signal
from pathlib import Path
from mltrack.ledger.ledger import Ledger
from tests.ledger.made import run
ledger = Ledger.open(Path(sys.argv[1]))
while True:
    print(ledger.seal(run()).id, flush=True)
"""
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "ledger.db")],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(5)]
        child.kill()
        rest = child.stdout.read()
        child.stdout.close()
        child.wait()
        with Ledger.open(tmp_path / "ledger.db") as ledger:
            ids = ledger.ids()
            assert {line.strip().decode() for line in told + rest.splitlines(True) if line.endswith(b"\n")} <= ids
            assert ledger.check() == []


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from mltrack.ledger.ledger import Ledger
from tests.ledger.made import run
for _ in range(10):
    with Ledger.open(Path(sys.argv[1])) as ledger:
        ledger.add_event("tag", ledger.seal(run()).id, "x")
"""
    command = [sys.executable, "-c", program, str(tmp_path / "ledger.db")]
    children = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(6)]
    assert [child.wait() for child in children] == [0] * 6
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        assert ledger.count() == 60
        assert all(one.tags == ("x",) for one in ledger.list())


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database at all, but long enough to be looked at" * 10)
    foreign = sqlite3.connect(tmp_path / "foreign.db")
    foreign.execute("CREATE TABLE mine (x)")
    foreign.close()
    numbered = sqlite3.connect(tmp_path / "numbered.db")
    numbered.execute("PRAGMA user_version = 7")
    numbered.close()
    for name in ("text.db", "foreign.db", "numbered.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(Damaged):
            Ledger.open(tmp_path / name)
        assert (tmp_path / name).read_bytes()[100:] == before[100:]


def test_a_ledger_in_no_directory_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        Ledger.open(tmp_path / "absent" / "ledger.db")


def test_a_ledger_that_cannot_be_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        made = ledger.seal(run())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        assert ledger.get(made.id) == made
        with pytest.raises(StorageError, match="cannot be written"):
            ledger.seal(run())
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".json" and path.suffix != ".lock"] == [
        "ledger.db"
    ]


def test_a_full_disk_is_a_storage_error_and_loses_nothing(ledger: Ledger) -> None:
    made = ledger.seal(run())
    pages = rows(ledger, "PRAGMA page_count")[0][0]
    ledger.db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageError, match="full"):
        for _ in range(50):
            ledger.seal(run(why="x" * 10_000))
    ledger.db.execute("PRAGMA max_page_count=1000000")
    assert ledger.get(made.id) == made and ledger.check() == []


def test_opening_a_ledger_imports_no_sqlite_utils(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from mltrack.ledger.ledger import Ledger\n"
    program += "Ledger.open(Path(sys.argv[1])).close(); Ledger.open(Path(sys.argv[1])).list()\n"
    program += (
        "heavy = {'sqlite_utils', 'numpy', 'fsspec', 'zstandard', 'yaml', 'difflib', 'subprocess'} & set(sys.modules)\n"
    )
    program += "assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "ledger.db")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
