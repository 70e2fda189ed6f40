"""Push by a query; and what a push does with runs whose data never came."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from mltrack.errors import DataMissing, NotFound, UsageError
from mltrack.operations.bring import GetRequest, get
from mltrack.operations.exchange.export import ExportRequest, export
from mltrack.operations.exchange.importing import ImportRequest, import_runs
from mltrack.operations.seeing.selection import Choice
from mltrack.operations.share import add_remote, plan_push, pull, push, selected
from mltrack.store.checkout import Manner
from tests.operations.keeping import Keeping


def test_a_push_sends_the_runs_of_a_query(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path / "project")
    first, second = keeping.run({"a": b"1"}), keeping.run({"b": b"2"})
    with keeping.open() as project:
        project.ledger.add_event("tag", second.id, "paper")
        add_remote(project, "origin", str(tmp_path / "remote"))
        ids = selected(project, ["tag:paper"], None)
        assert ids == [second.id] == selected(project, [], "tag:paper") and selected(project, [], None) == []
        assert plan_push(project, ids).runs == 1
        assert push(project, ids).records == 1
        assert push(project, [first.id, second.id]).records == 1
        with pytest.raises(NotFound):
            selected(project, ["tag:nothing"], None)
        for place in (str(tmp_path), "./away/", "s3://bucket/runs"):
            with pytest.raises(UsageError) as caught:
                selected(project, [place], None)
            assert f"mltrack remote add NAME {place}" in (caught.value.hint or "")


def test_imported_runs_without_data_do_not_stop_a_push(tmp_path: Path) -> None:
    keeping, other = Keeping(tmp_path / "project"), Keeping(tmp_path / "other")
    far = keeping.run({"a": b"1"})
    out = io.BytesIO()
    with keeping.open() as project:
        export(project, ExportRequest(Choice()), out, lambda text: None, lambda more: None)
    near = other.run({"b": b"2"})
    with other.open() as project:
        import_runs(project, ImportRequest("runs.jsonl"), io.BytesIO(out.getvalue()))
        add_remote(project, "origin", str(tmp_path / "remote"))
        moved = push(project)
        assert (moved.records, moved.left) == (1, 1)
        with pytest.raises(DataMissing) as caught:
            push(project, [far.id])
        assert "imported without its data" in (caught.value.hint or "")
        with pytest.raises(DataMissing) as caught:
            get(project, GetRequest(far.id, "a", tmp_path / "out"), Manner())
        assert "imported without its data" in (caught.value.hint or "")
    with keeping.open() as project:
        add_remote(project, "origin", str(tmp_path / "remote"))
        push(project)
    with other.open() as project:
        pull(project, data=True)
        moved = push(project)
        assert (moved.left, moved.events) == (0, 0)
    with keeping.open() as project:
        pull(project)
        assert project.ledger.get(far.id).imported is None and near.id in project.ledger.ids()
