"""Records that people and converters make, or change in a file: completed or refused, never instead of a real run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mltrack.digest import digest_bytes
from mltrack.errors import Damaged
from mltrack.ledger.asking.queries import RunQuery
from mltrack.operations.exchange.workers import Check
from mltrack.operations.keeping.gc import GcRequest, gc
from mltrack.operations.keeping.verify import VerifyRequest, verify
from mltrack.project import Project
from tests.exchange.conftest import IDS
from tests.exchange.test_round_trip import exported, taken

Maker = Callable[[str], Project]


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
    assert (report.new, report.proved, report.other_ids) == (3, 0, 1)
    run = project.ledger.list(RunQuery(limit=1, sort="-created_at"))[0]
    assert run.command == ("python", "train.py", "--lr", "0.1") and run.status == "finished" and run.cwd == "."
    assert run.params["model.depth"] == 3 and "hunter2" not in str(run)
    assert (run.metrics["acc"].last, run.metrics["loss"].min, run.metrics["bad"].last) == (0.9, 0.1, "NaN")
    assert (run.created_at, run.duration_s) == ("2026-11-01T08:00:00.000000Z", 5.0)
    assert [warning.kind for warning in run.warnings] == ["imported"]
    assert run.imported is not None and not run.imported.digest_proved
    again = taken(project, json.dumps(line) + "\n" + json.dumps(line) + '\n{"id": "00000000000000ab"}\n')
    assert (again.read, again.new, again.other_ids) == (3, 0, 0)
    assert verify(project, VerifyRequest()).holds


def test_a_changed_line_gets_an_id_of_its_own_wherever_the_run_is(source: Project, empty: Maker) -> None:
    line = json.loads(exported(source, IDS[0]))
    line["params"]["lr"] = 7
    other = empty("other")
    for project in (source, other):
        before = project.ledger.ids()
        report = taken(project, json.dumps(line))
        assert (report.new, report.proved, report.other_ids) == (1, 0, 1)
        (id,) = project.ledger.ids() - before
        run = project.ledger.get(id)
        assert run.params["lr"] == 7 and run.origin["imported_from_id"] == IDS[0]
        assert taken(project, json.dumps(line)).new == 0
    assert source.ledger.get(IDS[0]).params["lr"] == 0.1
    taken(other, exported(source, IDS[0]))
    assert other.ledger.get(IDS[0]).params["lr"] == 0.1 and len(other.ledger.records_of(IDS[0])) == 1
    assert verify(other, VerifyRequest()).holds
    gc(other, GcRequest(apply=True))


CHANGES: tuple[dict[str, Any], ...] = (
    {"tags": ["mine"]}, {"hidden": True}, {"verdict": None}, {"calibrations": [{}]}, {"environment_kept": {"lock": "x"}},
    {"warnings": []}, {"status": "failed"},
)  # fmt: skip


def test_what_the_edits_of_a_run_do_not_come_to_is_refused(source: Project, empty: Maker) -> None:
    line, other = json.loads(exported(source, IDS[4])), empty("other")
    record = json.loads(source.ledger.record_bytes(IDS[4]))
    for changes in CHANGES:
        sealed = {name: record[name] for name in changes if name in record}
        with pytest.raises(Damaged, match=f"its {next(iter(changes))} (is|are) not what"):
            taken(other, json.dumps({**line, **changes, "sealed": sealed}))
    assert not other.ledger.ids() and taken(other, json.dumps(line)).proved == 1


def test_edits_without_a_record_that_is_proved_are_refused(source: Project, empty: Maker) -> None:
    other = empty("other")
    for id, name in ((IDS[1], "events"), (IDS[4], "verdict")):
        with pytest.raises(Damaged, match=f"its `{name}` cannot be taken over"):
            taken(other, json.dumps({**json.loads(exported(source, id)), "why": "changed"}))


UNMEANT: tuple[tuple[dict[str, Any], str], ...] = (
    ({"params": {"a": {"b": 1}, "a.b": 2}}, "'a.b' twice"),
    ({"created_at": "0900-01-01"}, "before the year 1000"),
    ({"metrics": {"acc": {"last": 0.5, "count": -3}}}, "-3 points"),
    ({"metrics": {"acc": {"last": 0.5, "min": 9}}}, "cannot be together"),
    ({"metrics": {"acc": {"last": float("nan"), "min": 9, "max": 1}}}, "cannot be together"),
    ({"metrics": {"acc": {"min": 9}}}, "no last value"),
    ({"metrics": {"acc": {"last": 1, "mean": 2}}}, "'mean'"),
    ({"metrics": {"acc": "good"}}, "no number"),
    ({"metrics": {"acc": "1e999"}}, "no number"),
    ({"metrics": {"acc": {"last": "nan"}}}, "no number"),
    ({"metrics": {"acc": True}}, "no number"),
    ({"command": ["a\ud800"]}, r"\ud800"),
    ({"artifacts": [{"path": "a", "kind": "file", "digest": "x", "size_bytes": 1}]}, "artifact a"),
    ({"inputs": [{"path": "a", "kind": "file", "digest": "b3:00"}]}, "input a"),
    ({"code": {"packs": ["x"]}}, "code"),
    ({"environment": {"trees": {"wheels": "x"}}}, "environment wheels"),
)


def test_what_cannot_be_meant_is_refused_with_the_reason(empty: Maker) -> None:
    project = empty("project")
    for line, reason in UNMEANT:
        with pytest.raises(Damaged) as caught:
            taken(project, json.dumps(line))
        assert reason in caught.value.message and caught.value.hint
    assert not project.ledger.ids()


def test_numbers_in_texts_are_numbers(empty: Maker) -> None:
    project = empty("project")
    metrics = {"acc": "0.1", "n": "3", "bad": "NaN", "far": {"last": "1e3", "max": "Infinity", "last_step": "7"}}
    taken(project, json.dumps({"metrics": metrics}))
    (run,) = project.ledger.list(RunQuery())
    found = {name: (one.last, one.max, one.last_step) for name, one in run.metrics.items()}
    assert found == {
        "acc": (0.1, 0.1, None),
        "n": (3, 3, None),
        "bad": ("NaN", "NaN", None),
        "far": (1e3, "Infinity", 7),
    }


def test_what_a_secret_name_is_given_is_hidden_at_any_depth(empty: Maker) -> None:
    project = empty("project")
    line = {
        "environment": {"options": {"token": "hunter5x", "deep": [{"api_key": "hunter6x"}]}},
        "origin": {"password": "hunter8x", "host": {"secret": "hunter9x"}},
        "ranks": [{"rank": 0, "variables": {"API_TOKEN": "hunter7x"}}],
    }
    taken(project, json.dumps(line))
    (run,) = project.ledger.list(RunQuery())
    assert b"hunter" not in project.ledger.record_bytes(run.id) and run.origin["host"] == {"secret": "<redacted>"}


def test_a_record_without_an_environment_and_with_large_numbers_is_taken_over_and_listed(
    source: Project, empty: Maker
) -> None:
    document = json.loads(source.ledger.record_bytes(IDS[0]))
    bare = {name: value for name, value in document.items() if name != "environment"}
    bare |= {"resources": {"cpu_seconds": 1 << 70}, "params": {"packages": document["environment"]["packages"]}}
    data = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    other = empty("other")
    lines = [exported(source, IDS[1]), json.dumps({**bare, "record_digest": digest_bytes(data)}).encode()]
    assert taken(other, b"\n".join(lines)).proved == 2
    assert len(other.ledger.documents(RunQuery())) == 2 and verify(other, VerifyRequest()).holds
    assert Check(None)([b"\xff", b"{}", b"[" * 100_000]) == [None, None, None]
