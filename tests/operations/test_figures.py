"""The plots that are not lines: fields of runs against each other, parallel coordinates, files of predictions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mltrack.errors import NotFound, UsageError
from mltrack.operations.plotting.classification import Sought, classification
from mltrack.operations.plotting.curves import Wanted
from mltrack.operations.plotting.field_values import column
from mltrack.operations.plotting.figures import Against, Figure, figure_plot, scatter
from mltrack.operations.plotting.parallel import Beside, best_known, parallel
from mltrack.operations.seeing.selection import Choice
from mltrack.plots import Axis, Parallel
from mltrack.project import Project
from mltrack.records import Artifact
from mltrack.views.plot.parallel import scales
from tests.views.nasty import metric, nasty_runs, put, run, sweep, wide_run


def silent(text):
    pass


# -- one field against another


def test_a_scatter_plot_has_a_dot_for_each_run_with_both_values_and_counts_the_others():
    runs = [
        run(0, params={"lr": 0.1}, metrics={"acc": metric(0.5)}, name="first"),
        run(1, params={"lr": 1}, metrics={}),
        run(2, params={"lr": 0.0}, metrics={"acc": metric(0.5)}),
        run(3, params={"lr": 1}, metrics={"acc": metric("NaN")}),
    ]
    plot = scatter(runs, Against("params.lr", "metrics.acc", log="x"))
    [dot] = plot.panels[0].dots
    assert (dot.x, dot.y, dot.label, dot.run) == (0.1, 0.5, "first", runs[0].id)
    assert len(plot.remarks) == 3
    assert "1 run, which lacks one of the two" in plot.remarks[0]
    assert "NaN or an infinity" in plot.remarks[1]
    assert "not positive" in plot.remarks[2]


def test_the_rank_correlation_is_told_from_four_runs_on():
    runs = [run(at, params={"lr": at}, metrics={"acc": metric(-(at**3))}) for at in range(5)]
    assert "-1.00, n = 5" in scatter(runs, Against("lr", "acc")).remarks[0]
    assert scatter(runs[:3], Against("lr", "acc")).remarks == ()


def test_texts_and_truth_values_stand_on_an_axis_of_names():
    runs = [run(0, params={"amp": True, "model": "gru"}), run(1, params={"amp": False, "model": "lstm"})]
    plot = scatter(runs, Against("params.amp", "params.model", "metrics.acc"))
    assert [(dot.x, dot.y, dot.shade) for dot in plot.panels[0].dots] == [("true", "gru", 0.9), ("false", "lstm", 0.9)]
    assert plot.remarks == ()


def test_a_field_with_numbers_and_texts_is_one_of_texts():
    found = column([run(0, params={"x": 1}), run(1, params={"x": "a"}), run(2, params={"x": [1, "b"]})], "params.x")
    assert found.values == ("1", "a", '[1,"b"]')


def test_numbers_among_texts_come_first_by_size_and_stand_where_ls_groups_them():
    values = [10, "auto", 2, 1e-300, 2.0, "1", True, 1, "NaN", 0.1]
    found = column([run(at, params={"x": one}) for at, one in enumerate(values)], "params.x")
    assert found.axis.names == ("1e-300", "0.1", "1", "2", "10", "true", '"1"', "auto", "NaN")
    assert found.values[2] == found.values[4] == "2"
    assert (found.values[5], found.values[7]) == ('"1"', "1")
    axis = Parallel("", (found.axis, Axis("y")), ("r",) * 10, tuple((one, 1.0) for one in found.values))
    assert [one.names for one in scales(axis)] == [found.axis.names, ()]


def test_the_best_of_an_axis_of_names_is_the_last_name():
    runs = [run(at, params={"depth": one}, metrics={}) for at, one in enumerate([10, 9, "auto", None])]
    [panel] = parallel(runs, Beside(("id", "params.depth")), {}).panels
    assert [row[1] for row in panel.rows] == [None, "9", "10", "auto"]


def test_times_are_seconds_after_the_first():
    found = column([run(0), run(1)], "created")
    assert found.values == (0, 3600)
    assert "2026-11-01 00:00 UTC" in found.axis.label


@pytest.mark.parametrize(
    ("name", "kind", "hint"),
    [("params.lrr", NotFound, "lr"), ("metrics.ac", NotFound, "acc"), ("nope", UsageError, "note"), ("why", NotFound, "show")],
)  # fmt: skip
def test_a_field_that_no_run_has_is_told_with_near_names(name, kind, hint):
    with pytest.raises(kind) as caught:
        scatter([run(0), run(1)], Against(name, "metrics.acc"))
    assert hint in caught.value.hint


def test_every_nasty_run_can_be_a_dot():
    runs = nasty_runs()
    for field in ("id", "name", "created", "duration", "params.lr", "metrics.acc", "command", "tag", "code.dirty"):
        plot = scatter(runs, Against("id", field, field))
        assert plot.panels[0].dots


# -- parallel coordinates


def test_parallel_coordinates_show_what_differs_and_the_metric_that_is_best_known():
    plot = parallel(sweep(), Beside(), {})
    [panel] = plot.panels
    assert [axis.label for axis in panel.axes] == ["lr", "depth", "model", "amp", "acc"]
    assert [axis.is_log for axis in panel.axes] == [True, False, False, False, False]
    assert panel.coloured_by == 4
    values = [row[4] for row in panel.rows if row[4] is not None]
    assert values == sorted(values)  # the best is drawn last
    assert panel.rows[0][4] is None
    assert "marked as missing" in plot.remarks[-1]


def test_fields_that_were_named_stand_in_their_order_and_the_last_gives_the_colour():
    [panel] = parallel(sweep(), Beside(("metrics.loss", "params.lr")), {}).panels
    assert [axis.label for axis in panel.axes] == ["loss", "lr"]
    [panel] = parallel(sweep(), Beside(("lr",), "loss"), {}).panels
    assert [axis.label for axis in panel.axes] == ["lr", "loss"]


def test_of_thousands_of_params_those_are_shown_that_go_most_with_the_metric():
    runs = [wide_run(300, 2, number) for number in (20, 21, 22, 25)]
    plot = parallel(runs, Beside(), {})
    assert len(plot.panels[0].axes) == 10
    assert plot.remarks == ("30 params differ; shown are the 9 that go most with the last axis.",)


def test_the_best_known_metric_is_one_of_validation_of_which_more_is_better():
    names = {"loss": 1, "acc": 1, "val_loss": 1, "val_acc": 1, "epoch": 1}
    runs = [run(0, metrics={name: metric(1.0) for name in names})]
    assert best_known(runs, {}) == "val_acc"
    assert best_known([run(0, metrics={})], {}) is None


def test_one_run_has_nothing_beside_it():
    with pytest.raises(UsageError, match="several runs"):
        parallel([run(0)], Beside(), {})
    with pytest.raises(NotFound, match="differ in no param"):
        parallel([run(0), run(1)], Beside(), {})


# -- files of predictions


GOOD, BAD = b"label,score\n0,0.1\n0,0.2\n1,0.8\n1,0.9\n", b"label,score\n0,0.9\n0,0.8\n1,0.2\n1,0.1\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / ".mltrack").mkdir()
    monkeypatch.chdir(tmp_path)
    with Project(tmp_path) as found:
        first, second = (Artifact("out/p.csv", "file", found.store.put_bytes(data), len(data)) for data in (GOOD, BAD))
        put(
            found,
            [run(0, name="good", artifacts=(first,)), run(1, name="bad", artifacts=(second,)), run(2, name="bare")],
        )
        yield found


def areas(project, words, *files, kind="roc"):
    plot = figure_plot(project, Choice(words), Wanted(), Figure(kind, files=files), silent)
    return dict(zip([curve.label.partition(",")[0] for curve in plot.panels[0].curves], plot.panels[0].areas))


def test_a_path_is_looked_for_in_the_runs_that_were_named_or_that_fit(project):
    assert areas(project, ("good", "bad"), "out/p.csv") == {"good": 1, "bad": 0}
    assert areas(project, ("name = bad",), "out/p.csv") == {"bad": 0}


def test_a_run_without_the_file_is_left_out_and_told_unless_none_has_it(project):
    told = []
    plot = figure_plot(project, Choice(("good", "bare")), Wanted(), Figure("roc", files=("out/p.csv",)), told.append)
    assert len(plot.panels[0].curves) == 1
    assert told == ["Left out: 1 of 2 runs, which have no out/p.csv."]
    with pytest.raises(NotFound, match=r"no file out/p\.csv"):
        areas(project, ("bare",), "out/p.csv")


def test_a_run_can_stand_before_the_path(project):
    assert areas(project, (), "bad:out/p.csv", "good:out/p.csv") == {"bad": 0, "good": 1}


def test_without_runs_a_file_here_comes_first_then_the_newest_run_that_has_it(project):
    assert areas(project, (), "out/p.csv") == {"bad": 0}
    (project.root / "out").mkdir()
    (project.root / "out/p.csv").write_bytes(GOOD)
    assert areas(project, (), "out/p.csv") == {"p.csv": 1}
    with pytest.raises(NotFound, match=r"no file gone\.csv"):
        areas(project, (), "gone.csv")


def test_files_need_no_project(tmp_path):
    file = tmp_path / "p.csv"
    file.write_bytes(GOOD)
    plot = classification(None, [], Sought("pr", (str(file),)), silent)
    assert plot.panels[0].areas == (1,)
    assert plot.panels[0].title == "p.csv, AP 1.0000"
    assert plot.remarks == ("The curves are of the class 1.", "p.csv: 2 of 4 rows are positive.")


def test_matrices_beside_each_other_have_the_same_classes(tmp_path):
    for name, text in (
        ("a.csv", "actual,predicted\na,a\nb,a\n"),
        ("b.csv", "actual,predicted\nc,c\nc,a\n"),
        ("d.csv", "actual,predicted\nx,x\n"),
    ):
        (tmp_path / name).write_text(text)
    files = (str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    plot = classification(None, [], Sought("confusion", files), silent)
    assert [panel.classes for panel in plot.panels] == [("a", "b", "c")] * 2
    assert [panel.title for panel in plot.panels] == ["a.csv: 50.0 % of 2 right", "b.csv: 50.0 % of 2 right"]
    plot = classification(None, [], Sought("confusion", (*files, str(tmp_path / "d.csv"))), silent)
    assert [panel.classes for panel in plot.panels] == [("a", "b"), ("a", "c"), ("x",)]  # nothing in common


def test_a_part_of_a_ready_curve_has_no_area_and_a_curve_without_its_start_says_so(tmp_path):
    def drawn(kind, text):
        (tmp_path / "c.csv").write_text(text)
        return classification(None, [], Sought(kind, (str(tmp_path / "c.csv"),)), silent)

    plot = drawn("roc", "fpr,tpr\n0.1,0.3\n0.45,0.8\n")
    assert plot.panels[0].curves[0].label == "c.csv, no AUC, FPR 0.1 to 0.45"
    assert "an AUC is of a whole one" in plot.remarks[0]
    plot = drawn("pr", "recall,precision\n1,0.5\n0.4,0.75\n")
    assert plot.panels[0].areas == (pytest.approx(0.6),)
    assert "no point is below recall 0.4; AP takes 0.75" in plot.remarks[0]
    with pytest.raises(UsageError, match="several curves"):
        drawn("roc", "fpr,tpr\n0,0\n0.5,1\n1,0.5\n")


def test_a_table_of_pairs_is_counted_by_its_counts(tmp_path):
    file = tmp_path / "p.csv"
    file.write_text("actual,predicted,count\na,a,4\nb,b,3\na,b,2\n")
    plot = classification(None, [], Sought("confusion", (str(file),)), silent)
    assert plot.panels[0].title == "77.8 % of 9 right"
    assert plot.panels[0].counts == ((4, 2), (0, 3))


def test_a_class_against_the_rest_for_each_and_their_mean(tmp_path):
    file = tmp_path / "p.csv"
    file.write_text("label,score_a,score_b,score_c\na,3,1,1\nb,1,3,1\nc,2,1,3\nc,1,1,0\n")
    plot = classification(None, [], Sought("roc", (str(file),)), silent)
    assert plot.panels[0].areas == (1, 1, pytest.approx(0.5))
    assert "mean AUC of 3 classes 0.8333" in plot.remarks[0]


def test_a_file_of_one_class_has_no_curve(tmp_path):
    file = tmp_path / "p.csv"
    file.write_text("label,score\n1,0.5\n1,0.25\n")
    with pytest.raises(UsageError, match="needs positive and negative") as caught:
        classification(None, [], Sought("roc", (str(file),)), silent)
    assert caught.value.hint == "Classes: 1."


def test_words_behind_parallel_name_fields_unless_a_run_is_called_so(project):
    put(project, [replace(one, name=None) for one in sweep(4)])
    figure = Figure("parallel")
    [panel] = figure_plot(project, Choice(("lr,acc",)), Wanted(), figure, silent).panels
    assert [axis.label for axis in panel.axes] == ["lr", "acc"]
    with pytest.raises(UsageError, match="no column 'accc'"):
        figure_plot(project, Choice(("lr,accc",)), Wanted(), figure, silent)
