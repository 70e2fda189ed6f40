"""The contents of two runs' artifacts are opened and compared, and what cannot be had or read counts as different."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mltrack.compare.comparators import Finding
from mltrack.compare.contents import finding
from mltrack.operations.repeating import evidence
from mltrack.operations.repeating.judging import compare_artifacts, judged_run
from mltrack.operations.repeating.verdict import only_seen_then
from mltrack.operations.share import push
from mltrack.project import Project
from mltrack.records import Artifact, CodeState, Environment, Input, Run
from mltrack.store.manifest import ManifestEntry, encode_manifest
from mltrack.verdicts import Condition
from tests.compare.samples import metric, sample_run
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


def test_a_remote_that_cannot_be_opened_costs_the_comparison_and_not_the_verdict(project: Project) -> None:
    (project.root / "mltrack.yaml").write_text("remotes: {origin: 'nothing-of-this-kind://place'}\n")
    project.reload()
    gone = Artifact("a.json", "file", "b3:" + "7" * 64, 100)
    verdict = judged_run(project, *two(gone, kept(project, "a.json", b"{}")))
    assert verdict.grade == "different"
    assert "neither here nor on a remote" in (verdict.artifacts[0].reason or "")
