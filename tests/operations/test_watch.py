"""Looks at a live run: each reads what is new, of a long series a part at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.live.process import own_place, start_time
from mltrack.live.rundir import RunDir
from mltrack.noun_json import to_dict
from mltrack.operations import watch
from mltrack.operations.watch import Watch
from mltrack.project import Project
from mltrack.records import Run


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / ".git").mkdir()
    with Project.open(tmp_path) as made:
        yield made


@pytest.fixture
def rundir(project: Project) -> Iterator[RunDir]:
    """A run of which this process is the command."""
    made = RunDir.create(project.runs, "3kq8f2zxm1n4p7rt")
    run = Run(1, made.id, None, None, "running", ("true",), ".", created_at="2026-11-21T01:02:03.000000Z")
    made.write("start", {"run": to_dict(run), "root": str(project.root), "copy": False})
    place = own_place()
    facts = {"pid": os.getpid(), "start_time": start_time(os.getpid()), "started_at": 1000.0}
    made.write("process", {**facts, "host": place.host, "boot_id": place.boot_id, "pid_namespace": place.pid_namespace})
    yield made
    made.unlock()


def made(project: Project, rundir: RunDir) -> Watch:
    start = rundir.read("start")
    assert start is not None
    return Watch(project, Run(**{**start["run"], "command": ("true",)}))


def append(path: Path, *rows: dict[str, float]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_a_look_has_metrics_samples_and_the_last_output(project: Project, rundir: RunDir) -> None:
    watched = made(project, rundir)
    append(rundir.metrics, *({"step": step, "t": 1000.0 + step, "loss": 1 / (step + 1)} for step in range(10)))
    append(rundir.samples, {"t": 1.0, "cpu_percent": 90.0}, {"t": 2.0, "cpu_percent": 95.0})
    rundir.output.write_bytes(b"1.000 o one\n2.000 o two\n")
    first = watched.look()
    assert first is not None
    (metric,) = first.metrics
    assert (metric.summary.count, metric.summary.last, metric.rate) == (10, 0.1, 1.0)
    assert first.resources == {"cpu_percent": (90.0, 95.0, 95.0)}
    assert [record.data for record in first.output] == [b"one", b"two"]
    append(rundir.metrics, {"step": 10, "t": 1010.0, "loss": 0.0, "acc": 1.0})
    second = watched.look()
    assert second is not None
    assert {item.name: item.summary.count for item in second.metrics} == {"loss": 11, "acc": 1}


def test_samples_that_were_made_again_shorter_are_read_anew(project: Project, rundir: RunDir) -> None:
    watched = made(project, rundir)
    append(rundir.samples, *({"t": float(place), "processes": 1.0} for place in range(10)))
    assert watched.look() is not None
    new = rundir.path / "new"
    append(new, {"t": 1.0, "processes": 5.0}, {"t": 2.0, "processes": 6.0})
    os.replace(new, rundir.samples)
    scene = watched.look()
    assert scene is not None and scene.resources == {"processes": (5.0, 6.0, 6.0)}


def test_a_long_series_is_read_a_part_at_a_look(
    project: Project, rundir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MOMENT_S", 0.0)
    append(rundir.metrics, *({"step": step, "loss": 1.0} for step in range(20_000)))
    watched = made(project, rundir)
    counts = []
    while (scene := watched.look()) is not None and scene.is_behind:
        counts.append(scene.metrics[0].summary.count)
    assert scene is not None and scene.metrics[0].summary.count == 20_000
    assert len(counts) > 2 and counts == sorted(set(counts))


def test_a_look_at_a_run_that_has_gone_says_so(project: Project, rundir: RunDir) -> None:
    watched = made(project, rundir)
    assert watched.look() is not None
    rundir.remove()
    assert watched.look() is None
