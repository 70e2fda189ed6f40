"""Metric points on their way into the store, and the metrics of a run that is still alive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.errors import UsageError
from mltrack.formats.metrics import Point
from mltrack.formats.series import decode_series
from mltrack.live.rundir import RunDir
from mltrack.operations import series
from mltrack.operations.series import LiveMetrics, Upkeep, keep_points
from mltrack.store.objects import Store


@pytest.fixture
def rundir(tmp_path: Path) -> Iterator[RunDir]:
    made = RunDir.create(tmp_path / "runs", "r1")
    yield made
    made.unlock()


def append(path: Path, *rows: dict[str, float]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("count", [0, 1, 100, 30_000])
def test_kept_points_come_back(tmp_path: Path, count: int) -> None:
    points = [Point("loss", 1 / (step + 1), step, 1.7e9 + step) for step in range(count)]
    with Store.open(tmp_path / "store") as store:
        metrics, digest = keep_points(store, iter(points))
        store.flush()
        assert (digest is None) == (count == 0)
        assert sum(summary.count for summary in metrics.values()) == count
        assert digest is None or decode_series(store.get_bytes(digest)) == points


def test_a_look_at_a_live_run_goes_on_where_the_last_one_ended(rundir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "WORTH_KEEPING", 0)
    append(rundir.metrics, {"step": 0, "loss": 3.0}, {"step": 1, "loss": 1.0})
    first = LiveMetrics(rundir)
    assert first.catch_up()["loss"].count == 2
    first.write_down()
    rundir.metrics.write_bytes(b"#" * rundir.metrics.stat().st_size)  # what was read is not read again
    append(rundir.metrics, {"step": 2, "loss": 2.0})
    found = LiveMetrics(rundir).catch_up()["loss"]
    assert (found.count, found.min, found.max, found.last, found.last_step) == (3, 1.0, 3.0, 2.0, 2)


def test_what_is_written_down_for_other_patterns_does_not_count(
    rundir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "WORTH_KEEPING", 0)
    rundir.output.write_bytes(b"1.000 o loss: 1\n2.000 o acc=2\n")
    live = LiveMetrics(rundir, ["{name}: {value}"])
    assert list(live.catch_up()) == ["loss"]
    live.write_down()
    assert list(LiveMetrics(rundir, ["{name}: {value}"]).catch_up()) == ["loss"]
    assert list(LiveMetrics(rundir, ["{name}={value}"]).catch_up()) == ["acc"]


def test_a_live_run_shows_the_metrics_of_its_output(rundir: RunDir) -> None:
    rundir.output.write_bytes(b"1.000 o epoch 1\n1.500 o loss: 0.5\n2.000 E loss: 0.4\r\n3.000 O loss: 0.")
    live = LiveMetrics(rundir, ["{name}: {value}", "epoch {step}"], 100.0)
    points = [point for batch in live.take() for point in batch]
    assert points == [Point("loss", 0.5, 1, 101.5), Point("loss", 0.4, 1, 102.0)]
    with rundir.output.open("ab") as file:
        file.write(b"3\n4.000 o 5\n")
    assert [point.value for batch in live.take() for point in batch] == [0.35]


def test_a_directory_that_has_gone_costs_nothing(rundir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "WORTH_KEEPING", 0)
    append(rundir.metrics, {"a": 1.0})
    live = LiveMetrics(rundir)
    rundir.remove()
    assert live.catch_up() == {}
    live.write_down()


def test_what_is_summed_up_beside_a_run_is_not_read_again(rundir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "WORTH_KEEPING", 10)
    upkeep = Upkeep(rundir, ())
    upkeep(lambda: False)
    assert rundir.read("series") is None  # nothing was worth it
    append(rundir.metrics, {"a": 1.0}, {"a": 2.0})
    upkeep(lambda: True)
    assert rundir.read("series") is None  # the run was over
    upkeep = Upkeep(rundir, ())
    upkeep(lambda: False)
    assert (rundir.read("series") or {})["metrics"]["a"][3] == 2
    append(rundir.metrics, *[{"a": 3.0}] * 100)
    upkeep._not_before = float("inf")
    upkeep(lambda: False)
    assert (rundir.read("series") or {})["metrics"]["a"][3] == 2  # it takes its share and no more
    assert LiveMetrics(rundir).catch_up()["a"].count == 102


def test_a_bad_pattern_is_refused(rundir: RunDir) -> None:
    with pytest.raises(UsageError):
        LiveMetrics(rundir, ["none"])
