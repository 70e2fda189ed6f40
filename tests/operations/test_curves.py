"""Plots of lines over a real ledger and store: which metrics, where points stand, bands, and what is said of the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrack.errors import DataMissing, NotFound, UsageError
from mltrack.formats.metrics import Point
from mltrack.formats.series import encode_series, summarise
from mltrack.operations.plotting.curves import Wanted, curves, lines_plot, plot_of_runs
from mltrack.operations.request import silent
from mltrack.operations.seeing.selection import Choice
from mltrack.project import Project
from mltrack.records import Imported, Resources, Run, new_id
from tests.compare.samples import sample_run

START = 1763687000.0  # of the sample run, more or less


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(tmp_path) as made:
        yield made


def recorded(project: Project, points: Sequence[Point], **changes: Any) -> Run:
    """A run with these points, in the ledger and the store."""
    is_here = changes.get("imported") is None
    digest = None if not points else project.store.put_bytes(encode_series(points)) if is_here else "b3:" + "0" * 64
    started = "2025-11-21T01:03:20.000000Z"
    made = sample_run(id=new_id(), name=None, inputs=(), metrics=summarise(points), series=digest, started_at=started)
    return project.ledger.seal(replace(made, record_digest=None, verdict=None, **changes))


def loss(values: Sequence[float], **fields: Any) -> list[Point]:
    return [Point("loss", value, step, START + step, **fields) for step, value in enumerate(values)]


def test_of_nothing_the_newest_run_with_metrics_is_drawn_in_panels(project: Project) -> None:
    with pytest.raises(NotFound, match="no runs yet"):
        lines_plot(project, Choice(), Wanted(), silent)
    recorded(project, [Point(f"m{number:02d}", 1.0, 0) for number in range(12)], created_at="2026-01-01T00:00:00Z")
    recorded(project, [], created_at="2026-01-02T00:00:00Z")
    plot = lines_plot(project, Choice(), Wanted(), silent)
    assert [panel.title for panel in plot.panels] == [f"m{number:02d}" for number in range(9)]
    assert "Not drawn: m09, m10, m11." in plot.remarks[0]


def test_several_runs_share_a_panel_and_are_called_by_what_differs(project: Project) -> None:
    runs = [recorded(project, loss([1, 0.5]), params={"opt.lr": lr, "same": 1}) for lr in (0.1, 0.2)]
    (panel,) = plot_of_runs(project, runs, Wanted()).panels
    assert [curve.label for curve in panel.curves] == [f"{runs[0].id[:8]} lr=0.1", f"{runs[1].id[:8]} lr=0.2"]
    assert curves(project, runs, ["loss"])["loss"][1].ys.tolist() == [1, 0.5]


def test_a_name_that_nobody_has_is_told_with_near_ones(project: Project) -> None:
    run = recorded(project, loss([1]))
    with pytest.raises(NotFound) as caught:
        plot_of_runs(project, [run], Wanted(("los",)))
    assert "loss" in str(caught.value.hint)
    for wrong in (Wanted(smooth=1.5), Wanted(smooth=-1), Wanted(smooth=math.nan), Wanted(log="q")):
        with pytest.raises(UsageError):
            plot_of_runs(project, [run], wrong)


def test_points_stand_at_steps_times_places_or_another_metric(project: Project) -> None:
    points = [
        *loss([4, 2, 1]),
        Point("acc", 0.5, 0),
        Point("acc", 0.9, 2),
        Point("free", 7.0, None),
        Point("free", 8.0),
    ]
    run = recorded(project, points)

    def xs(name: str, x: str | None) -> tuple[str, list[float]]:
        (panel,) = plot_of_runs(project, [run], Wanted((name,), x)).panels
        return panel.x.label, list(panel.curves[0].xs)

    assert xs("loss", None) == ("step", [0, 1, 2])
    assert xs("loss", "points") == ("points", [0, 1, 2])
    assert xs("free", None) == ("points", [0, 1])
    assert xs("loss", "acc") == ("acc", [0.5, 0.9])
    assert xs("acc", "loss") == ("loss", [4, 1])
    label, times = xs("loss", "time")
    assert label == "time" and (times[1] - times[0], times[2] - times[1]) == (1, 1)
    with pytest.raises(NotFound):
        xs("loss", "nothing")


def test_what_is_not_drawn_is_counted(project: Project) -> None:
    run = recorded(project, loss([1, math.nan, -1, math.inf, 0, 2]))
    plot = plot_of_runs(project, [run], Wanted(log="y"))
    assert any("2 points not drawn: not finite" in remark for remark in plot.remarks)
    assert any("2 points not drawn: not positive" in remark for remark in plot.remarks)
    many = recorded(project, loss([math.sin(step) for step in range(9000)]))
    plot = plot_of_runs(project, [many], Wanted(smooth=0.5))
    assert any("Drawn from 9,000 points" in remark for remark in plot.remarks)
    (panel,) = plot_of_runs(project, [many], Wanted(is_drawn=False)).panels
    assert len(panel.curves[0].xs) == 9000


def test_runs_alike_but_for_the_seed_are_a_band(project: Project) -> None:
    runs = [
        recorded(project, loss([seed, seed + 1.0]), params={"lr": lr, "seed": seed})
        for lr, seed in ((1, 1), (1, 2), (1, 3), (2, 1))
    ]
    plot = plot_of_runs(project, runs, Wanted(band=True))
    (panel,) = plot.panels
    assert [(band.runs, list(band.middle)) for band in panel.bands] == [(3, [2, 3])]
    assert len(panel.curves) == 1 and any("95%" in remark for remark in plot.remarks)
    (panel,) = plot_of_runs(project, runs, Wanted(band=True, group_by="params.seed")).panels
    assert [band.label for band in panel.bands] == ["params.seed = 1"] or len(panel.bands) == 1


def test_ranks_and_resources_are_drawn_too(project: Project) -> None:
    series = project.store.put_bytes(encode_series([Point("cpu_percent", 50.0, None, START + at) for at in range(3)]))
    points = [*loss([3, 2], rank=0), *loss([5, 4], rank=1)]
    run = recorded(project, points, resources=Resources(series=series))
    by_rank = {rank: plot_of_runs(project, [run], Wanted(("loss",), rank=rank)).panels[0] for rank in (None, 1)}
    assert [list(panel.curves[0].ys) for panel in by_rank.values()] == [[3, 2], [5, 4]]
    assert list(plot_of_runs(project, [run], Wanted(("loss[rank=1]",))).panels[0].curves[0].ys) == [5, 4]
    (panel,) = plot_of_runs(project, [run], Wanted(("cpu_*",))).panels
    assert (panel.x.label, panel.y.unit, list(panel.curves[0].ys)) == ("time", "per cent", [50, 50, 50])
    with pytest.raises(NotFound, match="rank 9"):
        plot_of_runs(project, [run], Wanted(("loss",), rank=9))


def test_the_colours_of_many_runs_stand_for_a_value(project: Project) -> None:
    runs = [recorded(project, loss([1, 2]), params={"lr": 10.0 ** -(at % 5), "note": "x"}) for at in range(21)]
    (panel,) = plot_of_runs(project, runs, Wanted()).panels
    assert panel.colour is not None and (panel.colour.label, panel.colour.is_log) == ("lr", True)
    assert {curve.shade for curve in panel.curves} == {10.0**-at for at in range(5)}


PATH = "/data/of/somebody/with/a/long/name/"


@pytest.mark.parametrize(
    "values", [(3.00001, 3.00002), (PATH + "a.csv", PATH + "b.csv"), (1, "1"), (None, "(none)"), (True, 1)]
)
def test_groups_of_other_values_are_never_one(project: Project, values: tuple[Any, Any]) -> None:
    def params(value: Any, seed: int) -> dict[str, Any]:
        return {"seed": seed, "other": 0} | ({} if value is None else {"v": value})

    runs = [recorded(project, loss([1, 2]), params=params(value, seed)) for value in values for seed in (1, 2)]
    for band in (False, True):
        (panel,) = plot_of_runs(project, runs, Wanted(band=band, group_by="params.v")).panels
        labels = {one.label for one in (*panel.bands, *panel.curves)}
        assert len(labels) == 2 and len(panel.bands) == 2 * band, labels
        assert all(len(label) < 50 for label in labels)


def test_a_whole_number_and_the_same_with_a_point_are_one_group(project: Project) -> None:
    runs = [recorded(project, loss([1, 2]), params={"lr": value, "seed": value}) for value in (1, 1.0)]
    (panel,) = plot_of_runs(project, runs, Wanted(group_by="params.lr")).panels
    assert {curve.label for curve in panel.curves} == {"params.lr = 1"}


def test_runs_with_steps_and_runs_without_share_no_axis_of_steps(project: Project) -> None:
    stepped = recorded(project, [Point("loss", value, 100 * step) for step, value in enumerate([3.0, 2.0, math.nan])])
    free = recorded(project, [Point("loss", 1.0), Point("loss", 0.5)])
    plot = plot_of_runs(project, [stepped, free], Wanted())
    (panel,) = plot.panels
    assert panel.x.label == "points" and [list(one.xs) for one in panel.curves] == [[0, 1, 2], [0, 1]]
    assert "some of these runs have no steps" in plot.remarks[0]
    assert "1 point not drawn" in plot.remarks[1], "counted once, though read twice"


def test_a_band_counts_each_seed_once(project: Project) -> None:
    def at(value: float, seed: int, day: int) -> Run:
        return recorded(project, loss([value, value]), params={"seed": seed}, created_at=f"2026-01-0{day}T00:00:00Z")

    runs = [at(1, 1, 1), at(9, 1, 2), at(3, 2, 3)]
    plot = plot_of_runs(project, runs, Wanted(band=True))
    (band,) = plot.panels[0].bands
    assert (band.runs, list(band.middle)) == (2, [6, 6]) and not plot.panels[0].curves
    assert "1 run repeats another" in plot.remarks[0]
    plot = plot_of_runs(project, runs[:2], Wanted(band=True))
    assert len(plot.panels[0].curves) == 1 and "No band: the runs that are alike have one seed." in plot.remarks


def test_why_there_is_no_band_is_said_once_and_truly(project: Project) -> None:
    places = ([Point("loss", 1.0, 0)], [Point("loss", 2.0, 9)])
    runs = [recorded(project, points, params={"seed": seed}) for seed, points in enumerate(places)]
    found = " ".join(plot_of_runs(project, runs, Wanted(band=True)).remarks)
    assert "have no place in common" in found and "No band:" not in found
    unlike = [recorded(project, loss([1]), params={"lr": lr}) for lr in (1, 2)]
    assert "No band: no two" in " ".join(plot_of_runs(project, unlike, Wanted(band=True)).remarks)


def test_runs_without_their_data_are_named_and_the_others_drawn(project: Project) -> None:
    gone = recorded(project, loss([1, 2]), name="far", imported=Imported("2026-01-01", None, "x"))
    with pytest.raises(DataMissing, match=r"far .* was imported without its data"):
        plot_of_runs(project, [gone], Wanted())
    here = recorded(project, loss([3, 4]))
    plot = plot_of_runs(project, [gone, here], Wanted())
    assert [list(curve.ys) for curve in plot.panels[0].curves] == [[3, 4]]
    assert plot.remarks == (f"Not drawn, for their points are not here: far ({gone.id[:8]}) (imported without data).",)


def test_series_come_before_single_values_which_are_told(project: Project) -> None:
    points = [Point("f1", 0.8, 0), Point("epoch", 1.0, 0), Point("epoch", 2.0, 1), Point("acc", 0.5, 0)]
    points += [Point("acc", 0.93, 1), *loss([2, 1])]
    plot = plot_of_runs(project, [recorded(project, points)], Wanted())
    assert [panel.title for panel in plot.panels] == ["loss", "acc", "epoch"]
    assert plot.remarks == ("Single values: f1 0.8.",)
    assert [
        panel.title for panel in plot_of_runs(project, [recorded(project, points)], Wanted(("f1,acc",))).panels
    ] == [
        "f1",
        "acc",
    ]


def test_near_names_come_from_all_runs_that_were_looked_at(project: Project) -> None:
    recorded(project, loss([1]), created_at="2026-01-01T00:00:00Z")
    recorded(project, [Point("other", 1.0)], created_at="2026-01-02T00:00:00Z")
    with pytest.raises(NotFound) as caught:
        lines_plot(project, Choice(), Wanted(("losss",)), silent)
    assert caught.value.hint == "Near: loss"


def test_curves_are_called_by_the_field_that_is_named(project: Project) -> None:
    runs = [recorded(project, loss([1]), params={"opt.lr": lr}) for lr in (0.1, 0.2, 0.2)]
    (panel,) = plot_of_runs(project, runs, Wanted(label="params.opt.lr", y_ends=(0, None))).panels
    labels = [curve.label for curve in panel.curves]
    assert labels == ["lr=0.1", f"lr=0.2 {runs[1].id[:8]}", f"lr=0.2 {runs[2].id[:8]}"] and panel.y_ends == (0, None)
    with pytest.raises(UsageError):
        plot_of_runs(project, runs, Wanted(log="y", y_ends=(0, None)))
