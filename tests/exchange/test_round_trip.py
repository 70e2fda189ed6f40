"""What an export holds, an import takes over exactly; and what it refuses, it refuses in one line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mltrack.errors import Damaged, MltrackError, NotFound, StorageError, UsageError
from mltrack.ledger.queries import RunQuery
from mltrack.operations.exchange.export import ExportRequest, export, form_of, whole_file
from mltrack.operations.exchange.importing import ImportReport, ImportRequest, import_runs
from mltrack.operations.exchange.reading import LONGEST, Bad, Piece, pieces
from mltrack.operations.keeping.gc import GcRequest, gc
from mltrack.operations.keeping.verify import VerifyRequest, verify
from mltrack.operations.seeing.selection import Choice
from mltrack.project import Project
from mltrack.records import Imported
from tests.exchange.conftest import IDS, plain_run

Maker = Callable[[str], Project]


def exported(project: Project, *words: str, form: str = "jsonl", hidden: bool = True) -> bytes:
    out = io.BytesIO()
    export(project, ExportRequest(Choice(words), form, hidden), out, lambda text: None, lambda more: None)
    return out.getvalue()


def taken(project: Project, data: bytes | str, **how: bool) -> ImportReport:
    file = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return import_runs(project, ImportRequest("runs.jsonl", **how), file)


def test_a_round_trip_through_an_empty_project_gives_the_same_bytes(source: Project, empty: Maker) -> None:
    first = exported(source)
    other = empty("other")
    report = taken(other, first)
    assert (report.read, report.new, report.proved, report.refused) == (6, 6, 6, ())
    assert exported(other) == first
    for id in IDS[:6]:
        assert other.ledger.record_bytes(id) == source.ledger.record_bytes(id)
        assert set(other.ledger.records_of(id)) == set(source.ledger.records_of(id))
    assert other.ledger.deleted_ids() == {IDS[3]}
    assert other.ledger.get(IDS[1]).tags == ("best",)


def test_a_list_round_trips_too(source: Project, empty: Maker) -> None:
    text = exported(source, form="json")
    other = empty("other")
    taken(other, text)
    assert exported(other, form="json") == text
    assert len(json.loads(text)) == 6
    indented = json.dumps(json.loads(text), indent=2)
    assert taken(empty("third"), indented).proved == 6
    assert taken(empty("fourth"), json.dumps(json.loads(text)[0], indent=1)).proved == 1


def test_importing_twice_adds_nothing(source: Project, empty: Maker) -> None:
    data, other = exported(source), empty("other")
    taken(other, data)
    again = taken(other, data)
    assert (again.read, again.new, again.events) == (6, 0, 0)
    assert taken(source, data).new == 0
    assert source.ledger.get(IDS[0]).imported is None


def test_a_run_says_that_it_was_imported_and_an_export_does_not(source: Project, empty: Maker) -> None:
    other = empty("other")
    taken(other, exported(source))
    said = other.ledger.get(IDS[1]).imported
    assert isinstance(said, Imported) and said.file == "runs.jsonl" and said.digest_proved
    (document,) = [one for one in other.ledger.documents(RunQuery()) if one["id"] == IDS[1]]
    assert document["imported"]["digest_proved"] is True
    assert all("imported" not in json.loads(line) for line in exported(other).splitlines())
    assert b"runs.jsonl" not in exported(other)


def test_hidden_runs_are_exported_only_when_asked_for(source: Project) -> None:
    assert len(exported(source, hidden=False).splitlines()) == 5
    assert len(exported(source, hidden=True).splitlines()) == 6


def test_an_export_follows_a_query_and_names(source: Project) -> None:
    ids = [json.loads(line)["id"] for line in exported(source, IDS[4], "tag:best", hidden=False).splitlines()]
    assert ids == [IDS[4], IDS[1]]
    with pytest.raises(NotFound):
        exported(source, "metrics.nothing > 1")
    with pytest.raises(UsageError):
        exported(source, "status >")


def test_a_line_has_the_shape_of_the_machine_interface(source: Project) -> None:
    by_id = {(one := json.loads(line))["id"]: one for line in exported(source).splitlines()}
    assert by_id[IDS[0]]["environment"]["packages"]["numpy"] == "2.1.0"
    assert by_id[IDS[0]]["events"] == [] and "sealed" not in by_id[IDS[0]]
    assert by_id[IDS[1]]["name"] == "better" and by_id[IDS[1]]["sealed"]["name"] is None
    assert [event["kind"] for event in by_id[IDS[1]]["events"]] == ["tag", "untag", "note", "name", "later-kind"]
    assert by_id[IDS[4]]["verdict"]["grade"] == "different"


def test_missing_data_of_imported_runs_lets_verify_and_gc_work(source: Project, empty: Maker) -> None:
    other = empty("other")
    taken(other, exported(source))
    assert verify(other, VerifyRequest()).holds
    gc(other, GcRequest(apply=True))


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "x/../../y"}', '{"id": "' + "z" * 17 + '"}', '{"id": 3}', "[1", "{", "nonsense", "3", "null", '"text"',
        '{"metrics": 3}', '{"params": []}', '{"status": "running"}', '{"schema": 99}', '{"name": "a", "name": "b"}',
        '{"parameters": {}}', '{"created_at": "soon"}', '{"command": {"a": 1}}', "[" * 200_000, '{"a":' * 100_000,
        '{"artifacts": [{"path": "a"}]}', '{"params": ' + "9" * 5000 + "}", '{"created_at": 1e300}', '{"tags": [1]}',
        b"\xff\xfe{}", b'{"name": "\xff"}', b"\x1f\x8b123", b"PAR1", b"SQLite format 3\0", b"\x00\x00\x00",
    ],
)  # fmt: skip
def test_a_hostile_line_is_refused_in_one_sentence_and_nothing_is_taken(empty: Maker, line: str | bytes) -> None:
    project = empty("project")
    data = line.encode() if isinstance(line, str) else line
    with pytest.raises(MltrackError) as caught:
        taken(project, data + b'\n{"name": "fine"}\n')
    assert caught.value.hint and "\n" not in caught.value.message
    assert not project.ledger.ids()


def test_a_bad_line_stops_all_and_skip_bad_takes_the_others(source: Project, empty: Maker) -> None:
    lines = exported(source).splitlines()
    data = b"\n".join([lines[0], b'{"id": "a/b"}', lines[1]])
    project = empty("project")
    with pytest.raises(Damaged, match="line 2"):
        taken(project, data)
    assert not project.ledger.ids()
    report = taken(project, data, skip_bad=True)
    assert report.new == 2 and [bad.number for bad in report.refused] == [2]


def test_a_dry_run_says_what_would_come_and_takes_nothing(source: Project, empty: Maker) -> None:
    project = empty("project")
    report = taken(project, exported(source), dry_run=True)
    assert (report.new, report.proved, report.applied) == (6, 6, False) and report.events > 4
    assert not project.ledger.ids()


def test_a_record_made_by_hand_is_completed_and_says_so(empty: Maker) -> None:
    project = empty("project")
    line = {
        "command": "python train.py --lr 0.1",
        "params": {"lr": 0.1, "model": {"depth": 3}, "api_key": "hunter2-hunter2"},
        "metrics": {"acc": 0.9, "loss": {"last": 0.1, "count": 3}, "bad": float("nan")},
        "started_at": "2026-11-01T10:00:00+02:00",
        "finished_at": "2026-11-01T10:00:05+02:00",
        "tags": ["old"],
    }
    report = taken(project, json.dumps(line) + "\n" + json.dumps(line) + '\n{"id": "00000000000000ab"}\n')
    assert (report.new, report.proved) == (3, 0)
    run = project.ledger.list(RunQuery(limit=1, sort="-created_at"))[0]
    assert run.command == ("python", "train.py", "--lr", "0.1") and run.status == "finished" and run.cwd == "."
    assert run.params["model.depth"] == 3 and "hunter2" not in str(run)
    assert (run.metrics["acc"].last, run.metrics["loss"].min, run.metrics["bad"].last) == (0.9, 0.1, "NaN")
    assert (run.created_at, run.duration_s) == ("2026-11-01T08:00:00.000000Z", 5.0)
    assert [warning.kind for warning in run.warnings] == ["imported"]
    assert run.imported is not None and not run.imported.digest_proved
    again = taken(project, json.dumps(line) + "\n" + json.dumps(line) + '\n{"id": "00000000000000ab"}\n')
    assert (again.read, again.new, again.unlike) == (3, 0, ())
    assert verify(project, VerifyRequest()).holds


def test_a_changed_line_is_not_taken_for_the_sealed_record(source: Project, empty: Maker) -> None:
    documents = [json.loads(line) for line in exported(source, IDS[0]).splitlines()]
    documents[0]["params"]["lr"] = 7
    changed = json.dumps(documents[0])
    assert taken(source, changed).unlike == (IDS[0],)
    other = empty("other")
    report = taken(other, changed)
    assert (report.new, report.proved) == (1, 0)
    assert other.ledger.get(IDS[0]).params["lr"] == 7
    assert verify(other, VerifyRequest()).holds
    gc(other, GcRequest(apply=True))


def test_a_tag_changed_in_a_line_is_not_lost_in_silence(source: Project, empty: Maker) -> None:
    document = json.loads(exported(source, IDS[4]))
    document["tags"] = ["mine"]
    document["sealed"] = {"tags": ["paper"]}
    with pytest.raises(Damaged, match="its tags"):
        taken(empty("other"), json.dumps(document))


def test_a_line_of_any_length_is_passed_over_without_being_held(monkeypatch: pytest.MonkeyPatch) -> None:
    from mltrack.operations.exchange import reading

    monkeypatch.setattr(reading, "LONGEST", 1000)
    data = b'{"a": 1}\n' + b"x" * 100_000 + b'\n\n{"b": 2}'
    found = list(pieces(io.BytesIO(data), "file"))
    assert [type(one) for one in found] == [Piece, Bad, Piece] and found[2].number == 4
    assert LONGEST > 1000


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "runs.jsonl"
    place.write_text("before")
    with pytest.raises(KeyError), whole_file(place) as file:
        file.write(b"half")
        raise KeyError
    assert place.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["runs.jsonl"]
    with pytest.raises(StorageError), whole_file(tmp_path / "none" / "x"):
        pass


def test_the_format_is_that_of_the_name_unless_it_is_given() -> None:
    assert form_of(None, Path("a.csv")) == "csv" and form_of("json", Path("a.csv")) == "json"
    assert form_of(None, None) == form_of(None, Path("a.txt")) == "jsonl"
    with pytest.raises(UsageError):
        form_of("xml", None)


def test_flat_rows_have_a_column_for_everything(source: Project, tmp_path: Path) -> None:
    import csv

    source.ledger.seal(plain_run(6, params={"lr": "high", "n": 1 << 70}))
    rows = list(csv.DictReader(io.StringIO(exported(source, form="csv", hidden=False).decode(), newline="")))
    by_id = {row["id"]: row for row in rows}
    assert by_id[IDS[0]]["params.lr"] == "0.1" and by_id[IDS[6]]["params.lr"] == "high"
    assert by_id[IDS[5]]["params.a\nb"] == "NaN" and by_id[IDS[0]]["params.amp"] == "false"
    assert by_id[IDS[1]]["name"] == "better"


def test_parquet_has_types(source: Project) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    source.ledger.seal(plain_run(6, params={"lr": "high", "n": 1 << 70}))
    table = parquet.read_table(io.BytesIO(exported(source, form="parquet", hidden=False)))
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["created_at"] == "timestamp[us, tz=UTC]" and kinds["duration_s"] == "double"
    assert (kinds["params.lr"], kinds["params.model.depth"], kinds["params.amp"]) == ("string", "int64", "bool")
    assert table.num_rows == 6 and kinds["params.n"] == "double"
