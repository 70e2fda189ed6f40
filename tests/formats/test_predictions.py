"""Files of predictions: which column is what, ready curves and matrices, and errors that say what was found."""

from __future__ import annotations

import json

import numpy
import pytest

from mltrack.errors import UsageError
from mltrack.formats.columns import read_table
from mltrack.formats.predictions import Matrix, Named, Predictions, confusion_of
from mltrack.formats.scores import Ready, Scored, curve_of

GUESSED = Named()


def table(data, name="p.csv", named=GUESSED):
    raw = data if isinstance(data, bytes) else data.encode() if isinstance(data, str) else json.dumps(data).encode()
    return read_table(raw, name, named.keeps)


def confused(data, name="p.csv", named=GUESSED):
    return confusion_of(table(data, name, named), named, name)


def curve(data, name="p.csv", kind="roc", named=GUESSED):
    return curve_of(table(data, name, named), kind, named, name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.csv", "id,actual,predicted\n1,a,a\n2,b,a\n"),
        ("p.csv", "\ufeffy_true;y_pred\r\na;a\r\nb;a\r\n"),
        ("p.tsv", "Target\tPrediction\na\ta\n\nb\ta"),
        ("p.csv", '"True Label","pred"\n"a",a\nb,"a"\n'),
        ("p.json", [{"label": "a", "pred": "a"}, {"label": "b", "pred": "a"}]),
        ("p.json", {"confusion": [{"actual": "a", "predicted": "a"}, {"actual": "b", "predicted": "a"}]}),
        ("p.json", {"y_true": ["a", "b"], "y_pred": ["a", "a"]}),
        ("p.jsonl", '{"label": "a", "y_hat": "a"}\n\n{"label": "b", "y_hat": "a"}\n'),
    ],
)
def test_actual_and_predicted_classes_are_found_by_the_usual_names(name, data):
    assert confused(data, name) == Predictions(["a", "b"], ["a", "a"])


def test_classes_keep_their_spelling_unless_the_two_columns_write_one_in_two_ways():
    assert confused("actual,predicted\n007,007\n").actual == ["007"]
    assert confused("actual,predicted\n1,1.0\n0,1.0\n") == Predictions(["1", "0"], ["1", "1"])
    assert confused([{"actual": True, "predicted": 1.0}], "p.json") == Predictions(["true"], ["1"])


def test_rows_without_a_value_are_counted():
    assert confused("actual,predicted\na,\nNaN,b\na,b\n") == Predictions(["a"], ["b"], 2)


def test_columns_that_were_told_win():
    named = Named("b", "c")
    assert confused("actual,b,c,predicted\nx,1,2,y\n", named=named) == Predictions(["1"], ["2"])
    with pytest.raises(UsageError, match="no column nope") as caught:
        confused("a,b\n1,2\n", named=Named(actual="nope"))
    assert "a, b" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.csv", "actual,a,b\na,5,1\nb,0,9\n"),
        ("m.csv", ",a,b\na,5,1\nb,0,9\n"),
        ("m.csv", ",a,b\nb,0,9\na,5,1\n"),
        ("m.csv", "a,b\n5,1\n0,9\n"),
        ("m.json", {"labels": ["a", "b"], "confusion_matrix": [[5, 1], [0, 9]]}),
        ("m.json", {"a": {"a": 5, "b": 1}, "b": {"b": 9}}),
        ("m.json", {"classes": ["a", "b"], "matrix": [[5.0, 1.0], [0.0, 9.0]]}),
    ],
)
def test_a_matrix_that_was_counted_before_is_taken(name, data):
    assert confused(data, name) == Matrix(("a", "b"), ((5, 1), (0, 9)))


def test_a_bare_matrix_has_classes_by_number():
    assert confused("5,1\n0,9\n") == Matrix(("0", "1"), ((5, 1), (0, 9)))
    assert confused([[5, 1], [0, 9]], "m.json") == Matrix(("0", "1"), ((5, 1), (0, 9)))


@pytest.mark.parametrize("data", [[[1, 2], [3]], [[1, -1], [0, 1]], [[0.5, 0.5], [0, 1]], [["a", "b"], [1, 2]], 3, {}])
def test_what_is_no_square_of_counts_is_refused(data):
    with pytest.raises(UsageError, match="no actual and predicted"):
        confused(data, "m.json")


def test_without_predictions_the_class_with_the_largest_score_is_taken_and_said():
    found = confused("label,score_a,score_b\na,0.9,0.1\nb,0.6,0.4\n")
    assert (found.actual, found.predicted) == (["a", "b"], ["a", "a"])
    assert "largest score" in found.remark


def test_what_is_measured_has_too_many_classes():
    rows = "\n".join(f"{at}.5,{at}.25" for at in range(1500))
    with pytest.raises(UsageError, match="3,000 classes"):
        confused(f"actual,predicted\n{rows}\n")


def test_labels_and_scores_make_a_curve_for_the_class_that_says_it_is_positive():
    found = curve("label,score\nno,0.1\nyes,0.9\nyes,\n")
    assert isinstance(found, Scored)
    assert (found.actual, found.left_out) == (["no", "yes"], 1)
    assert {name: one.tolist() for name, one in found.scores.items()} == {"yes": [0.1, 0.9]}


def test_predictions_that_are_probabilities_are_scores():
    assert curve("y_true,y_pred\n0,0.25\n1,0.75\n").scores["1"].tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.csv", "label,score_a,prob_b,c\na,1,2,3\nb,4,5,6\nc,7,8,9\n"),
        ("p.json", [{"label": x, "proba": dict(zip("abc", y))} for x, y in zip("abc", ([1, 2, 3], [4, 5, 6], [7, 8, 9]))]),
        ("p.jsonl", "".join(json.dumps({"label": x, "probs": y}) + "\n" for x, y in zip("abc", ([1, 2, 3], [4, 5, 6], [7, 8, 9])))),
    ],
)  # fmt: skip
def test_scores_for_each_class_make_a_curve_for_each(name, data):
    found = curve(data, name)
    assert {name: one.tolist() for name, one in found.scores.items()} == {
        "a": [1, 4, 7],
        "b": [2, 5, 8],
        "c": [3, 6, 9],
    }


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        ("label,score\na,1\nb,2\nc,3\n", "3 classes", "--positive"),
        ("label,score\nham,1\nspam,2\n", "ham or spam", "--positive"),
        ("label,score_a,score_b\na,1,2\nb,1,2\nc,1,2\n", "no scores for c", "a, b"),
        ("foo,bar\n1,2\n", "no actual classes. Found: foo, bar", "--score"),
        ("label,bar\n1,2\n", "no scores", "fpr and tpr"),
        ("fpr,tpr\n0,0\n1,3\n", "no rates", "between 0 and 1"),
    ],
)
def test_an_error_says_what_was_found_and_what_is_needed(data, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        curve(data)
    assert hint in caught.value.hint


def test_one_class_against_the_rest_when_it_was_named():
    found = curve("label,score\na,1\nb,2\nc,3\n", named=Named(positive="b"))
    assert list(found.scores) == ["b"]
    with pytest.raises(UsageError, match="no class z"):
        curve("label,score\na,1\nb,2\n", named=Named(positive="z"))


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("c.csv", "roc", "fpr,tpr,threshold\n0,0,inf\n0,0.5,2\n1,1,1\n"),
        ("c.json", "roc", {"roc": [{"fpr": x, "tpr": y, "threshold": 1} for x, y in ((0, 0), (0, 0.5), (1, 1))]}),
        ("c.json", "roc", {"fpr": [0, 0, 1], "tpr": [0, 0.5, 1], "thresholds": ["Infinity", 2, 1]}),
        ("c.json", "pr", {"recall": [0, 0, 1], "precision": [0, 0.5, 1], "thresholds": [0.1, 0.2]}),
        ("c.json", "roc", [[0, 0, 1], [0, 0.5, 1], [9, 0.8, 0.1]]),
        ("c.json", "roc", [[0, 0, 1], [0, 0.5, 1]]),
        ("c.json", "pr", [[0, 0.5, 1], [0, 0, 1], [0.1, 0.2]]),
    ],
)
def test_curves_as_sklearn_and_dvc_write_them_are_ready(name, kind, data):
    found = curve(data, name, kind)
    assert isinstance(found, Ready)
    [(xs, ys)] = found.courses.values()
    assert (xs.tolist(), ys.tolist()) == ([0, 0, 1], [0, 0.5, 1])


def test_of_two_bare_lists_the_one_that_goes_up_and_down_is_no_recall():
    recall, precision = [1, 0.5, 0.25, 0], [0.4, 0.5, 0.3, 1]
    for pair in ([recall, precision], [precision, recall]):
        [(xs, ys)] = curve(pair, "c.json", "pr").courses.values()
        assert (xs.tolist(), ys.tolist()) == (recall, precision)
    for no_pair in ([[0, 1], [0, 0.5, 1]], [[0, 1], ["a", "b"]], [[0, 1]] * 4, [[0], [1]], [[0, 1], [True, True]]):
        with pytest.raises(UsageError, match="no actual classes"):
            curve(no_pair, "c.json")


@pytest.mark.parametrize("positive", [None, "1", "1.0"])
def test_whole_numbers_that_numpy_wrote_with_a_point_are_classes(positive):
    found = curve("label,score\n1.0,0.9\n0.0,0.1\n,3\n", named=Named(positive=positive))
    assert (found.actual, list(found.scores)) == (["1", "0"], ["1"])
    assert curve("label,score\n1.5,0.9\n1.0,0.1\n", named=Named(positive="1.0")).actual == ["1.5", "1.0"]
    by_class = curve("label,score_1.0,score_0.0\n1.0,0.9,0.1\n0.0,0.2,0.8\n", named=Named(positive=positive))
    assert by_class.scores["1"].tolist() == [0.9, 0.2]


def test_a_table_of_pairs_counts_each_as_often_as_it_says():
    found = confused("actual,predicted,count\na,a,5\na,b,2\nb,,9\nb,b,0\n")
    assert (found.counts, found.left_out) == ((5, 2, 0), 1)
    assert "its count" in found.remark
    assert confused("actual,predicted,n\na,a,5\na,b,2\n").counts == (5, 2)
    for text in ("actual,predicted,n\na,a,1\na,a,2\n", "actual,predicted,weight\na,a,0.5\nb,a,2\n"):
        found = confused(text)
        assert found.counts is None
        assert "not used" in found.remark


def test_ready_curves_of_several_classes():
    found = curve({"cat": {"fpr": [0, 1], "tpr": [0, 1]}, "dog": {"fpr": [0, 1], "tpr": [1, 1]}}, "c.json")
    assert list(found.courses) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.csv", b"\xff\xfe\x00", "not text"),
        ("p.csv", b" \n", "empty"),
        ("p.csv", b"a,b\n1,2\n3\n", "2 columns and a row of 1"),
        ("p.json", b'{"a": [1,}', "line 1 is no JSON"),
        ("p.jsonl", b'{"a": 1}\n{"a": \n', "line 2 is no JSON"),
        ("p.json", b"[" * 100_000, "p.json"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_name(name, data, message):
    with pytest.raises(UsageError, match=message):
        table(data, name)


def test_numbers_are_read_over_blocks_of_rows_and_missing_ones_are_nan():
    rows = "\n".join(f"{at}" if at % 1000 else "NA" for at in range(70_000))
    column = table(f"x\n{rows}\n").columns["x"]
    assert isinstance(column, numpy.ndarray)
    assert (len(column), int(numpy.isnan(column).sum()), column[-1]) == (70_000, 70, 69_999)


@pytest.mark.parametrize("rows", ["", ",\n", "NaN,\n"])
def test_a_header_alone_makes_no_plot(rows):
    with pytest.raises(UsageError, match="no row with a class"):
        confused(f"actual,predicted\n{rows}")
    with pytest.raises(UsageError, match="no row with a class"):
        curve(f"actual,score\n{rows}")
