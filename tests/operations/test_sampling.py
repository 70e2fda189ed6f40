"""Samples of what a command uses: taken beside it, seldom enough, and what they come to in its record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.errors import NotFound
from mltrack.formats import samples as samples_format
from mltrack.formats.samples import MOST, SampleFile, encode, read_samples, thin
from mltrack.formats.series import encode_series
from mltrack.live.rundir import RunDir
from mltrack.operations.find import find_run
from mltrack.operations.keeping.objects import kind_of, named_objects
from mltrack.operations.observing import sampling
from mltrack.operations.observing.sampling import (
    OFTEN_S,
    SELDOM_S,
    Sampling,
    keep_samples,
    points,
    with_samples,
)
from mltrack.operations.series import read_series
from mltrack.project import Project
from mltrack.records import Gpu, GpuUse, Resources
from tests.helpers import git_repository

BUSY = (
    "import time, sys\nx = b'1' * (40 << 20)\nopen('out', 'wb').write(x)\nend = time.time() + float(sys.argv[1])\n"
    "while time.time() < end: sum(range(1000))\n"
)


def mltrack(place: Path, path: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["mltrack", *words], cwd=place, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60
    )


def test_a_run_is_sampled_and_its_samples_are_kept(tmp_path: Path, command_path: str) -> None:
    place = git_repository(tmp_path / "project", {"train.py": BUSY})
    assert mltrack(place, command_path, "run", "--", "python", "train.py", "1.4").returncode == 0
    with Project.get(place) as project:
        run = find_run(project, "@")
        used = run.resources
        assert used.peak_memory_bytes is not None and used.peak_memory_bytes > 40 << 20
        assert used.mean_memory_bytes is not None and 40 << 20 < used.mean_memory_bytes <= used.peak_memory_bytes
        assert used.peak_cpu_percent and used.mean_cpu_percent and used.peak_cpu_percent >= used.mean_cpu_percent > 0
        assert used.peak_processes is not None and used.peak_processes >= 1
        assert used.gpus == () or used.gpus[0].index >= 0
        assert ("resource series", used.series) in named_objects(run)
        assert kind_of("resource series") == "resource series"
        memory = read_series(project, run, "memory_bytes")
        assert len(memory) == 2
        assert all(point.at is not None and time.time() - 60 < point.at <= time.time() for point in memory)
        with pytest.raises(NotFound):
            read_series(project, run, "gpu7.percent")
    assert "of a core" in mltrack(place, command_path, "show", "@").stdout
    assert len(mltrack(place, command_path, "show", "@", "--series", "cpu_percent").stdout.splitlines()) == 2
    assert mltrack(place, command_path, "verify").returncode == 0


def test_a_short_command_has_what_its_end_told(tmp_path: Path, command_path: str) -> None:
    place = git_repository(tmp_path / "project")
    assert mltrack(place, command_path, "run", "--", "true").returncode == 0
    with Project.get(place) as project:
        used = find_run(project, "@").resources
    assert used.peak_memory_bytes and used.cpu_seconds is not None
    assert used == Resources(used.peak_memory_bytes, used.cpu_seconds)


def test_the_samples_of_a_run_whose_mltrack_was_killed_are_kept(tmp_path: Path, command_path: str) -> None:
    place = git_repository(tmp_path / "project", {"train.py": BUSY})
    process = subprocess.Popen(
        ["mltrack", "run", "--", "python", "train.py", "60"],
        cwd=place,
        env={**os.environ, "PATH": command_path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    runs = place / ".mltrack" / "runs"
    deadline = time.monotonic() + 30
    while not any(len(read_samples(RunDir(each).samples)) > 1 for each in runs.glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with Project.get(place) as project:
        live = find_run(project, "@")
        assert len(read_series(project, live, "cpu_percent")) > 1, "they are seen while it runs"
    facts: dict[str, Any] = RunDir(next(runs.glob("[!.]*"))).read("process") or {}
    process.kill()
    process.wait()
    os.killpg(facts["pgid"], signal.SIGKILL)
    time.sleep(0.3)
    with Project.get(place) as project:
        run = find_run(project, "@")
        assert run.status != "running"
        assert run.resources.mean_cpu_percent and run.resources.series
        assert read_series(project, run, "cpu_percent")


def test_nothing_is_sampled_of_a_command_that_ends_at_once(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path, "run")
    stop = sampling.sample(rundir, lambda is_over: None)
    began = time.monotonic()
    stop()
    assert time.monotonic() - began < sampling.PATIENCE_S
    assert not rundir.samples.exists()
    rundir.remove()


def test_a_failing_sampler_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Sampling, pid: int, began: str | None) -> Any:
        raise RuntimeError("no /proc here")

    monkeypatch.setattr(Sampling, "sampler", fail)
    monkeypatch.setattr(sampling, "FIRST_S", 0.01)
    rundir = RunDir.create(tmp_path, "run")
    rundir.write("process", {"pid": os.getpid()})
    stop = sampling.sample(rundir, lambda is_over: None)
    time.sleep(0.1)
    stop()
    assert not rundir.samples.exists()
    rundir.remove()


def test_a_dear_sample_is_taken_seldom(tmp_path: Path) -> None:
    sampler = Sampling(RunDir(tmp_path), lambda is_over: None)
    assert sampler.pause(0.0001) == OFTEN_S
    assert sampler.pause(0.1) == pytest.approx(25)
    sampler.number = 20
    assert sampler.pause(0.0001) == SELDOM_S
    sampler.file.pace = 4
    assert sampler.pause(0.0001) == 4 * SELDOM_S


def test_a_long_run_keeps_as_many_samples_as_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples_format, "MOST", 20)
    file = SampleFile(tmp_path / "samples.jsonl")
    for number in range(100):
        file.append({"t": float(number), "memory_bytes": number, "cpu_percent": 50.0, "cpu_seconds": number / 2})
        assert len(read_samples(file.path)) <= 20
    samples = read_samples(file.path)
    assert samples[-1]["t"] == 99
    assert file.pace > 2
    used = with_samples(Resources(), samples, 0.0)
    assert (used.peak_memory_bytes, used.mean_cpu_percent, used.cpu_seconds) == (99, 50, 49.5)
    assert [path.name for path in tmp_path.iterdir()] == ["samples.jsonl"]


NUMBERS = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(st.fixed_dictionaries({"memory_bytes": NUMBERS, "cpu_percent": NUMBERS}), min_size=1, max_size=40))
@settings(max_examples=60)
def test_thinning_keeps_the_peak_of_memory_and_the_last_of_sums(rows: list[dict[str, float]]) -> None:
    samples = [{"t": float(at), "read_bytes": at * 10, **row} for at, row in enumerate(rows)]
    thinned = thin(samples)
    assert len(thinned) == (len(samples) + 1) // 2
    assert max(s["memory_bytes"] for s in thinned) == max(s["memory_bytes"] for s in samples)
    assert thinned[-1]["read_bytes"] == samples[-1]["read_bytes"]
    assert max(s["cpu_percent"] for s in thinned) <= max(s["cpu_percent"] for s in samples) + 0.1
    assert [s["t"] for s in thinned] == sorted(s["t"] for s in thinned)


def test_what_samples_come_to() -> None:
    samples = [
        {"t": 101.0, "cpu_percent": 100.0, "cpu_seconds": 1.0, "memory_bytes": 10, "processes": 1, "gpu0.percent": 50},
        {"t": 110.0, "cpu_percent": 200.0, "cpu_seconds": 19.0, "memory_bytes": 20, "processes": 3, "gpu0.percent": 100,
         "gpu0.memory_bytes": 7, "gpu1.memory_bytes": 9, "read_bytes": 4, "written_bytes": 5, "received_bytes": 6, "sent_bytes": 7},
    ]  # fmt: skip
    used = with_samples(Resources(15, 18.0), samples, 100.0, [Gpu("H100")])
    assert used == Resources(
        peak_memory_bytes=20,
        cpu_seconds=19.0,
        mean_memory_bytes=19,
        mean_cpu_percent=190.0,
        peak_cpu_percent=200.0,
        peak_processes=3,
        read_bytes=4,
        written_bytes=5,
        received_bytes=6,
        sent_bytes=7,
        gpus=(GpuUse(0, "H100", 95.0, 100, 7), GpuUse(1, "", None, None, 9)),
    )


def test_only_the_gpus_that_the_command_used_where_the_driver_tells() -> None:
    samples = [{"t": 1.0, "gpu0.memory_bytes": 1, "gpu1.memory_bytes": 5, "gpu1.own_memory_bytes": 3}]
    assert with_samples(Resources(), samples, 0.0).gpus == (GpuUse(1, "", None, None, 5),)


def test_no_samples_change_nothing(tmp_path: Path) -> None:
    used = Resources(1, 2.0)
    assert with_samples(used, [], 0.0) is used
    assert keep_samples(used, RunDir(tmp_path), None) is used  # type: ignore[arg-type]


def test_strange_lines_are_passed_over(tmp_path: Path) -> None:
    good = encode({"t": 1.5, "memory_bytes": 3})
    lines = [b"[]", b'{"memory_bytes":4}', b'{"t":"x"}', b'{"t":2,"memory_bytes":"much"}', b"\xff", good[:-5]]
    (tmp_path / "samples.jsonl").write_bytes(good + b"\n".join(lines))
    assert read_samples(tmp_path / "samples.jsonl") == [{"t": 1.5, "memory_bytes": 3}, {"t": 2}]
    assert read_samples(tmp_path / "nothing") == []


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["t", "memory_bytes", "cpu_seconds", "cpu_percent", "gpu", "gpux.percent", "gpu1.percent"]),
            st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=3)),
        ),
        max_size=6,
    )
)
@settings(max_examples=150)
def test_nothing_that_a_command_writes_there_keeps_its_run_from_being_sealed(rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "samples.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "[" * 5000 + "\n")
        samples = read_samples(path)
        with_samples(Resources(1, 2.0), samples, 5.0)
        assert b"NaN" not in encode_series(points(thin(samples)))


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    assert read_samples(tmp_path / "fifo") == read_samples(tmp_path / "link") == read_samples(tmp_path) == []


def test_points_of_samples() -> None:
    assert [(p.name, p.value, p.step, p.at) for p in points([{"t": 1.0, "a": 2, "b": 3.5}])] == [
        ("a", 2, None, 1.0),
        ("b", 3.5, None, 1.0),
    ]


def test_a_file_of_samples_stays_small() -> None:
    sample = {
        "t": 1700000000.123,
        **dict.fromkeys(("cpu_percent", "memory_bytes", "read_bytes", "gpu0.percent"), 10**11),
    }
    assert len(encode(sample)) * MOST < 1 << 20
    assert json.loads(encode(sample)) == sample
