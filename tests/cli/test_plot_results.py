"""`mltrack plot` of fields and of files, from the command line to what it prints."""

from __future__ import annotations

import json

import pytest

from mltrack.cli.app import main
from mltrack.cli.plot import ends_of
from mltrack.errors import UsageError
from mltrack.project import Project
from tests.views.nasty import put, sweep


@pytest.fixture
def plot(tmp_path, monkeypatch, capsys):
    (tmp_path / ".mltrack").mkdir()
    with Project(tmp_path) as project:
        put(project, sweep(12))
    (tmp_path / "p.csv").write_text("truth,guess,p\nham,ham,0.1\nspam,spam,0.9\n")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = main(["plot", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_scatter_plot_as_text_and_as_numbers(plot):
    code, text, _ = plot("status = finished", "--scatter", "lr", "acc", "--log", "x", "--colour", "model")
    assert code == 0
    assert "Spearman's rank correlation of lr and acc" in text
    code, text, _ = plot("--scatter", "lr", "acc", "--json")
    [panel] = json.loads(text)["panels"]
    assert (code, panel["kind"], panel["dots"][0]["x"]) == (0, "scatter", 0.01)


def test_parallel_coordinates_of_the_fields_behind_it(plot):
    code, text, _ = plot("--parallel", "lr,acc")
    assert code == 0
    assert text.splitlines()[2].split() == ["lr", "acc"]


def test_files_with_columns_that_are_told(plot):
    told = ("--actual", "truth", "--predicted", "guess", "--score", "p", "--positive", "spam")
    assert "spam" in plot("--confusion", "p.csv", *told, "--normalise")[1]
    assert "AUC 1.0000" in plot("--roc", "p.csv", *told)[1]
    code, out, err = plot("--roc", "p.csv", "--score", "p")
    assert (code, out) == (2, "")
    assert "is p for ham or spam?" in err


def test_two_kinds_at_once_are_refused(plot):
    code, _, err = plot("--parallel", "--roc", "p.csv")
    assert code == 2
    assert "two plots" in err


def test_a_field_for_the_colour_is_not_taken_for_when_to_colour(plot, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):  # put back afterwards, as the command changes them
        monkeypatch.setenv(name, "1")
    told = ("--scatter", "lr", "acc", "--json")
    british, american = (plot(*told, word, "model") for word in ("--colour", "--color"))
    assert american == british == plot(*told, "--color=model") and '"group": ""' not in american[1]
    assert plot(*told, "--color", "never")[1].count('"group": ""') == 10
    assert "\x1b[" in plot("--scatter", "lr", "acc", "--text", "--color=always", "--color", "model")[1]
    assert "%" in plot("--confusion", "p.csv", "--actual", "truth", "--predicted", "guess", "--normalize")[1]


@pytest.mark.parametrize("text", ["1", "2,1", "0,nan", ",", "a,b", "0,1,2", "1,1"])
def test_ends_of_an_axis_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match="--ylim"):
        ends_of(text)
    assert (ends_of("0,1"), ends_of("-1,"), ends_of(None)) == ((0, 1), (-1, None), (None, None))
