"""The contents of two runs' artifacts are opened and compared, and what cannot be had or read counts as different."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mltrack.compare.comparators import Finding, Unreadable
from mltrack.compare.contents import finding
from mltrack.compare.contents.time_limit import within
from mltrack.formats.metrics import Point
from mltrack.operations.judging import evidence
from mltrack.operations.judging.judging import compare_artifacts, judged_run, keep_verdict, redacted
from mltrack.operations.judging.verdict import only_seen_then
from mltrack.operations.repeating.particulars import apart
from mltrack.operations.share import push
from mltrack.project import Project
from mltrack.records import Artifact, CodeState, Environment, Input, Run
from mltrack.redact import PLACEHOLDER
from mltrack.store.manifest import ManifestEntry, encode_manifest
from mltrack.store.objects import Store
from mltrack.verdicts import ArtifactVerdict, Condition, Measure, MetricVerdict, Verdict
from tests.compare.samples import metric, sample_run
from tests.git.support import round_trip
from tests.helpers import git_repository


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(git_repository(tmp_path / "work")) as found:
        yield found


def kept(project: Project, path: str, data: bytes) -> Artifact:
    return Artifact(path, "file", project.store.put_bytes(data), len(data))


def directory(project: Project, path: str, files: dict[str, bytes]) -> Artifact:
    entries = [
        ManifestEntry(os.fsencode(name), "file", len(data), project.store.put_bytes(data))
        for name, data in files.items()
    ]
    digest = project.store.put_bytes(encode_manifest(entries))
    return Artifact(path, "directory", digest, sum(map(len, files.values())), len(files))


def two(a: Artifact, b: Artifact, **changes: Any) -> tuple[Run, Run]:
    then = sample_run(metrics={}, artifacts=(a,), origin={"root": "/home/ada/work", "home": "/home/ada"}, **changes)
    now = replace(then, artifacts=(b,), host="other", origin={**then.origin, "workspace": "/srv/copy"})
    return then, now


def test_the_workspace_and_the_host_in_a_text_are_known(project: Project) -> None:
    a = kept(project, "log.txt", b"on bench-1: wrote /home/ada/work/m.bin\n")
    b = kept(project, "log.txt", b"on other: wrote /srv/copy/m.bin\n")
    assert judged_run(project, *two(a, b)).grade == "equivalent"
    c = kept(project, "log.txt", b"on other: wrote /srv/elsewhere/m.bin\n")
    assert judged_run(project, *two(a, c)).grade == "different"


def test_what_a_directory_holds_is_opened(project: Project) -> None:
    a = directory(project, "out", {"a.json": b'{"x": 1, "y": 2}', "b.txt": b"one\n"})
    b = directory(project, "out", {"a.json": b'{"y": 2, "x": 1}', "b.txt": b"one\n"})
    verdict = judged_run(project, *two(a, b))
    assert verdict.grade == "equivalent"
    assert [item.path for item in verdict.artifacts] == ["out", "out/a.json"]
    c = directory(project, "out", {"a.json": b'{"y": 2, "x": 1}', "b.txt": b"two\n"})
    assert judged_run(project, *two(a, c)).grade == "different"


def test_a_recorded_file_that_is_nowhere_counts_by_its_bytes(project: Project) -> None:
    gone = Artifact("a.json", "file", "b3:" + "7" * 64, 100)
    verdict = judged_run(project, *two(gone, kept(project, "a.json", b"{}")))
    assert verdict.grade == "different"
    assert "not compared: it is neither here nor on a remote" in (verdict.artifacts[0].reason or "")
    lost = replace(directory(project, "out", {"a": b"1"}), digest="b3:" + "8" * 64)
    verdict = judged_run(project, *two(lost, directory(project, "out", {"a": b"2"})))
    assert verdict.grade == "different"
    assert "not compared" in (verdict.artifacts[0].reason or "")


@pytest.mark.parametrize(("limit", "grade"), [("1GiB", "equivalent"), ("50", "different")])
def test_a_recorded_file_is_fetched_up_to_the_limit(project: Project, tmp_path: Path, limit: str, grade: str) -> None:
    values = {str(number): number for number in range(100)}
    with Project.open(git_repository(tmp_path / "first")) as first:
        first.config.remotes.update(origin="../remote")  # type: ignore[attr-defined]
        a = kept(first, "a.json", json.dumps(values).encode())
        run = sample_run(inputs=(), artifacts=(a,), environment=Environment(), code=CodeState(), warnings=())
        first.ledger.seal(run)
        push(first)
    (project.root / "mltrack.yaml").write_text(f"remotes: {{origin: ../remote}}\nverdict: {{compare_limit: {limit}}}\n")
    project.reload()
    b = kept(project, "a.json", json.dumps(dict(reversed(values.items()))).encode())
    verdict = judged_run(project, *two(a, b))
    assert verdict.grade == grade
    assert ("compare_limit" in (verdict.artifacts[0].reason or "")) == (grade == "different")


def raises() -> Any:
    raise KeyError("a bug")


@pytest.mark.parametrize(
    ("gives", "grade"),
    [
        (raises, "different"),
        (lambda: None, "different"),
        (lambda: Finding("perfect", "trust me"), "different"),
        (lambda: Finding("different", "x", {"cells": 1}), "different"),  # type: ignore[arg-type]
        (lambda: Finding("equivalent", "only the odd differs"), "equivalent"),
    ],
)
def test_whatever_a_comparator_of_a_plug_in_does_the_verdict_is_given(
    project: Project, monkeypatch: pytest.MonkeyPatch, gives: Callable[[], Any], grade: str
) -> None:
    odd = ModuleType("odd_comparator")
    odd.WHAT, odd.fits, odd.compare = "x", lambda name, head: name.endswith(".odd"), lambda *_: gives()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "odd_comparator", odd)
    monkeypatch.setattr("mltrack.plugins.outside", lambda family: [("odd", "odd_comparator")])
    finding._names.cache_clear()
    try:
        verdict = judged_run(project, *two(kept(project, "m.odd", b"\0one"), kept(project, "m.odd", b"\0two")))
    finally:
        finding._names.cache_clear()
    assert verdict.grade == grade


def test_comparing_ends_when_it_takes_too_long(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = kept(project, "a.json", b'{"x": 1, "y": 2}'), kept(project, "a.json", b'{"y": 2, "x": 1}')
    assert compare_artifacts(project, a, b).grade == "equivalent"
    monkeypatch.setattr(evidence, "ONE_S", -1.0)
    found = compare_artifacts(project, a, b)
    assert (found.grade, "took too long" in found.reason) == ("different", True)
    monkeypatch.setattr(evidence, "ONE_S", 100.0)
    monkeypatch.setattr(evidence, "MOST_FILES", 0)
    assert "too much differs" in compare_artifacts(project, a, b).reason


def test_a_comparator_that_reads_nothing_more_and_heeds_no_error_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy() -> Finding:
        while True:
            try:
                list(map(abs, range(1000)))
            except Exception:
                continue

    outer: list[int] = []
    monkeypatch.setattr("mltrack.compare.contents.time_limit.AGAIN_S", 0.01)
    before = signal.signal(signal.SIGALRM, lambda number, frame: outer.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        with pytest.raises(Unreadable, match="too long"):
            within(0.02, busy)
        assert within(1.0, lambda: 7) == 7
        while not outer:  # what was set for the alarm before is set again
            signal.pause()
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_tolerance_and_what_is_left_out_hold_in_directories(project: Project) -> None:
    (project.root / "mltrack.yaml").write_text('verdict: {tolerance: {"out/*": {abs: 1}}, ignore: ["*.log"]}\n')
    project.reload()
    a = directory(project, "out", {"a.json": b"[1, 2]", "b.log": b"x"})
    b = directory(project, "out", {"a.json": b"[1, 3]", "b.log": b"y"})
    verdict = judged_run(project, *two(a, b))
    assert verdict.grade == "within tolerance"
    assert [item.path for item in verdict.artifacts] == ["out", "out/a.json"]
    measure = verdict.artifacts[1].measure
    assert measure is not None and measure.largest == 1
    c = directory(project, "out", {"a.json": b"[1, 3.5]", "b.log": b"y"})
    assert judged_run(project, *two(a, c)).grade == "different"


def test_a_secret_in_a_file_does_not_get_into_the_verdict(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "tok-9f8e7d6c5b4a3f2e1d0c")
    a = kept(project, "a.txt", b"value tok-9f8e7d6c5b4a3f2e1d0c\n")
    b = kept(project, "a.txt", b"value none\n")
    verdict = judged_run(project, *two(a, b))
    assert verdict.grade == "different"
    assert "9f8e7d6c" not in json.dumps([item.reason for item in verdict.artifacts])


def metrics_files(project: Project, name: str, then: bytes, now: bytes, **metrics: float) -> Verdict:
    (project.root / "mltrack.yaml").write_text('verdict: {tolerance: {loss: {abs: 0.1}}, ignore: ["*_time", "*#took"]}')
    project.reload()
    a, b = two(kept(project, name, then), kept(project, name, now), declared={"metrics": (name,)})
    values = {key: metric(value) for key, value in metrics.items()}
    return judged_run(
        project, replace(a, metrics={"loss": metric(0.5)}), replace(b, metrics={"loss": metric(0.5)} | values)
    )


@pytest.mark.parametrize(
    ("name", "then", "now", "grade"),
    [
        ("m.json", b'{"loss": 0.5, "fit_time": 1.2}', b'{"fit_time": 1.4, "loss": 0.5}', "equivalent"),
        ("m.json", b'{"loss": 0.5, "model": "a"}', b'{"loss": 0.5, "model": "b"}', "different"),
        ("m.json", b'{"loss": 0.5, "matrix": [[1, 2]]}', b'{"loss": 0.5, "matrix": [[2, 1]]}', "different"),
        ("m.json", b'[{"loss": 1, "t": "a"}, {"loss": 0.5}]', b'[{"loss": 1, "t": "b"}, {"loss": 0.5}]', "different"),
        ("m.jsonl", b'{"loss": 1}\n{"loss": 0.5}\n', b'{"loss": 0.6}\n{"loss": 0.5}\n', "equivalent"),
        ("m.csv", b"step,loss,note\n1,0.9,x\n2,0.5,y\n", b"step,loss,note\n1,0.9,z\n2,0.5,y\n", "different"),
        ("m.csv", b"step,loss\n1,0.9\n2,0.5\n", b"step;loss\n1;0.9\n2;0.5\n", "equivalent"),
        ("m.csv", b"step,loss\n1,0.9\n", b"step,lost\n1,0.9\n", "different"),
        ("m.json", b'{"loss": 0.5}', b"torn", "different"),
        ("m.json", b'{"loss": 0.5, "took": "long"}', b'{"loss": 0.5, "took": "short"}', "equivalent"),
    ],
)
def test_what_is_no_metric_in_a_metrics_file_counts(
    project: Project, name: str, then: bytes, now: bytes, grade: str
) -> None:
    verdict = metrics_files(project, name, then, now)
    assert (verdict.grade, verdict.artifacts[0].path) == (grade, name)


def test_points_that_moved_count_though_the_last_is_the_same() -> None:
    then = [Point("loss", value, step) for step, value in enumerate((1.0, 0.7, 0.6, 0.5))]
    now = [*then[:2], then[2]._replace(value=0.65), then[3], Point("new", 1.0)]
    assert apart(then, then) == {}
    found = apart(then, now)["loss"]
    assert (found.where, found.then, found.now, found.measure.changed) == ("at step 2", 0.6, 0.65, 1)
    assert apart(then, [one._replace(step=one.step + 1) for one in then])["loss"].measure.largest == "NaN"


def test_no_text_of_a_verdict_that_is_kept_holds_a_secret(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "tok-9f8e7d6c5b4a3f2e1d0c"
    monkeypatch.setenv("API_TOKEN", secret)
    item = ArtifactVerdict("a", "different", secret, Measure(1, 1, 1.0, None, f"column {secret}"))
    loss = MetricVerdict(f"loss {secret}", 1, 2, 1, "different")
    told = Verdict("different", "x", (item,), (loss,), (Condition("a", secret, 1),), "run", f"ends {secret}")
    run = project.ledger.seal(replace(sample_run(), code=CodeState(), environment=Environment()))
    kept_now = keep_verdict(project, run, told).verdict
    assert secret not in repr(kept_now) and kept_now == redacted(told)
    assert kept_now is not None and kept_now.artifacts[0].measure is not None


def test_of_a_run_from_whose_record_a_secret_was_taken_nothing_is_quoted(project: Project) -> None:
    a, b = kept(project, "a.csv", b"key-Xy12,v\n1,abc\n"), kept(project, "a.csv", b"key-Xy12,v\n2,abd\n")
    then, now = two(a, b)
    for hidden, is_quoted in ((then, True), (replace(then, command=("x", PLACEHOLDER)), False)):
        verdict = judged_run(project, hidden, now)
        assert verdict.grade == "different"
        assert ("abd" in repr(verdict)) == is_quoted
        assert is_quoted or ("key-Xy12" not in repr(verdict) and "2 of" in (verdict.artifacts[0].reason or ""))


def test_the_rules_of_a_recorded_run_count_where_the_project_has_none(project: Project, tmp_path: Path) -> None:
    files = {"mltrack.yaml": "verdict: {tolerance: {loss: {abs: 1}}, ignore: ['*_time']}\nlog: {limit: 1KiB}\n"}
    trip = round_trip(git_repository(tmp_path / "first", files), tmp_path)
    with Store.open(tmp_path / "kept" / "store") as store:
        for digest in trip.code.packs:
            project.store.put_bytes(b"".join(store.read(digest)))
    run = sample_run(artifacts=(), metrics={"loss": metric(0.5), "fit_time": metric(1.0)}, code=trip.code)
    own = replace(run, origin={"replica": project.ledger.replica})
    assert judged_run(project, own, own).remarks == (), "it was recorded here, by the rules of this project"
    verdict = judged_run(project, run, replace(run, metrics={"loss": metric(0.9)}))
    assert verdict.grade == "within tolerance"
    assert verdict.remarks == ("Tolerances and what is left out are those of the recorded run's mltrack.yaml.",)
    (project.root / "mltrack.yaml").write_text("{}")
    assert judged_run(project, run, replace(run, metrics={"loss": metric(0.9)})).grade == "different"
    (project.root / "mltrack.yaml").write_text(files["mltrack.yaml"])  # as a clone has it after the code was restored
    restored = judged_run(project, run, replace(run, metrics={"loss": metric(0.9)}))
    assert (restored.grade, restored.remarks) == ("within tolerance", verdict.remarks)


def test_a_metric_that_is_the_same_and_no_artifact_is_identical(project: Project) -> None:
    run = sample_run(artifacts=(), metrics={"loss": metric(0.5)})
    assert judged_run(project, run, run).grade == "identical"


def test_what_both_read_from_the_network_is_named_once(project: Project) -> None:
    page = Input("https://example.org/data.csv", "url", None)
    run = sample_run(artifacts=(), metrics={"loss": metric(0.5)}, inputs=(page,))
    told = [item for item in judged_run(project, run, run).conditions if item.what == "input"]
    assert [item.then for item in told] == [page.path] and "from the network" in told[0].now
    again = judged_run(project, run, run, told).conditions
    assert [item for item in again if item.what == "input"] == told


def test_what_only_the_reproduction_saw_stays_when_it_is_judged_again(project: Project) -> None:
    then = sample_run(artifacts=(), metrics={"loss": metric(0.5)})
    seen = Condition("outside", None, "no places of its own")
    stale = Condition("cores", 8, 2)
    verdict = judged_run(project, then, replace(then, hardware=replace(then.hardware, cores=2)), [seen])
    assert [item.what for item in verdict.conditions] == ["outside", "cores"]
    now = replace(then, verdict=replace(verdict, conditions=(seen,)))
    assert only_seen_then(then, now) == [seen]
    moved = replace(now, hardware=replace(then.hardware, cores=2), verdict=replace(verdict, conditions=(seen, stale)))
    assert only_seen_then(then, moved) == [seen]


@pytest.mark.parametrize(
    ("interpreter", "prefix"),
    [
        (".venv/bin/python", "/home/ada/work/.venv"),
        ("/home/ada/.cache/environments/1234/bin/python3", "/home/ada/.cache/environments/1234"),
        ("/usr/bin/python3", None),
        ("/usr/local/bin/python3", None),
        ("python", None),
        (None, None),
    ],
)
def test_the_directory_of_an_environment_is_a_root_unless_all_share_it(
    interpreter: str | None, prefix: str | None
) -> None:
    run = sample_run(origin={"root": "/home/ada/work"}, environment=Environment(interpreter=interpreter))
    assert evidence.prefix_of(run) == prefix
    assert (prefix in evidence.around_of(run, run).then.roots) == (prefix is not None)


def test_both_sides_tell_what_their_directories_are_and_their_zone() -> None:
    origin = {"root": "/home/ada/work", "home": "/home/ada", "time_zone": "Europe/Berlin"}
    side = evidence.around_of(sample_run(origin=origin), sample_run()).then
    kinds = dict(zip(side.roots, side.kinds, strict=True))
    assert (kinds["/home/ada/work"], kinds["/home/ada"], side.zone) == ("project", "home", "Europe/Berlin")
    assert side.began is not None


def test_a_remote_that_cannot_be_opened_costs_the_comparison_and_not_the_verdict(project: Project) -> None:
    (project.root / "mltrack.yaml").write_text("remotes: {origin: 'nothing-of-this-kind://place'}\n")
    project.reload()
    gone = Artifact("a.json", "file", "b3:" + "7" * 64, 100)
    verdict = judged_run(project, *two(gone, kept(project, "a.json", b"{}")))
    assert verdict.grade == "different"
    assert "neither here nor on a remote" in (verdict.artifacts[0].reason or "")
