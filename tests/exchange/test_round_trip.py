"""What an export holds, an import takes over exactly; and what it refuses, it refuses in one line."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mltrack.errors import Damaged, MltrackError, NotFound, StorageError, UsageError
from mltrack.flat import FACTS
from mltrack.ledger.asking.queries import RunQuery
from mltrack.live.rundir import RunDir
from mltrack.operations.exchange.export import ExportRequest, export, form_of, packing, whole_file
from mltrack.operations.exchange.importing import ImportReport, ImportRequest, import_runs
from mltrack.operations.exchange.reading import LONGEST, Bad, Piece, pieces
from mltrack.operations.keeping.gc import GcRequest, gc
from mltrack.operations.keeping.verify import VerifyRequest, verify
from mltrack.operations.running.seal import seal
from mltrack.operations.seeing.frames import FLOAT, INT, MIXED, TEXT, kind_for, trait_of
from mltrack.operations.seeing.selection import Choice
from mltrack.project import Project
from mltrack.records import Imported
from mltrack.views.exchange import Visible
from tests.compare.samples import metric
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


def test_a_tag_changed_in_a_line_is_not_lost_in_silence(source: Project, empty: Maker) -> None:
    document = json.loads(exported(source, IDS[4]))
    document["tags"] = ["mine"]
    document["sealed"] = {"tags": ["paper"]}
    with pytest.raises(Damaged, match="its tags"):
        taken(empty("other"), json.dumps(document))


CUT_LISTS = (
    '[{"name":"one"}]\n[{"name":"two"}]', "[{}] trailing", "[{}", "[", "[{} {}]", "[{},]", "[,{}]", "[{},,{}]", "{\n} x",
    '[{"name":"one"},\n{"name":"tw', "[{}]]",
)  # fmt: skip


def test_a_list_is_taken_whole_or_not_at_all(empty: Maker) -> None:
    project = empty("project")
    for text in CUT_LISTS:
        with pytest.raises(Damaged):
            taken(project, text)
    assert not project.ledger.ids()


def test_an_empty_list_and_objects_one_after_the_other_are_whole(empty: Maker) -> None:
    project = empty("project")
    assert taken(project, " [ ]\n").read == 0 and taken(project, "").read == 0
    assert taken(project, '{\n"name":"a"}\n{"name":"b"} {"name":"c"}').new == 3


def test_the_ledger_is_free_while_an_import_waits_for_its_input(empty: Maker) -> None:
    project = empty("project")
    ours, theirs = os.pipe()
    failed: list[Exception] = []

    def write() -> None:
        with os.fdopen(theirs, "wb") as pipe:
            pipe.write(
                (b'{"why": "' + b"x" * 1000 + b'"}\n') * 100
            )  # more than the pipe holds: so the import has begun
            pipe.flush()
            try:
                with Project(project.root) as other:
                    other.ledger.db.execute("PRAGMA busy_timeout = 0")
                    other.ledger.seal(plain_run(0))
            except Exception as error:
                failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(ours, "rb") as pipe:
        report = import_runs(project, ImportRequest("-"), pipe)
    writer.join()
    assert not failed and report.new == 100 and len(project.ledger.ids()) == 101


def test_a_line_of_any_length_is_passed_over_without_being_held(monkeypatch: pytest.MonkeyPatch) -> None:
    from mltrack.operations.exchange import reading

    monkeypatch.setattr(reading, "LONGEST", 1000)
    data = b'{"a": 1}\n' + b"x" * 100_000 + b'\n\n{"b": 2}'
    found = list(pieces(io.BytesIO(data), "file"))
    assert [type(one) for one in found] == [Piece, Bad, Piece] and found[2].number == 4
    assert LONGEST > 1000


def test_a_file_keeps_its_rights_and_one_that_ends_with_gz_is_compressed(
    source: Project, empty: Maker, tmp_path: Path
) -> None:
    place = tmp_path / "runs.jsonl.gz"
    place.touch()
    place.chmod(0o600)
    with whole_file(place) as file, packing(file, place) as inside:
        inside.write(exported(source))
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert gzip.decompress(place.read_bytes()) == exported(source)
    other = empty("other")
    with pytest.raises(Damaged, match="decompressed"):
        taken(other, place.read_bytes()[:-20])
    assert not other.ledger.ids() and taken(other, place.read_bytes()).proved == 6


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
    assert form_of(None, None) == form_of(None, Path("runs")) == form_of(None, Path("a.jsonl.gz")) == "jsonl"
    assert form_of("jsonl", Path("a.txt")) == "jsonl"
    for form, name in (("xml", "a"), (None, "a.xlsx"), (None, "a.txt"), (None, "a.txt.gz"), (None, "a.parquet.gz")):
        with pytest.raises(UsageError) as caught:
            form_of(form, Path(name))
    with pytest.raises(UsageError) as caught:
        form_of(None, Path("a.XLSX"))
    assert "-o runs.csv" in (caught.value.hint or "")


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
    params = {"lr": "high", "n": 1 << 70, "exact": (1 << 53) + 1}
    source.ledger.seal(plain_run(6, params=params, exit_code=None, metrics={"acc": metric(1)}))
    table = parquet.read_table(io.BytesIO(exported(source, form="parquet", hidden=False)))
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["created_at"] == "timestamp[us, tz=UTC]" and kinds["duration_s"] == "double"
    assert (kinds["params.lr"], kinds["params.model.depth"], kinds["params.amp"]) == ("string", "int64", "bool")
    assert table.num_rows == 6 and (kinds["params.n"], kinds["params.exact"]) == ("string", "int64")
    assert str(1 << 70) in table["params.n"].to_pylist() and (1 << 53) + 1 in table["params.exact"].to_pylist()
    alone = parquet.read_table(io.BytesIO(exported(source, IDS[6], form="parquet")))
    assert {field.name: str(field.type) for field in alone.schema if field.name in FACTS} == {
        name: kinds[name] for name in FACTS
    }
    assert str(alone.schema.field("metrics.acc").type) == "double" and kinds["exit_code"] == "int64"


def test_no_integer_is_rounded_in_a_column_of_any_type() -> None:
    def kind(name: str, *values: object) -> str:
        return kind_for(name, {trait_of(value) for value in values})

    odd, huge = (1 << 53) + 1, 1 << 70
    assert [kind("params.n", *values) for values in ((1, 2), (1, 0.5), (odd,), (odd, 0.5), (huge,), (True, 1), ())] == [
        INT, FLOAT, INT, MIXED, MIXED, MIXED, TEXT]  # fmt: skip
    assert [kind("metrics.n", *values) for values in ((1,), (1, 0.5), (odd, 1), (odd, 0.5), ())] == [
        FLOAT, FLOAT, INT, MIXED, FLOAT]  # fmt: skip
    assert [kind("seed", *values) for values in ((), (1,), (odd,), (huge,))] == [INT, INT, INT, MIXED]
    assert kind("duration_s", 1) == FLOAT and kind("created_at", "x") == "time"


def test_a_terminal_is_shown_what_could_command_it() -> None:
    shown = io.StringIO()
    with io.BufferedWriter(Visible(shown)) as out:
        for part in ("a\x1b[2J,\x9b1m", "ключ\n"):
            for byte in part.encode():
                out.write(bytes([byte]))
                out.flush()
    assert shown.getvalue() == "a\\x1b[2J,\\x9b1mключ\n"


def test_a_run_that_ended_waits_until_the_ledger_is_free(empty: Maker) -> None:
    project = empty("project")
    rundir = RunDir.create(project.runs, IDS[0])
    project.ledger.db.execute("PRAGMA busy_timeout = 10")
    with Project(project.root) as other:
        other.ledger.db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            seal(project, plain_run(0), rundir)
        assert rundir.path.exists()
        told: list[str] = []

        def tell(text: str) -> None:
            told.append(text)
            other.ledger.db.rollback()

        project.tell = tell
        seal(project, plain_run(0), rundir, 2)
    rundir.unlock()
    assert len(told) == 1 and project.ledger.ids() == {IDS[0]} and not rundir.path.exists()
